"""The interface of metrics: values for many weightings of the tracks at once.

A metric is a function ``metric(truth, scores, weights, *, settings)`` that returns `MetricValues`:

* ``truth``, bool ``(n_tracks, n_labels)``: the true labels;
* ``scores``, float ``(n_tracks, n_labels)``: higher is likelier;
* ``weights``, int ``(n_weightings, n_tracks)``: how often each track counts. A row of ones gives
  the metric itself; a row with a 0 leaves a track out. It is an array, or a
  `mcls.evaluation.weightings.LeftOut`: ``weights @ values`` and ``weights.sum(axis=1)`` are those
  of an array, and ``np.asarray(weights)`` is the array.

Values that cannot be computed (a denominator of 0) are masked. Where labels are unknown, a metric
sees known pairs only (`mcls.evaluation.known_pairs`); one that needs all labels of a track says so
with the fact ``whole_tracks``.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mcls.evaluation.weightings import Weights

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


def blocks(n_rows: int, n_items: int, at_most: int = _BLOCK) -> Iterator[slice]:
    """Yield slices of the weightings such that a slice times `n_items` stays small."""
    step = max(1, at_most // max(n_items, 1))
    for start in range(0, n_rows, step):
        yield slice(start, min(start + step, n_rows))


def ties(ordered: np.ndarray, also: np.ndarray | bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Return where runs of equal values begin and end; `also` says where else a run ends.

    Examples
    --------
    >>> [edge.tolist() for edge in ties(np.array([1, 1, 2]))]
    [[0, 2], [2, 3]]
    """
    if not len(ordered):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    inner = np.flatnonzero((ordered[1:] != ordered[:-1]) | also) + 1
    edges = np.concatenate([[0], inner, [len(ordered)]])
    return edges[:-1], edges[1:]


def flat(
    truth: np.ndarray, scores: np.ndarray, weights: Weights
) -> tuple[np.ndarray, np.ndarray, Weights]:
    """Flatten labels and scores to one binary problem; return the weights of its elements, too."""
    n_tracks, n_labels = truth.shape
    tracks = np.repeat(np.arange(n_tracks), n_labels)
    return truth.ravel(), scores.ravel(), weights.take(tracks, axis=1)
