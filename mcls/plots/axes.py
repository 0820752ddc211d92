"""The axis of the dimensions of some rows: frequencies, coefficients, codes or labels.

An image of rows has one cell per dimension. Ticks are put where round frequencies in Hz lie among
the centre frequencies of the dimensions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class DimensionAxis:
    """The dimensions of some rows.

    Parameters
    ----------
    name : str
        Axis label with its unit.
    n_dims : int
        Number of dimensions.
    frequencies : np.ndarray, shape (n_static,), or None
        Centre frequencies of the dimensions of a block in Hz, ascending.
    n_blocks : int
        Number of blocks: 1, or 1 + the number of delta orders.
    names : tuple of str or None
        Names of the dimensions, such as labels; all are shown.
    first : int
        Number of the first dimension, where dimensions are numbered.
    """

    name: str
    n_dims: int
    frequencies: np.ndarray | None = None
    n_blocks: int = 1
    names: tuple[str, ...] | None = None
    first: int = 0

    @property
    def label(self) -> str:
        """The axis label."""
        return self.name if self.n_blocks == 1 else f"{self.name}, then deltas"


def feature_axis(
    name: str, n_dims: int, frequencies: np.ndarray | None, delta: int = 0
) -> DimensionAxis:
    """Return the axis of a feature.

    Parameters
    ----------
    name : str
        Name of the feature.
    n_dims : int
        Number of dimensions, deltas included.
    frequencies : np.ndarray or None
        See `Feature.axis`.
    delta : int
        Number of delta orders.
    """
    if frequencies is not None and len(frequencies) * (1 + delta) == n_dims:
        return DimensionAxis("frequency (Hz)", n_dims, np.asarray(frequencies), 1 + delta)
    return DimensionAxis(f"{name} dimension", n_dims, n_blocks=1 + delta)


def frequency_ticks(frequencies: np.ndarray, most: int) -> tuple[list[float], list[str]]:
    """Return the positions of round frequencies on an axis, and their labels.

    Parameters
    ----------
    frequencies : np.ndarray, shape (n,)
        Centre frequencies in Hz, ascending.
    most : int
        Approximate number of ticks, 1 or more.

    Returns
    -------
    positions : list of float
        In cells, ascending; cell i has its centre at i.
    labels : list of str
        ``100``, ``2k``.

    Examples
    --------
    >>> frequency_ticks(np.array([100.0, 1000.0, 10000.0]), 3)
    ([0.0, 1.0, 2.0], ['100', '1k', '10k'])
    """
    low, high = float(frequencies[0]), float(frequencies[-1])
    gap = len(frequencies) / (most + 0.5)
    chosen: dict[float, float] = {}
    for wanted in _candidates(frequencies, most):
        if low <= wanted <= high:
            at = float(np.interp(wanted, frequencies, np.arange(len(frequencies))))
            if all(abs(at - other) >= gap for other in chosen.values()):
                chosen[wanted] = at
    if len(chosen) < min(2, most, len(frequencies)):
        ends = {0, len(frequencies) - 1} if most > 1 else {0}
        chosen = {float(f"{frequencies[i]:.3g}"): float(i) for i in ends}
    ordered = sorted(chosen.items(), key=lambda pair: pair[1])
    return [at for _, at in ordered], [spell_hz(hz) for hz, _ in ordered]


def _candidates(frequencies: np.ndarray, most: int) -> list[float]:
    """Return round frequencies, the preferred ones first."""
    steps = np.diff(frequencies)
    high = float(frequencies[-1])
    if len(steps) > 1 and np.allclose(steps, steps[0], rtol=1e-3):
        width = (high - float(frequencies[0])) / most
        power = 10.0 ** np.floor(np.log10(width))
        step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= width)
        return np.arange(0, high + step / 2, step).tolist()
    decades = [1000.0, 100.0, 10000.0, 10.0, 1.0]
    return [factor * decade for factor in (1, 5, 2) for decade in decades]


def spell_hz(hz: float) -> str:
    """Format a frequency briefly.

    Examples
    --------
    >>> spell_hz(50), spell_hz(1000), spell_hz(2500)
    ('50', '1k', '2.5k')
    """
    return f"{hz / 1000:g}k" if hz >= 1000 else f"{hz:g}"


def dim_ticks(axis: DimensionAxis, most: int) -> tuple[list[float], list[str]]:
    """Return ticks for the dimensions of an axis, in cells from 0; see `frequency_ticks`."""
    if axis.names is not None:
        return [float(i) for i in range(axis.n_dims)], list(axis.names)
    positions: list[float] = []
    labels: list[str] = []
    per_block = max(1, most // axis.n_blocks)
    size = axis.n_dims // axis.n_blocks
    if axis.frequencies is None:
        numbers = [i for i in whole_ticks(axis.first + size, per_block) if i >= axis.first]
        starts = [block * size - axis.first for block in range(axis.n_blocks)]
        return [float(s + i) for s in starts for i in numbers], [*map(str, numbers)] * axis.n_blocks
    for block in range(axis.n_blocks):
        inside, text = frequency_ticks(axis.frequencies, per_block)
        if block and inside[0] + size - inside[-1] < size / (per_block + 0.5):
            inside, text = inside[1:], text[1:]  # its label would overlap the block below
        positions += [at + block * size for at in inside]
        labels += text
    return positions, labels


def whole_ticks(n: int, most: int) -> list[int]:
    """Return at most about `most` round whole numbers from 0 to below `n`.

    Examples
    --------
    >>> whole_ticks(20, 4), whole_ticks(128, 5), whole_ticks(1, 4)
    ([0, 5, 10, 15], [0, 50, 100], [0])
    """
    power = 1
    while True:
        for factor in (1, 2, 5):
            if -(-n // (power * factor)) <= most:
                return list(range(0, n, power * factor))
        power *= 10


def ticks_from_one(n: int, most: int) -> list[int]:
    """Return 1 and at most about `most` round numbers up to `n`.

    Examples
    --------
    >>> ticks_from_one(256, 4), ticks_from_one(1, 4)
    ([1, 100, 200], [1])
    """
    return [max(1, i) for i in whole_ticks(n + 1, most)] if n > 1 else [1]


def draw_dim_axis(ax: "Axes", axis: DimensionAxis, most: int) -> None:
    """Label the dimensions on the y axis of an image, with a line between blocks of deltas."""
    positions, labels = dim_ticks(axis, most)
    ax.set_yticks(positions, labels)
    ax.set_ylabel(axis.label)
    size = axis.n_dims // axis.n_blocks
    for block in range(1, axis.n_blocks):
        ax.axhline(block * size - 0.5, color="white", linewidth=1)


def centre(cells: np.ndarray, axis: DimensionAxis) -> np.ndarray:
    """Return the centre of mass of each patch along the dimensions.

    Parameters
    ----------
    cells : np.ndarray, shape (n, n_frames, n_dims)
        The patches.
    axis : DimensionAxis
        Axis of the dimensions; only the first of several blocks is used.

    Returns
    -------
    np.ndarray, shape (n,)
        The mean dimension, weighted by squared values; the middle for a patch of zeros.
    """
    size = axis.n_dims // axis.n_blocks
    weights = np.square(cells[:, :, :size].astype(np.float64)).sum(axis=1)
    total = weights.sum(axis=1)
    mean = weights @ np.arange(size) / np.where(total > 0, total, 1)
    return np.where(total > 0, mean, (size - 1) / 2)


def in_order(keys: Sequence[float] | np.ndarray, *, descending: bool = False) -> np.ndarray:
    """Return the indices that sort some keys; equal keys keep their order."""
    keys = np.asarray(keys, np.float64)
    return np.argsort(-keys if descending else keys, kind="stable")
