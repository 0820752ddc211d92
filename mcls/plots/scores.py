"""The plot of a run: its confusions, numbers or a metric per label, and the learning curves."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from mcls.plots.colours import AMOUNT, LINES
from mcls.plots.curves import by_quantity, draw_curve, without_constants
from mcls.plots.numbers import Target, draw_numbers, height_of
from mcls.plots.page import HEIGHT, WIDTH, figure, shortened

#: Number of labels up to which the cells of a confusion matrix show their counts.
_NUMBERED = 25

#: Labels per column, columns of labels, and panels of curves per row.
_LABELS, _COLUMNS, _BESIDE = 48, 3, 3

#: Value of the metric, ends of its interval, and number of tracks with the label.
PerLabel = Mapping[str, tuple[float, float | None, float | None, int]]


def draw_run(
    *,
    title: str,
    names: Sequence[str] = (),
    confusion: np.ndarray | None = None,
    per_label: PerLabel | None = None,
    metric: str = "auc",
    chance: float | None = None,
    mean: float | None = None,
    targets: Sequence[Target] = (),
    history: Sequence[Mapping[str, Any]] = (),
    kept: float | None = None,
) -> Figure:
    """Plot a run.

    Parameters
    ----------
    title : str
        Title of the page.
    names : sequence of str
        The labels of the confusion matrix.
    confusion : np.ndarray, shape (n_labels, n_labels), or None
        Number of tracks by true label (row) and predicted label (column).
    per_label : mapping of str to (value, low, high, n), or None
        Metric per label with its interval; used without a confusion matrix.
    metric : str
        Name of the metric.
    chance, mean : float or None
        Values to mark by lines.
    targets : sequence of Target
        The numbers of a regression, drawn if there are any.
    history : sequence of mapping
        Measurements of each epoch; see `by_quantity`.
    kept : float or None
        The epoch whose model was kept.

    Returns
    -------
    Figure
    """
    quantities, constant = without_constants(by_quantity(history))
    n_rows = -(-len(quantities) // _BESIDE)
    low = min(1.7 * n_rows, HEIGHT * 0.55)
    if confusion is not None:
        high = min(max(3.0, 1.6 + 0.28 * len(names)), 7.0)
    elif targets:
        high = height_of(len(targets))
    else:
        n = len(per_label or {})
        high = max(2.0, 1.0 + 0.15 * min(n, _LABELS))
    high = min(high, HEIGHT - low)
    alone = confusion is not None and not n_rows
    page = figure(high + low, max(5.0, high + 1.2) if alone else WIDTH)
    page.suptitle("\n".join([title, *constant]), x=0.01, ha="left")
    top: Figure | SubFigure = page
    bottom: SubFigure | None = None
    if n_rows:
        halves: Any = page.subfigures(2, 1, height_ratios=[high, low])
        top, bottom = halves
    if confusion is not None:
        _draw_confusion(top, np.asarray(confusion), names)
    elif targets:
        draw_numbers(top, targets)
    else:
        _draw_labels(top, per_label or {}, metric, chance, mean)
    if bottom is not None:
        width = min(_BESIDE, len(quantities))
        panels = iter(bottom.subplots(n_rows, width, squeeze=False).flat)
        for quantity, parts in quantities.items():
            draw_curve(next(panels), quantity, parts, kept, along="epoch")
        for spare in panels:
            spare.remove()
    return page


def _draw_confusion(page: Figure | SubFigure, counts: np.ndarray, names: Sequence[str]) -> None:
    """Plot counts, coloured by their share of the row."""
    n = len(names)
    ax = page.subplots()
    totals = counts.sum(axis=1, keepdims=True)
    shares = counts / np.where(totals > 0, totals, 1)
    image = ax.imshow(shares, cmap=AMOUNT, vmin=0, vmax=1, origin="upper", aspect="auto")
    size = 7.0 if n <= 30 else max(3.0, 210 / n)
    texts = [shortened(name, 24) for name in names]
    ax.set_xticks(range(n), texts, rotation=45, ha="right", rotation_mode="anchor", fontsize=size)
    ax.set_yticks(range(n), texts, fontsize=size)
    if n <= _NUMBERED:
        for row, column in zip(*np.nonzero(counts), strict=True):
            dark = shares[row, column] > 0.5
            ax.text(
                column,
                row,
                str(counts[row, column]),
                ha="center",
                va="center",
                fontsize=size,
                color="white" if dark else "black",
            )
    ax.spines[:].set_visible(False)
    ax.set_xlabel("predicted label")
    ax.set_ylabel("true label")
    bar = page.colorbar(image, ax=ax, fraction=0.03, pad=0.01, aspect=30)
    bar.set_label("share of the tracks with the true label")
    bar.outline.set_visible(False)


def _draw_labels(
    page: Figure | SubFigure,
    per_label: PerLabel,
    metric: str,
    chance: float | None,
    mean: float | None,
) -> None:
    """Plot a point and an interval per label, best first, in as many columns as needed."""
    ordered = sorted(per_label, key=lambda name: -per_label[name][0])
    half = _LABELS * _COLUMNS // 2
    if len(ordered) > 2 * half:
        ordered = [*ordered[:half], *ordered[-half:]]
    n_columns = max(1, -(-len(ordered) // _LABELS))
    most = 40 if n_columns == 1 else 18
    size = -(-max(1, len(ordered)) // n_columns)
    axes: list[Axes] = list(page.subplots(1, n_columns, squeeze=False, sharex=True).flat)
    for column, ax in enumerate(axes):
        here = ordered[column * size : (column + 1) * size]
        for y, name in enumerate(here):
            value, low, high, _ = per_label[name]
            if low is not None and high is not None:
                ax.plot([low, high], [y, y], color=LINES[0], linewidth=1)
            ax.plot([value], [y], "o", color=LINES[0])
        ax.set_yticks(
            range(len(here)), [f"{shortened(name, most)} ({per_label[name][3]})" for name in here]
        )
        ax.set_ylim(size - 0.5, -0.5)
        for at, text, line in ((chance, "chance", ":"), (mean, "mean", "--")):
            if at is not None:
                ax.axvline(at, color=LINES[-1], linewidth=0.8, linestyle=line, label=text, zorder=0)
        ax.set_xlabel(metric)
    axes[-1].legend(loc="lower right")
