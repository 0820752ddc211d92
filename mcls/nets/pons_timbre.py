"""Filters high in frequency, of twelve shapes: the timbre net of Pons et al. (2017)."""

from typing import Any

import torch
from torch import nn

from mcls.nets.base import Net
from mcls.nets.blocks.filters import SideBySide, filters, maximum_over
from mcls.nets.blocks.layers import (
    Init,
    Nonlinearity,
    check_settings,
    check_sizes,
    conv1d,
    dense,
    frames_needed,
    init_weights,
    scaled,
)
from mcls.registry import register

_BANDS = 128  # dimensions that the heights are of
_HEIGHTS = (100, 75, 25)
_LENGTHS = (1, 3, 5, 7)  # frames
_MAPS = {100: (10, 6, 3, 3), 75: (15, 10, 5, 5), 25: (15, 10, 5, 5)}  # by length
_SECOND_MAPS = 32
_LENGTH = 8  # frames of a filter of the second layer
_POOL = 4  # frames, after each layer
_UNITS = 100


@register(
    "nets",
    "pons-timbre",
    source="Pons et al. 2017",
    sr=16000,
    hop=256,
    frames=187,
    dims=128,
    labels=50,
)
class PonsTimbre(Net):
    """Filters of 1 to 7 frames and 100, 75 and 25 of 128 dimensions, then convolution in time.

    Each filter is followed by the maximum over dimensions, so that pitch does not matter and timbre
    is left, and by that over 4 frames. Then 32 filters of 8 frames over all maps, a max-pool of 4
    frames, and a dense layer of 100 units. Where there are not 128 dimensions, filters keep their
    share of them.

    Parameters
    ----------
    dropout : float
        Share of units dropped before and after the dense layer in training.

    Attributes
    ----------
    hidden : tuple of str
        ``conv1``: ``(batch, maps, frames, 1)``; ``conv2``: ``(batch, maps, frames)``; ``dense1``:
        ``(batch, units)``.

    References
    ----------
    Pons, Slizovskaia, Gong, Gomez & Serra (2017), Timbre analysis of music audio signals with
    convolutional neural networks; its code (EUSIPCO2017).

    Differs from the published code: there the wider nets, of 2 and 4 times the filters, keep 100
    units in the dense layer; He's weights are normal, there uniform of the same variance.
    """

    def __init__(
        self,
        n_frames: int,
        n_dims: int,
        n_labels: int,
        *,
        width: float = 1.0,
        nonlinearity: Nonlinearity = "elu",
        dropout: float = 0.5,
        batch_norm: bool = False,
        init: Init = "he",
    ) -> None:
        super().__init__()
        check_settings(self.registered_as, dropout=dropout, width=width)
        check_sizes(self.registered_as, self.smallest(), n_frames, n_dims, n_labels)
        how: dict[str, Any] = {"nonlinearity": nonlinearity, "batch_norm": batch_norm}
        branches: list[nn.Module] = []
        n_maps = 0
        for height in _HEIGHTS:
            bands = max(1, round(height * n_dims / _BANDS))
            for length, n_filters in zip(_LENGTHS, _MAPS[height], strict=True):
                maps = scaled(n_filters, width)
                over = maximum_over("dims")
                branches.append(filters(1, maps, (length, bands), pool=over, pad=True, **how))
                n_maps += maps
        left = (n_frames // _POOL - _LENGTH + 1) // _POOL
        second, units = scaled(_SECOND_MAPS, width), scaled(_UNITS, width)
        self.conv1 = nn.Sequential(SideBySide(branches), nn.MaxPool2d((_POOL, 1)))
        self.conv2 = conv1d(n_maps, second, _LENGTH, pool=_POOL, **how)
        self.dense1 = dense(left * second, units, **how)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(units, n_labels)
        self.hidden = ("conv1", "conv2", "dense1")
        init_weights(self, init)

    @staticmethod
    def smallest(**settings: object) -> tuple[int, int]:
        """Return the fewest frames and dimensions: one frame must reach the dense layer."""
        return frames_needed([1, _LENGTH], [_POOL, _POOL]), 1

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(batch, 1, n_frames, n_dims)`` to logits ``(batch, n_labels)``."""
        x = self.conv2(self.conv1(x).squeeze(3))  # (batch, maps, frames)
        x = self.dense1(self.dropout(x.flatten(1)))  # (batch, units)
        return self.output(self.dropout(x))
