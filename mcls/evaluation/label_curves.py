"""ROC and precision-recall curves: of each label, of all labels together, and their mean.

The curves of a label are those of ``sklearn.metrics.roc_curve`` and ``precision_recall_curve``, and
their areas are the metrics ``auc`` and ``ap``. A label that all tracks have, or none has, has no
curve.

The mean over labels is taken at each false positive rate, or at each recall, so that the area below
it is the mean of the areas. Between its points a precision-recall curve is a step: the precision at
a recall is that of the highest threshold that reaches it, as average precision counts it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True)
class Curve:
    """A ROC or precision-recall curve; its points are in the order of falling thresholds.

    Parameters
    ----------
    x : np.ndarray, shape (n_points,)
        False positive rates, or recalls; ascending from 0, in [0, 1].
    y : np.ndarray, shape (n_points,)
        True positive rates, or precisions; in [0, 1].
    area : float
        Area under the curve: AUC, or average precision.
    thresholds : np.ndarray, shape (n_points,), or None
        The score from which the label counts as predicted; the first is infinite. None for the mean
        of several curves.
    """

    x: np.ndarray
    y: np.ndarray
    area: float
    thresholds: np.ndarray | None = None

    def thinned(self, most: int) -> "Curve":
        """Return at most `most` of the points, evenly spaced along the curve, with both ends."""
        if len(self.x) <= most:
            return self
        along = np.append(0, np.cumsum(np.abs(np.diff(self.x)) + np.abs(np.diff(self.y))))
        kept = np.unique(np.searchsorted(along, np.linspace(0, along[-1], most)))
        kept[-1] = len(self.x) - 1
        limits = None if self.thresholds is None else self.thresholds[kept]
        return replace(self, x=self.x[kept], y=self.y[kept], thresholds=limits)


@dataclass(frozen=True)
class LabelCurves:
    """The curves of labels.

    Parameters
    ----------
    per_label : list of Curve or None
        In the order of the labels; None for a label that all tracks have, or none has.
    macro : Curve or None
        The mean of the curves of labels; None if there are none.
    micro : Curve or None
        The curve of all pairs of a track and a label.
    """

    per_label: list[Curve | None]
    macro: Curve | None
    micro: Curve | None


def roc_curves(
    truth: np.ndarray, scores: np.ndarray, unknown: np.ndarray | None = None
) -> LabelCurves:
    """Return the ROC curves of labels.

    Parameters
    ----------
    truth : np.ndarray, shape (n_tracks, n_labels), bool
    scores : np.ndarray, shape (n_tracks, n_labels)
        Higher is likelier; no NaN.
    unknown : np.ndarray, shape (n_tracks, n_labels), bool, or None
        Labels that are unknown; these pairs do not count.

    Examples
    --------
    >>> truth = np.array([[True, False], [False, True], [True, False]])
    >>> curves = roc_curves(truth, np.array([[0.9, 0.1], [0.2, 0.8], [0.1, 0.3]]))
    >>> curves.per_label[0].y.tolist(), curves.macro.area
    ([0.0, 0.5, 0.5, 1.0], 0.75)
    """
    return _curves(truth, scores, unknown, roc_curve, _mean_roc)


def precision_recall_curves(
    truth: np.ndarray, scores: np.ndarray, unknown: np.ndarray | None = None
) -> LabelCurves:
    """Return the precision-recall curves of labels; see `roc_curves`."""
    return _curves(truth, scores, unknown, precision_recall_curve, _mean_precision_recall)


def roc_curve(truth: np.ndarray, scores: np.ndarray) -> Curve | None:
    """Return the ROC curve of one label, ``(n_tracks,)``; None if all tracks have it, or none."""
    if truth.all() or not truth.any():
        return None
    found, seen, thresholds = _counts(truth, scores)
    x = np.append(0, (seen - found) / (seen[-1] - found[-1]))
    y = np.append(0, found / found[-1])
    return Curve(x, y, _trapezoids(x, y), np.append(np.inf, thresholds))


def precision_recall_curve(truth: np.ndarray, scores: np.ndarray) -> Curve | None:
    """Return the precision-recall curve of one label; None if all tracks have it, or none."""
    if truth.all() or not truth.any():
        return None
    found, seen, thresholds = _counts(truth, scores)
    x, y = np.append(0, found / found[-1]), np.append(1, found / seen)
    return Curve(x, y, _steps(x, y), np.append(np.inf, thresholds))


def _curves(
    truth: np.ndarray,
    scores: np.ndarray,
    unknown: np.ndarray | None,
    curve: Callable[[np.ndarray, np.ndarray], Curve | None],
    mean: Callable[[Sequence[Curve]], Curve],
) -> LabelCurves:
    known = np.ones(truth.shape, dtype=bool) if unknown is None else ~unknown
    per_label = [curve(truth[rows, j], scores[rows, j]) for j, rows in enumerate(known.T)]
    drawn = [one for one in per_label if one is not None]
    micro = curve(truth[known], scores[known])
    return LabelCurves(per_label, mean(drawn) if drawn else None, micro)


def _counts(truth: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the tracks with the label, all tracks, and the score, at each different score."""
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    last = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
    return np.cumsum(truth[order])[last], last + 1, ranked[last]


def _trapezoids(x: np.ndarray, y: np.ndarray) -> float:
    """Return the area below straight lines between points."""
    return float(np.diff(x) @ (y[1:] + y[:-1])) / 2


def _steps(x: np.ndarray, y: np.ndarray) -> float:
    """Return the area below steps whose height is that of their right end."""
    return float(np.diff(x) @ y[1:])


def _mean_roc(curves: Sequence[Curve]) -> Curve:
    """Return the mean of curves at each false positive rate, below and above each jump."""
    x = np.unique(np.concatenate([one.x for one in curves]))
    ends = np.zeros((len(x), 2))
    for one in curves:
        knots, first = np.unique(one.x, return_index=True)
        last = np.append(first[1:], len(one.x)) - 1
        inside = np.interp(x, one.x, one.y)
        for column, place in enumerate((first, last)):
            values = inside.copy()
            values[np.searchsorted(x, knots)] = one.y[place]
            ends[:, column] += values / len(curves)
    x, y = np.repeat(x, 2), ends.ravel()
    return Curve(x, y, _trapezoids(x, y))


def _mean_precision_recall(curves: Sequence[Curve]) -> Curve:
    """Return the mean of curves at each recall."""
    x = np.unique(np.concatenate([one.x for one in curves]))
    y = np.mean([one.y[np.searchsorted(one.x, x)] for one in curves], axis=0)
    return Curve(x, y, _steps(x, y))
