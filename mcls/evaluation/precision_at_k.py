"""Precision at k: of the k labels a listener would be shown, how many are right."""

import numpy as np

from mcls.errors import ConfigError
from mcls.evaluation.figures import Figures, ratio
from mcls.registry import register


@register("metrics", "precision-at-k", headline="micro", default_for=[])
def precision_at_k(
    truth: np.ndarray, scores: np.ndarray, weights: np.ndarray, *, k: int = 3
) -> Figures:
    """Share of right labels among the k best of each track, over tracks with a label.

    Parameters
    ----------
    truth : np.ndarray, shape (n_tracks, n_labels), bool
        Which track has which label.
    scores : np.ndarray, shape (n_tracks, n_labels)
        Higher = likelier; among equals the first label is the better.
    weights : np.ndarray, shape (n_weightings, n_tracks), int
        How often each track counts.
    k : int >= 1
        How many labels; at most as many as there are.

    Raises
    ------
    ConfigError
        If `k` is out of range.
    """
    if not 1 <= k <= truth.shape[1]:
        raise ConfigError(f"precision-at-k: k={k} is not in 1 to {truth.shape[1]}, the labels")
    best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    share = np.take_along_axis(truth, best, axis=1).mean(axis=1)
    counts = weights * truth.any(axis=1)
    return Figures(None, ratio(counts @ share, counts.sum(axis=1)))
