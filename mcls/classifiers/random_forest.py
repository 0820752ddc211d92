"""Random forest."""

from typing import Any, Literal

import numpy as np
from sklearn.ensemble import RandomForestClassifier

from mcls.classifiers.base import RowClassifier, present, targets_of
from mcls.registry import register


@register("classifiers", "random-forest")
class RandomForest(RowClassifier):
    """Random forest: average of decision trees trained on bootstrap samples of the rows.

    Parameters
    ----------
    n_estimators : int
        Number of trees, >= 1.
    max_depth : int or None
        Maximum depth of the trees; none: until leaves are pure.
    min_samples_leaf : int
        Minimum number of rows in a leaf, >= 1.
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

    def bytes_in_memory(self, n_rows: int, n_dims: int, n_labels: int) -> int:
        """Return an upper bound of the bytes that learning takes with all rows in memory."""
        # a bootstrap sample has 0.63 n rows that differ, so a tree has fewer than 1.3 n nodes
        nodes = self.n_estimators * (1.3 * n_rows / self.min_samples_leaf)
        if self.max_depth is not None:
            nodes = min(nodes, self.n_estimators * 2.0 ** (self.max_depth + 1))
        rows = super().bytes_in_memory(n_rows, n_dims, n_labels)
        return rows + int(nodes * (64 + 16 * n_labels))

    def _fit(self, X: np.ndarray, Y: np.ndarray, *, weights: np.ndarray | None, **_: Any) -> None:
        self.model_ = RandomForestClassifier(
            n_estimators=self.n_estimators,
            max_depth=self.max_depth,
            min_samples_leaf=self.min_samples_leaf,
            class_weight=self.class_weight if self.multi_label_ else None,
            random_state=self.random_state,
        )
        if self.multi_label_:
            self.model_.fit(X, targets_of(Y))
        else:
            self.model_.fit(X, Y.argmax(axis=1), sample_weight=weights)

    def _scores(self, X: np.ndarray) -> np.ndarray:
        found = self.model_.predict_proba(X)
        return present(found) if self.multi_label_ else found
