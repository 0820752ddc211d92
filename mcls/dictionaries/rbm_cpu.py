"""An RBM's steps on the CPU: arrays are laid out here, and worked on by threads in `rbm_job`."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from types import TracebackType
from typing import Self

import numpy as np

from mcls.dictionaries.rbm_job import NOW, Job, dissolve, new_team, sgemm_address, take_part
from mcls.dictionaries.rbm_kernels import KINDS
from mcls.dictionaries.rbm_steps import RBMState, Steps, StepSettings, sparsity_step
from mcls.parallel.threads import n_threads, one_blas_thread

#: Units in a block, at least: the fewer, the more threads can share them.
_HIDDEN, _VISIBLE = 256, 128
#: Multiplications in a block below which it has twice the units: short products are slow.
_SHORT = 1 << 23


class CPUSteps(Steps):
    """Steps on the CPU, by compiled threads; the state's arrays are changed in place."""

    def __init__(self, state: RBMState, settings: StepSettings) -> None:
        super().__init__(state, settings)
        n_hidden, n_visible = state.weights.shape
        size = settings.batch_size
        visible = np.empty((n_visible, 2 * size), np.float32)
        states = np.empty((n_hidden, size), np.float32) if state.chains is None else state.chains
        block = _HIDDEN if _HIDDEN * n_visible * size >= _SHORT else 2 * _HIDDEN
        n_blocks = max(-(-n_hidden // block), -(-n_visible // _VISIBLE))
        self._job = Job(
            *(state.weights, state.biases, state.visible_biases, *state.velocities),
            rows=np.empty((size, n_visible), np.float32),
            visible=visible,
            visible_means=np.empty_like(visible) if settings.sample_visible else visible,
            hidden=np.empty((n_hidden, 2 * size), np.float32),
            states=states,
            driven=np.empty((2, n_hidden), np.float32),
            sums=np.empty((2, max(n_hidden, n_visible)), np.float32),
            activation=np.zeros(n_hidden),
            now=np.zeros(1, NOW),
            keys=np.zeros(1 + 2 * settings.n_gibbs, np.uint32),
            team=new_team(),
            n_threads=min(n_threads(), n_blocks),
            sgemm=sgemm_address(),
            hidden_block=block,
            visible_block=_VISIBLE,
            hidden_kind=KINDS[settings.hidden],
            visible_kind=KINDS[settings.visible],
            n_gibbs=settings.n_gibbs,
            persistent=settings.persistent,
            sample_visible=settings.sample_visible,
            weight_cost=np.float32(settings.weight_cost),
        )

    def __enter__(self) -> Self:
        others = self._job.n_threads - 1
        with ExitStack() as stack:
            stack.enter_context(one_blas_thread())
            pool = stack.enter_context(ThreadPoolExecutor(max(1, others)))
            stack.callback(dissolve, self._job.team)
            self._others = [pool.submit(self._stay, 1 + i) for i in range(others)]
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
        mean: np.ndarray = self._job.activation / max(1, self.n_rows)
        return mean

    def _learn(self, rows: np.ndarray, rate: float, momentum: float) -> None:
        job, settings, state = self._job, self.settings, self.state
        n = len(rows)
        job.rows[:n] = rows
        job.keys[:] = [self._key() for _ in job.keys]
        job.now[0] = n, settings.batch_size if settings.persistent else n, rate, momentum
        if not take_part(job, 0, False):
            for other in self._others:
                other.result()  # raises what went wrong
        if settings.sparsity != "none":
            activation, slope = job.driven / np.float32(n)
            pressed, state.averages = sparsity_step(settings, state.averages, activation, slope)
            state.biases += np.float32(rate) * pressed

    def _stay(self, me: int) -> None:
        try:
            take_part(self._job, me, True)
        finally:  # else the others would wait for this thread
            dissolve(self._job.team)
