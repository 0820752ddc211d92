"""The atom update of dictionary learning, by block coordinate descent.

With codes Z of rows X, all that the atoms need to know is A = Z^T Z and B = Z^T X (Mairal et al.
2009, algorithm 1): they are added up row by row, and block coordinate descent then minimises
0.5 tr(D^T A D) - tr(D^T B) over atoms of norm 1, one atom at a time (algorithm 2).
"""

import numpy as np
from numba import njit

from mcls.dictionaries.coordinate_descent import FASTMATH

#: Atoms whose gradients are computed by one matrix product, then kept up to date one by one.
_GROUP = 32


def update_atoms(atoms: np.ndarray, a: np.ndarray, b: np.ndarray) -> None:
    """Do one pass of block coordinate descent over the atoms, in place.

    Parameters
    ----------
    atoms : np.ndarray, shape (n_atoms, n_dims), float32
        Atoms of norm 1, before and after. Atoms that no code has used stay as they are.
    a : np.ndarray, shape (n_atoms, n_atoms), float32
        Sum of the codes' outer products with themselves.
    b : np.ndarray, shape (n_atoms, n_dims), float32
        Sum of the codes' outer products with their rows.
    """
    for first in range(0, len(atoms), _GROUP):
        group = slice(first, min(first + _GROUP, len(atoms)))
        gradients = b[group] - a[group] @ atoms
        _update_group(atoms, a, gradients, first)


@njit(nogil=True, cache=True, error_model="numpy", fastmath=FASTMATH)
def add_codes(codes, rows, atoms, penalty, a, b):  # type: ignore[no-untyped-def]
    """Add the outer products of some codes to `a` and `b`; return the sum of their objectives.

    The objective is the lasso's, for rows of norm 1 (or 0).
    """
    n_atoms, n_dims = b.shape
    support, rest = np.empty(n_atoms, np.int64), np.empty(n_dims, np.float32)
    total = 0.0
    for i in range(len(rows)):
        n, code = 0, codes[i]
        for j in range(n_atoms):
            if code[j] != 0:
                support[n] = j
                n += 1
        for d in range(n_dims):
            rest[d] = rows[i, d]
        for k in range(n):
            first = support[k]
            value = code[first]
            total += penalty * abs(value)
            line, atom = b[first], atoms[first]
            for d in range(n_dims):
                line[d] += value * rows[i, d]
                rest[d] -= value * atom[d]
            for m in range(n):
                a[first, support[m]] += value * code[support[m]]
        squares = np.float32(0)
        for d in range(n_dims):
            squares += rest[d] * rest[d]
        total += 0.5 * squares
    return total


@njit(nogil=True, cache=True, error_model="numpy", fastmath=FASTMATH)
def _update_group(atoms, a, gradients, first):  # type: ignore[no-untyped-def]
    n, n_dims = gradients.shape
    move = np.empty(n_dims, np.float32)
    for i in range(n):
        j = first + i
        if a[j, j] <= 0:
            continue
        squares = np.float32(0)
        for d in range(n_dims):
            move[d] = atoms[j, d] + gradients[i, d] / a[j, j]
            squares += move[d] * move[d]
        if not squares > np.float32(1e-12):
            continue
        scale = 1 / np.sqrt(squares)
        for d in range(n_dims):
            new = move[d] * scale
            move[d] = new - atoms[j, d]
            atoms[j, d] = new
        for later in range(i + 1, n):
            weight = a[first + later, j]
            if weight != 0:
                for d in range(n_dims):
                    gradients[later, d] -= weight * move[d]
