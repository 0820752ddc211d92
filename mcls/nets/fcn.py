"""Fully convolutional nets of 3 to 7 layers: Choi, Fazekas & Sandler's FCN ladder.

Small filters, and pools large enough that the last map of a segment of 1366 frames x 96 dimensions
is 1 x 1: each unit of the last layer has seen it all. For other sizes a pool is no larger than what
is left to pool, and the last pool is one of all that is left.
"""

from typing import ClassVar

import torch
from torch import nn

from mcls.nets.base import Net
from mcls.nets.blocks.layers import (
    Init,
    Nonlinearity,
    check_settings,
    check_sizes,
    conv2d,
    init_weights,
    name_layers,
    pools_that_fit,
    scaled,
    through,
)
from mcls.nets.blocks.map_pooling import map_pool, pool_the_rest
from mcls.registry import register, register_preset

_FILTER = 3  # frames, and dimensions
_DROPOUT = 0.5


@register(
    "nets",
    "fcn4",
    source="Choi et al. 2016",
    sr=12000,
    hop=256,
    frames=1366,
    dims=96,
    labels=50,
    any_length=True,
)
class FCN4(Net):
    """Fully convolutional, 4 layers of 128, 384, 768 and 2048 maps.

    Convolution, batch norm, nonlinearity, pool and dropout in each layer, then the output. A
    net takes segments of any length from the smallest on.

    Parameters
    ----------
    pool : str
        Pool of each layer: max, mean, std, lp (root mean square), lp3 and so on.
    dropout : float or None
        Share of units dropped after each layer; none: 0.5 x width, at most 0.5.

    Attributes
    ----------
    hidden : tuple of str
        ``conv1``, ``conv2``, ...: ``(batch, maps, frames, dims)``.

    References
    ----------
    Choi, Fazekas & Sandler (2016), Automatic tagging using deep convolutional neural networks.

    Differs from the paper: the published dropout of 0.5 is the default at full width only, since a
    net of a tenth of the maps that loses half of them in every layer learns nothing.
    """

    #: Maps of each 3 x 3 convolution; the pool (frames, dims) after it; maps of 1 x 1 convolutions.
    maps: ClassVar[tuple[int, ...]] = (128, 384, 768, 2048)
    pools: ClassVar[tuple[tuple[int, int], ...]] = ((4, 2), (5, 4), (8, 3), (8, 4))
    maps_1x1: ClassVar[tuple[int, ...]] = ()

    def __init__(
        self,
        n_frames: int,
        n_dims: int,
        n_labels: int,
        *,
        width: float = 1.0,
        pool: str = "max",
        nonlinearity: Nonlinearity = "relu",
        dropout: float | None = None,
        batch_norm: bool = True,
        init: Init = "xavier",
    ) -> None:
        super().__init__()
        dropout = _DROPOUT * min(1.0, width) if dropout is None else dropout
        check_settings(self.registered_as, dropout=dropout, width=width)
        check_sizes(self.registered_as, self.smallest(), n_frames, n_dims, n_labels)
        fitting, _ = pools_that_fit(self.pools[:-1], n_frames, n_dims)
        pools = [
            *(map_pool(pool, size) for size in fitting),
            pool_the_rest(pool),
            *[None] * len(self.maps_1x1),
        ]
        sizes = [_FILTER] * len(self.maps) + [1] * len(self.maps_1x1)
        maps = [1, *(scaled(n, width) for n in self.maps + self.maps_1x1)]
        layers = [
            conv2d(
                maps[i],
                maps[i + 1],
                sizes[i],
                pool=of_layer,
                nonlinearity=nonlinearity,
                batch_norm=batch_norm,
            )
            for i, of_layer in enumerate(pools)
        ]
        self.hidden = name_layers(self, "conv", layers)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(maps[-1], n_labels)
        init_weights(self, init)

    @staticmethod
    def smallest(**settings: object) -> tuple[int, int]:
        """Return the fewest frames and dimensions: those of a filter."""
        return _FILTER, _FILTER

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(batch, 1, n_frames, n_dims)`` to logits ``(batch, n_labels)``."""
        x = through(self, self.hidden, x, after=self.dropout)  # (batch, maps, 1, 1)
        return self.output(x.flatten(1))


FCN3 = register_preset(
    "nets",
    "fcn3",
    of="fcn4",
    summary="Fully convolutional, 3 layers of 256, 768 and 2048 maps.",
    maps=(256, 768, 2048),
    pools=((5, 3), (16, 4), (17, 8)),
)

FCN5 = register_preset(
    "nets",
    "fcn5",
    of="fcn4",
    summary="Fully convolutional, 5 layers of 128, 256, 512, 1024 and 2048 maps.",
    maps=(128, 256, 512, 1024, 2048),
    pools=((4, 2), (4, 2), (4, 2), (5, 3), (4, 4)),
)

FCN6 = register_preset(
    "nets",
    "fcn6",
    of="fcn5",
    summary="Fully convolutional, 6 layers: fcn5 and a 1 x 1 convolution of 1024 maps.",
    maps_1x1=(1024,),
)

FCN7 = register_preset(
    "nets",
    "fcn7",
    of="fcn5",
    summary="Fully convolutional, 7 layers: fcn5 and 1 x 1 convolutions of 1024 and 2048 maps.",
    maps_1x1=(1024, 2048),
)
