"""Linear and kernel regression of rows: the models for ``--regression``."""

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from scipy import linalg
from sklearn import linear_model, svm
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.preprocessing import StandardScaler
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted, validate_data

from mcls.classifiers.base import fit_scaler
from mcls.classifiers.rows import Rows
from mcls.registry import register


class RowRegressor(RegressorMixin, BaseEstimator):
    """A model that predicts numbers of rows; subclasses implement `_model`.

    Rows and targets are standardised inside, so that settings do not depend on their units.

    Attributes
    ----------
    classes_ : np.ndarray, int64
        The targets, 0 to n_targets - 1.
    multi_label_ : bool
        False; as in `mcls.classifiers.base.RowClassifier`.
    """

    lowest: ClassVar[float] = 0.0
    threshold: float = 0.0
    multi_label_: ClassVar[bool] = False
    by_passes: ClassVar[bool] = False
    in_order: ClassVar[bool] = False

    def fit(self, X: np.ndarray | Rows, y: np.ndarray, **_: Any) -> "RowRegressor":
        """Train on rows.

        Parameters
        ----------
        X : np.ndarray or Rows, shape (n_rows, n_dims)
            Training rows.
        y : np.ndarray, shape (n_rows,) or (n_rows, n_targets)
            Numbers.
        """
        if isinstance(X, Rows):
            self.n_features_in_ = X.shape[1]
        else:
            X, y = validate_data(self, X, y, dtype=np.float64, multi_output=True, y_numeric=True)
        Y = y.reshape(len(y), -1)
        self.one_dimensional_ = y.ndim == 1
        self.classes_ = np.arange(Y.shape[1])
        self.scaler_ = fit_scaler(X)
        self.target_scaler_ = StandardScaler().fit(Y)
        targets = self.target_scaler_.transform(Y)
        if isinstance(X, Rows):
            self.models_ = self._fit_by_passes(X.scaled(self.scaler_), targets)
            return self
        rows = self.scaler_.transform(X)
        self.models_ = [self._model().fit(rows, target) for target in targets.T]
        return self

    def __sklearn_tags__(self) -> Tags:
        tags: Tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def rows_used(self, n_rows: int, n_valid: int = 0) -> tuple[int, list[str]]:
        """Return the number of train rows that were learnt from, and notes about the others."""
        return n_rows, []

    def bytes_in_memory(self, n_rows: int, n_dims: int, n_labels: int) -> int:
        """Return an upper bound of the bytes that learning takes with all rows in memory."""
        return n_rows * (40 * n_dims + 24 * n_labels + 48)

    def scores(self, X: np.ndarray) -> np.ndarray:
        """Return the predicted numbers of rows, ``(n_rows, n_targets)`` float64."""
        check_is_fitted(self)
        rows = self.scaler_.transform(validate_data(self, X, reset=False, dtype=np.float64))
        found = np.column_stack([model.predict(rows) for model in self.models_])
        return self.target_scaler_.inverse_transform(found)

    def scores_of(self, tracks: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return the predicted numbers of the rows of each track, ``(n_rows, n_targets)``."""
        ends = np.cumsum([len(rows) for rows in tracks])
        return np.split(self.scores(np.concatenate(tracks)), ends[:-1])

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Return the predicted numbers of rows, in the shape of the ``y`` of `fit`."""
        found = self.scores(X)
        return found[:, 0] if self.one_dimensional_ else found

    def _model(self) -> Any:
        """Return an estimator of scikit-learn for one target."""
        raise NotImplementedError

    def _fit_by_passes(self, X: Rows, targets: np.ndarray) -> list[Any]:
        """Return the fitted estimators of rows on the disk."""
        raise NotImplementedError


@register("classifiers", "ridge", regression=True)
class Ridge(RowRegressor):
    """Ridge regression: predicts numbers linearly, for --regression.

    Parameters
    ----------
    alpha : float
        Strength of the L2 penalty, 0 or more.

    References
    ----------
    Hoerl & Kennard (1970), Ridge regression: biased estimation for nonorthogonal problems.
    """

    by_passes = True

    def __init__(self, *, alpha: float = 1.0) -> None:
        self.alpha = alpha

    def _model(self) -> Any:
        return linear_model.Ridge(alpha=self.alpha)

    def _fit_by_passes(self, X: Rows, targets: np.ndarray) -> list[Any]:
        """Return the fitted estimators, by the normal equations."""
        n_dims = X.shape[1]
        products, done = np.zeros((n_dims, n_dims + targets.shape[1])), 0
        for chunk in X.chunks():
            products += chunk.T @ np.hstack([chunk, targets[done : done + len(chunk)]])
            done += len(chunk)
        products.flat[:: products.shape[1] + 1] += self.alpha
        coef = linalg.solve(products[:, :n_dims], products[:, n_dims:], assume_a="pos")
        models = [self._model() for _ in coef.T]
        for model, column in zip(models, coef.T, strict=True):
            model.coef_, model.intercept_, model.n_features_in_ = column, 0.0, n_dims
        return models


@register("classifiers", "svr", regression=True)
class SVR(RowRegressor):
    """Support vector regression: predicts numbers, for --regression.

    Parameters
    ----------
    C : float
        Inverse of the strength of the penalty, > 0.
    epsilon : float
        Error without a loss, in standard deviations of the target.
    kernel : {'rbf', 'linear'}
        Kernel; the width of rbf is 1 / n_dims.

    References
    ----------
    Drucker et al. (1997), Support vector regression machines.
    """

    def __init__(
        self, *, C: float = 1.0, epsilon: float = 0.1, kernel: Literal["rbf", "linear"] = "rbf"
    ) -> None:
        self.C = C
        self.epsilon = epsilon
        self.kernel = kernel

    def _model(self) -> Any:
        return svm.SVR(C=self.C, epsilon=self.epsilon, kernel=self.kernel)
