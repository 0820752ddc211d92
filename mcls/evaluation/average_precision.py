"""Average precision: the mean of the precision at the rank of each track with the label.

Tracks with equal scores share the precision at the end of the tie. Equal to
``sklearn.metrics.average_precision_score``, without interpolation.
"""

import numpy as np

from mcls.evaluation.metric import MetricValues, blocks, flat, ratio
from mcls.registry import register


@register(
    "metrics", "ap", headline="macro", ranks_tracks=True, default_for=["multi-label"], micro_from=25
)
def average_precision(truth: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> MetricValues:
    """Average precision: area under the precision-recall curve, without interpolation.

    Parameters
    ----------
    truth, scores, weights : np.ndarray
        See `mcls.evaluation.metric`.

    Returns
    -------
    MetricValues
        In [0, 1]; chance level is the fraction of tracks with the label. Masked if no track has it.
    """
    n_labels = truth.shape[1]
    tracks = np.arange(len(truth))
    columns = [_one(truth[:, j], scores[:, j], tracks, weights) for j in range(n_labels)]
    amount, of = (np.stack(pieces, axis=1) for pieces in zip(*columns, strict=True))
    return MetricValues(ratio(amount, of), ratio(*_one(*flat(truth, scores), weights)))


def _one(
    truth: np.ndarray, scores: np.ndarray, tracks: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the sum of the precisions at the tracks with the label, and their weight."""
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
    """Return the sum of the first `ranks` counts of each row."""
    return np.take(np.cumsum(counts, axis=1, dtype=np.int32), ranks - 1, axis=1)
