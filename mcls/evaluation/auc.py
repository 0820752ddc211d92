"""Area under the ROC curve, by ranks.

The AUC of a label is the share of (track with it, track without it) pairs in which the first has
the higher score; a tie is half a pair. Equal to ``sklearn.metrics.roc_auc_score``.
"""

import numpy as np

from mcls.evaluation.figures import Figures, blocks, flat, ratio
from mcls.registry import register


@register("metrics", "auc", headline="macro", default_for=["single-label", "multi-label"])
def auc(truth: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> Figures:
    """Area under the ROC curve: how often a track with the label outranks one without.

    Parameters
    ----------
    truth : np.ndarray, shape (n_tracks, n_labels), bool
        Which track has which label.
    scores : np.ndarray, shape (n_tracks, n_labels)
        Higher = likelier.
    weights : np.ndarray, shape (n_weightings, n_tracks), int
        How often each track counts.

    Returns
    -------
    Figures
        In [0, 1]; 0.5 is chance. Masked without both classes.

    References
    ----------
    .. [1] J. A. Hanley, B. J. McNeil, "The meaning and use of the area under a receiver operating
       characteristic (ROC) curve", Radiology 143, 1982.
    """
    n_labels = truth.shape[1]
    tracks = np.arange(len(truth))
    columns = [_one(truth[:, j], scores[:, j], tracks, weights) for j in range(n_labels)]
    amount, of = (np.stack(pieces, axis=1) for pieces in zip(*columns, strict=True))
    return Figures(ratio(amount, of), ratio(*_one(*flat(truth, scores), weights)))


def _one(
    truth: np.ndarray, scores: np.ndarray, tracks: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the weight of the pairs in order, and of all pairs, per weighting."""
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
