"""Metrics of predicted numbers: squared error, explained variance and rank correlation.

Truth and predictions are float ``(n_tracks, n_targets)``; otherwise the interface is that of
`mcls.evaluation.metric`. The fact ``interval`` names the scale on which a value's interval is
symmetric (`mcls.evaluation.jackknife`): ``ratio`` a logarithmic one, ``unexplained`` that of 1
minus the value, and ``correlation`` Fisher's z.
"""

import numpy as np

from mcls.evaluation.metric import MetricValues, blocks
from mcls.evaluation.weightings import Weights, row_blocks
from mcls.registry import register


@register(
    "metrics",
    "mse",
    headline="macro",
    default_for=["regression"],
    regression=True,
    interval="ratio",
    lower_is_better=True,
)
def mse(truth: np.ndarray, scores: np.ndarray, weights: Weights) -> MetricValues:
    """Mean squared error of predicted numbers, in the squared unit of the target.

    Parameters
    ----------
    truth, scores, weights : np.ndarray
        See `mcls.evaluation.regression`.

    Returns
    -------
    MetricValues
        0 or more; 0 is perfect. Equal to ``sklearn.metrics.mean_squared_error``.
    """
    return _of_targets(_means((truth - scores) ** 2, weights))


@register(
    "metrics",
    "r2",
    headline="macro",
    default_for=["regression"],
    regression=True,
    interval="unexplained",
)
def r2(truth: np.ndarray, scores: np.ndarray, weights: Weights) -> MetricValues:
    """Share of the variance of a target that is explained (coefficient of determination R²).

    Parameters
    ----------
    truth, scores, weights : np.ndarray
        See `mcls.evaluation.regression`.

    Returns
    -------
    MetricValues
        Up to 1; 0 for predicting the mean of these tracks, below 0 if worse. Masked if all tracks
        have the same value. Equal to ``sklearn.metrics.r2_score``.
    """
    centred = truth - truth.mean(axis=0)  # so that the difference of squares loses no digits
    variance = _means(centred**2, weights) - _means(centred, weights) ** 2
    constant = variance <= 1e-12 * (centred**2).mean(axis=0)
    errors = _means((truth - scores) ** 2, weights)
    values = 1 - np.divide(errors, variance, out=np.zeros_like(errors), where=~constant)
    return _of_targets(values, constant)


@register(
    "metrics",
    "spearman",
    headline="macro",
    default_for=["regression"],
    regression=True,
    interval="correlation",
)
def spearman(truth: np.ndarray, scores: np.ndarray, weights: Weights) -> MetricValues:
    """Spearman's rank correlation of true and predicted numbers.

    Parameters
    ----------
    truth, scores, weights : np.ndarray
        See `mcls.evaluation.regression`.

    Returns
    -------
    MetricValues
        In [-1, 1]; 0 is chance level. Masked if all tracks have the same value, true or predicted.
        Equal to ``scipy.stats.spearmanr``, ties included.
    """
    columns = [_rank_correlation(truth[:, j], scores[:, j], weights) for j in range(truth.shape[1])]
    values = np.stack(columns, axis=1)
    return _of_targets(np.nan_to_num(values), np.isnan(values))


def _means(table: np.ndarray, weights: Weights) -> np.ndarray:
    """Return the weighted means of the columns for each weighting."""
    shares = (some / some.sum(axis=1, keepdims=True) for some in row_blocks(weights))
    return np.concatenate([some @ table for some in shares])


def _rank_correlation(one: np.ndarray, other: np.ndarray, weights: Weights) -> np.ndarray:
    """Return the correlation of ranks for each weighting; NaN where a side is constant."""
    found = np.empty(len(weights))
    for block in blocks(len(weights), len(one)):
        some = weights[block].astype(np.float64)
        total = some.sum(axis=1, keepdims=True)
        a, b = (_centred_ranks(values, some, total) for values in (one, other))
        both, of_a, of_b = (np.sum(some * x * y, axis=1) for x, y in ((a, b), (a, a), (b, b)))
        below = np.sqrt(of_a * of_b)
        found[block] = np.divide(both, below, out=np.full(len(some), np.nan), where=below > 0)
    return found


def _centred_ranks(values: np.ndarray, weights: np.ndarray, total: np.ndarray) -> np.ndarray:
    """Return ranks less their mean for each weighting; equal values have their mean rank."""
    _, kind = np.unique(values, return_inverse=True)
    counts = np.zeros((len(weights), int(kind.max()) + 1))
    np.add.at(counts.T, kind, weights.T)
    middle = np.cumsum(counts, axis=1) - counts / 2
    return middle[:, kind] - total / 2


def _of_targets(values: np.ndarray, mask: np.ndarray | bool = False) -> MetricValues:
    per_target = np.ma.array(values, mask=np.broadcast_to(mask, values.shape))
    return MetricValues(per_target, np.ma.masked_all(len(values)))
