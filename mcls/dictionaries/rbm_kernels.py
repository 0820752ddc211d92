"""What happens to every unit of an RBM on the CPU: nonlinearity and sampling, in one pass.

Arrays are units x rows, so that the work of a unit is one line of memory. The random number of a
unit and a row is a hash of the step's key, the unit and the row alone: the bytes do not depend on
how the units are shared among threads. The exponential is a polynomial (relative error below
3e-7), so that loops over rows use the processor's vectors.

The kernel works on the units ``first`` to ``last`` and on the columns ``start`` to ``stop``. It is
compiled into the steps of `rbm_job`, whose code on the disk does not see changes made here: delete
``__pycache__`` after any.
"""

import math

import numpy as np
from numba import njit

BINARY, RELU, GAUSSIAN = 0, 1, 2
#: Codes of the unit types.
KINDS = {"binary": BINARY, "relu": RELU, "gaussian": GAUSSIAN}

FASTMATH = {"contract", "nsz", "arcp", "reassoc"}
_ZERO, _HALF, _ONE = np.float32(0), np.float32(0.5), np.float32(1)
_LOG2E = np.float32(math.log2(math.e))
_LIMIT = np.float32(60)  # beyond, the sigmoid is 0 or 1 to the last bit that matters
_BIT = np.float32(2.0**-24)
_TURN = np.float32(2 * math.pi)
# 2**f = exp(f ln 2), by its Taylor series
_C1, _C2, _C3, _C4, _C5, _C6 = (
    np.float32(math.log(2) ** k / math.factorial(k)) for k in range(1, 7)
)


@njit(inline="always")
def _exp(x):  # type: ignore[no-untyped-def]
    """Return exp(x) for x in [-60, 60]."""
    t = x * _LOG2E
    n = np.floor(t + _HALF)
    f = t - n
    p = _ONE + f * (_C1 + f * (_C2 + f * (_C3 + f * (_C4 + f * (_C5 + f * _C6)))))
    return p * np.int32((np.int32(n) + np.int32(127)) << np.int32(23)).view(np.float32)


@njit(inline="always")
def _sigmoid(x):  # type: ignore[no-untyped-def]
    return _ONE / (_ONE + _exp(min(max(-x, -_LIMIT), _LIMIT)))


@njit(inline="always")
def _mix(x):  # type: ignore[no-untyped-def]
    """Scramble 32 bits."""
    x = np.uint32(x ^ (x >> np.uint32(16)))
    x = np.uint32(x * np.uint32(0x21F0AAAD))
    x = np.uint32(x ^ (x >> np.uint32(15)))
    x = np.uint32(x * np.uint32(0x735A2D97))
    return np.uint32(x ^ (x >> np.uint32(15)))


@njit(inline="always")
def _bits(i, low, high):  # type: ignore[no-untyped-def]
    """Return 32 random bits: of column i, for a unit's two keys."""
    x = np.uint32(np.uint32(i) * np.uint32(0x9E3779B9) + low)
    x = np.uint32(x ^ (x >> np.uint32(16)))
    x = np.uint32(x * np.uint32(0x21F0AAAD))
    x = np.uint32((x ^ (x >> np.uint32(15))) + high)
    x = np.uint32(x * np.uint32(0x735A2D97))
    return np.uint32(x ^ (x >> np.uint32(15)))


@njit(inline="always")
def _uniform(bits):  # type: ignore[no-untyped-def]
    """Return a number in [0, 1), a multiple of 2**-24."""
    return np.float32(np.int32(bits >> np.uint32(8))) * _BIT


@njit(inline="always")
def _normal(i, low, high):  # type: ignore[no-untyped-def]
    """Return a normal deviate of column i, for a unit's two keys (Box and Muller)."""
    radius = np.sqrt(np.float32(-2) * np.log(_uniform(_bits(i, low, high)) + _BIT))
    return radius * np.cos(_TURN * _uniform(_bits(i, high, low)))


@njit(nogil=True, cache=True, error_model="numpy", fastmath=FASTMATH)
def activate(means, states, biases, kind, sampled, scale, key, first, last, start, stop, at, sums):  # type: ignore[no-untyped-def]
    """Turn the input of some units into their means, and sample states from these.

    Parameters
    ----------
    means : np.ndarray, shape (n_units, n_columns), float32
        The input without the biases; overwritten by the means times `scale`.
    states : np.ndarray, shape (n_units, n_columns), float32
        Where states go, from column `at` on, if `sampled`.
    biases : np.ndarray, shape (n_units,), float32
        Of the units.
    kind : int
        `BINARY`: the sigmoid. `RELU`: max(0, x), states max(0, x + N(0, sigmoid(x))). `GAUSSIAN`:
        x, states x + N(0, 1).
    sampled : bool
        Whether states are wanted.
    scale : np.float32
        What means are multiplied by.
    key : np.uint32
        Of the random numbers.
    sums : np.ndarray, shape (2, n_units), float32
        Gets the sum over the columns of the means and of their slopes.
    """
    for j in range(first, last):
        low = _mix(np.uint32(np.uint32(j) + key))
        high = _mix(np.uint32(low + key))
        line, out = means[j, start:stop], states[j, at : at + stop - start]
        bias, total, slopes = biases[j], _ZERO, _ZERO
        if kind == BINARY:
            if sampled:
                for i in range(len(line)):
                    p = _sigmoid(line[i] + bias)
                    total += p
                    slopes += p * (_ONE - p)
                    line[i] = p * scale
                    out[i] = np.float32(_uniform(_bits(i, low, high)) < p)
            else:
                for i in range(len(line)):
                    p = _sigmoid(line[i] + bias)
                    total += p
                    slopes += p * (_ONE - p)
                    line[i] = p * scale
        elif kind == RELU:
            if sampled:
                for i in range(len(line)):
                    x = line[i] + bias
                    noise = np.sqrt(_sigmoid(x)) * _normal(i, low, high)
                    out[i] = max(x + noise, _ZERO)
            for i in range(len(line)):
                x = max(line[i] + bias, _ZERO)
                total += x
                slopes += np.float32(x > _ZERO)
                line[i] = x * scale
        else:
            for i in range(len(line)):
                line[i] = (line[i] + bias) * scale
            if sampled:
                for i in range(len(line)):
                    out[i] = line[i] + scale * _normal(i, low, high)
        sums[0, j] = total
        sums[1, j] = slopes
