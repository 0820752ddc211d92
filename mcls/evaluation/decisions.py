"""Metrics of decisions: accuracy, precision, recall, F1.

With exactly one label per track the decision is the label with the highest score (the first of
equals). With any number of labels a label is chosen where its score reaches the threshold.
"""

import numpy as np

from mcls.evaluation.figures import Figures, ratio
from mcls.registry import register


@register(
    "metrics", "accuracy", headline="micro", default_for=["single-label"], single_label_only=True
)
def accuracy(truth: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> Figures:
    """Share of tracks whose label is right; per label it is the recall, macro is balanced.

    Parameters
    ----------
    truth : np.ndarray, shape (n_tracks, n_labels), bool
        Exactly one label per track.
    scores : np.ndarray, shape (n_tracks, n_labels)
        Higher = likelier.
    weights : np.ndarray, shape (n_weightings, n_tracks), int
        How often each track counts.
    """
    hits, _, actual = _count(truth, decide(scores), weights)
    return Figures(ratio(hits, actual), ratio(hits.sum(axis=1), actual.sum(axis=1)))


@register("metrics", "precision", headline="macro", default_for=[])
def precision(
    truth: np.ndarray,
    scores: np.ndarray,
    weights: np.ndarray,
    *,
    threshold: float | None = None,
) -> Figures:
    """Share of right ones among the decisions for a label; 0 for a label never chosen.

    Parameters
    ----------
    truth : np.ndarray, shape (n_tracks, n_labels), bool
        Which track has which label.
    scores : np.ndarray, shape (n_tracks, n_labels)
        Higher = likelier.
    weights : np.ndarray, shape (n_weightings, n_tracks), int
        How often each track counts.
    threshold : float or None
        From which score on a label is chosen; none chooses the highest score.
    """
    hits, chosen, _ = _count(truth, decide(scores, threshold), weights)
    return Figures(ratio(hits, np.maximum(chosen, 1)), ratio(hits.sum(axis=1), chosen.sum(axis=1)))


@register("metrics", "recall", headline="macro", default_for=[])
def recall(
    truth: np.ndarray,
    scores: np.ndarray,
    weights: np.ndarray,
    *,
    threshold: float | None = None,
) -> Figures:
    """Share of the tracks with a label for which it is chosen.

    Parameters
    ----------
    truth : np.ndarray, shape (n_tracks, n_labels), bool
        Which track has which label.
    scores : np.ndarray, shape (n_tracks, n_labels)
        Higher = likelier.
    weights : np.ndarray, shape (n_weightings, n_tracks), int
        How often each track counts.
    threshold : float or None
        From which score on a label is chosen; none chooses the highest score.
    """
    hits, _, actual = _count(truth, decide(scores, threshold), weights)
    return Figures(ratio(hits, actual), ratio(hits.sum(axis=1), actual.sum(axis=1)))


@register("metrics", "f1", headline="macro", default_for=["single-label"])
def f1(
    truth: np.ndarray,
    scores: np.ndarray,
    weights: np.ndarray,
    *,
    threshold: float | None = None,
) -> Figures:
    """Harmonic mean of precision and recall.

    Parameters
    ----------
    truth : np.ndarray, shape (n_tracks, n_labels), bool
        Which track has which label.
    scores : np.ndarray, shape (n_tracks, n_labels)
        Higher = likelier.
    weights : np.ndarray, shape (n_weightings, n_tracks), int
        How often each track counts.
    threshold : float or None
        From which score on a label is chosen; none chooses the highest score.
    """
    hits, chosen, actual = _count(truth, decide(scores, threshold), weights)
    total = chosen + actual
    return Figures(ratio(2 * hits, total), ratio(2 * hits.sum(axis=1), total.sum(axis=1)))


def decide(scores: np.ndarray, threshold: float | None = None) -> np.ndarray:
    """Return which labels are chosen, bool ``(n_tracks, n_labels)``.

    Examples
    --------
    >>> decide(np.array([[0.2, 0.7, 0.7]])).tolist()
    [[False, True, False]]
    >>> decide(np.array([[0.2, 0.7, 0.7]]), 0.5).tolist()
    [[False, True, True]]
    """
    if threshold is not None:
        return scores >= threshold
    chosen = np.zeros(scores.shape, dtype=bool)
    chosen[np.arange(len(scores)), scores.argmax(axis=1)] = True
    return chosen


def confusion(truth: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Count how often each label (row) was taken for each (column), int64 ``(n, n)``.

    Examples
    --------
    >>> truth = np.array([[1, 0], [1, 0], [0, 1]], dtype=bool)
    >>> confusion(truth, np.array([[0.9, 0.1], [0.3, 0.7], [0.2, 0.8]])).tolist()
    [[1, 1], [0, 1]]
    """
    return truth.T.astype(np.int64) @ decide(scores).astype(np.int64)


def _count(
    truth: np.ndarray, chosen: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return hits, decisions and tracks that have the label, each ``(n_weightings, n_labels)``."""
    counts = weights.astype(np.float64)
    hits, decisions, actual = (
        counts @ which.astype(np.float64) for which in (truth & chosen, chosen, truth)
    )
    return hits, decisions, actual
