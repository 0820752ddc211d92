"""The overview plot of a store: tracks per label, durations, and statistics of each feature."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mcls.plots.axes import DimensionAxis, dim_ticks
from mcls.plots.colours import LINES
from mcls.plots.page import HEIGHT, figure, shortened

#: Number of labels shown: the most frequent.
MOST_LABELS = 40

#: The order of the parts; any other part comes after them.
_PARTS = ("train", "valid", "test")


@dataclass(frozen=True)
class FeatureStatistics:
    """Mean and standard deviation of each dimension of a feature.

    Parameters
    ----------
    name : str
        Name of the feature, with the number of rows that were used.
    mean, deviation : np.ndarray, shape (n_dims,)
        Mean and standard deviation over rows.
    axis : DimensionAxis
        Axis of the dimensions.
    unit : str
        Unit of the values.
    """

    name: str
    mean: np.ndarray
    deviation: np.ndarray
    axis: DimensionAxis
    unit: str = "value"


def draw_store(
    counts: Mapping[str, Mapping[str, int]],
    seconds: Sequence[float],
    features: Sequence[FeatureStatistics],
    *,
    title: str,
) -> Figure:
    """Plot the overview of a store.

    Parameters
    ----------
    counts : mapping of str to mapping of str to int
        Number of tracks with each label, by part.
    seconds : sequence of float
        Duration of each track; empty if unknown.
    features : sequence of FeatureStatistics
        Statistics of the features to show.
    title : str
        Title of the page.

    Returns
    -------
    Figure
    """
    n_labels = min(len(counts), MOST_LABELS)
    low = [1.7] * len(features)
    high = max(1.8, 0.6 + 0.16 * n_labels) if counts or len(seconds) else 0.0
    total = min(high + sum(low) + 0.4, HEIGHT)
    page = figure(total)
    page.suptitle(title, x=0.01, ha="left")
    heights = [high] * bool(high) + low
    grid = page.add_gridspec(len(heights), 1, height_ratios=heights)
    if high:
        beside = grid[0].subgridspec(1, bool(counts) + bool(len(seconds)))
        if counts:
            _draw_counts(page.add_subplot(beside[0]), counts)
        if len(seconds):
            _draw_seconds(page.add_subplot(beside[-1]), seconds)
    for i, feature in enumerate(features, bool(high)):
        _draw_statistics(page.add_subplot(grid[i]), feature)
    return page


def _draw_counts(ax: Axes, counts: Mapping[str, Mapping[str, int]]) -> None:
    """Plot the number of tracks per label as stacked bars, one colour per part."""
    ordered = sorted(counts, key=lambda label: -sum(counts[label].values()))[:MOST_LABELS]
    found = {part for label in counts for part in counts[label]}
    parts = [part for part in _PARTS if part in found] + sorted(found - set(_PARTS))
    if len(parts) > len(LINES):
        counts = {label: {"": sum(counts[label].values())} for label in ordered}
        parts = [""]
    at = np.arange(len(ordered))
    left = np.zeros(len(ordered))
    for colour, part in zip(LINES, parts, strict=False):
        widths = np.array([counts[label].get(part, 0) for label in ordered])
        ax.barh(at, widths, left=left, color=colour, label=part, height=0.8)
        left += widths
    ax.set_yticks(at, [shortened(label, 24) for label in ordered])
    ax.invert_yaxis()
    ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    ax.set_xlabel("tracks")
    more = len(counts) - len(ordered)
    ax.set_title("labels" + (f", the {len(ordered)} most frequent" if more > 0 else ""))
    if len(parts) > 1:
        ax.legend(ncols=len(parts), loc="lower right", bbox_to_anchor=(1, 0.97))


def _draw_seconds(ax: Axes, seconds: Sequence[float]) -> None:
    values = np.asarray(seconds, np.float64)
    if values.max() > values.min():
        ax.hist(values, bins=min(40, max(5, int(np.sqrt(len(values))))), color=LINES[0])
    else:
        ax.bar(values[:1], [len(values)], width=0.1 * max(values[0], 0.1), color=LINES[0])
        ax.set_xlim(0, 2 * max(values[0], 0.1))
    ax.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    ax.set_xlabel("duration (s)")
    ax.set_ylabel("tracks")
    ax.set_title(f"durations: median {np.median(values):.3g} s")


def _draw_statistics(ax: Axes, feature: FeatureStatistics) -> None:
    """Plot the mean of each dimension, and a band of one standard deviation."""
    at = np.arange(len(feature.mean))
    low, high = feature.mean - feature.deviation, feature.mean + feature.deviation
    if len(at) == 1:
        ax.errorbar(at, feature.mean, feature.deviation, color=LINES[0], marker="o")
    else:
        ax.fill_between(at, low, high, color=LINES[0], alpha=0.25, linewidth=0)
        ax.plot(at, feature.mean, color=LINES[0])
    positions, labels = dim_ticks(feature.axis, 10)
    ax.set_xticks(positions, labels)
    ax.set_xlim(-0.5, len(at) - 0.5)
    ax.set_xlabel(feature.axis.name)
    ax.set_ylabel(feature.unit)
    ax.set_title(f"{feature.name}: mean ± 1 standard deviation")
