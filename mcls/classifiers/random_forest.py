"""Random forest."""

from typing import Literal

import numpy as np
from sklearn.ensemble import RandomForestClassifier

from mcls.classifiers.base import RowClassifier, Valid
from mcls.registry import register


@register("classifiers", "random-forest")
class RandomForest(RowClassifier):
    """Random forest: the mean of many decision trees grown on resampled rows.

    Parameters
    ----------
    n_estimators : int
        Trees, >= 1.
    max_depth : int or None
        Splits from the root to a leaf at most; none: until leaves are pure.
    min_samples_leaf : int
        Rows in a leaf at least, >= 1.
    class_weight : {'balanced'} or None
        ``balanced``: a rare class weighs as much as a frequent one.
    random_state : int
        Of the resampling and the dimensions each split may use.
    """

    def __init__(
        self,
        *,
        n_estimators: int = 300,
        max_depth: int | None = None,
        min_samples_leaf: int = 1,
        class_weight: Literal["balanced"] | None = None,
        random_state: int = 0,
    ) -> None:
        self.n_estimators = n_estimators
        self.max_depth = max_depth
        self.min_samples_leaf = min_samples_leaf
        self.class_weight = class_weight
        self.random_state = random_state

    def _fit(
        self,
        X: np.ndarray,
        Y: np.ndarray,
        *,
        weights: np.ndarray | None,
        groups: np.ndarray | None,
        valid: Valid | None,
    ) -> None:
        self.model_ = RandomForestClassifier(
            n_estimators=self.n_estimators,
            max_depth=self.max_depth,
            min_samples_leaf=self.min_samples_leaf,
            class_weight=self.class_weight if self.multi_label_ else None,
            random_state=self.random_state,
        )
        if self.multi_label_:
            self.model_.fit(X, Y)
        else:
            self.model_.fit(X, Y.argmax(axis=1), sample_weight=weights)

    def _scores(self, X: np.ndarray) -> np.ndarray:
        found = self.model_.predict_proba(X)
        return np.column_stack([label[:, 1] for label in found]) if self.multi_label_ else found
