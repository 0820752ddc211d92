"""Precision at k, for lists of suggested labels."""

import numpy as np

from mcls.errors import ConfigError
from mcls.evaluation.metric import MetricValues, ratio
from mcls.evaluation.weightings import Weights
from mcls.registry import register


@register("metrics", "precision-at-k", headline="micro", default_for=[], whole_tracks=True)
def precision_at_k(
    truth: np.ndarray, scores: np.ndarray, weights: Weights, *, k: int = 3
) -> MetricValues:
    """Precision at k: fraction of correct labels among the k highest scores of a track.

    Parameters
    ----------
    truth, scores, weights : np.ndarray
        See `mcls.evaluation.metric`; tracks without a label do not count, and on a tie of scores
        the first label wins.
    k : int >= 1
        Number of labels per track.

    Raises
    ------
    ConfigError
        If `k` is out of range.
    """
    if not 1 <= k <= truth.shape[1]:
        raise ConfigError(f"precision-at-k: k is {k}; expected 1 to {truth.shape[1]} (the labels)")
    best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    share = np.take_along_axis(truth, best, axis=1).mean(axis=1)
    return MetricValues(None, ratio(weights @ share, weights @ np.any(truth, axis=1)))
