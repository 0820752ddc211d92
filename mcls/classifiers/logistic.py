"""Logistic regression."""

from typing import Any, Literal

import numpy as np
from sklearn.linear_model import LogisticRegression

from mcls.classifiers.base import RowClassifier, column_weights
from mcls.classifiers.passes import fit_machines, sigmoids, softmaxes
from mcls.classifiers.rows import Rows, spread
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

    by_passes = True

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

    def _fit(
        self, X: np.ndarray | Rows, Y: np.ndarray, *, weights: np.ndarray | None, **_: Any
    ) -> None:
        if isinstance(X, Rows):
            self._fit_by_passes(X, Y, weights)
            return
        columns = list(Y.T) if self.multi_label_ else [Y.argmax(axis=1)]
        self.models_ = [
            LogisticRegression(C=self.C, max_iter=self.max_iter).fit(
                X, column, sample_weight=column_weights(weights, label)
            )
            for label, column in enumerate(columns)
        ]
        self.n_iter_ = max(int(model.n_iter_.max()) for model in self.models_)

    def _fit_by_passes(self, X: Rows, Y: np.ndarray, weights: np.ndarray | None) -> None:
        """Set the models that scikit-learn would make of all rows."""
        softmax = not self.multi_label_ and Y.shape[1] > 2
        columns = Y if softmax or self.multi_label_ else Y[:, 1:]
        found = fit_machines(
            X,
            columns,
            loss=softmaxes if softmax else sigmoids,
            C=self.C,
            weights=weights,
            sample=X[spread(len(X), max(100, min(5000, X.memory // (64 * X.shape[1]))))],
            memory=X.memory,
        )
        each = [slice(None)] if softmax else [slice(i, i + 1) for i in range(columns.shape[1])]
        self.models_ = []
        for of in each:
            model = LogisticRegression(C=self.C, max_iter=self.max_iter)
            model.classes_ = np.arange(max(2, len(found.coef[of])))
            model.coef_, model.intercept_ = found.coef[of], found.intercept[of]
            model.n_features_in_ = X.shape[1]
            self.models_.append(model)
        self.n_iter_ = found.n_passes

    def _scores(self, X: np.ndarray) -> np.ndarray:
        if self.multi_label_:
            return np.column_stack([model.predict_proba(X)[:, 1] for model in self.models_])
        return self.models_[0].predict_proba(X)
