"""Sparse codes by the lasso: coordinate descent on the Gram matrix, with an active set.

For each row x, given atoms D (one a line), the code z minimises

    0.5 ||x - z D||^2 + penalty ||x|| ||z||_1        (z >= 0 if positive)

The penalty is per normalised row: it counts as if every row had norm 1, so a code scales with its
row, and a penalty of 1 or more gives zeros when the atoms have norm 1.

The solver is cyclic coordinate descent (Friedman et al. 2010). It ends when the conditions of
Karush, Kuhn and Tucker hold for every atom; with w = penalty ||x|| and r = D (x - z D):

    |r_j - w sign(z_j)| <= tol w  where z_j is not 0,        |r_j| <= (1 + tol) w  elsewhere

References
----------
J. Friedman, T. Hastie, R. Tibshirani, "Regularization paths for generalized linear models via
coordinate descent", Journal of Statistical Software 33, 2010.
"""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from mcls.dictionaries.coordinate_descent import solve_rows
from mcls.dictionaries.products import for_products
from mcls.errors import ConfigError, DataError

_last_gram: tuple[np.ndarray, np.ndarray] | None = None


def lasso(
    rows: np.ndarray,
    atoms: np.ndarray,
    *,
    penalty: float = 0.2,
    positive: bool = False,
    tol: float = 1e-3,
) -> np.ndarray:
    """Return the lasso codes of some rows.

    Parameters
    ----------
    rows : np.ndarray, shape (n_rows, n_dims)
        The rows to encode.
    atoms : np.ndarray, shape (n_atoms, n_dims)
        The dictionary; usually of unit norm.
    penalty : float
        Weight of the L1 penalty, above 0, for a row of norm 1.
    positive : bool
        Restrict codes to values of 0 or more.
    tol : float
        Tolerance of the optimality conditions, as a share of the penalty.

    Returns
    -------
    np.ndarray, shape (n_rows, n_atoms), float32
        The codes. The same row has the same code in whatever company, for any number of threads.

    Raises
    ------
    ConfigError
        If the penalty or the tolerance is not positive.
    DataError
        If the shapes do not fit, or a row or an atom is not finite.

    Examples
    --------
    >>> import numpy as np
    >>> lasso(np.array([[3.0, 4.0]]), np.eye(2), penalty=0.2)
    array([[2., 3.]], dtype=float32)
    """
    rows, atoms = as_rows_and_atoms(rows, atoms)
    if not (penalty > 0 and tol > 0):
        raise ConfigError(f"penalty={penalty} and tol={tol} must be above 0")
    gram = gram_matrix(atoms)
    weights = np.float32(penalty) * row_norms(rows)
    codes = np.zeros((len(rows), len(atoms)), dtype=np.float32)
    met = np.ones(len(rows), dtype=bool)

    def work(which: slice, correlations: np.ndarray) -> None:
        solve_rows(
            gram,
            correlations,
            weights[which],
            np.float32(tol),
            positive,
            codes[which],
            met[which],
        )

    for_products(rows, np.ascontiguousarray(atoms.T), work)
    if not met.all():
        missed = len(met) - np.count_nonzero(met)
        warnings.warn(
            f"{missed} of {len(met)} rows did not reach tol={tol}; a larger penalty is easier",
            ConvergenceWarning,
            stacklevel=2,
        )
    return codes


def lasso_objective(
    rows: np.ndarray, atoms: np.ndarray, codes: np.ndarray, *, penalty: float
) -> np.ndarray:
    """Return what the lasso minimises, for each row.

    Returns
    -------
    np.ndarray, shape (n_rows,), float64
        ``0.5 ||x - z D||^2 + penalty ||x|| ||z||_1``.
    """
    rows, codes = np.asarray(rows, dtype=np.float64), np.asarray(codes, dtype=np.float64)
    error = rows - codes @ np.asarray(atoms, dtype=np.float64)
    weights = penalty * row_norms(rows)
    return 0.5 * np.einsum("ij,ij->i", error, error) + weights * np.abs(codes).sum(axis=1)


def kkt_gap(
    rows: np.ndarray,
    atoms: np.ndarray,
    codes: np.ndarray,
    *,
    penalty: float,
    positive: bool = False,
) -> np.ndarray:
    """Return how far each row's code misses the optimality conditions, in parts of the penalty.

    Returns
    -------
    np.ndarray, shape (n_rows,), float64
        The largest miss over the atoms; 0 is optimal. Rows of zeros give 0.
    """
    rows, atoms = np.asarray(rows, dtype=np.float64), np.asarray(atoms, dtype=np.float64)
    codes = np.asarray(codes, dtype=np.float64)
    weights = penalty * row_norms(rows)[:, None]
    r = (rows - codes @ atoms) @ atoms.T  # (n_rows, n_atoms)
    off = np.maximum((r if positive else np.abs(r)) - weights, 0)
    miss = np.where(codes != 0, np.abs(r - weights * np.sign(codes)), off)
    if positive:
        miss = np.where(codes < 0, np.inf, miss)
    return (miss / np.where(weights > 0, weights, 1)).max(axis=1)


def as_rows_and_atoms(rows: np.ndarray, atoms: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return both as contiguous float32 that fit each other.

    Raises
    ------
    DataError
        If they do not fit, or something is not finite.
    """
    rows = np.ascontiguousarray(rows, dtype=np.float32)
    atoms = np.ascontiguousarray(atoms, dtype=np.float32)
    if rows.ndim != 2 or atoms.ndim != 2 or rows.shape[1] != atoms.shape[1]:
        raise DataError(f"rows of shape {rows.shape} do not fit atoms of shape {atoms.shape}")
    if not (np.isfinite(row_norms(rows)).all() and np.isfinite(row_norms(atoms)).all()):
        raise DataError("rows and atoms must be finite, and small enough to square")
    return rows, atoms


def row_norms(rows: np.ndarray) -> np.ndarray:
    """Return each row's Euclidean norm, in the rows' precision."""
    return np.sqrt(np.einsum("ij,ij->i", rows, rows))


def gram_matrix(atoms: np.ndarray) -> np.ndarray:
    """Return ``atoms @ atoms.T``; the last one is remembered, for track after track needs it."""
    global _last_gram
    last = _last_gram
    if last is not None and np.array_equal(last[0], atoms):
        return last[1]
    gram = (atoms.astype(np.float64) @ atoms.T.astype(np.float64)).astype(np.float32)
    _last_gram = (atoms.copy(), gram)
    return gram
