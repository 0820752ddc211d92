"""Convolution in time over all dimensions at once: van den Oord, Dieleman & Schrauwen's net."""

from itertools import pairwise
from typing import Literal

import torch
from torch import nn

from mcls.nets.base import Net
from mcls.nets.blocks.layers import (
    Init,
    Nonlinearity,
    check_settings,
    check_sizes,
    conv1d,
    dense,
    frames_needed,
    init_weights,
    name_layers,
    scaled,
    through,
)
from mcls.registry import register

_MAPS = (256, 256, 256, 512)
_POOLS = (4, 2, 2, 1)
_LENGTH = 4  # frames of a filter
_UNITS = (2048, 2048)


@register(
    "nets",
    "cnn1d",
    source="van den Oord et al. 2013",
    frames=599,
    dims=128,
    labels=40,
    any_length=True,
)
class CNN1D(Net):
    """1-D convolutions over time, then mean, maximum and norm over time, then dense layers.

    Filters span all dimensions and 4 frames; maps are 256, 256, 256, 512, with max-pools of 4, 2
    and 2 frames between them. Any number of frames from the smallest on.

    Parameters
    ----------
    padding : {'valid', 'same'}
        Shorten the segment by 3 frames per convolution (valid), or keep its length.
    norm : {'rms', 'l2'}
        Third pool over time: root mean square (rms), or L2 norm as published (l2).
    dropout : float
        Share of the dense layers' units dropped in training, in [0, 1).

    Attributes
    ----------
    hidden : tuple of str
        ``conv1`` to ``conv4``: ``(batch, maps, frames)``; ``dense1``, ``dense2``:
        ``(batch, units)``.

    References
    ----------
    van den Oord, Dieleman & Schrauwen (2013), Deep content-based music recommendation; the net of
    four convolutions is that of Dieleman (2014), Recommending music on Spotify with deep learning.

    Differs from the paper: labels instead of latent factors (but see ``--regression``); by default
    the norm over time is divided by the root of the number of frames, so that it does not grow
    with the segment (``norm=l2`` is as published); the widths of the second to fourth convolution
    are from memory.
    """

    def __init__(
        self,
        n_frames: int,
        n_dims: int,
        n_labels: int,
        *,
        width: float = 1.0,
        padding: Literal["valid", "same"] = "valid",
        norm: Literal["rms", "l2"] = "rms",
        nonlinearity: Nonlinearity = "relu",
        dropout: float = 0.5,
        batch_norm: bool = False,
        init: Init = "he",
    ) -> None:
        super().__init__()
        check_settings(self.registered_as, dropout=dropout, width=width)
        check_sizes(self.registered_as, self.smallest(padding=padding), n_frames, n_dims, n_labels)
        maps = [n_dims, *(scaled(n, width) for n in _MAPS)]
        units = [3 * maps[-1], *(scaled(n, width) for n in _UNITS)]
        convolutions = [
            conv1d(
                maps[i],
                maps[i + 1],
                _LENGTH,
                pool=pool,
                nonlinearity=nonlinearity,
                batch_norm=batch_norm,
                pad=padding == "same",
            )
            for i, pool in enumerate(_POOLS)
        ]
        denses = [
            dense(n_in, n_out, nonlinearity=nonlinearity, batch_norm=batch_norm)
            for n_in, n_out in pairwise(units)
        ]
        self._convolutions = name_layers(self, "conv", convolutions)
        self.summary = MeanMaxNorm(norm)
        self._denses = name_layers(self, "dense", denses)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(units[-1], n_labels)
        self.hidden = self._convolutions + self._denses
        init_weights(self, init)

    @staticmethod
    def smallest(*, padding: str, **settings: object) -> tuple[int, int]:
        """Return the fewest frames and dimensions: one frame must reach the last convolution."""
        length = 1 if padding == "same" else _LENGTH
        return frames_needed([length] * len(_POOLS), _POOLS), 1

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(batch, 1, n_frames, n_dims)`` to logits ``(batch, n_labels)``."""
        x = x.squeeze(1).transpose(1, 2)  # (batch, n_dims, n_frames)
        x = self.summary(through(self, self._convolutions, x))  # (batch, 3 * maps)
        return self.output(through(self, self._denses, x, after=self.dropout))


class MeanMaxNorm(nn.Module):
    """Mean, maximum and norm over time, side by side.

    Parameters
    ----------
    norm : {'rms', 'l2'}
        Root mean square, or L2 norm, which grows with the segment.
    """

    described_as = "mean, maximum and norm over time"

    def __init__(self, norm: Literal["rms", "l2"]) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(batch, maps, frames)`` to ``(batch, 3 * maps)``."""
        norm = torch.linalg.vector_norm(x, dim=2)
        if self.norm == "rms":
            norm = norm / x.shape[2] ** 0.5  # math.sqrt fixes the length
        return torch.cat([x.mean(dim=2), x.amax(dim=2), norm], dim=1)
