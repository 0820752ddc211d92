"""Computing one metric of predictions, and how much each unit of tracks influences it."""

from typing import Any

import numpy as np

from mcls.evaluation.jackknife import influence, influence_of_known
from mcls.evaluation.known_pairs import of_known_pairs
from mcls.evaluation.measured import Measured
from mcls.evaluation.metric import MetricValues
from mcls.evaluation.weightings import LeftOut, Weights
from mcls.registry import Entry
from mcls.tables.predictions import Predictions


def measure(
    entry: Entry,
    settings: dict[str, Any],
    predictions: Predictions,
    units: np.ndarray | None,
    *,
    grouped: bool = False,
) -> Measured:
    """Compute a metric, and the influence of each unit of tracks on it.

    Parameters
    ----------
    entry : Entry
        The metric.
    settings : dict
        Its settings.
    predictions : Predictions
    units : np.ndarray, shape (n_lines,), or None
        The lines that are left out together; None computes no influences.
    grouped : bool
        Whether they are lines of a group of tracks; otherwise they are those of a track.
    """
    metric = entry.load()
    truth, scores = predictions.truth, predictions.scores
    if entry.facts.get("probabilities") and predictions.probabilities is not None:
        scores = predictions.probabilities
    once = np.ones((1, len(truth)), dtype=np.int32)
    n_units = 0 if units is None else int(units.max()) + 1
    weights = None if units is None or n_units == 1 else LeftOut(units, n_units)
    known = known_labels(predictions)

    def values(some: Weights) -> MetricValues:
        if predictions.unknown is None:
            found: MetricValues = metric(truth, scores, some, **settings)
            return found
        return of_known_pairs(metric, truth, scores, some, known, settings)

    plain = values(once)
    left = None if weights is None else values(weights)
    micro = None if plain.micro[0] is np.ma.masked else float(plain.micro[0])
    micro_influences = None
    if left is not None and micro is not None:
        micro_influences = influence(left.micro, micro)
    grouped = (
        grouped or predictions.times is not None
    )  # events of a track are no independent trials
    having = _with_label(predictions)
    n, n_micro = _tracks_behind(entry, having, known)
    if grouped and weights is not None:
        n_micro = min(n_micro, len(weights))
    kept = np.zeros(0, dtype=int)
    per_label = influences = units_having = units_lacking = None
    if plain.per_label is not None:
        of_labels = _with_both_classes(plain.per_label, predictions, once)[0]
        kept = np.flatnonzero(~np.ma.getmaskarray(of_labels))
        per_label = np.ma.getdata(of_labels)[kept]
    n = n[kept]
    of_left = None if left is None else left.per_label
    if per_label is not None and of_left is not None and weights is not None:
        assert units is not None
        without = _with_both_classes(of_left, predictions, weights)
        units_having = _of_units(having[:, kept], units, len(weights))
        if predictions.unknown is None:
            influences = influence(without[:, kept], np.ma.array(per_label))
        else:
            units_known = _of_units(known[:, kept], units, len(weights))
            influences = influence_of_known(without[:, kept], per_label, units_known)
            units_lacking = units_known & ~units_having
        n = np.minimum(n, units_having.sum(axis=0)) if grouped else n
    return Measured(
        entry,
        [predictions.names[j] for j in kept],
        per_label,
        micro,
        n,
        n_micro,
        influences,
        micro_influences,
        units_having,
        grouped,
        units_lacking,
    )


def known_labels(predictions: Predictions) -> np.ndarray:
    """Return which labels of which tracks are known."""
    if predictions.unknown is None:
        return np.ones(predictions.truth.shape, dtype=bool)
    return ~predictions.unknown


def _of_units(lines: np.ndarray, units: np.ndarray, n_units: int) -> np.ndarray:
    """Return what is true of some line of each unit, ``(n_units, n_labels)``."""
    times = [np.bincount(units[column], minlength=n_units) for column in lines.T]
    return np.stack(times, axis=1) > 0 if times else np.zeros((n_units, 0), dtype=bool)


def _with_label(predictions: Predictions) -> np.ndarray:
    """Return which tracks have each label; all have every number of a regression."""
    truth = predictions.truth
    return np.ones(truth.shape, dtype=bool) if predictions.regression else truth


def _tracks_behind(entry: Entry, having: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, int]:
    """Return the number of tracks on which the value of each label, and the micro value, rests."""
    if entry.facts.get("regression"):
        return np.full(having.shape[1], len(having)), len(having)
    support = having.sum(axis=0)
    n_known = known.sum(axis=0)
    n = np.minimum(support, n_known - support)
    if entry.facts.get("unbounded") or entry.facts["headline"] == "micro":
        return n, len(having)
    return n, int(min(support.sum(), n_known.sum() - support.sum()))


def _with_both_classes(
    per_label: np.ma.MaskedArray, predictions: Predictions, weights: Weights
) -> np.ma.MaskedArray:
    """Mask the labels that all tracks of a weighting have, or no track."""
    if predictions.regression:
        return per_label
    having = weights @ predictions.truth
    every = weights.sum(axis=1)[:, None]
    if predictions.unknown is not None:
        every = weights @ ~predictions.unknown
    one_class = (having == 0) | (having == every)
    return np.ma.array(per_label.data, mask=np.ma.getmaskarray(per_label) | one_class)
