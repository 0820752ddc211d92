"""Nearest neighbours."""

from typing import Literal

import numpy as np
from sklearn.neighbors import KNeighborsClassifier

from mcls.classifiers.base import RowClassifier, Valid
from mcls.registry import register


@register("classifiers", "knn")
class NearestNeighbours(RowClassifier):
    """K nearest neighbours: the share of each label among them.

    Parameters
    ----------
    n_neighbors : int
        How many rows vote, >= 1; all of them if the train part has fewer.
    weights : {'distance', 'uniform'}
        ``distance``: a vote counts 1 / distance.
    metric : {'euclidean', 'manhattan', 'cosine'}
        How far apart two rows are.
    scale : bool
        Standardise each dimension.
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

    def _fit(
        self,
        X: np.ndarray,
        Y: np.ndarray,
        *,
        weights: np.ndarray | None,
        groups: np.ndarray | None,
        valid: Valid | None,
    ) -> None:
        self.model_ = KNeighborsClassifier(
            n_neighbors=min(self.n_neighbors, len(X)),
            weights=self.weights,
            metric=self.metric,
            algorithm="brute",  # a search tree from a damaged file could read outside its memory
        )
        self.model_.fit(X, Y if self.multi_label_ else Y.argmax(axis=1))

    def _scores(self, X: np.ndarray) -> np.ndarray:
        found = self.model_.predict_proba(X)
        return np.column_stack([label[:, 1] for label in found]) if self.multi_label_ else found
