"""Support vector machines, one-vs-rest."""

from itertools import product
from math import isqrt
from typing import Any, ClassVar, Literal

import numpy as np

from mcls.classifiers.base import RowClassifier, Valid, column_weights
from mcls.classifiers.inner_folds import inner_folds
from mcls.classifiers.passes import LandmarkKernel, fit_machines, squared_hinge
from mcls.classifiers.rows import Rows, spread
from mcls.errors import ConfigError
from mcls.registry import register

#: Grids from which C and gamma are chosen if they are not given. For a linear kernel C is divided
#: by the mean squared norm of the rows; gamma is relative to the value of ``scale``.
C_GRID = (0.1, 1.0, 10.0, 100.0)
GAMMA_GRID = (0.25, 1.0, 4.0)
_KERNEL_BYTES = 64  # per pair of rows: distances, kernel, those of a fold, and libsvm's cache
_BLOCK = 4096  # rows per block of scoring, which bounds the memory of the kernel


@register("classifiers", "svm")
class SVM(RowClassifier):
    """Support vector machine, one-vs-rest.

    One-vs-rest margins rank the tracks of each label, which gives a better AUC per label than
    pairwise votes (and, as measured, a better accuracy). The kernel is computed once for all
    labels, and once per gamma while C and gamma are chosen.

    Parameters
    ----------
    kernel : {'rbf', 'linear', 'chi2'}
        Kernel: rbf, linear, or chi2 for histograms. rbf is exp(-gamma |a - b|^2), and chi2 is
        exp(-gamma sum (a - b)^2 / (a + b)), for rows that are not negative.
    C : float or None
        Cost of margin violations, > 0; none chooses it on the valid part. Without a valid part it
        is chosen by inner folds of the train part. The candidates are 0.1, 1, 10 and 100 (for a
        linear kernel times 1 / mean squared norm).
    gamma : float, 'scale' or None
        Kernel coefficient, > 0; scale sets it from the rows; none chooses it like C. scale is
        1 / (dimensions x variance) for rbf and 1 / mean distance for chi2; the candidates are
        0.25, 1 and 4 times scale.
    scale : bool or None
        Standardise each dimension; none: yes, except for chi2.
    max_rows : int
        Maximum number of rows for the kernel matrix, of 8 max_rows^2 bytes. Of more rows this many
        are drawn to choose C and gamma on, and the machines are trained on all rows with the
        squared hinge loss: with a linear kernel as it is, or with the kernel of `n_landmarks` rows.
    n_landmarks : int
        Number of landmarks of the kernel, if there are more than max_rows rows.

    Attributes
    ----------
    C_, gamma_ : float
        The values used.
    support_ : np.ndarray, shape (n_support, n_dims)
        The support vectors or landmarks, scaled; None for a linear kernel.
    coef_ : np.ndarray, shape (n_labels, n_support) or (n_labels, n_dims)
        Coefficients of the support vectors, or the weight vectors of a linear kernel.
    intercept_ : np.ndarray, shape (n_labels,)
        Intercepts of the margins.
    choice_ : list of (C, gamma, score)
        The values tried and their scores: the accuracy (balanced, with `class_weight`); for
        multi-label data the mean over labels of the AUC of the margins and of the predictions,
        because ranks alone say nothing about the threshold. The first best is chosen.

    References
    ----------
    Cortes & Vapnik (1995), Support-vector networks; Rifkin & Klautau (2004), In defense of
    one-vs-all classification; Williams & Seeger (2001), Using the Nystroem method to speed up
    kernel machines.
    """

    #: Number of rows on which C and gamma are chosen; None if they are all train rows.
    drawn_: int | None = None

    by_passes = True
    lowest: ClassVar[float] = -1e6
    highest: ClassVar[float] = 1e6
    threshold: float = 0.0

    def __init__(
        self,
        *,
        kernel: Literal["rbf", "linear", "chi2"] = "rbf",
        C: float | None = None,
        gamma: float | Literal["scale"] | None = "scale",
        scale: bool | None = None,
        class_weight: Literal["balanced"] | None = None,
        max_rows: int = 5000,
        n_landmarks: int = 1000,
        random_state: int = 0,
    ) -> None:
        self.kernel = kernel
        self.C = C
        self.gamma = gamma
        self.scale = scale
        self.class_weight = class_weight
        self.max_rows = max_rows
        self.n_landmarks = n_landmarks
        self.random_state = random_state

    def _scales(self) -> bool:
        return self.kernel != "chi2" if self.scale is None else bool(self.scale)

    def _fit(
        self,
        X: np.ndarray | Rows,
        Y: np.ndarray,
        *,
        weights: np.ndarray | None,
        groups: np.ndarray | None,
        valid: Valid | None,
        **_: Any,
    ) -> None:
        self._check_settings(X)
        self.at_most_ = at_most = self._kernel_rows(X, valid)
        drawn = self._drawn(Y, at_most)
        Z, labels, groups = X[drawn], Y[drawn], None if groups is None else groups[drawn]
        row_weights = None if weights is None else weights[drawn]
        rows = len(Z)
        self.__dict__.pop("drawn_", None)
        if rows < len(X):
            self.drawn_ = rows
        tried = self._grid(Z)
        if len(tried) == 1:
            self.gamma_, self.C_ = tried[0]
            self.choice_: list[tuple[float, float, float]] = []
            distances = self._distances(Z, Z)
        else:
            if valid is not None:
                some = spread(len(valid[0]), at_most)
                Z, labels = (
                    np.concatenate([Z, valid[0][some]]),
                    np.concatenate([labels, valid[1][some]]),
                )
                folds = [(np.arange(rows), np.arange(rows, len(Z)))]
            else:
                folds = inner_folds(
                    labels,
                    groups,
                    single_label=not self.multi_label_,
                    random_state=self.random_state,
                )
            distances = self._distances(Z, Z)
            self._choose(tried, distances, labels, row_weights, folds)
            Z, labels, distances = Z[:rows], labels[:rows], distances[:rows, :rows]
        if rows < len(X):
            self._fit_by_passes(X, Y, weights, Z)
            return
        kernel = self._kernel(distances, self.gamma_)
        coef, self.intercept_ = _machines(kernel, labels, self.C_, row_weights)
        if self.kernel == "linear":
            self.coef_, self.support_ = coef @ Z, None
        else:
            used = np.any(coef != 0, axis=0)
            self.coef_, self.support_ = coef[:, used], Z[used]

    def _scores(self, X: np.ndarray) -> np.ndarray:
        if self.support_ is None:
            return X @ self.coef_.T + self.intercept_
        scores = np.empty((len(X), len(self.coef_)))
        for start in range(0, len(X), _BLOCK):
            block = slice(start, start + _BLOCK)
            kernel = self._kernel(self._distances(X[block], self.support_), self.gamma_)
            scores[block] = kernel @ self.coef_.T + self.intercept_
        return scores

    def rows_used(self, n_rows: int, n_valid: int = 0) -> tuple[int, list[str]]:
        """Return the number of train rows that were learnt from, and notes about the others."""
        notes = []
        if self.alone_ is not None:
            by_passes = [one for one in self.alone_ if one.drawn_ is not None]
            if by_passes:
                notes.append(
                    f"the svm of {len(by_passes)} labels was trained {by_passes[0]._way()}; its "
                    "settings were chosen on rows drawn"
                )
            return n_rows, notes
        at_most = self.at_most_
        cap = f"max_rows={self.max_rows}"
        cap = cap if at_most == self.max_rows else "as many as fit in --memory"
        if self.drawn_ is not None:
            notes.append(f"the svm was trained on all {n_rows} train rows {self._way()}")
            if self.choice_:
                notes.append(
                    f"settings were chosen on {self.drawn_} of {n_rows} train rows, drawn ({cap})"
                )
        if self.choice_ and n_valid > at_most:
            notes.append(f"settings were chosen on {at_most} of {n_valid} valid rows ({cap})")
        return n_rows, notes

    def _way(self) -> str:
        """Say how the machines were trained on more than `max_rows` rows."""
        way = "by passes over them (squared hinge loss"
        if self.support_ is not None:
            way += f", {self.kernel} kernel with {len(self.support_)} landmarks"
        return f"{way})" if self.converged_ else f"{way}; stopped before it converged)"

    def _check_settings(self, X: np.ndarray | Rows) -> None:
        for name in ("C", "gamma"):
            value = getattr(self, name)
            if value not in (None, "scale") and not (np.isfinite(value) and value > 0):
                raise ConfigError(f"svm: {name} must be above 0, not {value}")
        if self.kernel not in ("rbf", "linear", "chi2"):
            raise ConfigError(f"svm: kernel is {self.kernel!r}; expected rbf, linear or chi2")
        if self.kernel == "chi2" and X.min() < 0:
            raise ConfigError(
                "svm: kernel=chi2 needs rows without negative values; use kernel=rbf, or the "
                "histogram "
                "pooler and scale=none"
            )

    def bytes_in_memory(self, n_rows: int, n_dims: int, n_labels: int) -> int:
        """Return an upper bound of the bytes that learning takes with all rows in memory."""
        kernel = min(n_rows, 2 * self.max_rows)  # train and valid rows
        return super().bytes_in_memory(n_rows, n_dims, n_labels) + _KERNEL_BYTES * kernel**2

    def _kernel_rows(self, X: np.ndarray | Rows, valid: Valid | None) -> int:
        """Return how many rows the kernel matrix may have, besides as many valid rows."""
        if not isinstance(X, Rows):
            return self.max_rows
        whole = min(isqrt(X.memory // 2 // _KERNEL_BYTES), X.memory // (64 * X.shape[1]))
        return max(2, min(self.max_rows, whole if valid is None else whole // 2))

    def _drawn(self, Y: np.ndarray, at_most: int) -> np.ndarray:
        """Return the rows for a kernel matrix, with at least one of every label."""
        if len(Y) <= at_most:
            return np.arange(len(Y))
        order = np.random.default_rng(self.random_state).permutation(len(Y))
        firsts = [order[Y[order, label]][:1] for label in range(Y.shape[1])]
        return np.unique(np.concatenate([order[:at_most], *firsts]))

    def _grid(self, Z: np.ndarray) -> list[tuple[float, float]]:
        """Return every (gamma, C) to try; only one if both are given."""
        if self.kernel == "linear":
            base = _inverse(np.mean(np.sum(Z**2, axis=1)))
            gammas, costs = [1.0], [C * base for C in C_GRID]
        else:
            some = Z[spread(len(Z), 1000)]
            typical = (
                np.mean(self._distances(some, some))
                if self.kernel == "chi2"
                else Z.shape[1] * Z.var()
            )
            gammas, costs = [_inverse(typical)], list(C_GRID)
            if self.gamma is None:
                gammas = [factor * gammas[0] for factor in GAMMA_GRID]
            elif self.gamma != "scale":
                gammas = [float(self.gamma)]
        if self.C is not None:
            costs = [float(self.C)]
        return list(product(gammas, costs))

    def _distances(self, A: np.ndarray, B: np.ndarray) -> np.ndarray:
        """Return the distances or products of which the kernel is a function, ``(n_a, n_b)``."""
        if self.kernel == "linear":
            return A @ B.T
        from sklearn.metrics.pairwise import additive_chi2_kernel, euclidean_distances

        if self.kernel == "chi2":
            return -additive_chi2_kernel(A, B)
        return euclidean_distances(A, B, squared=True)

    def _kernel(self, distances: np.ndarray, gamma: float) -> np.ndarray:
        return distances if self.kernel == "linear" else np.exp(-gamma * distances)

    def _choose(
        self,
        tried: list[tuple[float, float]],
        distances: np.ndarray,
        Y: np.ndarray,
        weights: np.ndarray | None,
        folds: list[tuple[np.ndarray, np.ndarray]],
    ) -> None:
        """Set ``gamma_`` and ``C_`` to the first best values (without folds, the middle ones)."""
        quality = np.zeros(len(tried))
        kernel, of = distances, None
        for i, (gamma, C) in enumerate(tried):
            if gamma != of:
                kernel, of = self._kernel(distances, gamma), gamma
            for train, test in folds:
                row_weights = None if weights is None else weights[train]
                coef, intercept = _machines(kernel[np.ix_(train, train)], Y[train], C, row_weights)
                scores = kernel[np.ix_(test, train)] @ coef.T + intercept
                quality[i] += self._selection_score(scores, Y[test]) / len(folds)
        best = int(quality.argmax()) if folds else len(tried) // 2
        self.gamma_, self.C_ = tried[best]
        self.choice_ = [(C, g, float(score)) for (g, C), score in zip(tried, quality, strict=True)]

    def _selection_score(self, scores: np.ndarray, Y: np.ndarray) -> float:
        if self.multi_label_:
            from sklearn.metrics import roc_auc_score

            both = np.flatnonzero(Y.any(axis=0) & ~Y.all(axis=0))
            aucs = [roc_auc_score(Y[:, label], scores[:, label]) for label in both]
            aucs += [roc_auc_score(Y[:, label], scores[:, label] >= 0) for label in both]
            return float(np.mean(aucs)) if aucs else 0.0
        right = Y[np.arange(len(Y)), scores.argmax(axis=1)]
        if self.class_weight is None:
            return float(np.mean(right))
        return float(
            np.mean([right[Y[:, label]].mean() for label in np.flatnonzero(Y.any(axis=0))])
        )

    def _fit_by_passes(
        self, X: np.ndarray | Rows, Y: np.ndarray, weights: np.ndarray | None, sample: np.ndarray
    ) -> None:
        """Train on all rows, with the kernel of landmarks if it is not linear."""
        landmarks = None
        if self.kernel != "linear":
            rows = X[self._drawn(Y, min(self.n_landmarks, len(sample)))]
            landmarks = LandmarkKernel(
                rows, lambda A, B: self._kernel(self._distances(A, B), self.gamma_)
            )
        found = fit_machines(
            X,
            Y,
            loss=squared_hinge,
            C=self.C_,
            weights=weights,
            sample=sample,
            landmarks=landmarks,
            memory=X.memory if isinstance(X, Rows) else _KERNEL_BYTES * self.max_rows**2,
            tolerance=1e-7 if landmarks is None else 1e-3,
        )
        self.coef_, self.intercept_ = found.coef, found.intercept
        self.support_ = None if landmarks is None else landmarks.rows
        self.converged_ = found.converged


def _machines(
    kernel: np.ndarray, Y: np.ndarray, C: float, weights: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Train one machine per label; return the coefficients of the rows and the intercepts.

    A label that does not vary (in an inner fold) gets the margin -1 or 1 everywhere.
    """
    from sklearn.svm import SVC

    coef = np.zeros((Y.shape[1], len(Y)))
    intercept = np.where(Y.any(axis=0), 1.0, -1.0)
    for label in map(int, np.flatnonzero(Y.any(axis=0) & ~Y.all(axis=0))):
        machine = SVC(C=C, kernel="precomputed", cache_size=400)
        machine.fit(kernel, Y[:, label], sample_weight=column_weights(weights, label))
        coef[label, machine.support_] = machine.dual_coef_[0]
        intercept[label] = machine.intercept_[0]
    return coef, intercept


def _inverse(value: float) -> float:
    return 1.0 / float(value) if value > 0 else 1.0
