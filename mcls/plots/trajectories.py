"""The paths of optimizers on a surface: a picture, and frames of an animation."""

from collections.abc import Iterator, Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.lines import Line2D

from mcls.explain.surfaces import Surface
from mcls.explain.trajectories import Trajectory
from mcls.plots.page import Figure, figure

#: Points of the picture of a surface along each side, and the lines of equal loss.
_POINTS, _LINES = 121, 18

_COLOURS = matplotlib.colormaps["turbo"]


def draw_trajectories(surface: Surface, paths: Sequence[Trajectory]) -> Figure:
    """Plot the paths of optimizers, and their losses below.

    Parameters
    ----------
    surface : Surface
        The loss.
    paths : sequence of Trajectory
        Paths on it. Several of one optimizer, from several starts, have one colour.

    Returns
    -------
    Figure
    """
    return _drawn(surface, paths)[0]


def frames(surface: Surface, paths: Sequence[Trajectory], n_frames: int) -> Iterator[np.ndarray]:
    """Yield the frames of an animation, ``(height, width, 3)`` uint8, the last with all steps."""
    page, curves = _drawn(surface, paths)
    page.set_dpi(100)
    canvas = FigureCanvasAgg(page)
    n_steps = len(paths[0].points) - 1
    for step in np.unique(np.linspace(1, n_steps, n_frames).round().astype(int)):
        for (line, end, below), path in zip(curves, paths, strict=True):
            line.set_data(*path.points[: step + 1].T)
            end.set_data(*path.points[step : step + 1].T)
            below.set_data(np.arange(step + 1), path.losses[: step + 1])
        canvas.draw()
        picture = np.asarray(canvas.buffer_rgba())
        height, width = (2 * (n // 2) for n in picture.shape[:2])  # as video codecs need
        yield picture[:height, :width, :3].copy()


def _drawn(surface: Surface, paths: Sequence[Trajectory]) -> tuple[Figure, list[list[Line2D]]]:
    """Return the page, and of each path its line, its end and the curve of its loss."""
    page = figure(8.6)
    grid = page.add_gridspec(2, 2, height_ratios=(2.2, 1), width_ratios=(1, 0.28))
    above = page.add_subplot(grid[0, :])
    below, beside = page.add_subplot(grid[1, 0]), page.add_subplot(grid[1, 1])
    _draw_surface(above, surface)
    names = list(dict.fromkeys(path.optimizer for path in paths))
    colours = dict(zip(names, _COLOURS(np.linspace(0.05, 0.95, len(names))), strict=True))
    curves = []
    for path in paths:
        colour = colours[path.optimizer]
        line = above.plot(*path.points.T, color=colour, marker=".", markersize=2)
        end = above.plot(*path.points[-1:].T, color=colour, marker="o", markersize=5)
        above.plot(*path.points[:1].T, color="black", marker="x", markersize=5)
        curves.append([*line, *end, *below.plot(path.losses, color=colour)])
    _limit(below, paths)
    below.set_xlim(0, len(paths[0].points) - 1)
    below.set_xlabel("step")
    below.set_ylabel("loss")
    _write_names(beside, paths, colours)
    return page, curves


def _draw_surface(ax: Axes, surface: Surface) -> None:
    x = np.linspace(*surface.x_range, _POINTS)
    y = np.linspace(*surface.y_range, _POINTS)
    losses = surface.value(np.stack(np.meshgrid(x, y, indexing="ij"), axis=-1))
    ax.contourf(x, y, losses.T, _LINES, cmap="Greys_r", alpha=0.75)
    lines = ax.contour(x, y, losses.T, _LINES, colors="white", linewidths=0.4)
    ax.clabel(lines, np.asarray(lines.levels)[::3], fontsize=6, fmt="%.3g")
    ax.set_xlim(*surface.x_range)
    ax.set_ylim(*surface.y_range)
    ax.set_xlabel("x")
    ax.set_ylabel("y")
    ax.set_title(f"{surface.name}: loss {surface.formula}")


def _limit(ax: Axes, paths: Sequence[Trajectory]) -> None:
    """Show the losses up to a little above the highest start, however far a path diverges."""
    highest = max(float(path.losses[0]) for path in paths)
    lowest = min(float(np.nanmin(path.losses)) for path in paths)
    room = 0.05 * (highest - lowest) or 1.0
    ax.set_ylim(lowest - room, highest + 4 * room)


def _write_names(ax: Axes, paths: Sequence[Trajectory], colours: Mapping[str, np.ndarray]) -> None:
    """Write each optimizer with its learning rate and last loss, the lowest at the bottom."""
    ax.set_axis_off()
    first: dict[str, Trajectory] = {}
    for path in paths:
        first.setdefault(path.optimizer, path)
    ordered = sorted(first.values(), key=lambda path: float(path.losses[-1]))
    for place, path in enumerate(ordered):
        ax.text(
            0,
            (place + 0.5) / len(ordered),
            f"{path.optimizer}, lr {path.lr:g}: {path.losses[-1]:.3g}",
            color=colours[path.optimizer],
            fontsize=7,
            va="center",
        )
