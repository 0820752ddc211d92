"""Products of rows with the atoms, each row the same bytes wherever it stands.

A row's result depends on the row alone: not on its neighbours, on the number of rows or on the
number of threads. BLAS does not promise that much: in its products the last bits of a row depend on
where the row stands. So the product that sparse encoders begin with is computed here, in one fixed
order, at about half the speed of BLAS.
"""

from collections.abc import Callable

import numba
import numpy as np

from mcls.parallel.threads import for_blocks

#: Rows in a block: its correlations with the atoms stay in cache until they are used.
_BLOCK = 128
#: Rows, columns and dimensions that are multiplied together: they fit the first-level cache.
_STRIP, _TILE, _DEPTH = 4, 256, 16


def for_products(
    rows: np.ndarray, factor: np.ndarray, work: Callable[[slice, np.ndarray], None]
) -> None:
    """Call `work` with each block of rows and the product of that block with a matrix.

    Parameters
    ----------
    rows : np.ndarray, shape (n_rows, n_dims), float32
        The rows.
    factor : np.ndarray, shape (n_dims, n_columns), float32
        The matrix that every block is multiplied by.
    work : callable
        ``work(which, product)``: a slice of the rows, and ``rows[which] @ factor``, which `work`
        may overwrite. It is called from several threads, once for each block.
    """
    for_blocks(len(rows), _BLOCK, lambda which: work(which, multiply(rows[which], factor)))


def multiply(rows: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """Return ``rows @ factor``, each row the same bytes wherever it stands.

    Parameters
    ----------
    rows : np.ndarray, shape (n_rows, n_dims), float32
        Some rows.
    factor : np.ndarray, shape (n_dims, n_columns), float32
        A matrix.
    """
    missing = -len(rows) % _STRIP
    strips = np.zeros((len(rows) + missing, rows.shape[1]), dtype=np.float32)
    strips[: len(rows)] = rows  # rows may be a read-only map, for which numba would compile again
    product = np.zeros((len(strips), factor.shape[1]), dtype=np.float32)
    for first in range(0, factor.shape[1], _TILE):
        _multiply(strips, factor, product, first, min(first + _TILE, factor.shape[1]))
    return product[: len(rows)]


@numba.njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract"})
def _multiply(x, f, out, first, last):  # type: ignore[no-untyped-def]
    """Add the columns `first` to `last` of `x @ f` to `out`, by 4 rows and 4 dimensions."""
    n_dims = x.shape[1]
    for start in range(0, n_dims, _DEPTH):
        stop = min(start + _DEPTH, n_dims)
        whole = stop - (stop - start) % 4
        for i in range(0, len(x), 4):
            out0, out1 = out[i, first:last], out[i + 1, first:last]
            out2, out3 = out[i + 2, first:last], out[i + 3, first:last]
            x0, x1, x2, x3 = x[i], x[i + 1], x[i + 2], x[i + 3]
            for k in range(start, whole, 4):
                f0, f1 = f[k, first:last], f[k + 1, first:last]
                f2, f3 = f[k + 2, first:last], f[k + 3, first:last]
                p0, p1, p2, p3 = x0[k], x0[k + 1], x0[k + 2], x0[k + 3]
                q0, q1, q2, q3 = x1[k], x1[k + 1], x1[k + 2], x1[k + 3]
                r0, r1, r2, r3 = x2[k], x2[k + 1], x2[k + 2], x2[k + 3]
                s0, s1, s2, s3 = x3[k], x3[k + 1], x3[k + 2], x3[k + 3]
                for j in range(len(f0)):
                    a, b, c, d = f0[j], f1[j], f2[j], f3[j]
                    out0[j] = out0[j] + p0 * a + p1 * b + p2 * c + p3 * d
                    out1[j] = out1[j] + q0 * a + q1 * b + q2 * c + q3 * d
                    out2[j] = out2[j] + r0 * a + r1 * b + r2 * c + r3 * d
                    out3[j] = out3[j] + s0 * a + s1 * b + s2 * c + s3 * d
            for k in range(whole, stop):
                line = f[k, first:last]
                for j in range(len(line)):
                    out0[j] = out0[j] + x0[k] * line[j]
                    out1[j] = out1[j] + x1[k] * line[j]
                    out2[j] = out2[j] + x2[k] * line[j]
                    out3[j] = out3[j] + x3[k] * line[j]
