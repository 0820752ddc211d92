"""What a metric returns: its values for many weightings of the tracks at once.

A metric is a function ``metric(truth, scores, weights, *, settings)``. `weights` has a row per
weighting: how often each track counts. All ones is the plain value; drawing tracks with
replacement gives the bootstrap. What cannot be computed (a denominator of 0) is masked.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

#: Elements that are worked on at a time: their arrays stay in the processor's cache.
_BLOCK = 100_000


@dataclass(frozen=True)
class Figures:
    """Values of a metric.

    Parameters
    ----------
    per_label : np.ma.MaskedArray, shape (n_weightings, n_labels), or None
        The value of each label; None for a metric that has none.
    micro : np.ma.MaskedArray, shape (n_weightings,)
        The value of all labels taken together.
    """

    per_label: np.ma.MaskedArray | None
    micro: np.ma.MaskedArray


def ratio(amount: np.ndarray, of: np.ndarray) -> np.ma.MaskedArray:
    """Divide; masked where the denominator is 0.

    Examples
    --------
    >>> ratio(np.array([1, 0]), np.array([2, 0])).tolist()
    [0.5, None]
    """
    nothing = of == 0
    values = np.divide(amount, of, out=np.zeros(nothing.shape), where=~nothing)
    return np.ma.array(values, mask=nothing)


def blocks(weights: np.ndarray, n_items: int) -> Iterator[slice]:
    """Cut the weightings into slices, so that a slice by `n_items` is not too much at a time."""
    step = max(1, _BLOCK // max(n_items, 1))
    for start in range(0, len(weights), step):
        yield slice(start, start + step)


def flat(truth: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lay all labels side by side as one yes/no question; say which track each answer is of."""
    n_tracks, n_labels = truth.shape
    return truth.ravel(), scores.ravel(), np.repeat(np.arange(n_tracks), n_labels)
