"""Convolutions in time on short segments of one of several lengths, after Lee & Nam's local nets.

Trained by itself, it labels segments. The system it comes from trains one for each of several
lengths, reads all hidden layers of all of them (the maximum over a segment, the mean over a track)
and gives them to a net of dense layers.
"""

import math

import torch
from torch import nn

from mcls.errors import ConfigError
from mcls.nets.base import Net
from mcls.nets.blocks.layers import (
    Init,
    Nonlinearity,
    check_settings,
    check_sizes,
    conv1d,
    init_weights,
    name_layers,
    scaled,
    through,
)
from mcls.nets.blocks.time_pooling import time_pool
from mcls.registry import register

_MAPS = 128
_LAST_MAPS = 256
_LENGTH = 3  # frames of a filter
_N_THREES = 3  # pools of three frames, at most


@register(
    "nets",
    "local-cnn",
    source="after Lee & Nam 2017",
    sr=22050,
    hop=512,
    frames=27,
    dims=128,
    labels=50,
    any_length=True,
)
class LocalCNN(Net):
    """1-D convolutions of 3 frames with max-pools of 2 and 3 down to one frame, then 1 x 1.

    Segments of 18, 27, 54, 108 and 216 frames are pooled by 2-3-3, 3-3-3, 2-3-3-3, 2-2-3-3-3 and
    2-2-2-3-3-3; of any other length by as many threes, up to three, and then twos as fit. What is
    left over after them is pooled over time.

    Parameters
    ----------
    pools : tuple of int or None
        Frames of each max-pool; none: chosen by the length of the segment.
    pool : str
        Pooling over time: mean, max, std, lp, attention, autopool, or several with +.
    dropout : float
        Share of the last layer's units dropped in training, in [0, 1).

    Attributes
    ----------
    hidden : tuple of str
        ``conv1``, ``conv2``, ...: ``(batch, maps, frames)``.

    References
    ----------
    Lee & Nam (2017), Multi-level and multi-scale feature aggregation using pre-trained
    convolutional neural networks for music auto-tagging.

    Differs from the paper: the lengths of segments are from memory of it. Maps (128, and 256 of the
    last layer, which spans one frame), padding and batch norm are those of a later net of the same
    group (ismir2018-artist), and the pools are what makes one frame of these lengths.
    """

    def __init__(
        self,
        n_frames: int,
        n_dims: int,
        n_labels: int,
        *,
        width: float = 1.0,
        pools: tuple[int, ...] | None = None,
        pool: str = "max",
        nonlinearity: Nonlinearity = "relu",
        dropout: float = 0.5,
        batch_norm: bool = True,
        init: Init = "he",
    ) -> None:
        super().__init__()
        check_settings(self.registered_as, dropout=dropout, width=width)
        check_sizes(self.registered_as, self.smallest(pools=pools), n_frames, n_dims, n_labels)
        sizes = pools_of(n_frames) if pools is None else tuple(pools)
        maps = [n_dims, *[scaled(_MAPS, width)] * len(sizes), scaled(_LAST_MAPS, width)]
        layers = [
            conv1d(
                maps[i],
                maps[i + 1],
                1 if i == len(sizes) else _LENGTH,
                pool=size,
                nonlinearity=nonlinearity,
                batch_norm=batch_norm,
                pad=i < len(sizes),
            )
            for i, size in enumerate((*sizes, 1))
        ]
        self.hidden = name_layers(self, "conv", layers)
        self.summary = time_pool(pool, maps[-1])
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(self.summary.n_out, n_labels)
        init_weights(self, init)

    @staticmethod
    def smallest(*, pools: tuple[int, ...] | None, **settings: object) -> tuple[int, int]:
        """Return the fewest frames and dimensions: one frame must reach the last layer."""
        if pools is not None and any(size < 1 for size in pools):
            said = "x".join(map(str, pools))
            raise ConfigError(f"local-cnn: pools={said}; expected 1 frame or more in each")
        return math.prod(pools or ()), 1

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(batch, 1, n_frames, n_dims)`` to logits ``(batch, n_labels)``."""
        x = x.squeeze(1).transpose(1, 2)  # (batch, n_dims, n_frames)
        x = self.summary(through(self, self.hidden, x))  # (batch, n_out)
        return self.output(self.dropout(x))


def pools_of(n_frames: int) -> tuple[int, ...]:
    """Return pools of two and three frames that leave one frame of a segment, or few.

    Examples
    --------
    >>> pools_of(18), pools_of(216), pools_of(100)
    ((2, 3, 3), (2, 2, 2, 3, 3, 3), (2, 3, 3, 3))
    """
    threes = 0
    while threes < _N_THREES and 3 ** (threes + 1) <= n_frames:
        threes += 1
    twos = (n_frames // 3**threes).bit_length() - 1
    return (2,) * twos + (3,) * threes
