"""Filters along time of many lengths at once: O-net and P-net of Pons & Serra (2017).

Short filters see onsets and patterns, long ones tempo and rhythm; all are one dimension high, so
that few weights are learnt.
"""

from typing import ClassVar

import torch
from torch import nn

from mcls.nets.base import Net
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
from mcls.registry import register, register_preset

_POOLED_DIMS = 4
_ONSETS = tuple(range(6, 42, 5))  # frames of a filter: 6, 11, ..., 41
_PATTERNS = tuple(range(46, 217, 5))  # 46, 51, ..., 216


@register(
    "nets",
    "pons-onet",
    source="Pons & Serra 2017",
    sr=44100,
    hop=1024,
    frames=250,
    dims=40,
    labels=8,
    any_length=True,
)
class ONet(Net):
    """Five filters each of 6, 11, ... 41 frames and one dimension: onsets and short patterns.

    Filters along time of many lengths, pooled over four dimensions and over all frames; dropout;
    the output. A net takes segments of any length from the smallest on.

    Parameters
    ----------
    width : float
        Factor on the number of filters, above 0; 1, 2, 4 and 8 were published.
    pool : str
        Pooling over time: mean, max, std, lp, attention, autopool, or several with +.

    Attributes
    ----------
    hidden : tuple of str
        ``conv1``: ``(batch, units)``, the pooled filters.

    References
    ----------
    Pons & Serra (2017), Designing efficient architectures for modeling temporal features with
    convolutional neural networks; its code (ICASSP2017).

    Differs from the published code: He's weights are normal, there uniform of the same variance.
    """

    #: Filters of each of O-net's lengths, and of each of P-net's.
    onset_maps: ClassVar[int] = 5
    pattern_maps: ClassVar[int] = 0

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
        for length, n_filters in self._filters():
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
    def _filters(cls) -> list[tuple[int, int]]:
        """Return the frames and the number of the filters."""
        known = [(length, cls.onset_maps) for length in _ONSETS]
        known += [(length, cls.pattern_maps) for length in _PATTERNS]
        return [(length, n_filters) for length, n_filters in known if n_filters]

    @classmethod
    def smallest(cls, **settings: object) -> tuple[int, int]:
        """Return the fewest frames and dimensions: those of the longest filter."""
        return max(length for length, _ in cls._filters()), 1

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(batch, 1, n_frames, n_dims)`` to logits ``(batch, n_labels)``."""
        return self.output(self.dropout(self.conv1(x)))


class OverTime(nn.Module):
    """Pooling over time of maps that still have dimensions, each of which is pooled by itself.

    Parameters
    ----------
    pool : nn.Module
        Pooling of ``(batch, maps * dims, frames)``.
    """

    def __init__(self, pool: nn.Module) -> None:
        super().__init__()
        self.pool = pool

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(batch, maps, frames, dims)`` to ``(batch, units)``."""
        return self.pool(x.transpose(2, 3).flatten(1, 2))


PNet = register_preset(
    "nets",
    "pons-pnet",
    of="pons-onet",
    summary="One filter each of 46, 51, ... 216 frames and one dimension: tempo and rhythm.",
    onset_maps=0,
    pattern_maps=1,
)

ONetPNet = register_preset(
    "nets",
    "pons-onet-pnet",
    of="pons-onet",
    summary="The filters of pons-onet and of pons-pnet side by side.",
    pattern_maps=1,
)
