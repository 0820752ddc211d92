"""The inner loops of the lasso: coordinate descent with an active set, compiled by numba.

`solve_rows` keeps the correlations r = D (x - z D) of a row with all atoms. Each round takes up
the atoms that break the optimality conditions most, solves the small problem of the atoms taken up
so far on their corner of the Gram matrix, which fits in the first-level cache, and only then brings
all of r up to date. Now and then it leaps to the optimum for the present signs, as in the
feature-sign search of Lee et al. (2007), for sweeps are slow where many codes are not 0.

The loops are compiled when first called, in some seconds, and kept beside the module.
"""

import numpy as np
from numba import njit

#: Sums may be reordered: the same on every run, though not on every kind of processor.
FASTMATH = {"reassoc", "contract", "nsz", "arcp"}

#: No tolerance below this much of the largest correlation: single precision ends there.
_ROUNDING = 4e-6
_ROUNDS = 200
_SWEEPS = 1000
#: Taken up in a round: atoms that correlate at least this much of the most.
_TAKE_UP = np.float32(0.7)
#: Sweeps before each leap.
_PATIENCE = 20


@njit(nogil=True, cache=True, error_model="numpy", fastmath=FASTMATH)
def solve_rows(gram, correlations, weights, tol, positive, codes, met):  # type: ignore[no-untyped-def]
    """Solve a block of rows; `correlations` is overwritten, `codes` filled where not 0.

    `weights` are the penalties of the rows; `met` says which rows reached the tolerance.
    """
    p = gram.shape[0]
    active, place = np.empty(p, np.int64), np.full(p, -1, np.int64)
    z, before, b = np.empty(p, np.float32), np.empty(p, np.float32), np.empty(p, np.float32)
    # only the used part of these is ever touched
    corner, factor = np.empty((p, p), np.float32), np.empty((p, p), np.float32)
    move = np.empty(p, np.float32)
    for i in range(len(weights)):
        w, r = weights[i], correlations[i]
        if w <= 0:
            continue
        slack = max(tol * w, np.float32(_ROUNDING) * _peak(r, False))
        k, met[i] = np.int64(0), False
        for _ in range(_ROUNDS):
            top = _peak(r, positive)
            settled = _settled(r, active, z, k, w, slack)
            if top <= w + slack and settled:
                met[i] = True
                break
            if top > w + slack:
                k = _take_up(gram, r, w + slack, top, positive, active, place, z, corner, k)
            for a in range(k):
                b[a], before[a] = r[active[a]], z[a]
            small = np.float32(0.3) * slack
            _descend(corner, b, z, k, w, small, positive, factor, move)
            for a in range(k):
                step = z[a] - before[a]
                if step != 0:
                    line = gram[active[a]]
                    for j in range(p):
                        r[j] -= step * line[j]
        for a in range(k):
            codes[i, active[a]] = z[a]
            place[active[a]] = -1


@njit(nogil=True, cache=True, error_model="numpy", fastmath=FASTMATH)
def _peak(r, positive):  # type: ignore[no-untyped-def]
    top = np.float32(0)
    if positive:
        for j in range(len(r)):
            top = max(top, r[j])
    else:
        for j in range(len(r)):
            top = max(top, abs(r[j]))
    return top


@njit(nogil=True, cache=True, error_model="numpy", fastmath=FASTMATH)
def _settled(r, active, z, k, w, slack):  # type: ignore[no-untyped-def]
    """Say whether the conditions hold where the code is not 0."""
    for a in range(k):
        if z[a] > 0 and abs(r[active[a]] - w) > slack:
            return False
        if z[a] < 0 and abs(r[active[a]] + w) > slack:
            return False
    return True


@njit(nogil=True, cache=True, error_model="numpy", fastmath=FASTMATH)
def _take_up(gram, r, limit, top, positive, active, place, z, corner, k):  # type: ignore[no-untyped-def]
    """Append the atoms that correlate most, extend the corner; return how many are active."""
    cut, old = max(limit, _TAKE_UP * top), k
    for j in range(len(r)):
        if place[j] < 0 and (r[j] >= cut or (not positive and -r[j] >= cut)):
            active[k], place[j], z[k] = j, k, 0
            k += 1
    for a in range(old, k):
        line = gram[active[a]]
        for other in range(a + 1):
            corner[a, other] = line[active[other]]
            corner[other, a] = corner[a, other]
    return k


@njit(nogil=True, cache=True, error_model="numpy", fastmath=FASTMATH)
def _descend(corner, b, z, k, w, small, positive, factor, move):  # type: ignore[no-untyped-def]
    """Cyclic coordinate descent on the active atoms; `b` are their correlations."""
    for sweep in range(1, _SWEEPS):
        largest = np.float32(0)
        for a in range(k):
            line = corner[a]
            u = b[a] + line[a] * z[a]
            new = np.float32(0)
            if u > w:
                new = (u - w) / line[a]
            elif u < -w and not positive:
                new = (u + w) / line[a]
            step = new - z[a]
            if step != 0:
                z[a] = new
                for other in range(k):
                    b[other] -= step * line[other]
                largest = max(largest, abs(step) * line[a])
        if largest <= small:
            break
        if sweep % _PATIENCE == 0:
            _leap(corner, b, z, k, w, factor, move)


@njit(nogil=True, cache=True, error_model="numpy", fastmath=FASTMATH)
def _leap(corner, b, z, k, w, factor, move):  # type: ignore[no-untyped-def]
    """Go to the optimum for the present signs, or to the first code on the way that becomes 0.

    Along this line the objective only falls; it helps where many codes that are not 0 correlate.
    """
    support, n = np.empty(k, np.int64), 0
    for a in range(k):
        if z[a] != 0:
            support[n] = a
            n += 1
    for i in range(n):  # the factor L of L L^T = the corner of the support, and L move = rhs
        line, row = corner[support[i]], factor[i]
        for j in range(i):
            rest = line[support[j]]
            for m in range(j):
                rest -= row[m] * factor[j, m]
            row[j] = rest / factor[j, j]
        pivot, rest = line[support[i]], b[support[i]] - (w if z[support[i]] > 0 else -w)
        for m in range(i):
            pivot -= row[m] * row[m]
            rest -= row[m] * move[m]
        if pivot <= np.float32(1e-4) * line[support[i]]:
            return  # nearly the same atoms: sweeps are safer
        row[i] = np.sqrt(pivot)
        move[i] = rest / row[i]
    for i in range(n - 1, -1, -1):  # L^T move = move
        move[i] /= factor[i, i]
        for j in range(i):
            move[j] -= factor[i, j] * move[i]
    length, first = np.float32(1), -1
    for i in range(n):
        now = z[support[i]]
        if (now + move[i]) * now < 0 and -now / move[i] < length:
            length, first = -now / move[i], i
    for i in range(n):
        step = length * move[i] if i != first else -z[support[i]]
        z[support[i]] = z[support[i]] + step if i != first else np.float32(0)
        line = corner[support[i]]
        for other in range(k):
            b[other] -= step * line[other]
