"""Metrics where some labels are unknown: over the pairs of a track and a label that are known.

The value of a label is that of the tracks of which it is known, as if there were no others. The
value of all labels together takes every known pair as a track with a single label.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from mcls.evaluation.metric import MetricValues
from mcls.evaluation.weightings import Weights

Metric = Callable[..., MetricValues]


def of_known_pairs(
    metric: Metric,
    truth: np.ndarray,
    scores: np.ndarray,
    weights: Weights,
    known: np.ndarray,
    settings: Mapping[str, Any],
) -> MetricValues:
    """Compute a metric over known pairs.

    Parameters
    ----------
    metric : callable
        A metric that takes labels one by one; see `mcls.evaluation.metric`.
    truth, scores, weights : np.ndarray
        As the metric takes them.
    known : np.ndarray, shape (n_tracks, n_labels), bool
        True where it is known whether the track has the label.
    settings : mapping
        Settings of the metric; a threshold may be a sequence of one per label.

    Returns
    -------
    MetricValues
        A label that is unknown on all tracks is masked.
    """
    threshold = settings.get("threshold")
    limits = None if threshold is None else np.broadcast_to(threshold, known.shape[1])

    def of_pairs(tracks: np.ndarray, labels: np.ndarray, some: Weights) -> MetricValues:
        own = dict(settings) if limits is None else {**settings, "threshold": limits[labels, None]}
        return metric(
            truth[tracks, labels, None],
            scores[tracks, labels, None],
            some.take(tracks, axis=1),
            **own,
        )

    per_label = np.ma.masked_all((len(weights), known.shape[1]))
    labelled = False
    for label in np.flatnonzero(known.any(axis=0)):
        tracks = np.flatnonzero(known[:, label])
        found = of_pairs(tracks, np.full(len(tracks), label), weights).per_label
        if found is not None:
            per_label[:, label], labelled = found[:, 0], True
    tracks, labels = np.nonzero(known)
    micro = np.ma.masked_all(len(weights))
    if len(tracks):
        micro = of_pairs(tracks, labels, weights).micro
    return MetricValues(per_label if labelled else None, micro)
