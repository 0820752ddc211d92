"""The average of the scores of several runs."""

from typing import Any

import numpy as np

from mcls.classifiers.base import RowClassifier
from mcls.classifiers.rows import Rows
from mcls.registry import register


@register("classifiers", "average", reads="scores")
class Average(RowClassifier):
    """Average of the scores of several runs (late fusion); nothing is learnt.

    Runs with different errors (other features, other models) are better together than alone. This
    is the sum rule of Kittler et al. with equal weights. Weights could only be learnt from the
    train part, on which the scores of the runs are overfitted.

    Parameters
    ----------
    n_labels : int or None
        Number of scores per run; none: the number of classes.

    References
    ----------
    Kittler, Hatef, Duin & Matas (1998), On combining classifiers, eq. 11.
    """

    unknown_labels = "unused"
    by_passes = True

    def __init__(self, *, n_labels: int | None = None) -> None:
        self.n_labels = n_labels

    def _fit(self, X: np.ndarray | Rows, Y: np.ndarray, **_: Any) -> None:
        each = len(self.classes_) if self.n_labels is None else self.n_labels
        if X.shape[1] % each or self.classes_.max() >= each:
            raise ValueError(
                f"rows have {X.shape[1]} dimensions; expected a multiple of {each}, the scores of "
                "a run"
            )
        self.n_scores_ = each

    def _scores(self, X: np.ndarray) -> np.ndarray:
        mean = X.reshape(len(X), -1, self.n_scores_).mean(axis=1)
        return mean[:, self.classes_[self.known_]]
