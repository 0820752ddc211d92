"""The plots of a search: scores in the order of the trials, and what they depend on."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.ticker import MaxNLocator

from mcls.plots.colours import LINES
from mcls.plots.page import Figure, figure, shortened


def draw_history(
    complete: Sequence[tuple[int, float]],
    pruned: Sequence[tuple[int, float]],
    *,
    metric: str,
    minimize: bool,
) -> Figure:
    """Plot the score of every trial, and the best one until then.

    Parameters
    ----------
    complete : sequence of (number, score)
        Trials that were not ended early.
    pruned : sequence of (number, score)
        Trials that were, with their last score.
    metric : str
        Name of the score.
    minimize : bool
        Whether low scores are better.

    Returns
    -------
    Figure
    """
    page = figure(3.0)
    ax = page.subplots()
    ax.set_title(f"{len(complete)} complete and {len(pruned)} pruned trials")
    for trials, colour, marker, name in (
        (complete, LINES[0], "o", "complete"),
        (pruned, LINES[-1], "x", "pruned: the score of less training"),
    ):
        if trials:
            numbers, scores = zip(*trials, strict=True)
            ax.plot(numbers, scores, marker, color=colour, label=name, markersize=4)
    if complete:
        best = (np.minimum if minimize else np.maximum).accumulate([score for _, score in complete])
        at = [number for number, _ in complete]
        last = max(number for number, _ in [*complete, *pruned])
        until_then = ([*at, last], [*best, best[-1]])
        ax.step(*until_then, where="post", color=LINES[1], label="best until then", zorder=0)
    ax.xaxis.set_major_locator(MaxNLocator(10, integer=True, min_n_ticks=1))
    ax.set_xlabel("trial")
    ax.set_ylabel(metric)
    page.legend(loc="outside lower center", ncols=3)
    return page


def draw_importances(importances: Mapping[str, float], *, metric: str) -> Figure:
    """Plot which share of the variance of the scores each value explains.

    Parameters
    ----------
    importances : mapping of str to float
        Shares, 0 to 1, by name.
    metric : str
        Name of the score.

    Returns
    -------
    Figure
    """
    page = figure(0.9 + 0.3 * len(importances))
    ax = page.subplots()
    ordered = sorted(importances, key=lambda name: importances[name])
    shares = [importances[name] for name in ordered]
    bars = ax.barh([shortened(name, 40) for name in ordered], shares, color=LINES[0], height=0.6)
    ax.bar_label(bars, fmt="%.2f", padding=3)
    ax.set_xlim(0, 1.1 * max(shares))
    ax.set_xlabel(f"share of the variance of {metric} (fANOVA)")
    return page
