"""A step of an RBM's learning on the CPU, as each of its threads takes part in it.

Data, reconstructions and hidden units are kept as units x rows, the data beside their
reconstruction, and the means that the data drive beside the negated ones that the reconstruction
drives. So the whole slope is one product, which BLAS adds to the velocities itself. Every thread
has units of its own, in blocks of a fixed size, each with products of its own: the bytes do not
depend on the number of threads.

A step is a few short products, and each needs all of the last. Were every share of them handed to
threads by Python, waking these up would cost as much as the work. So each thread enters compiled
code once and stays there, without the interpreter's lock, and the threads wait for each other at
barriers: first by looking again and again, then by giving the core to whoever wants it, at last in
short naps, so that a machine with more work than cores loses little. A team may be dissolved, which
sends away all who wait or come to wait. So none waits for a thread that has failed.

Products call BLAS by its address, with slices of arrays, which numba's own products cannot do; one
BLAS thread is expected. Barriers, calls and what calls them are in one file because numba looks for
changes in the file of a function alone when it takes compiled code from the disk; and what is kept
there is `take_part` alone, with all that it calls, since an index that names types of a caller
cannot be read without that caller.
"""

import ctypes
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import njit, types
from numba.core import cgutils
from numba.extending import get_cython_function_address, intrinsic

from mcls.dictionaries.rbm_kernels import FASTMATH, activate

#: What is new in each step: rows of data, rows of the model, learning rate, momentum.
NOW = np.dtype([("n", "i8"), ("m", "i8"), ("rate", "f4"), ("momentum", "f4")])

#: Places in the team's numbers, each in a line of cache of its own.
_ARRIVED, _TURN, _DISSOLVED, _SIZE = 0, 16, 32, 48
#: How often to look before giving way, and before napping: for some 3 and 200 microseconds.
_LOOKS, _NAPS = 5000, 6000
_NAP = np.uint32(100)  # microseconds
_LINE = 16  # numbers in a line of cache
_ZERO, _ONE = np.float32(0), np.float32(1)

_sched_yield = types.ExternalFunction("sched_yield", types.int32())
_usleep = types.ExternalFunction("usleep", types.int32(types.uint32))


class Job(NamedTuple):
    """What the threads share; arrays are float32 unless said otherwise, and written in place.

    Attributes
    ----------
    weights, biases, visible_biases : np.ndarray
        As in `RBMState`.
    of_weights, of_biases, of_visible : np.ndarray
        The velocities.
    rows : np.ndarray, shape (batch_size, n_visible)
        The minibatch.
    visible, visible_means : np.ndarray, shape (n_visible, 2 * batch_size)
        Data up to the middle, reconstruction after it, and the means of the latter; the same array
        unless the reconstruction is sampled.
    hidden : np.ndarray, shape (n_hidden, 2 * batch_size)
        Means over n and negated means over m, likewise.
    states : np.ndarray, shape (n_hidden, batch_size)
        What drives the reconstruction.
    driven, sums : np.ndarray, shape (2, n_units)
        Sums over the rows of units' means and of their slopes: driven by the data, by others.
    activation : np.ndarray, shape (n_hidden,), float64
        Sum of the means over all rows seen.
    now : np.ndarray, shape (1,), `NOW`
        What is new in this step.
    keys : np.ndarray, shape (1 + 2 * n_gibbs,), uint32
        Of this step's random numbers.
    team : np.ndarray, int64
        What `new_team` gives.
    sgemm : int
        What `sgemm_address` gives.
    n_threads, hidden_block, visible_block : int
        Threads, and units in a block.
    hidden_kind, visible_kind, n_gibbs, persistent, sample_visible, weight_cost
        From `StepSettings`; kinds as in `KINDS`, the cost as np.float32.
    """

    weights: np.ndarray
    biases: np.ndarray
    visible_biases: np.ndarray
    of_weights: np.ndarray
    of_biases: np.ndarray
    of_visible: np.ndarray
    rows: np.ndarray
    visible: np.ndarray
    visible_means: np.ndarray
    hidden: np.ndarray
    states: np.ndarray
    driven: np.ndarray
    sums: np.ndarray
    activation: np.ndarray
    now: np.ndarray
    keys: np.ndarray
    team: np.ndarray
    sgemm: int
    n_threads: int
    hidden_block: int
    visible_block: int
    hidden_kind: int
    visible_kind: int
    n_gibbs: int
    persistent: bool
    sample_visible: bool
    weight_cost: np.float32


def new_team() -> np.ndarray:
    """Return the numbers by which the threads of a team meet."""
    return np.zeros(_SIZE, np.int64)


def dissolve(team: np.ndarray) -> None:
    """Send away all threads that wait for each other, now or later."""
    team[_DISSOLVED] = 1


def sgemm_address() -> int:
    """Return where sgemm is: the one numpy uses, by the names that builds give it, or scipy's."""
    libraries = ctypes.CDLL(np.linalg._umath_linalg.__file__)
    for name in ("scipy_sgemm_64_", "scipy_sgemm_", "sgemm_64_", "sgemm_"):
        if hasattr(libraries, name):
            return ctypes.cast(getattr(libraries, name), ctypes.c_void_p).value or 0
    return int(get_cython_function_address("scipy.linalg.cython_blas", "sgemm"))


@intrinsic
def _read(typingctx, team, place):  # type: ignore[no-untyped-def]
    """Read a number that other threads write."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.load_atomic(_pointer(context, builder, signature, args), "seq_cst", 8)

    return types.int64(team, types.intp), codegen


@intrinsic
def _add(typingctx, team, place, number):  # type: ignore[no-untyped-def]
    """Add to a number that other threads add to as well; return what it was."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = _pointer(context, builder, signature, args)
        return builder.atomic_rmw("add", pointer, args[2], "seq_cst")

    return types.int64(team, types.intp, types.int64), codegen


def _pointer(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    array = context.make_array(signature.args[0])(context, builder, args[0])
    return builder.gep(array.data, [args[1]])


@njit(nogil=True)
def _meet(job):  # type: ignore[no-untyped-def]
    """Wait for the other threads; return whether all have come, False if the team is dissolved."""
    turn = _read(job.team, _TURN)
    if _add(job.team, _ARRIVED, 1) == job.n_threads - 1:
        _add(job.team, _ARRIVED, -job.n_threads)
        _add(job.team, _TURN, 1)
        return True
    looks = 0
    while _read(job.team, _TURN) == turn:
        if _read(job.team, _DISSOLVED):
            return False
        looks += 1
        if looks > _NAPS:
            _usleep(_NAP)
        elif looks > _LOOKS:
            _sched_yield()
    return True


# All integers have 64 bits: a sgemm that takes 32 finds them in the first half (little-endian).
_SGEMM_TYPES = (
    *(types.int8, types.int8, types.int64, types.int64, types.int64, types.float32),
    *(types.voidptr, types.int64, types.voidptr, types.int64, types.float32),
    *(types.voidptr, types.int64),
)


@intrinsic
def _call_sgemm(typingctx, address, ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc):  # type: ignore[no-untyped-def]
    """Call sgemm as Fortran does: every argument by its address."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointers = [
            value
            if kind == types.voidptr
            else builder.bitcast(cgutils.alloca_once_value(builder, value), cgutils.voidptr_t)
            for kind, value in zip(_SGEMM_TYPES, args[1:], strict=True)
        ]
        kind = ir.FunctionType(ir.VoidType(), [cgutils.voidptr_t] * len(pointers))
        builder.call(builder.inttoptr(args[0], kind.as_pointer()), pointers)
        return context.get_dummy_value()

    return types.void(types.intp, *_SGEMM_TYPES), codegen


@njit(inline="always")
def _layout(matrix):  # type: ignore[no-untyped-def]
    """Return how a matrix lies in memory, N: by rows, T: by columns; and the stride of these."""
    if matrix.strides[1] == matrix.itemsize:
        return np.int8(ord("N")), max(matrix.strides[0] // matrix.itemsize, matrix.shape[1])
    return np.int8(ord("T")), max(matrix.strides[1] // matrix.itemsize, matrix.shape[0])


@njit(nogil=True)
def multiply(sgemm, a, b, out, alpha, beta):  # type: ignore[no-untyped-def]
    """Set ``out`` to ``alpha * a @ b + beta * out``.

    Parameters
    ----------
    sgemm : int
        What `sgemm_address` gives.
    a, b, out : np.ndarray, float32
        Matrices; the numbers of a row of `out`, and of a row or a column of the others, follow
        each other in memory.
    alpha, beta : np.float32
        Factors; with a `beta` of 0 it does not matter what `out` held.
    """
    # Fortran sees matrices by columns: there it is out.T = b.T @ a.T
    (op_a, stride_a), (op_b, stride_b), (n, m) = _layout(a), _layout(b), out.shape
    stride = max(out.strides[0] // out.itemsize, m)
    sizes = op_b, op_a, m, n, a.shape[1], alpha
    _call_sgemm(sgemm, *sizes, b.ctypes, stride_b, a.ctypes, stride_a, beta, out.ctypes, stride)


@njit(nogil=True, cache=True, error_model="numpy", fastmath=FASTMATH)
def take_part(job, me, stays):  # type: ignore[no-untyped-def]
    """Do one thread's share of the next step, or of all steps to come.

    Parameters
    ----------
    job : Job
        What the threads share.
    me : int
        The thread's number, from 0.
    stays : bool
        Whether to go on until the team is dissolved.

    Returns
    -------
    bool
        Whether all have done their share; False once the team is dissolved.
    """
    while _meet(job) and _step(job, me):
        if not stays:
            return True
    return False


@njit(nogil=True, error_model="numpy", fastmath=FASTMATH)
def _step(job, me):  # type: ignore[no-untyped-def]
    _load(job, me)
    if not job.persistent:
        if not _meet(job):
            return False
        _drive_hidden(job, me, True, False, 0)
    for turn in range(job.n_gibbs):
        if (turn or not job.persistent) and not _meet(job):
            return False
        _drive_visible(job, me, turn)
        if not _meet(job):
            return False
        both = job.persistent and turn == job.n_gibbs - 1  # data and model in one product
        _drive_hidden(job, me, both, True, turn)
    _move_hidden(job, me)
    _move_visible(job, me)
    return _meet(job)


@njit(nogil=True, error_model="numpy", fastmath=FASTMATH)
def _load(job, me):  # type: ignore[no-untyped-def]
    """Set own visible units to the data, a line of cache of rows at a time."""
    n, middle = job.now[0].n, len(job.rows)
    for i in range(me * job.visible_block, len(job.visible), job.n_threads * job.visible_block):
        j = min(i + job.visible_block, len(job.visible))
        for first in range(0, n, _LINE):
            for unit in range(i, j):
                for row in range(first, min(first + _LINE, n)):
                    job.visible[unit, middle - n + row] = job.rows[row, unit]


@njit(nogil=True, error_model="numpy", fastmath=FASTMATH)
def _drive_hidden(job, me, data, model, turn):  # type: ignore[no-untyped-def]
    """Let the data, the reconstruction or both drive own hidden units, and sample these."""
    now, middle = job.now[0], len(job.rows)
    start, stop = middle - data * now.n, middle + model * now.m
    units, kind = (job.hidden, job.states, job.biases), job.hidden_kind
    again = job.persistent or turn < job.n_gibbs - 1  # something is yet to be driven
    for i in range(me * job.hidden_block, len(job.hidden), job.n_threads * job.hidden_block):
        j = min(i + job.hidden_block, len(job.hidden))
        visible, out = job.visible[:, start:stop], job.hidden[i:j, start:stop]
        multiply(job.sgemm, job.weights[i:j], visible, out, _ONE, _ZERO)
        if data:
            how = kind, not job.persistent, _ONE / np.float32(now.n), job.keys[0]
            activate(*units, *how, i, j, start, middle, 0, job.driven)
        if model:
            how = kind, again, -_ONE / np.float32(now.m), job.keys[2 * turn + 2]
            activate(*units, *how, i, j, middle, stop, 0, job.sums)


@njit(nogil=True, error_model="numpy", fastmath=FASTMATH)
def _drive_visible(job, me, turn):  # type: ignore[no-untyped-def]
    """Let the states of the hidden units drive own visible units, and sample these if so set."""
    start, m = len(job.rows), job.now[0].m
    units = job.visible_means, job.visible, job.visible_biases
    how = job.visible_kind, job.sample_visible, _ONE, job.keys[2 * turn + 1]
    for i in range(me * job.visible_block, len(job.visible), job.n_threads * job.visible_block):
        j = min(i + job.visible_block, len(job.visible))
        out = job.visible_means[i:j, start : start + m]
        multiply(job.sgemm, job.weights[:, i:j].T, job.states[:, :m], out, _ONE, _ZERO)
        activate(*units, *how, i, j, start, start + m, start, job.sums)


@njit(nogil=True, error_model="numpy", fastmath=FASTMATH)
def _move_hidden(job, me):  # type: ignore[no-untyped-def]
    """Move weights and biases of own hidden units along the slope, with momentum and decay."""
    now, middle = job.now[0], len(job.rows)
    start, stop = middle - now.n, middle + now.m
    decay = now.rate * job.weight_cost
    for i in range(me * job.hidden_block, len(job.hidden), job.n_threads * job.hidden_block):
        j = min(i + job.hidden_block, len(job.hidden))
        hidden, visible = job.hidden[i:j, start:stop], job.visible[:, start:stop].T
        multiply(job.sgemm, hidden, visible, job.of_weights[i:j], now.rate, now.momentum)
        for unit in range(i, j):
            w, v = job.weights[unit], job.of_weights[unit]
            for d in range(len(w)):
                v[d] -= decay * w[d]
                w[d] += v[d]
            slope = job.driven[0, unit] / now.n - job.sums[0, unit] / now.m
            _move(job.biases, job.of_biases, unit, np.float32(slope), now)
            job.activation[unit] += job.driven[0, unit]


@njit(nogil=True, error_model="numpy", fastmath=FASTMATH)
def _move_visible(job, me):  # type: ignore[no-untyped-def]
    """Move the biases of own visible units along the slope, with momentum."""
    now, middle = job.now[0], len(job.rows)
    for i in range(me * job.visible_block, len(job.visible), job.n_threads * job.visible_block):
        for unit in range(i, min(i + job.visible_block, len(job.visible))):
            data = job.visible[unit, middle - now.n : middle].sum() / now.n
            model = job.visible[unit, middle : middle + now.m].sum() / now.m
            _move(job.visible_biases, job.of_visible, unit, np.float32(data - model), now)


@njit(inline="always")
def _move(biases, velocities, unit, slope, now):  # type: ignore[no-untyped-def]
    velocities[unit] = now.momentum * velocities[unit] + now.rate * slope
    biases[unit] += velocities[unit]
