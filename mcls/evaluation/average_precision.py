"""Average precision: the mean of the precision at the rank of each track with the label.

Tracks with equal scores share the precision at the end of the tie. Equal to
``sklearn.metrics.average_precision_score``, without interpolation.
"""

import numpy as np

from mcls.evaluation.metric import MetricValues, blocks, flat, ratio, ties
from mcls.evaluation.weightings import Weights, exceptions
from mcls.registry import register


@register(
    "metrics", "ap", headline="macro", ranks_tracks=True, default_for=["multi-label"], micro_from=25
)
def average_precision(truth: np.ndarray, scores: np.ndarray, weights: Weights) -> MetricValues:
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
    columns = [_one(truth[:, j], scores[:, j], weights) for j in range(truth.shape[1])]
    amount, of = (np.stack(pieces, axis=1) for pieces in zip(*columns, strict=True))
    return MetricValues(ratio(amount, of), ratio(*_one(*flat(truth, scores, weights))))


def _one(truth: np.ndarray, scores: np.ndarray, weights: Weights) -> tuple[np.ndarray, np.ndarray]:
    """Return the sum of the precisions at the tracks with the label, and their weight.

    The tracks down to each rank are counted once, and the weights that are not 1 added to that.
    """
    order = np.argsort(-scores)
    has_it = truth[order]
    starts, ends = ties(scores[order])
    before = np.concatenate([[0], np.cumsum(has_it)])
    first = np.empty(len(truth), np.int32)  # place of the first track that a track is counted for
    first[order] = np.repeat(before[starts], ends - starts)
    seen_by = np.repeat(ends, ends - starts)[has_it]
    found_by = np.repeat(before[ends], ends - starts)[has_it]
    place = np.empty(len(truth), np.int32)
    place[order] = before[:-1]
    del order, before, starts, ends, has_it
    odd = exceptions(weights, np.arange(len(truth)))
    precisions, total = np.zeros(len(weights)), np.zeros(len(weights))
    seen_steps, found_steps = (
        np.diff(ranks, prepend=0).astype(np.int32) for ranks in (seen_by, found_by)
    )
    n_having = len(seen_by)
    for rows in blocks(len(weights), len(truth)):
        some = odd.of_rows(rows)
        row, line, more = some.row, some.line, some.more
        counts = np.ones((rows.stop - rows.start, n_having), np.int32)
        seen = _down_to_each(seen_steps, len(counts), row, first[line], more)
        row, line, more = (each[truth[some.line]] for each in (row, line, more))
        found = _down_to_each(found_steps, len(counts), row, first[line], more)
        counts[row, place[line]] += more
        precision = found / np.maximum(seen, 1, out=seen)
        precisions[rows] = np.einsum("bi,bi->b", counts, precision)
        total[rows] = counts.sum(axis=1)
    return precisions, total


def _down_to_each(
    steps: np.ndarray, n_rows: int, row: np.ndarray, first: np.ndarray, more: np.ndarray
) -> np.ndarray:
    """Return the weight of the tracks down to each rank, ``(n_rows, n_ranks)`` int32."""
    table = np.empty((n_rows, len(steps) + 1), np.int32)
    table[:, :-1] = steps
    np.add.at(table, (row, first), more)
    return np.cumsum(table[:, :-1], axis=1, dtype=np.int32)
