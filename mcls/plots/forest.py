"""The forest plot of runs: a point and an interval for each, and the differences to one of them."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes

from mcls.plots.colours import LINES
from mcls.plots.page import WIDTH, Figure, figure, shortened

#: A value with the ends of its interval.
ValueAndEnds = tuple[float, float | None, float | None]


@dataclass(frozen=True)
class ForestRow:
    """A run: its name, value, difference to the baseline, p value, and values by seed."""

    name: str
    value: ValueAndEnds
    difference: ValueAndEnds | None
    p: float | None
    seeds: tuple[float, ...] = ()


def draw_forest(rows: Sequence[ForestRow], *, title: str, metric: str, baseline: str) -> Figure:
    """Plot runs from top to bottom: values on the left, differences on the right.

    Parameters
    ----------
    rows : sequence of ForestRow
        The runs, best first.
    title : str
        Title of the page.
    metric : str
        Label of the axis of values.
    baseline : str
        Name of the run that the others are compared with.

    Returns
    -------
    Figure
        Small ticks are the seeds. Differences are filled where their p value is below 0.05.
    """
    page = figure(1.1 + 0.28 * len(rows), WIDTH)
    page.suptitle(title, x=0.01, ha="left")
    left, right = page.subplots(1, 2, sharey=True)
    for y, row in enumerate(rows):
        for seed in row.seeds:
            left.plot([seed], [y], "|", color=LINES[-1], markersize=7, zorder=1)
        _interval(left, y, row.value, filled=True)
        if row.difference is not None:
            _interval(right, y, row.difference, filled=row.p is not None and row.p < 0.05)
            right.annotate(
                _spell(row.p),
                (1.01, y),
                xycoords=("axes fraction", "data"),
                va="center",
                fontsize=7,
            )
    right.axvline(0, color=LINES[-1], linewidth=0.8, linestyle="--", zorder=0)
    left.set_yticks(range(len(rows)), [shortened(row.name, 40) for row in rows])
    left.set_ylim(len(rows) - 0.5, -0.5)
    left.set_xlabel(metric)
    right.tick_params(axis="y", length=0, labelleft=False)
    right.set_xlabel(f"difference to {shortened(baseline, 34)}")
    return page


def _interval(ax: Axes, y: int, found: ValueAndEnds, *, filled: bool) -> None:
    value, low, high = found
    if low is not None and high is not None:
        ax.plot([low, high], [y, y], color=LINES[0], linewidth=1)
    face = LINES[0] if filled else "white"
    ax.plot([value], [y], "o", color=LINES[0], markerfacecolor=face, markersize=4, zorder=3)


def _spell(p: float | None) -> str:
    if p is None:
        return ""
    return "p < 0.001" if p < 0.001 else f"p {p:.3f}"
