"""Filters along time, along frequency, or both: the nets of Pons, Lidy & Serra (2016).

A filter that is long in time and one dimension high sees rhythm and the envelope of notes; one that
is high in frequency and one frame long sees timbre and chords. Sizes are frames x dimensions here,
where the paper writes dimensions x frames: its 1x60 is 60x1.

References
----------
Pons, Lidy & Serra (2016), Experimenting with musically motivated convolutional neural networks; the
code its first author published (CBMI2016).
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from mcls.errors import ConfigError
from mcls.nets.base import Net
from mcls.nets.blocks.filters import filters, maximum_over, parse_shapes
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
from mcls.registry import register, register_preset

_MAPS = 32
_POOLED_DIMS = 4


class ShapedFilters(Net):
    """Filters of several shapes side by side, a dense layer unless units is none, the output.

    A filter with more dimensions than frames is pooled over all frames, so that what is left of it
    is a row of dimensions; any other over all dimensions, so that frames are left.

    Parameters
    ----------
    branches : dict of str to (frames, dimensions)
        Names and shapes of the filters.
    units : int or None
        Units of the dense layer.
    counts : dict of str to int or None
        Settings that have to be 1 or more.
    pool : (frames, dimensions) or None
        Size of a max-pool in place of the maxima.
    dropout : float
        Share of units dropped before and after the dense layer in training.
    """

    def __init__(
        self,
        n_frames: int,
        n_dims: int,
        n_labels: int,
        *,
        branches: dict[str, tuple[int, int]],
        units: int | None,
        counts: dict[str, int | None],
        pool: tuple[int, int] | None = None,
        width: float,
        nonlinearity: Nonlinearity,
        dropout: float,
        batch_norm: bool,
        init: Init,
    ) -> None:
        super().__init__()
        above = {
            key: (n, 1, None) for key, n in {**counts, "units": units}.items() if n is not None
        }
        check_settings(self.registered_as, dropout=dropout, width=width, counts=above)
        check_sizes(self.registered_as, largest(branches.values()), n_frames, n_dims, n_labels)
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
    """Return the pool of filters of a shape, and the frames and dimensions after it."""
    if pool is None:
        high = shape[1] > shape[0]
        return maximum_over("frames" if high else "dims"), (1, left[1]) if high else (left[0], 1)
    frames, dims = min(pool[0], left[0]), min(pool[1], left[1])
    return nn.MaxPool2d((frames, dims)), (left[0] // frames, left[1] // dims)


def largest(shapes: Iterable[tuple[int, int]]) -> tuple[int, int]:
    """Return the fewest frames and dimensions that all of some shapes fit into."""
    frames, dims = zip(*shapes, strict=True)
    return max(frames), max(dims)


@register(
    "nets", "pons-tf", source="Pons et al. 2016", sr=44100, hop=1024, frames=80, dims=40, labels=8
)
class PonsTimeFrequency(ShapedFilters):
    """The filters of pons-time and of pons-frequency side by side, and a dense layer of 200 units.

    Its filters may begin at those of a trained pons-time and a trained pons-frequency, as
    published: ``mcls train --init``. A net takes segments of one length.

    Parameters
    ----------
    length : int or None
        Frames of a filter along time; none: no such filters. The paper also has 200, for segments
        of 250 frames.
    height : int or None
        Dimensions of a filter along frequency; none: no such filters. The paper has 30 to 40.
    units : int or None
        Units of the dense layer; none: there is no dense layer.

    Attributes
    ----------
    hidden : tuple of str
        ``time``: ``(batch, maps, frames, 1)``; ``frequency``: ``(batch, maps, 1, dims)``;
        ``dense1``: ``(batch, units)``.
    """

    def __init__(
        self,
        n_frames: int,
        n_dims: int,
        n_labels: int,
        *,
        width: float = 1.0,
        length: int | None = 60,
        height: int | None = 32,
        units: int | None = 200,
        nonlinearity: Nonlinearity = "relu",
        dropout: float = 0.5,
        batch_norm: bool = False,
        init: Init = "xavier",
    ) -> None:
        branches = {}
        if length is not None:
            branches["time"] = (length, 1)
        if height is not None:
            branches["frequency"] = (1, height)
        if not branches:
            raise ConfigError(
                f"{self.registered_as}: length and height are both none; expected a number for one"
            )
        super().__init__(
            n_frames,
            n_dims,
            n_labels,
            branches=branches,
            units=units,
            counts={"length": length, "height": height},
            width=width,
            nonlinearity=nonlinearity,
            dropout=dropout,
            batch_norm=batch_norm,
            init=init,
        )

    @classmethod
    def smallest(
        cls, *, length: int | None, height: int | None, **settings: object
    ) -> tuple[int, int]:
        """Return the fewest frames and dimensions: those of the filters."""
        return length or 1, height or 1


PonsTime = register_preset(
    "nets",
    "pons-time",
    of="pons-tf",
    summary="Filters of 60 frames and one dimension, and their maxima over dimensions.",
    height=None,
    units=None,
)

PonsFrequency = register_preset(
    "nets",
    "pons-frequency",
    of="pons-tf",
    summary="Filters of one frame and 32 dimensions, and their maxima over frames.",
    facts={"any_length": True},
    length=None,
    units=None,
)


@register(
    "nets",
    "pons-parallel",
    source="Pons et al. 2016",
    sr=44100,
    hop=1024,
    frames=80,
    dims=40,
    labels=8,
)
class PonsParallel(ShapedFilters):
    """Filters of any shapes side by side, and a dense layer of 200 units: pons-tf extended.

    The shapes ``60x1,1x32`` make pons-tf. A net takes segments of one length.

    Parameters
    ----------
    shapes : str
        Shapes of the filters, each FRAMESxDIMENSIONS, separated by commas.
    units : int
        Units of the dense layer.

    Attributes
    ----------
    hidden : tuple of str
        ``branch1``, ``branch2``, ...: ``(batch, maps, frames, 1)`` or ``(batch, maps, 1, dims)``;
        ``dense1``: ``(batch, units)``.

    References
    ----------
    The paper suggests more shapes than two and does not try them.
    """

    def __init__(
        self,
        n_frames: int,
        n_dims: int,
        n_labels: int,
        *,
        width: float = 1.0,
        shapes: str = "9x1,3x3,1x9",
        units: int = 200,
        nonlinearity: Nonlinearity = "relu",
        dropout: float = 0.5,
        batch_norm: bool = False,
        init: Init = "xavier",
    ) -> None:
        read = parse_shapes(self.registered_as, shapes)
        super().__init__(
            n_frames,
            n_dims,
            n_labels,
            branches={f"branch{i}": shape for i, shape in enumerate(read, 1)},
            units=units,
            counts={},
            width=width,
            nonlinearity=nonlinearity,
            dropout=dropout,
            batch_norm=batch_norm,
            init=init,
        )

    @classmethod
    def smallest(cls, *, shapes: str, **settings: object) -> tuple[int, int]:
        """Return the fewest frames and dimensions: those of the filters."""
        return largest(parse_shapes(cls.registered_as, shapes))


@register(
    "nets",
    "pons-blackbox",
    source="Pons et al. 2016",
    sr=44100,
    hop=1024,
    frames=80,
    dims=40,
    labels=8,
)
class PonsBlackBox(ShapedFilters):
    """Filters of 8 frames and 12 dimensions, a max-pool of 4, and a dense layer of 200 units.

    The net without a musical motive that the others are compared with. It takes segments of one
    length.

    Parameters
    ----------
    length : int
        Frames of a filter; 200 in the paper for segments of 250 frames.
    height : int
        Dimensions of a filter.
    units : int
        Units of the dense layer.

    Attributes
    ----------
    hidden : tuple of str
        ``conv1``: ``(batch, maps, frames, dims)``; ``dense1``: ``(batch, units)``.
    """

    def __init__(
        self,
        n_frames: int,
        n_dims: int,
        n_labels: int,
        *,
        width: float = 1.0,
        length: int = 8,
        height: int = 12,
        units: int = 200,
        nonlinearity: Nonlinearity = "relu",
        dropout: float = 0.5,
        batch_norm: bool = False,
        init: Init = "xavier",
    ) -> None:
        super().__init__(
            n_frames,
            n_dims,
            n_labels,
            branches={"conv1": (length, height)},
            units=units,
            counts={"length": length, "height": height},
            pool=(1, _POOLED_DIMS),
            width=width,
            nonlinearity=nonlinearity,
            dropout=dropout,
            batch_norm=batch_norm,
            init=init,
        )

    @classmethod
    def smallest(cls, *, length: int, height: int, **settings: object) -> tuple[int, int]:
        """Return the fewest frames and dimensions: those of a filter."""
        return length, height
