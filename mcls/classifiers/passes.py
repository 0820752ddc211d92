"""Linear machines for any number of rows: each step of the solver is a pass over chunks of them.

All labels are trained together, so a pass is one product with the rows and one with their
transpose. The rows are never copied: a chunk is read, standardised and let go.

The machines minimise ``penalty(w) + C sum_i c_i loss(y_i, f(x_i))`` with one of the `LOSSES`, for
``f(x) = phi(x) . b + intercept``, as scikit-learn's ``LinearSVC`` and ``LogisticRegression`` do.
``phi(x)`` are the dimensions of a row, or its kernel with some rows, the landmarks
(`LandmarkKernel`; Williams & Seeger 2001). The solver is L-BFGS (Liu & Nocedal 1989), with the
curvature on a sample of the rows as preconditioner, as in FALKON (Rudi et al. 2017): then the
number of passes hardly depends on C, nor on how the dimensions are correlated.

Chunks have a fixed size and are added in order, so results have the same bytes for any number of
threads.

References
----------
Liu & Nocedal (1989), On the limited memory BFGS method for large scale optimization. Williams &
Seeger (2001), Using the Nystroem method to speed up kernel machines. Rudi, Carratino & Rosasco
(2017), FALKON: an optimal large scale kernel method.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import cholesky, solve_triangular
from scipy.special import expit, logsumexp, softmax

from mcls.classifiers.rows import chunk_size
from mcls.parallel.threads import for_blocks

#: Chunks whose sums are held at once.
_GROUP = 32
_MAX_PASSES = 2000

#: Takes margins, labels (0 or 1) and row weights; returns the loss and its slope per margin.
MarginLoss = Callable[[np.ndarray, np.ndarray, np.ndarray], tuple[float, np.ndarray]]


@dataclass(frozen=True)
class Machines:
    """Linear machines that were trained by `fit_machines`.

    Attributes
    ----------
    coef : np.ndarray, shape (n_labels, n_features)
        The ``b`` of each label.
    intercept : np.ndarray, shape (n_labels,)
    n_passes : int
        Passes over the rows.
    converged : bool
    """

    coef: np.ndarray
    intercept: np.ndarray
    n_passes: int
    converged: bool


def squared_hinge(
    margins: np.ndarray, Y: np.ndarray, weights: np.ndarray
) -> tuple[float, np.ndarray]:
    """Return the squared hinge loss of one machine per label, and its slope per margin."""
    sign = np.where(Y, 1.0, -1.0)
    short = np.maximum(0.0, 1.0 - sign * margins)
    slope = weights * short
    return float(np.vdot(slope, short)), -2.0 * sign * slope


def sigmoids(margins: np.ndarray, Y: np.ndarray, weights: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the log loss of a sigmoid per label, and its slope per margin."""
    sign = np.where(Y, 1.0, -1.0)
    value = np.sum(weights * np.logaddexp(0.0, -sign * margins))
    return float(value), -weights * sign * expit(-sign * margins)


def softmaxes(margins: np.ndarray, Y: np.ndarray, weights: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the log loss of a softmax over the labels, and its slope per margin."""
    value = np.sum(weights[:, 0] * (logsumexp(margins, axis=1) - margins[Y]))
    return float(value), weights * (softmax(margins, axis=1) - Y)


#: Each loss: largest curvature, and whether the intercept is part of the penalty.
LOSSES: dict[MarginLoss, tuple[float, bool]] = {
    squared_hinge: (2.0, True),
    sigmoids: (0.25, False),
    softmaxes: (0.25, False),
}


class LandmarkKernel:
    """Features of a kernel machine that is a combination of the kernel with some rows.

    Parameters
    ----------
    rows : np.ndarray, shape (n_landmarks, n_dims)
    kernel : callable
        Returns the kernel of two matrices of rows.
    """

    def __init__(
        self, rows: np.ndarray, kernel: Callable[[np.ndarray, np.ndarray], np.ndarray]
    ) -> None:
        self.rows = rows
        self.kernel = kernel
        self.width = len(rows)
        gram = kernel(rows, rows)
        gram.flat[:: len(gram) + 1] += 1e-6  # landmarks may be equal, or nearly
        self.root = cholesky(gram)

    def __call__(self, X: np.ndarray) -> np.ndarray:
        """Return the kernel of rows with the landmarks."""
        return self.kernel(X, self.rows)


def fit_machines(
    X: Any,
    Y: np.ndarray,
    *,
    loss: MarginLoss,
    C: float,
    weights: np.ndarray | None,
    sample: np.ndarray,
    landmarks: LandmarkKernel | None = None,
    memory: int = 1 << 30,
    tolerance: float = 1e-7,
) -> Machines:
    """Train a machine per label, all by the same passes over the rows.

    Parameters
    ----------
    X : np.ndarray or Rows, shape (n_rows, n_dims)
    Y : np.ndarray, shape (n_rows, n_labels) bool
        Labels; exactly one per row for `softmaxes`.
    loss : callable
        One of `LOSSES`.
    C : float
        Weight of the loss against the penalty ``|w|^2 / 2``, > 0; with landmarks the penalty is the
        squared norm of the function in the space of the kernel.
    weights : np.ndarray, shape (n_rows,) or (n_rows, n_labels), or None
        Weight of each row.
    sample : np.ndarray, shape (n_sample, n_dims)
        Some of the rows; they decide how many passes it takes, and nothing else.
    landmarks : LandmarkKernel or None
        The features; None for the dimensions of the rows.
    memory : int
        Bytes. Up to a quarter is for the kernel of all rows with the landmarks, which is computed
        once if it fits, and kept as float32; in every pass otherwise. Another quarter is for the
        curvature; if it does not fit, that of each feature alone is used.
    tolerance : float
        Stop when no entry of the gradient is larger than this share of the first gradient, > 0.

    Returns
    -------
    Machines
    """
    n_labels = Y.shape[1]
    features: Any = landmarks or (lambda rows: rows)
    width = X.shape[1] if landmarks is None else landmarks.width
    curvature, penalise = LOSSES[loss]
    penalty = np.ones((width + 1, 1))
    penalty[-1] = float(penalise)
    amount = curvature * C * len(X) / len(sample)
    whole = landmarks is not None or 32 * width**2 <= memory // 4
    change = _change(features(sample), landmarks, penalty, amount, whole=whole)
    size = chunk_size(max(X.shape[1], width, n_labels))
    held = None
    if landmarks is not None and 4 * len(X) * width <= memory // 4:
        held = np.full((len(X), width), np.nan, np.float32)

    def features_of(block: slice) -> np.ndarray:
        if held is None:
            return np.asarray(features(X[block]))
        if np.isnan(held[block.start, 0]):
            held[block] = features(X[block])
        return held[block].astype(np.float64)

    def gradient_of(block: slice, coef: np.ndarray) -> np.ndarray:
        """Return the gradient of the loss of a chunk, and under it the loss itself."""
        phi = features_of(block)
        some = np.ones((1, 1)) if weights is None else weights[block].reshape(len(phi), -1)
        some = np.broadcast_to(some, (len(phi), n_labels))
        value, slope = loss(phi @ coef[:-1] + coef[-1], Y[block], some)
        return np.vstack([phi.T @ slope, slope.sum(axis=0), np.full(n_labels, value / n_labels)])

    def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
        inner = change.to_norm(flat.reshape(width + 1, n_labels))
        coef = change.to_features(inner)
        both = C * _total(len(X), size, lambda block: gradient_of(block, coef))
        value = both[-1].sum() + 0.5 * np.sum(penalty * inner**2)
        slope = penalty * inner + change.to_features(both[:-1], transposed=True)
        return float(value), change.to_norm(slope, transposed=True).ravel()

    from scipy.optimize import minimize

    start = np.zeros((width + 1) * n_labels)
    steepest = np.abs(objective(start)[1]).max()
    found = minimize(
        objective,
        start,
        jac=True,
        method="L-BFGS-B",
        options={
            "gtol": tolerance * steepest,
            "ftol": 0.0,
            "maxfun": _MAX_PASSES,
            "maxiter": _MAX_PASSES,
            "maxcor": 20,
        },
    )
    coef = change.to_features(change.to_norm(found.x.reshape(width + 1, n_labels)))
    return Machines(coef[:-1].T.copy(), coef[-1].copy(), int(found.nfev), found.status != 1)


@dataclass(frozen=True)
class _Change:
    """Changes of variables: of the solver, of the penalty (a norm), and of the features.

    Parameters
    ----------
    norm : np.ndarray, upper triangular, or a column
        Cholesky factor by which the variables of the solver are divided; or numbers.
    features : np.ndarray, upper triangular, or None
        Cholesky factor by which those of the norm are divided.
    """

    norm: np.ndarray
    features: np.ndarray | None

    def to_norm(self, values: np.ndarray, *, transposed: bool = False) -> np.ndarray:
        """Return variables of the solver as those of the norm; or slopes the other way."""
        if self.norm.shape[1] == 1:
            return np.asarray(values / self.norm)
        return np.asarray(solve_triangular(self.norm, values, trans="T" if transposed else "N"))

    def to_features(self, values: np.ndarray, *, transposed: bool = False) -> np.ndarray:
        """Return variables of the norm as coefficients of features; or slopes the other way."""
        if self.features is None:
            return values
        inner = solve_triangular(self.features, values[:-1], trans="T" if transposed else "N")
        return np.vstack([inner, values[-1:]])


def _change(
    phi: np.ndarray,
    landmarks: LandmarkKernel | None,
    penalty: np.ndarray,
    amount: float,
    *,
    whole: bool,
) -> _Change:
    """Return the change of variables in which the curvature on a sample is close to one."""
    root = None if landmarks is None else landmarks.root
    inner = phi if root is None else solve_triangular(root, phi.T, trans="T").T
    inner = np.hstack([inner, np.ones((len(inner), 1))])
    if not whole:
        return _Change(np.sqrt(penalty + amount * np.sum(inner**2, axis=0)[:, None]), root)
    curvature = amount * (inner.T @ inner)
    curvature.flat[:: len(curvature) + 1] += penalty[:, 0]
    return _Change(cholesky(curvature), root)


def _total(n_rows: int, size: int, work: Callable[[slice], np.ndarray]) -> np.ndarray:
    """Return the sum of the results of all chunks, added in order."""
    total: np.ndarray | float = 0.0
    for start in range(0, n_rows, size * _GROUP):

        def shifted(block: slice, start: int = start) -> np.ndarray:
            return work(slice(start + block.start, start + block.stop))

        for one in for_blocks(min(size * _GROUP, n_rows - start), size, shifted):
            total = total + one
    return np.asarray(total)
