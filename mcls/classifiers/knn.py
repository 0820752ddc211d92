"""K nearest neighbours."""

from typing import Any, Literal

import numpy as np
from sklearn.neighbors import KNeighborsClassifier

from mcls.classifiers.base import RowClassifier, present, targets_of
from mcls.registry import register


@register("classifiers", "knn")
class NearestNeighbours(RowClassifier):
    """K nearest neighbours: the fraction of the neighbours with each label.

    Parameters
    ----------
    n_neighbors : int
        Number of neighbours, >= 1; at most the number of training rows.
    weights : {'distance', 'uniform'}
        Weight of the neighbours: 1 / distance (distance) or equal (uniform).
    metric : {'euclidean', 'manhattan', 'cosine'}
        Distance between two rows.
    """

    def __init__(
        self,
        *,
        n_neighbors: int = 10,
        weights: Literal["distance", "uniform"] = "distance",
        metric: Literal["euclidean", "manhattan", "cosine"] = "euclidean",
        scale: bool = True,
    ) -> None:
        self.n_neighbors = n_neighbors
        self.weights = weights
        self.metric = metric
        self.scale = scale

    def _fit(self, X: np.ndarray, Y: np.ndarray, **_: Any) -> None:
        self.model_ = KNeighborsClassifier(
            n_neighbors=min(self.n_neighbors, len(X)),
            weights=self.weights,
            metric=self.metric,
            algorithm="brute",  # a search tree from a corrupt file could read beyond its memory
        )
        self.model_.fit(X, targets_of(Y) if self.multi_label_ else Y.argmax(axis=1))

    def _scores(self, X: np.ndarray) -> np.ndarray:
        found = self.model_.predict_proba(X)
        return present(found) if self.multi_label_ else found
