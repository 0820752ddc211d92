"""Filters along time of many lengths at once: O-net and P-net of Pons & Serra (2017).

Short filters see onsets and patterns, long ones tempo and rhythm; all are one dim high, so that
few numbers are learnt. Each is pooled over four dims, and over all frames by a pooling of choice.
"""

from typing import ClassVar

import torch
from torch import nn

from mcls.nets.blocks.filters import SideBySide, filters
from mcls.nets.blocks.layers import (
    Init,
    Nonlinearity,
    check_settings,
    check_sizes,
    init_weights,
    scaled,
)
from mcls.nets.blocks.time_pooling import time_pool
from mcls.registry import register

_POOLED_DIMS = 4
_ONSETS = tuple(range(6, 42, 5))  # frames of a filter: 6, 11, ..., 41
_PATTERNS = tuple(range(46, 217, 5))  # 46, 51, ..., 216
_MAPS = {"onsets": 5, "patterns": 1}  # of each length


class _ManyLengths(nn.Module):
    """Filters along time of many lengths, pooled; dropout; the output.

    Parameters
    ----------
    n_frames, n_dims : int
        Size of a segment. A net also takes longer ones.
    n_labels : int
        Logits.
    width : float
        Scales the number of filters, above 0; 1, 2, 4 and 8 were published.
    pool : str
        Over time, as in mcls.nets.blocks.time_pooling; max is the published one.
    nonlinearity : str
        Of the filters.
    dropout : float
        Share of what the filters give that is left out in training, in [0, 1).
    batch_norm : bool
        Normalise the filters' maps before the nonlinearity.
    init : {'xavier', 'he', 'orthogonal', 'default'}
        How the first weights are drawn.

    Attributes
    ----------
    hidden : tuple of str
        ``conv1``: ``(batch, units)``, the filters pooled.

    References
    ----------
    Pons & Serra (2017), Designing efficient architectures for modeling temporal features with
    convolutional neural networks; its code (ICASSP2017).

    Differs from the published code: He's weights are normal, there uniform of the same variance.
    """

    #: Frames and number of the filters.
    lengths: ClassVar[tuple[tuple[int, int], ...]]
    registered_as: ClassVar[str]

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
        batch_norm: bool = False,
        init: Init = "he",
    ) -> None:
        super().__init__()
        check_settings(self.registered_as, dropout=dropout, width=width)
        check_sizes(self.registered_as, self.smallest(), n_frames, n_dims, n_labels)
        n_pooled = min(_POOLED_DIMS, n_dims)
        branches: list[nn.Module] = []
        n_out = 0
        for length, n_filters in self.lengths:
            maps = scaled(n_filters, width)
            over_time = time_pool(pool, maps * (n_dims // n_pooled))
            made = filters(
                1,
                maps,
                (length, 1),
                pool=nn.MaxPool2d((1, n_pooled)),
                nonlinearity=nonlinearity,
                batch_norm=batch_norm,
            )
            branches.append(nn.Sequential(made, OverTime(over_time)))
            n_out += over_time.n_out
        self.conv1 = SideBySide(branches)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(n_out, n_labels)
        self.hidden = ("conv1",)
        init_weights(self, init)

    @classmethod
    def smallest(cls, **settings: object) -> tuple[int, int]:
        """Return the fewest frames and dims: those of the longest filter."""
        return max(length for length, _ in cls.lengths), 1

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(batch, 1, n_frames, n_dims)`` to logits ``(batch, n_labels)``."""
        return self.output(self.dropout(self.conv1(x)))


class OverTime(nn.Module):
    """A pooling over time of maps that still have dims: each dim of a map is pooled by itself.

    Parameters
    ----------
    pool : nn.Module
        Of ``(batch, maps * dims, frames)``.
    """

    def __init__(self, pool: nn.Module) -> None:
        super().__init__()
        self.pool = pool

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(batch, maps, frames, dims)`` to ``(batch, units)``."""
        return self.pool(x.transpose(2, 3).flatten(1, 2))


@register(
    "nets",
    "pons-onet",
    source="Pons & Serra 2017",
    sr=44100,
    hop=1024,
    frames=250,
    dims=40,
    labels=8,
)
class ONet(_ManyLengths):
    """Five filters each of 6, 11, ... 41 frames and one dim: onsets and short patterns."""

    lengths = tuple((length, _MAPS["onsets"]) for length in _ONSETS)


@register(
    "nets",
    "pons-pnet",
    source="Pons & Serra 2017",
    sr=44100,
    hop=1024,
    frames=250,
    dims=40,
    labels=8,
)
class PNet(_ManyLengths):
    """A filter each of 46, 51, ... 216 frames and one dim: tempo and rhythmic patterns."""

    lengths = tuple((length, _MAPS["patterns"]) for length in _PATTERNS)


@register(
    "nets",
    "pons-onet-pnet",
    source="Pons & Serra 2017",
    sr=44100,
    hop=1024,
    frames=250,
    dims=40,
    labels=8,
)
class ONetPNet(_ManyLengths):
    """The filters of O-net and of P-net side by side."""

    lengths = ONet.lengths + PNet.lengths
