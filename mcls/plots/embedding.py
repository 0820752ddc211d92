"""Tracks as points of a plane, coloured by label, of several runs side by side."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from mcls.plots.colours import LABELS
from mcls.plots.page import HEIGHT, WIDTH, Figure, figure, shortened

#: Panels side by side, and the height in inches of a row of them.
_BESIDE, _PANEL, _ALONE = 2, 3.4, 5.6

#: Largest number of panels, and of labels with a colour of their own.
MOST_PANELS, MOST_LABELS = 4, 20

_MARKERS = "os^D"

#: The colour of other tracks, and the room of a name as a share of a panel.
_REST, _ROOM = "#BBBBBB", np.array([0.25, 0.045])


@dataclass(frozen=True)
class EmbeddingPanel:
    """The points of a run.

    Parameters
    ----------
    title, x_label, y_label : str
    points : np.ndarray, shape (n_tracks, 2)
    groups : sequence of (str, np.ndarray of bool)
        Names of labels, and the tracks with each.
    """

    title: str
    x_label: str
    y_label: str
    points: np.ndarray
    groups: Sequence[tuple[str, np.ndarray]]


def draw_embedding(panels: Sequence[EmbeddingPanel], *, title: str) -> Figure:
    """Plot points, each label in a colour and marker that is the same in all panels.

    Parameters
    ----------
    panels : sequence of EmbeddingPanel
        Tracks in none of the groups are grey. Names stand beside the panels, and at the median of
        the points of a label where there is room.
    title : str
        Title of the page.

    Returns
    -------
    Figure
    """
    n_columns = min(_BESIDE, len(panels))
    n_rows = -(-len(panels) // n_columns)
    height = _ALONE if len(panels) == 1 else _PANEL * n_rows
    page = figure(min(height + 0.4, HEIGHT), WIDTH)
    page.suptitle(title, x=0.01, ha="left")
    names = list(dict.fromkeys(name for panel in panels for name, _ in panel.groups))
    axes = list(page.subplots(n_rows, n_columns, squeeze=False).flat)
    for ax, panel in zip(axes, panels, strict=False):
        _draw_panel(ax, panel, names)
    for spare in axes[len(panels) :]:
        spare.remove()
    grey = any(not np.any([which for _, which in one.groups], axis=0).all() for one in panels)
    _write_legend(page, names, with_rest=grey)
    return page


def _look(name: str, names: Sequence[str]) -> tuple[str, str]:
    """Return the colour and the marker of a label."""
    place = names.index(name)
    return LABELS[place % len(LABELS)], _MARKERS[place // len(LABELS) % len(_MARKERS)]


def _draw_panel(ax: Axes, panel: EmbeddingPanel, names: Sequence[str]) -> None:
    size = 14 if len(panel.points) <= 500 else 5
    x, y = panel.points.T
    rest = ~np.any([which for _, which in panel.groups], axis=0)
    ax.scatter(x[rest], y[rest], s=size, color=_REST, linewidth=0)
    for name, which in panel.groups:
        colour, marker = _look(name, names)
        ax.scatter(x[which], y[which], s=size, color=colour, marker=marker, linewidth=0, alpha=0.8)
    _write_names(ax, panel, names)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.set_xlabel(panel.x_label)
    ax.set_ylabel(panel.y_label)
    ax.set_title(panel.title)


def _write_names(ax: Axes, panel: EmbeddingPanel, names: Sequence[str]) -> None:
    """Write names at the medians of their points, those of most points where there is room."""
    halo = [withStroke(linewidth=2.5, foreground="white")]
    taken: list[np.ndarray] = []
    for name, which in sorted(panel.groups, key=lambda group: -int(group[1].sum())):
        if not which.any():
            continue
        middle = np.median(panel.points[which], axis=0)
        place = ax.transAxes.inverted().transform(ax.transData.transform(middle))
        if any((np.abs(place - other) < _ROOM).all() for other in taken):
            continue
        taken.append(place)
        x, y = middle.tolist()
        text = shortened(name, 24)
        colour, _ = _look(name, names)
        ax.text(x, y, text, color=colour, fontsize=7, ha="center", path_effects=halo)


def _write_legend(page: Figure, names: Sequence[str], *, with_rest: bool) -> None:
    """Write all names beside the panels, with their markers."""
    looks = [(name, *_look(name, names)) for name in names]
    if with_rest:
        looks.append(("others", _REST, "o"))
    marks = [Line2D([], [], color=c, marker=m, linestyle="", markersize=4) for _, c, m in looks]
    texts = [shortened(name, 24) for name, _, _ in looks]
    page.legend(marks, texts, loc="outside right upper", labelcolor="linecolor", handletextpad=0.1)
