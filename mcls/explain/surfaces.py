"""Losses of two numbers, on which the paths of optimizers can be seen."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Surface:
    """A loss of two numbers, with its gradient.

    Parameters
    ----------
    name, formula : str
        What it is.
    value : callable
        Points ``(..., 2)`` → losses ``(...,)``.
    gradient : callable
        A point ``(2,)`` → the gradient ``(2,)``.
    start : tuple of float
        Where optimizers start unless they are told.
    x_range, y_range : tuple of float
        The part that is shown.
    """

    name: str
    formula: str
    value: Callable[[Array], Array]
    gradient: Callable[[Array], Array]
    start: tuple[float, float]
    x_range: tuple[float, float]
    y_range: tuple[float, float]


def _saddle(p: Array) -> Array:
    x, y = p[..., 0], p[..., 1]
    return x**2 / 2 - y**2 / 2 + y**4 / 8


def _ravine(p: Array) -> Array:
    x, y = p[..., 0], p[..., 1]
    return (x**2 + 50 * y**2) / 20


#: Surfaces with a formula. The saddle is flat at (0, 0), between two minima at y = -1.41 and 1.41.
#: The ravine is 50 times as steep across as it is along.
SURFACES = {
    "saddle": Surface(
        "saddle",
        "x²/2 - y²/2 + y⁴/8",
        _saddle,
        lambda p: np.array([p[0], -p[1] + p[1] ** 3 / 2]),
        (-1.8, 0.01),
        (-2.2, 2.2),
        (-2.2, 2.2),
    ),
    "ravine": Surface(
        "ravine",
        "(x² + 50 y²) / 20",
        _ravine,
        lambda p: np.array([p[0] / 10, 5 * p[1]]),
        (-4.0, 0.9),
        (-4.5, 1.5),
        (-1.2, 1.2),
    ),
}


def interpolated(name: str, formula: str, axis: Array, losses: Array) -> Surface:
    """Return the surface through losses on a square grid, by cubic splines.

    Beyond the grid the loss stays what it is at the border.

    Parameters
    ----------
    name, formula : str
        What it is.
    axis : np.ndarray, shape (n,)
        Ascending coordinates of the grid, the same along both sides; four or more.
    losses : np.ndarray, shape (n, n)
        ``losses[i, j]`` at ``x = axis[i]``, ``y = axis[j]``.
    """
    from scipy.interpolate import RectBivariateSpline

    spline = RectBivariateSpline(axis, axis, losses)
    ends = (float(axis[0]), float(axis[-1]))

    def inside(p: Array) -> Array:
        return np.clip(p, *ends)

    def value(p: Array) -> Array:
        q = inside(p)
        return np.asarray(spline.ev(q[..., 0], q[..., 1]))

    def gradient(p: Array) -> Array:
        q = inside(p)
        slopes = [spline.ev(q[0], q[1], dx=1), spline.ev(q[0], q[1], dy=1)]
        return np.where(q == p, slopes, 0.0)

    corner = np.unravel_index(int(losses.argmax()), losses.shape)
    start = (0.9 * float(axis[corner[0]]), 0.9 * float(axis[corner[1]]))
    return Surface(name, formula, value, gradient, start, ends, ends)
