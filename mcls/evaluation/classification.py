"""Metrics of predicted labels: accuracy, precision, recall and F1.

For single-label data the label with the highest score is predicted (the first on a tie). For
multi-label data every label whose score reaches the threshold is predicted.
"""

import numpy as np

from mcls.evaluation.metric import MetricValues, ratio
from mcls.evaluation.weightings import Weights
from mcls.registry import register


@register(
    "metrics", "accuracy", headline="micro", default_for=["single-label"], single_label_only=True
)
def accuracy(truth: np.ndarray, scores: np.ndarray, weights: Weights) -> MetricValues:
    """Accuracy: fraction of correctly predicted tracks; macro is the balanced accuracy.

    Parameters
    ----------
    truth, scores, weights : np.ndarray
        See `mcls.evaluation.metric`; every track has exactly one label.
    """
    hits, _, actual = _count(truth, predicted_labels(scores), weights)
    return MetricValues(ratio(hits, actual), ratio(hits.sum(axis=1), actual.sum(axis=1)))


@register("metrics", "balanced-accuracy", headline="macro", default_for=[], single_label_only=True)
def balanced_accuracy(truth: np.ndarray, scores: np.ndarray, weights: Weights) -> MetricValues:
    """Balanced accuracy: mean over the labels of the fraction of their tracks that is correct.

    Parameters
    ----------
    truth, scores, weights : np.ndarray
        See `mcls.evaluation.metric`; every track has exactly one label.

    References
    ----------
    .. [1] K. H. Brodersen, C. S. Ong, K. E. Stephan, J. M. Buhmann, "The balanced accuracy and its
       posterior distribution", ICPR 2010.
    """
    return accuracy(truth, scores, weights)


@register("metrics", "precision", headline="macro", default_for=[])
def precision(
    truth: np.ndarray,
    scores: np.ndarray,
    weights: Weights,
    *,
    threshold: float | None = None,
) -> MetricValues:
    """Precision: fraction of the predictions of a label that are correct; 0 if there are none.

    Parameters
    ----------
    truth, scores, weights : np.ndarray
        See `mcls.evaluation.metric`.
    threshold : float or None
        Score from which a label counts as predicted; none: the highest score.
    """
    hits, predicted, _ = _count(truth, predicted_labels(scores, threshold), weights)
    return MetricValues(
        ratio(hits, np.maximum(predicted, 1)), ratio(hits.sum(axis=1), predicted.sum(axis=1))
    )


@register("metrics", "recall", headline="macro", default_for=[])
def recall(
    truth: np.ndarray,
    scores: np.ndarray,
    weights: Weights,
    *,
    threshold: float | None = None,
) -> MetricValues:
    """Recall: fraction of the tracks with a label for which it is predicted.

    Parameters
    ----------
    truth, scores, weights : np.ndarray
        See `mcls.evaluation.metric`.
    threshold : float or None
        Score from which a label counts as predicted; none: the highest score.
    """
    hits, _, actual = _count(truth, predicted_labels(scores, threshold), weights)
    return MetricValues(ratio(hits, actual), ratio(hits.sum(axis=1), actual.sum(axis=1)))


@register("metrics", "f1", headline="macro", default_for=["single-label"])
def f1(
    truth: np.ndarray,
    scores: np.ndarray,
    weights: Weights,
    *,
    threshold: float | None = None,
) -> MetricValues:
    """F1 score: harmonic mean of precision and recall.

    Parameters
    ----------
    truth, scores, weights : np.ndarray
        See `mcls.evaluation.metric`.
    threshold : float or None
        Score from which a label counts as predicted; none: the highest score.
    """
    hits, predicted, actual = _count(truth, predicted_labels(scores, threshold), weights)
    total = predicted + actual
    return MetricValues(ratio(2 * hits, total), ratio(2 * hits.sum(axis=1), total.sum(axis=1)))


def predicted_labels(scores: np.ndarray, threshold: float | np.ndarray | None = None) -> np.ndarray:
    """Return the predicted labels, bool ``(n_tracks, n_labels)``; a threshold may be per label.

    Examples
    --------
    >>> predicted_labels(np.array([[0.2, 0.7, 0.7]])).tolist()
    [[False, True, False]]
    >>> predicted_labels(np.array([[0.2, 0.7, 0.7]]), 0.5).tolist()
    [[False, True, True]]
    """
    if threshold is not None:
        return scores >= threshold
    chosen = np.zeros(scores.shape, dtype=bool)
    chosen[np.arange(len(scores)), scores.argmax(axis=1)] = True
    return chosen


def confusion_matrix(truth: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Count the tracks by true label (row) and predicted label (column), int64 ``(n, n)``.

    Examples
    --------
    >>> truth = np.array([[1, 0], [1, 0], [0, 1]], dtype=bool)
    >>> confusion_matrix(truth, np.array([[0.9, 0.1], [0.3, 0.7], [0.2, 0.8]])).tolist()
    [[1, 1], [0, 1]]
    """
    return truth.T.astype(np.int64) @ predicted_labels(scores).astype(np.int64)


def _count(
    truth: np.ndarray, predicted: np.ndarray, weights: Weights
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Count hits, predictions and tracks with the label, each ``(n_weightings, n_labels)``."""
    hits, predictions, actual = (weights @ which for which in (truth & predicted, predicted, truth))
    return hits, predictions, actual
