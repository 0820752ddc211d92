"""Fully convolutional nets of 3 to 7 layers: Choi, Fazekas & Sandler's FCN ladder.

Small filters, and pools large enough that the last map of a segment of 1366 frames x 96 dims is
1 x 1: each unit of the last layer has seen it all. For other sizes a pool is no larger than what
is left to pool, and the last pool takes the maximum of all that is left.
"""

from typing import ClassVar

import torch
from torch import nn

from mcls.nets.blocks.layers import (
    Init,
    MaxOver,
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
from mcls.registry import register

_FILTER = 3  # frames, and dims


class FullyConvolutional(nn.Module):
    """Convolution, batch norm, nonlinearity, max-pool, dropout, several times; then the output.

    Parameters
    ----------
    n_frames, n_dims : int
        Size of a segment. A net also takes longer ones.
    n_labels : int
        Logits.
    width : float
        Scales every hidden layer, above 0; 1 is the published net.
    nonlinearity : str
        Of all hidden units.
    dropout : float
        Share of the units that is left out after each layer in training, in [0, 1).
    batch_norm : bool
        Normalise each hidden layer before its nonlinearity.
    init : {'xavier', 'he', 'orthogonal', 'default'}
        How the first weights are drawn.

    Attributes
    ----------
    hidden : tuple of str
        ``conv1``, ``conv2``, ...: ``(batch, maps, frames, dims)``.

    References
    ----------
    Choi, Fazekas & Sandler (2016), Automatic tagging using deep convolutional neural networks.
    """

    #: Maps of each 3 x 3 convolution; the pool (frames, dims) after it; maps of 1 x 1 convolutions.
    maps: ClassVar[tuple[int, ...]]
    pools: ClassVar[tuple[tuple[int, int], ...]]
    maps_1x1: ClassVar[tuple[int, ...]] = ()
    registered_as: ClassVar[str]

    def __init__(
        self,
        n_frames: int,
        n_dims: int,
        n_labels: int,
        *,
        width: float = 1.0,
        nonlinearity: Nonlinearity = "relu",
        dropout: float = 0.5,
        batch_norm: bool = True,
        init: Init = "xavier",
    ) -> None:
        super().__init__()
        check_settings(self.registered_as, dropout=dropout, width=width)
        check_sizes(self.registered_as, self.smallest(), n_frames, n_dims, n_labels)
        fitting, _ = pools_that_fit(self.pools[:-1], n_frames, n_dims)
        pools = [*map(nn.MaxPool2d, fitting), MaxOver(2, 3), *[None] * len(self.maps_1x1)]
        sizes = [_FILTER] * len(self.maps) + [1] * len(self.maps_1x1)
        maps = [1, *(scaled(n, width) for n in self.maps + self.maps_1x1)]
        layers = [
            conv2d(
                maps[i],
                maps[i + 1],
                sizes[i],
                pool=pool,
                nonlinearity=nonlinearity,
                batch_norm=batch_norm,
            )
            for i, pool in enumerate(pools)
        ]
        self.hidden = name_layers(self, "conv", layers)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(maps[-1], n_labels)
        init_weights(self, init)

    @staticmethod
    def smallest(**settings: object) -> tuple[int, int]:
        """Return the fewest frames and dims: those of a filter."""
        return _FILTER, _FILTER

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(batch, 1, n_frames, n_dims)`` to logits ``(batch, n_labels)``."""
        x = through(self, self.hidden, x, after=self.dropout)  # (batch, maps, 1, 1)
        return self.output(x.flatten(1))


@register(
    "nets", "fcn3", source="Choi et al. 2016", sr=12000, hop=256, frames=1366, dims=96, labels=50
)
class FCN3(FullyConvolutional):
    """Fully convolutional, 3 layers of 256, 768 and 2048 maps."""

    maps = (256, 768, 2048)
    pools = ((5, 3), (16, 4), (17, 8))


@register(
    "nets", "fcn4", source="Choi et al. 2016", sr=12000, hop=256, frames=1366, dims=96, labels=50
)
class FCN4(FullyConvolutional):
    """Fully convolutional, 4 layers of 128, 384, 768 and 2048 maps."""

    maps = (128, 384, 768, 2048)
    pools = ((4, 2), (5, 4), (8, 3), (8, 4))


@register(
    "nets", "fcn5", source="Choi et al. 2016", sr=12000, hop=256, frames=1366, dims=96, labels=50
)
class FCN5(FullyConvolutional):
    """Fully convolutional, 5 layers of 128, 256, 512, 1024 and 2048 maps."""

    maps = (128, 256, 512, 1024, 2048)
    pools = ((4, 2), (4, 2), (4, 2), (5, 3), (4, 4))


@register(
    "nets", "fcn6", source="Choi et al. 2016", sr=12000, hop=256, frames=1366, dims=96, labels=50
)
class FCN6(FCN5):
    """Fully convolutional, 6 layers: fcn5 and a 1 x 1 convolution of 1024 maps."""

    maps_1x1 = (1024,)


@register(
    "nets", "fcn7", source="Choi et al. 2016", sr=12000, hop=256, frames=1366, dims=96, labels=50
)
class FCN7(FCN5):
    """Fully convolutional, 7 layers: fcn5 and 1 x 1 convolutions of 1024 and 2048 maps."""

    maps_1x1 = (1024, 2048)
