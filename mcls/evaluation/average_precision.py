"""Average precision: the mean, over the tracks with a label, of the precision down to each.

Tracks with the same score share the precision at the end of the tie. Equal to
``sklearn.metrics.average_precision_score``: steps, no interpolation.
"""

import numpy as np

from mcls.evaluation.figures import Figures, blocks, flat, ratio
from mcls.registry import register


@register("metrics", "ap", headline="macro", default_for=["multi-label"])
def average_precision(truth: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> Figures:
    """Average precision: area under the precision-recall curve, in steps.

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
        In [0, 1]; chance is the share of tracks with the label. Masked where no track has it.
    """
    n_labels = truth.shape[1]
    tracks = np.arange(len(truth))
    columns = [_one(truth[:, j], scores[:, j], tracks, weights) for j in range(n_labels)]
    amount, of = (np.stack(pieces, axis=1) for pieces in zip(*columns, strict=True))
    return Figures(ratio(amount, of), ratio(*_one(*flat(truth, scores), weights)))


def _one(
    truth: np.ndarray, scores: np.ndarray, tracks: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the sum of the precisions at the tracks that have it, and their weight."""
    order = np.argsort(-scores)
    with_it = order[truth[order]]
    rank = np.searchsorted(-scores[order], -scores[with_it], "right")
    rank_with_it = np.searchsorted(-scores[with_it], -scores[with_it], "right")
    precisions, total = np.zeros(len(weights)), np.zeros(len(weights))
    for block in blocks(weights, len(truth)):
        counts = np.take(weights[block], tracks[with_it], axis=1)
        found = _up_to(counts, rank_with_it)
        seen = _up_to(np.take(weights[block], tracks[order], axis=1), rank)
        precision = found / np.maximum(seen, 1)
        precisions[block] = np.einsum("bi,bi->b", counts, precision)
        total[block] = counts.sum(axis=1)
    return precisions, total


def _up_to(counts: np.ndarray, ranks: np.ndarray) -> np.ndarray:
    """Sum the first `ranks` counts of each row."""
    return np.take(np.cumsum(counts, axis=1, dtype=np.int32), ranks - 1, axis=1)
