"""One layer of filters of several shapes: what the nets of Pons, Lidy & Serra (2016) share."""

from collections.abc import Iterable
from typing import Any, ClassVar

import torch
from torch import nn

from mcls.nets.blocks.filters import filters, maximum_over
from mcls.nets.blocks.layers import (
    Init,
    Nonlinearity,
    check_settings,
    check_sizes,
    dense,
    init_weights,
    name_layers,
    scaled,
    through,
)

_MAPS = 32


class Branches(nn.Module):
    """Filters of several shapes side by side, maybe a dense layer, the output.

    A filter with more dims than frames is pooled over all frames, so that what is left of it is a
    row of dims; any other over all dims, so that frames are left.

    Parameters
    ----------
    n_frames, n_dims, n_labels : int
        Size of a segment; logits.
    branches : dict of str to (frames, dims)
        Name and shape of the filters.
    units : int or None
        Of the dense layer; None: there is none.
    counts : dict of str to int
        Settings that must be 1 or more.
    pool : (frames, dims) or None
        Of a max-pool that takes the place of the maxima.
    width, nonlinearity, dropout, batch_norm, init
        As in every net.
    """

    registered_as: ClassVar[str]

    def __init__(
        self,
        n_frames: int,
        n_dims: int,
        n_labels: int,
        *,
        branches: dict[str, tuple[int, int]],
        units: int | None,
        counts: dict[str, int],
        pool: tuple[int, int] | None = None,
        width: float,
        nonlinearity: Nonlinearity,
        dropout: float,
        batch_norm: bool,
        init: Init,
    ) -> None:
        super().__init__()
        counts = counts if units is None else {**counts, "units": units}
        above = {key: (n, 1, None) for key, n in counts.items()}
        check_settings(self.registered_as, dropout=dropout, width=width, counts=above)
        smallest = largest(branches.values())
        check_sizes(self.registered_as, smallest, n_frames, n_dims, n_labels)
        maps, n_out = scaled(_MAPS, width), 0
        how: dict[str, Any] = {"nonlinearity": nonlinearity, "batch_norm": batch_norm}
        for name, shape in branches.items():
            left = (n_frames - shape[0] + 1, n_dims - shape[1] + 1)
            over, left = _pool(shape, left, pool)
            n_out += maps * left[0] * left[1]
            self.add_module(name, filters(1, maps, shape, pool=over, **how))
        self.branches = tuple(branches)
        self.dropout = nn.Dropout(dropout)
        self._denses: tuple[str, ...] = ()
        if units is not None:
            layer = dense(n_out, scaled(units, width), **how)
            self._denses, n_out = name_layers(self, "dense", [layer]), scaled(units, width)
        self.hidden = self.branches + self._denses
        self.output = nn.Linear(n_out, n_labels)
        init_weights(self, init)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(batch, 1, n_frames, n_dims)`` to logits ``(batch, n_labels)``."""
        made = [getattr(self, name)(x).flatten(1) for name in self.branches]
        x = self.dropout(torch.cat(made, dim=1))  # (batch, n_out)
        return self.output(through(self, self._denses, x, after=self.dropout))


def _pool(
    shape: tuple[int, int], left: tuple[int, int], pool: tuple[int, int] | None
) -> tuple[nn.Module, tuple[int, int]]:
    """Return what pools filters of a shape, and the frames and dims after it."""
    if pool is None:
        high = shape[1] > shape[0]
        return maximum_over("frames" if high else "dims"), (1, left[1]) if high else (left[0], 1)
    frames, dims = min(pool[0], left[0]), min(pool[1], left[1])
    return nn.MaxPool2d((frames, dims)), (left[0] // frames, left[1] // dims)


def largest(shapes: Iterable[tuple[int, int]]) -> tuple[int, int]:
    """Return the fewest frames and dims that all of some shapes fit into."""
    frames, dims = zip(*shapes, strict=True)
    return max(frames), max(dims)
