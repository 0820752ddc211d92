"""The base class of classifiers: input checks, standardisation, one column per label.

A classifier is a scikit-learn estimator with an additional method, `scores`. The learning itself is
scikit-learn's. `RowClassifier` makes these rules hold for all of them:

* ``y`` is either one class per row, ``(n,)``, or a bool matrix of labels, ``(n, n_labels)``;
* rows are standardised inside (`scale`), so a saved classifier includes its scaling;
* scores are ``(n, n_labels)`` float64, higher is likelier, and a label counts as predicted from
  `threshold` on: 0.5 for probabilities, 0 for margins and log ratios;
* a row is scored on its own; a classifier of sequences learns from whole tracks, which ``lengths``
  tells apart, and overrides `scores_of` to return one score per track;
* a label that no training row has (or every row) cannot be learnt: its score is constant, the
  lowest (or highest) possible one;
* where ``y`` has NaN, nobody knows whether the row has the label: then each label is learnt by a
  classifier of its own, from the rows of which it is known, its scaling and settings included;
* rows that do not fit in memory are given as `mcls.classifiers.rows.Rows` to those that learn by
  passes over them (`by_passes`); `bytes_in_memory` says what the others would take.
"""

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.preprocessing import StandardScaler
from sklearn.utils import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data

from mcls.classifiers.rows import Rows
from mcls.errors import ConfigError
from mcls.evaluation.calibration import probabilities

Valid = tuple[np.ndarray | Rows, np.ndarray]


class RowClassifier(ClassifierMixin, BaseEstimator):
    """A classifier of rows; subclasses implement `_fit` and `_scores`.

    Parameters
    ----------
    scale : bool
        Standardise each dimension.
    class_weight : {'balanced'} or None
        Weight of the classes; balanced gives every class the same total weight.
    random_state : int
        Random seed.

    Attributes
    ----------
    classes_ : np.ndarray
        The classes seen in ``fit``, sorted; for a matrix of labels, the indices of its columns.
    multi_label_ : bool
        True if ``fit`` received a matrix of labels.
    scaler_ : StandardScaler or None
        Standardisation, learnt from the training rows.
    """

    #: Score of a label that no training row has, of one that all have, and threshold of prediction.
    lowest: ClassVar[float] = 0.0
    highest: ClassVar[float] = 1.0
    threshold: float = 0.5
    #: Where labels are unknown: learn each label alone, learn nothing of labels anyway, or refuse.
    unknown_labels: ClassVar[Literal["alone", "unused", "refused"]] = "alone"
    #: Whether it learns from rows on the disk, by passes over them.
    by_passes: ClassVar[bool] = False
    #: Whether it learns from the order of the rows of a track.
    in_order: ClassVar[bool] = False
    #: The classifier of each label that varies, if labels are unknown.
    alone_: list[Any] | None = None

    classes_: np.ndarray
    multi_label_: bool

    def fit(
        self,
        X: np.ndarray | Rows,
        y: np.ndarray,
        *,
        groups: np.ndarray | None = None,
        valid: Valid | None = None,
        lengths: np.ndarray | None = None,
    ) -> "RowClassifier":
        """Train on rows.

        Parameters
        ----------
        X : np.ndarray or Rows, shape (n_rows, n_dims)
            Training rows.
        y : np.ndarray, shape (n_rows,) or (n_rows, n_labels) bool or float
            The class of each row, or its labels: 0 or 1, or NaN where they are unknown.
        groups : np.ndarray, shape (n_rows,), or None
            Rows with the same value (of one track, of one artist) stay in the same inner fold.
        valid : (X, y) or None
            Rows on which settings are chosen, instead of inner folds; not used otherwise.
        lengths : np.ndarray, shape (n_tracks,), or None
            Rows of each track, for a classifier of sequences; None: each row is a track.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If there are fewer than two classes, or the shapes do not match.
        ConfigError
            If labels are unknown and this classifier cannot learn from them.
        """
        self.__dict__.pop("alone_", None)
        if _some_unknown(y):
            return self._fit_known(X, np.asarray(y), groups, valid, lengths)
        X, y = self._checked(X, y)
        self.multi_label_ = y.ndim == 2
        self.classes_ = np.arange(y.shape[1]) if self.multi_label_ else np.unique(y)
        Y = self._columns(y)
        known = Y.any(axis=0)
        if self.multi_label_:
            self.always_ = Y.all(axis=0)
            known = known & ~self.always_
            if not known.any():
                raise ValueError(
                    "every label is on all rows or on none, so there is nothing to learn"
                )
        elif len(self.classes_) < 2:
            raise ValueError(
                f"all rows belong to one class ({self.classes_[0]}); expected at least two classes"
            )
        self.known_ = known
        self.scaler_ = fit_scaler(X) if self._scales() else None
        if valid is not None and len(valid[0]):
            X_valid = valid[0]
            if not isinstance(X_valid, Rows):
                X_valid = validate_data(self, X_valid, reset=False, dtype=np.float64)
            valid = (self._scaled(X_valid), self._columns(np.asarray(valid[1]))[:, known])
        else:
            valid = None
        groups = None if groups is None else np.unique(groups, return_inverse=True)[1]
        self._fit(
            self._scaled(X),
            Y[:, known],
            weights=self._weights(y),
            groups=groups,
            valid=valid,
            lengths=np.ones(len(X), dtype=np.int64) if lengths is None else lengths,
        )
        return self

    def _fit_known(
        self,
        X: np.ndarray | Rows,
        Y: np.ndarray,
        groups: np.ndarray | None,
        valid: Valid | None,
        lengths: np.ndarray | None,
    ) -> "RowClassifier":
        """Train on rows whose labels are unknown where `Y` is NaN; parameters as in `fit`."""
        if self.unknown_labels == "refused":
            raise ConfigError(
                f"{type(self).__name__} does not learn from unknown labels (such as 'flute?'); use "
                "svm, logistic, random-forest, knn or gmm, or a net"
            )
        if self.unknown_labels == "unused":
            return self.fit(X, Y == 1, groups=groups, lengths=lengths)
        X, _ = self._checked(X, Y == 1)
        self.multi_label_ = True
        self.classes_ = np.arange(Y.shape[1])
        self.always_ = (Y != 0).all(axis=0) & (Y == 1).any(axis=0)
        self.known_ = varying(Y)
        if not self.known_.any():
            raise ValueError("every label is on all rows or on none, so there is nothing to learn")
        self.scaler_ = None
        self.alone_ = []
        for label in np.flatnonzero(self.known_):
            rows = ~np.isnan(Y[:, label])
            own = None
            if valid is not None:
                some = ~np.isnan(np.asarray(valid[1], dtype=np.float64)[:, label])
                own = (_only(valid[0], some), valid[1][some, label : label + 1] == 1)
            one = clone(self).fit(
                _only(X, rows),
                Y[rows, label : label + 1] == 1,
                groups=None if groups is None else groups[rows],
                valid=own,
            )
            self.alone_.append(one)
        return self

    def rows_used(self, n_rows: int, n_valid: int = 0) -> tuple[int, list[str]]:
        """Return the number of train rows that were learnt from, and notes about the others.

        Parameters
        ----------
        n_rows, n_valid : int
            The number of train and of valid rows given to ``fit``.
        """
        return n_rows, []

    def bytes_in_memory(self, n_rows: int, n_dims: int, n_labels: int) -> int:
        """Return an upper bound of the bytes that learning takes with all rows in memory.

        Parameters
        ----------
        n_rows, n_dims, n_labels : int
            The train and valid rows, which are float32.
        """
        # the rows of each track and of all, a float64 copy and a standardised one; labels, groups
        # and weights of each row
        return n_rows * (24 * n_dims + 9 * n_labels + 48)

    def scores(self, X: np.ndarray) -> np.ndarray:
        """Return the score of each label for each row.

        Parameters
        ----------
        X : np.ndarray, shape (n_rows, n_dims)
            Rows.

        Returns
        -------
        np.ndarray, shape (n_rows, n_labels)
            float64, one column per item of ``classes_``; higher is likelier.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        """
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=np.float64)
        if self.alone_ is not None:
            return self._of_all_labels(np.hstack([one.scores(X) for one in self.alone_]))
        return self._of_all_labels(self._scores(self._scaled(X)))

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Return the probability of each label for each row.

        Margins are taken as they are, so those of an SVM are not calibrated. A run has a
        calibration of the scores of tracks besides (`mcls.evaluation.calibration`).

        Parameters
        ----------
        X : np.ndarray, shape (n_rows, n_dims)
            Rows.

        Returns
        -------
        np.ndarray, shape (n_rows, n_labels)
            float64; rows add up to 1 if each row has one label.
        """
        scores = self.scores(X)
        if (self.lowest, self.highest) != (0.0, 1.0):
            return probabilities(scores, multi_label=self.multi_label_)
        return scores if self.multi_label_ else scores / scores.sum(axis=1, keepdims=True)

    def scores_of(self, tracks: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return the scores of the rows of each track, ``(n_rows, n_labels)``."""
        ends = np.cumsum([len(rows) for rows in tracks])
        return np.split(self.scores(np.concatenate(tracks)), ends[:-1])

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Return the predicted class of each row, or its labels as a bool matrix.

        Parameters
        ----------
        X : np.ndarray, shape (n_rows, n_dims)
            Rows.
        """
        scores = self.scores(X)
        if self.multi_label_:
            return scores >= self.threshold
        return self.classes_[scores.argmax(axis=1)]

    def _fit(
        self,
        X: Any,
        Y: np.ndarray,
        *,
        weights: np.ndarray | None,
        groups: np.ndarray | None,
        valid: Valid | None,
        lengths: np.ndarray,
    ) -> None:
        """Train on scaled rows (`Rows` if `by_passes`) and a bool column per label that varies."""
        raise NotImplementedError

    def _scores(self, X: np.ndarray) -> np.ndarray:
        """Return a score per scaled row and column of the ``Y`` of `_fit`."""
        raise NotImplementedError

    def _of_all_labels(self, found: np.ndarray) -> np.ndarray:
        """Return scores of the labels that vary with those of the labels that do not."""
        found = np.asarray(found, dtype=np.float64)
        if self.known_.all():
            return found
        full = np.full((len(found), len(self.classes_)), self.lowest)
        full[:, self.always_] = self.highest
        full[:, self.known_] = found
        return full

    def _scales(self) -> bool:
        return bool(getattr(self, "scale", False))

    def _scaled(self, X: Any) -> Any:
        if self.scaler_ is None:
            return X
        return X.scaled(self.scaler_) if isinstance(X, Rows) else self.scaler_.transform(X)

    def _checked(self, X: Any, y: Any) -> tuple[Any, np.ndarray]:
        if y is None:
            raise ValueError("requires y to be passed, but the target y is None")
        matrix = getattr(y, "ndim", 1) == 2 and (
            y.dtype == bool or type_of_target(y) == "multilabel-indicator"
        )
        if isinstance(X, Rows):
            self.n_features_in_ = X.shape[1]
        else:
            X, y = validate_data(self, X, y, dtype=np.float64, multi_output=True)
        if matrix:
            return X, y.astype(bool)
        check_classification_targets(y)
        return X, column_or_1d(y, warn=True)

    def _columns(self, y: np.ndarray) -> np.ndarray:
        """Return ``y`` as bool ``(n_rows, n_labels)``."""
        return y.astype(bool) if self.multi_label_ else y[:, None] == self.classes_

    def _weights(self, y: np.ndarray) -> np.ndarray | None:
        """Return row weights from `class_weight`: ``(n_rows,)``, or a column per known label."""
        class_weight = getattr(self, "class_weight", None)
        if class_weight is None:
            return None
        if not self.multi_label_:
            return compute_sample_weight(class_weight, y)
        known = self._columns(y)[:, self.known_]
        return np.column_stack([compute_sample_weight(class_weight, column) for column in known.T])


def fit_scaler(X: np.ndarray | Rows) -> StandardScaler:
    """Return the standardisation of rows."""
    if not isinstance(X, Rows):
        return StandardScaler().fit(X)
    scaler = StandardScaler()
    for chunk in X.chunks():
        scaler.partial_fit(chunk)
    return scaler


def _only(X: np.ndarray | Rows, rows: np.ndarray) -> np.ndarray | Rows:
    """Return some rows; `rows` is a mask."""
    return X.only(rows) if isinstance(X, Rows) else X[rows]


def varying(Y: np.ndarray) -> np.ndarray:
    """Return the labels that some rows have and some lack, ``(n_labels,)``; NaN is neither."""
    return np.asarray((Y == 1).any(axis=0) & (Y == 0).any(axis=0))


def _some_unknown(y: object) -> bool:
    return (
        isinstance(y, np.ndarray)
        and y.ndim == 2
        and y.dtype.kind == "f"
        and bool(np.isnan(y).any())
    )


def targets_of(Y: np.ndarray) -> np.ndarray:
    """Return labels as scikit-learn's forests and neighbours want them: a single one is a vector.

    `present` reads their probabilities.
    """
    return Y[:, 0] if Y.shape[1] == 1 else Y


def present(probabilities: np.ndarray | list[np.ndarray]) -> np.ndarray:
    """Return the probability that each label is there, ``(n_rows, n_labels)``."""
    of_labels = probabilities if isinstance(probabilities, list) else [probabilities]
    return np.column_stack([label[:, 1] for label in of_labels])


def column_weights(weights: np.ndarray | None, column: int) -> np.ndarray | None:
    """Return the row weights of one label."""
    if weights is None or weights.ndim == 1:
        return weights
    return np.ascontiguousarray(weights[:, column])
