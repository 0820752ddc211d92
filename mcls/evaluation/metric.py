"""The interface of metrics: values for many weightings of the tracks at once.

A metric is a function ``metric(truth, scores, weights, *, settings)`` that returns `MetricValues`:

* ``truth``, bool ``(n_tracks, n_labels)``: the true labels;
* ``scores``, float ``(n_tracks, n_labels)``: higher is likelier;
* ``weights``, int ``(n_weightings, n_tracks)``: how often each track counts. A row of ones gives
  the metric itself; a row with a 0 leaves a track out.

Values that cannot be computed (a denominator of 0) are masked. Where labels are unknown, a metric
sees known pairs only (`mcls.evaluation.known_pairs`); one that needs all labels of a track says so
with the fact ``whole_tracks``.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

#: Elements per block, so that arrays stay in the CPU cache.
_BLOCK = 100_000


@dataclass(frozen=True)
class MetricValues:
    """Values of a metric.

    Parameters
    ----------
    per_label : np.ma.MaskedArray, shape (n_weightings, n_labels), or None
        Value of each label; None for a metric without per-label values.
    micro : np.ma.MaskedArray, shape (n_weightings,)
        Value of all labels taken together.
    """

    per_label: np.ma.MaskedArray | None
    micro: np.ma.MaskedArray


def ratio(amount: np.ndarray, of: np.ndarray) -> np.ma.MaskedArray:
    """Divide, and mask the result where the denominator is 0.

    Examples
    --------
    >>> ratio(np.array([1, 0]), np.array([2, 0])).tolist()
    [0.5, None]
    """
    nothing = of == 0
    values = np.divide(amount, of, out=np.zeros(nothing.shape), where=~nothing)
    return np.ma.array(values, mask=nothing)


def blocks(weights: np.ndarray, n_items: int) -> Iterator[slice]:
    """Yield slices of the weightings such that a slice times `n_items` stays small."""
    step = max(1, _BLOCK // max(n_items, 1))
    for start in range(0, len(weights), step):
        yield slice(start, start + step)


def flat(truth: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Flatten labels and scores to one binary problem; also return the track of each element."""
    n_tracks, n_labels = truth.shape
    return truth.ravel(), scores.ravel(), np.repeat(np.arange(n_tracks), n_labels)
