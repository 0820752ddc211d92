"""Seven small convolutions on a few seconds: Won, Ferraro, Bogdanov & Serra's short-chunk nets.

A net that hears 3.7 s and is asked about the whole track: its score is the mean over segments.
"""

from typing import ClassVar

import torch
from torch import nn

from mcls.nets.base import Net
from mcls.nets.blocks.image import ResidualBlock
from mcls.nets.blocks.layers import (
    Init,
    Nonlinearity,
    check_settings,
    check_sizes,
    conv2d,
    dense,
    init_weights,
    name_layers,
    pools_that_fit,
    scaled,
    through,
)
from mcls.nets.blocks.map_pooling import map_pool, pool_the_rest
from mcls.registry import register, register_preset

_FILTER = 3  # frames, and dimensions
_MAPS = (128, 128, 256, 256, 256, 256, 512)
_UNITS = 512


@register(
    "nets",
    "short-chunk",
    source="Won et al. 2020",
    sr=16000,
    hop=256,
    frames=231,
    dims=128,
    labels=50,
    any_length=True,
)
class ShortChunkCNN(Net):
    """Seven 3 x 3 convolutions with small max-pools on a few seconds.

    Each layer halves frames and dimensions; a dense layer reads the maximum of each map. A
    net takes segments of any length from the smallest on.

    Parameters
    ----------
    pool : str
        Pool of each layer: max, mean, std, lp (root mean square), lp3 and so on.
        Residual blocks have none; it also pools all that is left before the dense layer.
    dropout : float
        Share of the dense layer's units dropped in training, in [0, 1).

    Attributes
    ----------
    hidden : tuple of str
        ``conv1`` to ``conv7``: ``(batch, maps, frames, dims)``; ``dense1``: ``(batch, units)``.

    References
    ----------
    Won, Ferraro, Bogdanov & Serra (2020), Evaluation of CNN-based automatic music tagging models;
    the code its first author published (sota-music-tagging-models).

    Differs from the published code: of segments of other than 128 dimensions, a pool is no larger
    than what is left, and the maximum is taken over dimensions, too.
    """

    #: Whether layers are residual blocks.
    residual: ClassVar[bool] = False

    def __init__(
        self,
        n_frames: int,
        n_dims: int,
        n_labels: int,
        *,
        width: float = 1.0,
        pool: str = "max",
        nonlinearity: Nonlinearity = "relu",
        dropout: float = 0.5,
        batch_norm: bool = True,
        init: Init = "default",
    ) -> None:
        super().__init__()
        check_settings(self.registered_as, dropout=dropout, width=width)
        check_sizes(self.registered_as, self.smallest(), n_frames, n_dims, n_labels)
        pools, _ = pools_that_fit([(2, 2)] * len(_MAPS), n_frames, n_dims)
        maps = [1, *(scaled(n, width) for n in _MAPS)]
        layers: list[nn.Module] = []
        for i, size in enumerate(pools):
            if self.residual:
                layers.append(
                    ResidualBlock(
                        maps[i],
                        maps[i + 1],
                        stride=2,
                        shortcut=_FILTER,
                        bias=True,
                        nonlinearity=nonlinearity,
                        batch_norm=batch_norm,
                    )
                )
            else:
                layers.append(
                    conv2d(
                        maps[i],
                        maps[i + 1],
                        _FILTER,
                        pool=map_pool(pool, size),
                        nonlinearity=nonlinearity,
                        batch_norm=batch_norm,
                    )
                )
        units = scaled(_UNITS, width)
        self.input_norm = nn.BatchNorm2d(1)
        self._convolutions = name_layers(self, "conv", layers)
        self.rest = pool_the_rest(pool)
        self.dense1 = dense(maps[-1], units, nonlinearity=nonlinearity, batch_norm=batch_norm)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(units, n_labels)
        self.hidden = (*self._convolutions, "dense1")
        init_weights(self, init)

    @staticmethod
    def smallest(**settings: object) -> tuple[int, int]:
        """Return the fewest frames and dimensions: those of a filter."""
        return _FILTER, _FILTER

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(batch, 1, n_frames, n_dims)`` to logits ``(batch, n_labels)``."""
        x = through(self, self._convolutions, self.input_norm(x))
        x = self.rest(x).flatten(1)  # (batch, maps)
        return self.output(self.dropout(self.dense1(x)))


ShortChunkRes = register_preset(
    "nets",
    "short-chunk-res",
    of="short-chunk",
    summary="Seven strided residual blocks on a few seconds.",
    residual=True,
)
