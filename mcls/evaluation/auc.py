"""Area under the ROC curve, computed from ranks.

The AUC of a label is the fraction of pairs of a track with the label and one without in which the
first has the higher score; a tie counts as half. Equal to ``sklearn.metrics.roc_auc_score``.
"""

import numpy as np

from mcls.evaluation.metric import MetricValues, blocks, flat, ratio
from mcls.registry import register


@register(
    "metrics",
    "auc",
    headline="macro",
    ranks_tracks=True,
    default_for=["single-label", "multi-label"],
)
def auc(truth: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> MetricValues:
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
    n_labels = truth.shape[1]
    tracks = np.arange(len(truth))
    columns = [_one(truth[:, j], scores[:, j], tracks, weights) for j in range(n_labels)]
    amount, of = (np.stack(pieces, axis=1) for pieces in zip(*columns, strict=True))
    return MetricValues(ratio(amount, of), ratio(*_one(*flat(truth, scores), weights)))


def _one(
    truth: np.ndarray, scores: np.ndarray, tracks: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the weight of the correctly ordered pairs and of all pairs, per weighting."""
    with_it, without = np.flatnonzero(truth), np.flatnonzero(~truth)
    without = without[np.argsort(scores[without])]
    below = np.searchsorted(scores[without], scores[with_it], "left")
    not_above = np.searchsorted(scores[without], scores[with_it], "right")
    won, pairs = np.zeros(len(weights)), np.zeros(len(weights))
    for block in blocks(weights, len(truth)):
        some = weights[block]
        up_to = np.zeros((len(some), len(without) + 1), dtype=np.int32)
        np.cumsum(np.take(some, tracks[without], axis=1), axis=1, out=up_to[:, 1:], dtype=np.int32)
        beaten = np.take(up_to, below, axis=1) + np.take(up_to, not_above, axis=1)
        counts = np.take(some, tracks[with_it], axis=1)
        won[block] = np.einsum("bi,bi->b", counts, beaten, dtype=np.float64) / 2
        pairs[block] = counts.sum(axis=1, dtype=np.float64) * up_to[:, -1]
    return won, pairs
