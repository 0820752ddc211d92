"""Area under the ROC curve, computed from ranks.

The AUC of a label is the fraction of pairs of a track with the label and one without in which the
first has the higher score; a tie counts as half. Equal to ``sklearn.metrics.roc_auc_score``.
"""

import numpy as np

from mcls.evaluation.metric import MetricValues, blocks, flat, ratio, ties
from mcls.evaluation.weightings import Exceptions, Weights, exceptions
from mcls.registry import register

#: Exceptions that are looked at together.
_TOGETHER = 1 << 22


@register(
    "metrics",
    "auc",
    headline="macro",
    ranks_tracks=True,
    default_for=["single-label", "multi-label"],
)
def auc(truth: np.ndarray, scores: np.ndarray, weights: Weights) -> MetricValues:
    """Area under the ROC curve: probability that a track with the label outranks one without.

    Parameters
    ----------
    truth, scores, weights : np.ndarray
        See `mcls.evaluation.metric`.

    Returns
    -------
    MetricValues
        In [0, 1]; 0.5 is chance level. Masked if all tracks have the label, or none.

    References
    ----------
    .. [1] J. A. Hanley, B. J. McNeil, "The meaning and use of the area under a receiver operating
       characteristic (ROC) curve", Radiology 143, 1982.
    """
    columns = [_one(truth[:, j], scores[:, j], weights) for j in range(truth.shape[1])]
    amount, of = (np.stack(pieces, axis=1) for pieces in zip(*columns, strict=True))
    return MetricValues(ratio(amount, of), ratio(*_one(*flat(truth, scores, weights))))


def _one(truth: np.ndarray, scores: np.ndarray, weights: Weights) -> tuple[np.ndarray, np.ndarray]:
    """Return the weight of the correctly ordered pairs and of all pairs, per weighting.

    All pairs are counted once. What a weighting changes are the pairs of the tracks whose weight is
    not 1: those of each with all others, and those among themselves.
    """
    order = np.argsort(scores)
    twice = np.empty(len(truth), np.int64)
    twice[order] = _twice_won(truth[order], scores[order])
    odd, n_rows, n_having = exceptions(weights, order), len(weights), truth.sum()
    del order
    with_it = truth[odd.line]
    won = twice.sum(where=truth) + np.bincount(odd.row, odd.more * twice[odd.line], n_rows)
    del twice
    won = won + _among_exceptions(odd, with_it, scores, n_rows)
    having = n_having + np.bincount(odd.row, odd.more * with_it, n_rows)
    lacking = len(truth) - n_having + np.bincount(odd.row, odd.more * ~with_it, n_rows)
    return won / 2, having * lacking


def _twice_won(truth: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return twice the correctly ordered pairs that each track is in; a tie counts as half.

    Tracks are in the order of their scores.
    """
    starts, ends = ties(scores)
    lacking = np.concatenate([[0], np.cumsum(~truth)])
    below = lacking[starts] + lacking[ends]
    above = 2 * truth.sum() - (starts + ends - below)
    return np.where(truth, np.repeat(below, ends - starts), np.repeat(above, ends - starts))


def _among_exceptions(
    odd: Exceptions, truth: np.ndarray, scores: np.ndarray, n_rows: int
) -> np.ndarray:
    """Return twice the weight of the correctly ordered pairs of two exceptions, per weighting.

    Exceptions of a weighting are in the order of their scores; `truth` is theirs.
    """
    found = np.zeros(n_rows)
    for rows in blocks(n_rows, -(-len(odd.row) // n_rows), _TOGETHER):
        some, with_it = odd.of_rows(rows), truth[odd.part(rows)]
        first, last = ties(some.row)
        starts, ends = ties(scores[some.line], also=some.row[1:] != some.row[:-1])
        lacking = np.concatenate([[0], np.cumsum(some.more * ~with_it)])
        below = np.repeat(lacking[starts] + lacking[ends], ends - starts)
        below -= 2 * np.repeat(lacking[first], last - first)
        found[rows] = np.bincount(some.row, some.more * with_it * below, rows.stop - rows.start)
    return found
