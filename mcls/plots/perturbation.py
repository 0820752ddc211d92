"""The plot of metrics against the amount of a change of the audio, with intervals."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from mcls.plots.colours import LINES
from mcls.plots.page import Figure, figure

#: Values with the ends of their intervals, by run.
RunCurves = Mapping[str, Sequence[tuple[float, float | None, float | None]]]

#: The most labelled amounts of a panel.
_MOST_TICKS = 13


def draw_perturbation(
    changes: Sequence[tuple[str, Sequence[float | None], Mapping[str, RunCurves]]], *, title: str
) -> Figure:
    """Plot metrics against the amounts of changes: a row per metric, a column per change.

    Parameters
    ----------
    changes : sequence of (str, amounts, curves)
        Label of the x axis; the amounts, of which None, the last, is the unchanged audio; and the
        curves of the runs by the name of the metric.
    title : str
        Title of the page.

    Returns
    -------
    Figure
    """
    metrics = list(changes[0][2])
    page = figure(0.7 + 2.2 * len(metrics))
    page.suptitle(title, x=0.01, ha="left")
    axes = page.subplots(len(metrics), len(changes), sharex="col", sharey="row", squeeze=False)
    for column, (label, amounts, curves) in enumerate(changes):
        known = [amount for amount in amounts if amount is not None]
        gap = (known[-1] - known[0]) / max(1, len(known) - 1) or 1.0
        x = np.array([known[-1] + gap if amount is None else amount for amount in amounts])
        for row, metric in enumerate(metrics):
            _draw(axes[row, column], x, curves[metric])
        names = ["none" if amount is None else f"{amount:g}" for amount in amounts]
        every = -(-len(x) // _MOST_TICKS)
        axes[-1, column].set_xticks(x[::every], names[::every])
        axes[-1, column].set_xlabel(label)
    for row, metric in enumerate(metrics):
        axes[row, 0].set_ylabel(metric)
    axes[0, 0].legend()
    return page


def _draw(ax: Axes, x: np.ndarray, curves: RunCurves) -> None:
    """Draw a line with its interval for each run."""
    for i, (run, points) in enumerate(curves.items()):
        colour = LINES[i % len(LINES)]
        values = np.array([value for value, _, _ in points])
        ends = np.array([[v if e is None else e for e in (a, b)] for v, a, b in points])
        ax.plot(x, values, color=colour, marker="o", markersize=3, linewidth=1.2, label=run)
        ax.fill_between(x, ends[:, 0], ends[:, 1], color=colour, alpha=0.15, linewidth=0)
    ax.set_ylim(0, 1.02)
