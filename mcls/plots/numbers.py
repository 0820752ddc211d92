"""The plot of a regression: predicted against true numbers, and the errors."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from mcls.plots.colours import LINES
from mcls.plots.page import shortened

#: Targets that are drawn, at most, and beside each other.
MOST, BESIDE = 6, 3

#: Height of the two panels of a target, in inches.
_HEIGHT = 3.4


@dataclass(frozen=True)
class Target:
    """The numbers of a target of a regression.

    Parameters
    ----------
    name : str
        The target.
    truth, predicted : np.ndarray, shape (n_tracks,)
        The true and the predicted number of each track.
    note : str
        The quality of the prediction, for the title.
    """

    name: str
    truth: np.ndarray
    predicted: np.ndarray
    note: str = ""


def height_of(n_targets: int) -> float:
    """Return the height that `draw_numbers` needs, in inches."""
    return _HEIGHT * -(-min(n_targets, MOST) // BESIDE)


def draw_numbers(page: Figure | SubFigure, targets: Sequence[Target]) -> None:
    """Plot true numbers and residuals against predicted ones, for the first targets.

    Parameters
    ----------
    page : Figure or SubFigure
        An empty figure.
    targets : sequence of Target
        One or more; no more than `MOST` are drawn.
    """
    shown = targets[:MOST]
    n_rows, n_columns = -(-len(shown) // BESIDE), min(BESIDE, len(shown))
    axes = page.subplots(2 * n_rows, n_columns, squeeze=False, height_ratios=[3, 2] * n_rows)
    for i in range(n_rows * n_columns):
        above, below = axes[2 * (i // n_columns) :, i % n_columns][:2]
        if i < len(shown):
            _draw_target(above, below, shown[i], dot=3.0 if len(shown[i].truth) < 500 else 1.5)
        else:
            above.remove()
            below.remove()


def _draw_target(above: Axes, below: Axes, target: Target, dot: float) -> None:
    """Plot a target: a perfect prediction lies on the dashed lines."""
    truth, predicted = target.truth, target.predicted
    ends = [min(truth.min(), predicted.min()), max(truth.max(), predicted.max())]
    dots: dict[str, Any] = {
        "marker": "o",
        "linestyle": "",
        "markersize": dot,
        "alpha": 0.6,
        "color": LINES[0],
    }
    perfect: dict[str, Any] = {"color": LINES[-1], "linewidth": 0.8, "linestyle": "--", "zorder": 0}
    above.plot(predicted, truth, markeredgewidth=0, **dots)
    above.plot(ends, ends, **perfect)
    above.set_title(f"{shortened(target.name, 24)}: {target.note}".removesuffix(": "))
    above.set_ylabel("true")
    above.tick_params(labelbottom=False)
    below.plot(predicted, truth - predicted, markeredgewidth=0, **dots)
    below.axhline(0, **perfect)
    below.sharex(above)
    below.set_ylabel("true - predicted")
    below.set_xlabel("predicted")
