"""Curves of labels side by side: ROC, precision-recall and calibration, named beside the lines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

from mcls.plots.colours import LABELS
from mcls.plots.page import HEIGHT, WIDTH, Figure, figure, shortened

#: Labels up to which every line has a colour and a name, and how many of each end have else.
_NAMED, _ENDS = 12, 4

#: Panels side by side, and the height in inches of a row of them.
_BESIDE, _PANEL = 2, 2.65

#: Largest number of panels.
MOST_PANELS = 6


@dataclass(frozen=True)
class LabelLine:
    """A line of a panel.

    Parameters
    ----------
    name : str
        Name of the label.
    x, y : np.ndarray, shape (n_points,)
        Its points, in [0, 1].
    value : float
        The number written behind the name; lines are named in its order.
    ends : tuple of (low, high) or None
        Interval of the value, written if there is one panel only.
    bars : np.ndarray, shape (2, n_points), or None
        Lower and upper end of the interval of each point.
    """

    name: str
    x: np.ndarray
    y: np.ndarray
    value: float
    ends: tuple[float, float] | None = None
    bars: np.ndarray | None = None


@dataclass(frozen=True)
class LabelPanel:
    """A panel of lines over the unit square.

    Parameters
    ----------
    title, x_label, y_label : str
    labels : sequence of LabelLine
        Lines of single labels, in colours.
    means : sequence of LabelLine
        Lines of all labels, in black.
    steps : bool
        Whether a point is the right end of a step.
    diagonal : bool
        Whether to draw the diagonal.
    rising : bool
        Whether the lowest value is the best, as of an error.
    counts : tuple of (x, n), or None
        Numbers at places on the x axis, drawn as low bars.
    """

    title: str
    x_label: str
    y_label: str
    labels: Sequence[LabelLine]
    means: Sequence[LabelLine]
    steps: bool = False
    diagonal: bool = True
    rising: bool = False
    counts: tuple[np.ndarray, np.ndarray] | None = None


def draw_label_curves(panels: Sequence[LabelPanel], *, title: str) -> Figure:
    """Plot curves of labels, two panels a row.

    Parameters
    ----------
    panels : sequence of LabelPanel
        A label has the same colour in all panels. With more than 12 labels in a panel its four
        highest and lowest have a colour and a name, the others are grey.
    title : str
        Title of the page.

    Returns
    -------
    Figure
    """
    alone = len(panels) == 1
    n_columns = min(_BESIDE, len(panels))
    n_rows = -(-len(panels) // n_columns)
    height = 4.2 if alone else _PANEL * n_rows
    page = figure(min(height + 0.4, HEIGHT), WIDTH)
    page.suptitle(title, x=0.01, ha="left")
    named = [_named(panel) for panel in panels]
    colours = _colours([line.name for lines in named for line in lines])
    axes = list(page.subplots(n_rows, n_columns, squeeze=False).flat)
    for ax, panel, lines in zip(axes, panels, named, strict=False):
        _draw_panel(ax, panel, lines, colours, alone=alone)
    for spare in axes[len(panels) :]:
        spare.remove()
    return page


def _named(panel: LabelPanel) -> list[LabelLine]:
    """Return the lines with a name, best first."""
    sign = 1 if panel.rising else -1
    ordered = sorted(panel.labels, key=lambda line: sign * line.value)
    if len(ordered) <= _NAMED:
        return ordered
    return [*ordered[:_ENDS], *ordered[-_ENDS:]]


def _colours(names: Sequence[str]) -> dict[str, str]:
    """Return a colour for each name; they come again after the twelfth."""
    known = dict.fromkeys(names)
    return {name: LABELS[i % len(LABELS)] for i, name in enumerate(known)}


def _draw_panel(
    ax: Axes,
    panel: LabelPanel,
    named: Sequence[LabelLine],
    colours: Mapping[str, str],
    *,
    alone: bool,
) -> None:
    style = "steps-pre" if panel.steps else "default"
    if panel.diagonal:
        ax.plot([0, 1], [0, 1], color="#999999", linewidth=0.8, linestyle=":")
    if panel.counts is not None:
        x, n = panel.counts
        ax.bar(x, 0.15 * n / n.max(), 0.05, color="#DDDDDD", zorder=0)
    written = {line.name for line in named}
    for line in sorted(panel.labels, key=lambda line: line.name in written):  # grey ones behind
        shade = colours[line.name] if line.name in written else "#CCCCCC"
        width = 1.0 if line.name in written else 0.5
        ax.plot(line.x, line.y, color=shade, linewidth=width, drawstyle=style)
    for line, dash, width in zip(panel.means, ("-", "--"), (1.8, 1.2), strict=False):
        ax.plot(line.x, line.y, color="black", linewidth=width, drawstyle=style, linestyle=dash)
        if line.bars is not None:
            ax.vlines(line.x, *line.bars, color="black", linewidth=0.8)
            ax.plot(line.x, line.y, "o", color="black")
    ax.set_xlim(-0.01, 1.01)
    ax.set_ylim(-0.01, 1.02)
    ax.set_box_aspect(1)
    ax.set_xlabel(panel.x_label)
    ax.set_ylabel(panel.y_label)
    ax.set_title(panel.title)
    rows = [(line, "black") for line in panel.means]
    rows += [(line, colours[line.name]) for line in named]
    left = len(panel.labels) - len(named)
    _write_names(ax, rows, left, with_ends=alone)


def _write_names(
    ax: Axes, rows: Sequence[tuple[LabelLine, str]], n_left: int, *, with_ends: bool
) -> None:
    """Write the names beside the axes, in the colours of the lines and the order of the values."""
    texts = []
    for line, colour in rows:
        text = f"{line.value:.3f}  {shortened(line.name, 40 if with_ends else 24)}"
        if with_ends and line.ends is not None:
            text += f" [{line.ends[0]:.3f}, {line.ends[1]:.3f}]"
        texts.append((text, colour))
    if n_left:
        texts.insert(len(texts) - _ENDS, (f"({n_left} others, grey)", "#777777"))
    room = min(0.075, 1 / max(1, len(texts)))
    for place, (text, colour) in enumerate(texts):
        at = (1.03, 1 - (place + 0.5) * room)
        ax.annotate(text, at, xycoords="axes fraction", color=colour, fontsize=6.5, va="center")
