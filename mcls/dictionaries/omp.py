"""Sparse codes by orthogonal matching pursuit, on the Gram matrix.

For each row x, atoms are taken one by one: always the one that correlates most with what is left of
the row, which then is what no combination of the atoms taken so far explains.

The correlations with all atoms are brought up to date without going back to the row: each new
atom's line of the Gram matrix is made orthogonal to the earlier ones by the new line of their
Cholesky factor (batch OMP).

References
----------
Y. C. Pati, R. Rezaiifar, P. S. Krishnaprasad, "Orthogonal matching pursuit", Asilomar 1993.
R. Rubinstein, M. Zibulevsky, M. Elad, "Efficient implementation of the K-SVD algorithm using batch
orthogonal matching pursuit", Technion, 2008.
"""

import numpy as np
from numba import njit

from mcls.dictionaries.coordinate_descent import FASTMATH
from mcls.dictionaries.lasso import as_rows_and_atoms, gram_matrix, row_norms
from mcls.dictionaries.products import for_products
from mcls.errors import ConfigError

#: An atom is left out when less than this of its square is new.
_DEPENDENT = np.float32(1e-5)
#: Correlations below this much of the largest are rounding.
_ROUNDING = np.float32(1e-6)


def omp(rows: np.ndarray, atoms: np.ndarray, *, n_nonzero: int = 8, tol: float = 0.0) -> np.ndarray:
    """Return the codes of some rows by orthogonal matching pursuit.

    Parameters
    ----------
    rows : np.ndarray, shape (n_rows, n_dims)
        The rows to encode.
    atoms : np.ndarray, shape (n_atoms, n_dims)
        The dictionary, of unit norm.
    n_nonzero : int
        Maximum number of atoms per code.
    tol : float
        Stop when the residual's norm is at most this share of the row's, in [0, 1).

    Returns
    -------
    np.ndarray, shape (n_rows, n_atoms), float32
        The codes.

    Raises
    ------
    ConfigError
        If a setting is out of range.
    DataError
        If the shapes do not fit, or a row or an atom is not finite.

    Examples
    --------
    >>> import numpy as np
    >>> omp(np.array([[3.0, 4.0]]), np.eye(2), n_nonzero=1)
    array([[0., 4.]], dtype=float32)
    """
    rows, atoms = as_rows_and_atoms(rows, atoms)
    if n_nonzero < 1 or not 0 <= tol < 1:
        raise ConfigError(f"n_nonzero={n_nonzero} must be at least 1, tol={tol} in [0, 1)")
    gram = gram_matrix(atoms)
    most = min(n_nonzero, *atoms.shape)
    norms = row_norms(rows)
    codes = np.zeros((len(rows), len(atoms)), dtype=np.float32)

    def work(which: slice, correlations: np.ndarray) -> None:
        _pursue(gram, correlations, norms[which], most, np.float32(tol), codes[which])

    for_products(rows, np.ascontiguousarray(atoms.T), work)
    return codes


@njit(nogil=True, cache=True, error_model="numpy", fastmath=FASTMATH)
def _pursue(gram, correlations, norms, most, tol, codes):  # type: ignore[no-untyped-def]
    p = gram.shape[0]
    taken, y = np.empty(most, np.int64), np.empty(most, np.float32)
    factor = np.zeros((most, most), np.float32)  # L of L L^T = the Gram matrix of those taken
    lines = np.empty((most, p), np.float32)  # their lines of the Gram matrix, made orthogonal
    for i in range(len(norms)):
        r, left, k = correlations[i], norms[i] * norms[i], 0
        enough = tol * tol * left
        smallest = _ROUNDING * norms[i]
        while k < most and left > enough:
            top = np.float32(0)
            for j in range(p):
                top = max(top, abs(r[j]))
            if top <= smallest:
                break
            best = 0
            while abs(r[best]) < top:
                best += 1
            line, new = lines[k], gram[best, best]
            for j in range(p):
                line[j] = gram[best, j]
            for m in range(k):
                weight = lines[m, best]
                factor[k, m] = weight
                new -= weight * weight
                for j in range(p):
                    line[j] -= weight * lines[m, j]
            if new <= _DEPENDENT * gram[best, best]:
                break
            factor[k, k] = np.sqrt(new)
            for j in range(p):
                line[j] /= factor[k, k]
            taken[k], y[k] = best, r[best] / factor[k, k]
            for j in range(p):
                r[j] -= y[k] * line[j]
            left -= y[k] * y[k]
            k += 1
        for m in range(k - 1, -1, -1):  # L^T z = y
            z = y[m]
            for later in range(m + 1, k):
                z -= factor[later, m] * codes[i, taken[later]]
            codes[i, taken[m]] = z / factor[m, m]
