"""Logistic regression."""

from typing import Any, Literal

import numpy as np
from sklearn.linear_model import LogisticRegression

from mcls.classifiers.base import RowClassifier, column_weights
from mcls.registry import register


@register("classifiers", "logistic")
class Logistic(RowClassifier):
    """Logistic regression: softmax over classes, or one sigmoid per label.

    Parameters
    ----------
    C : float
        Inverse of the strength of the L2 penalty, > 0.
    max_iter : int
        Maximum number of iterations of the solver.
    """

    def __init__(
        self,
        *,
        C: float = 1.0,
        scale: bool = True,
        class_weight: Literal["balanced"] | None = None,
        max_iter: int = 2000,
    ) -> None:
        self.C = C
        self.scale = scale
        self.class_weight = class_weight
        self.max_iter = max_iter

    def _fit(self, X: np.ndarray, Y: np.ndarray, *, weights: np.ndarray | None, **_: Any) -> None:
        columns = list(Y.T) if self.multi_label_ else [Y.argmax(axis=1)]
        self.models_ = [
            LogisticRegression(C=self.C, max_iter=self.max_iter).fit(
                X, column, sample_weight=column_weights(weights, label)
            )
            for label, column in enumerate(columns)
        ]
        self.n_iter_ = max(int(model.n_iter_.max()) for model in self.models_)

    def _scores(self, X: np.ndarray) -> np.ndarray:
        if self.multi_label_:
            return np.column_stack([model.predict_proba(X)[:, 1] for model in self.models_])
        return self.models_[0].predict_proba(X)
