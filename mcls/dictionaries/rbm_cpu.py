"""An RBM's steps on the CPU: products in place, one pass over every unit.

Data, reconstructions and hidden units are kept as units x rows, the data beside their
reconstruction, and the means that the data drive beside the negated ones that the reconstruction
drives. So the whole slope is one product. Units are shared among threads in blocks of a fixed size,
each with products of its own; the bytes do not depend on the number of threads.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from types import TracebackType
from typing import Self

import numpy as np

from mcls.dictionaries.rbm_kernels import KINDS, activate, update
from mcls.dictionaries.rbm_steps import RBMState, Steps, StepSettings, sparsity_step
from mcls.threads import n_threads, one_blas_thread

#: Units in a block, at least: the fewer, the more threads can share them.
_HIDDEN, _VISIBLE = 256, 128
#: Multiplications in a block below which it has twice the units: short products are slow.
_SHORT = 1 << 23


class CPUSteps(Steps):
    """Steps on the CPU, by numpy and compiled loops; the state's arrays are changed in place."""

    def __init__(self, state: RBMState, settings: StepSettings) -> None:
        super().__init__(state, settings)
        n_hidden, n_visible = state.weights.shape
        size = settings.batch_size
        self._visible = np.empty((n_visible, 2 * size), np.float32)  # data | reconstruction
        self._hidden = np.empty((n_hidden, 2 * size), np.float32)  # means / n | -means / m
        self._states = np.empty((n_hidden, size), np.float32)
        if state.chains is not None:
            self._states = state.chains
        self._visible_means = self._visible
        if settings.sample_visible:
            self._visible_means = np.empty_like(self._visible)
        self._slope = np.empty_like(state.weights)
        self._driven = np.empty((2, n_hidden), np.float32)  # by the data: sums of means, of slopes
        self._sums = np.empty((2, max(n_hidden, n_visible)), np.float32)
        self._activation = np.zeros(n_hidden)
        self._signs = np.zeros(2 * size, np.float32)
        self._block = _HIDDEN if _HIDDEN * n_visible * size >= _SHORT else 2 * _HIDDEN

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(one_blas_thread())
            stack.enter_context(np.errstate(all="ignore"))  # divergence is looked for afterwards
            self._n_threads = n_threads()
            self._pool = stack.enter_context(
                ThreadPoolExecutor(self._n_threads, initializer=np.seterr, initargs=("ignore",))
            )
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def mean_activation(self) -> np.ndarray:
        """Return each hidden unit's mean over the rows seen, ``(n_hidden,)`` float64."""
        return self._activation / max(1, self.n_rows)

    def _load(self, rows: np.ndarray) -> None:
        size = self.settings.batch_size
        n, m = len(rows), size if self.settings.persistent else len(rows)
        self._data, self._model = slice(size - n, size), slice(size, size + m)
        self._both = slice(size - n, size + m)
        self._visible[:, self._data] = rows.T
        self._signs[self._data] = 1 / n
        self._signs[self._model] = -1 / m

    def _positive(self, *, sampled: bool) -> None:
        self._drive_hidden(self._data, self._driven, sampled)

    def _negative(self, *, sampled: bool) -> None:
        self._drive_hidden(self._model, self._sums, sampled)

    def _drive_hidden(self, columns: slice, sums: np.ndarray, sampled: bool) -> None:
        state, hidden, visible = self.state, self._hidden, self._visible[:, columns]
        kind, scale = KINDS[self.settings.hidden], self._signs[columns.start]
        how = kind, sampled, scale, np.uint32(self._key())
        where = columns.start, columns.stop, 0

        def work(i: int, j: int) -> None:
            np.matmul(state.weights[i:j], visible, out=hidden[i:j, columns])
            activate(hidden, self._states, state.biases, *how, i, j, *where, sums)

        self._share(work, len(hidden), self._block)

    def _reconstruct(self) -> None:
        state, means, columns = self.state, self._visible_means, self._model
        states = self._states[:, : columns.stop - columns.start]
        kind, sampled = KINDS[self.settings.visible], self.settings.sample_visible
        how = kind, sampled, np.float32(1), np.uint32(self._key())
        where = columns.start, columns.stop, columns.start

        def work(i: int, j: int) -> None:
            np.matmul(state.weights[:, i:j].T, states, out=means[i:j, columns])
            activate(means, self._visible, state.visible_biases, *how, i, j, *where, self._sums)

        self._share(work, len(means), _VISIBLE)

    def _update(self, rate: float, momentum: float) -> None:
        state, settings = self.state, self.settings
        weights, velocities = state.weights, state.velocities[0]
        hidden, visible = self._hidden[:, self._both], self._visible[:, self._both].T
        numbers = np.float32(rate), np.float32(momentum), np.float32(settings.weight_cost)

        def work(i: int, j: int) -> None:
            np.matmul(hidden[i:j], visible, out=self._slope[i:j])
            update(weights, velocities, self._slope, i, j, *numbers)

        self._share(work, len(weights), self._block)
        n, m = (columns.stop - columns.start for columns in (self._data, self._model))
        activation = self._driven[0] / np.float32(n)
        _, v_hidden, v_visible = state.velocities
        v_hidden *= np.float32(momentum)
        v_hidden += np.float32(rate) * (activation - self._sums[0, : len(hidden)] / np.float32(m))
        v_visible *= np.float32(momentum)
        v_visible += np.float32(rate) * (visible.T @ self._signs[self._both])
        state.biases += v_hidden
        state.visible_biases += v_visible
        slope = self._driven[1] / np.float32(n)
        pressed, state.averages = sparsity_step(settings, state.averages, activation, slope)
        state.biases += np.float32(rate) * pressed
        self._activation += self._driven[0]

    def _share(self, work: Callable[[int, int], None], n_units: int, size: int) -> None:
        """Call ``work(first, last)`` for blocks of units, on all threads."""
        blocks = iter([(i, min(i + size, n_units)) for i in range(0, n_units, size)])

        def some() -> None:
            for first, last in blocks:  # each thread takes the next: a list's iterator is safe
                work(first, last)

        others = [
            self._pool.submit(some) for _ in range(min(self._n_threads, -(-n_units // size)) - 1)
        ]
        some()
        for other in others:
            other.result()
