"""The mean of what several runs say."""

import numpy as np

from mcls.classifiers.base import RowClassifier, Valid
from mcls.registry import register


@register("classifiers", "average", reads="scores")
class Average(RowClassifier):
    """Mean of the scores of several runs, which stand side by side. Nothing is learnt.

    Runs whose errors differ (other features, other models) are better together than each of them:
    the sum rule of Kittler et al., each run with the same weight. Weights could be learnt only from
    the train part, which the runs know by heart.

    Parameters
    ----------
    n_labels : int or None
        Scores of each run; none: as many as there are classes in ``fit``.

    References
    ----------
    Kittler, Hatef, Duin & Matas (1998), On combining classifiers, eq. 11.
    """

    def __init__(self, *, n_labels: int | None = None) -> None:
        self.n_labels = n_labels

    def _fit(
        self,
        X: np.ndarray,
        Y: np.ndarray,
        *,
        weights: np.ndarray | None,
        groups: np.ndarray | None,
        valid: Valid | None,
    ) -> None:
        each = len(self.classes_) if self.n_labels is None else self.n_labels
        if X.shape[1] % each or self.classes_.max() >= each:
            raise ValueError(
                f"rows of {X.shape[1]} numbers are not the scores of runs side by side, {each} each"
            )
        self.n_scores_ = each

    def _scores(self, X: np.ndarray) -> np.ndarray:
        mean = X.reshape(len(X), -1, self.n_scores_).mean(axis=1)
        return mean[:, self.classes_[self.known_]]
