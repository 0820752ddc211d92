"""Metrics of probabilities: log loss, Brier score and calibration error; lower is better.

With one label per track the probabilities of its labels add up to 1. Metrics take those of the
run's calibration (`mcls.evaluation.calibration`).
"""

import numpy as np

from mcls.evaluation.metric import MetricValues, ratio
from mcls.evaluation.reliability import bin_of, pooled
from mcls.evaluation.weightings import Weights
from mcls.registry import register

#: Probabilities are kept this far from 0 and 1 before their logarithm.
_CLIP = 1e-15


@register(
    "metrics",
    "log-loss",
    headline="micro",
    default_for=[],
    probabilities=True,
    unbounded=True,
    lower_is_better=True,
)
def log_loss(truth: np.ndarray, scores: np.ndarray, weights: Weights) -> MetricValues:
    """Log loss: mean negative log probability of the true label; lower is better.

    With several labels per track it is the mean binary cross-entropy of the labels.

    Parameters
    ----------
    truth, scores, weights : np.ndarray
        See `mcls.evaluation.metric`; scores are probabilities.

    Returns
    -------
    MetricValues
        In nats, >= 0. Macro is the mean of the binary cross-entropies of the labels.
    """
    p = np.clip(scores, _CLIP, 1 - _CLIP)
    each = -np.where(truth, np.log(p), np.log1p(-p))
    if _one_label(truth):
        return _of_labels(each, -np.log(p[truth]), weights)
    return _of_labels(each, each.mean(axis=1), weights)


@register(
    "metrics",
    "brier",
    headline="micro",
    default_for=[],
    probabilities=True,
    unbounded=True,
    lower_is_better=True,
)
def brier(truth: np.ndarray, scores: np.ndarray, weights: Weights) -> MetricValues:
    """Brier score: squared error of the probabilities; lower is better.

    Parameters
    ----------
    truth, scores, weights : np.ndarray
        See `mcls.evaluation.metric`; scores are probabilities.

    Returns
    -------
    MetricValues
        Micro is the sum over labels, in [0, 2], if each track has one, and else their mean.

    References
    ----------
    .. [1] G. W. Brier, "Verification of forecasts expressed in terms of probability", Monthly
       Weather Review 78, 1950.
    """
    each = np.square(scores - truth)
    track = each.sum(axis=1) if _one_label(truth) else each.mean(axis=1)
    return _of_labels(each, track, weights)


@register(
    "metrics", "ece", headline="micro", default_for=[], probabilities=True, lower_is_better=True
)
def expected_calibration_error(
    truth: np.ndarray, scores: np.ndarray, weights: Weights, *, bins: int = 15
) -> MetricValues:
    """Expected calibration error: mean distance of probability and accuracy; lower is better.

    The probabilities of the predicted labels are sorted into bins of equal width; the distance of
    the mean probability and the accuracy of each bin is weighted by its number of tracks. With
    several labels per track, the probabilities of all labels are taken, and the fraction of tracks
    that have them. Chance makes it positive even for the right probabilities.

    Parameters
    ----------
    truth, scores, weights : np.ndarray
        See `mcls.evaluation.metric`; scores are probabilities.
    bins : int >= 1
        Number of bins.

    References
    ----------
    .. [1] C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger, "On calibration of modern neural networks",
       ICML 2017, eq. 3.
    """
    truth, scores = pooled(truth, scores)
    place = bin_of(scores, bins)
    gaps = np.zeros(len(weights))
    for one in range(bins):
        gaps += np.abs(weights @ np.where(place == one, scores - truth, 0.0).sum(axis=1))
    return MetricValues(None, ratio(gaps, weights.sum(axis=1) * truth.shape[1]))


def _one_label(truth: np.ndarray) -> bool:
    return bool((truth.sum(axis=1) == 1).all())


def _of_labels(each: np.ndarray, track: np.ndarray, weights: Weights) -> MetricValues:
    """Return the weighted means of the losses of labels, and of tracks."""
    total = weights.sum(axis=1)
    per_label = ratio(weights @ each, np.repeat(total[:, None], each.shape[1], axis=1))
    return MetricValues(per_label, ratio(weights @ track, total))
