"""Base of dictionaries that are learnt by gradients: epochs of minibatches, steps of Adam.

A subclass gives the initial parameters and the gradients of a minibatch; see `TorchLearner`.
Gradients are written out, because they are a few lines. The arrays live in numpy between calls, so
that a model can be pickled, copied and read anywhere.
"""

import math
from collections.abc import Callable
from copy import deepcopy
from typing import ClassVar

import numpy as np
import torch
from sklearn.utils import check_random_state

from mcls.dictionaries.batches import Source, draw, held
from mcls.dictionaries.captured import captured
from mcls.dictionaries.learner import Dictionary, Minibatches, MinibatchLearner
from mcls.dictionaries.tensors import (
    TensorDict,
    adam_numbers,
    adam_step,
    to_arrays,
    to_device,
)
from mcls.errors import DataError
from mcls.parallel.processes import shared_blocks
from mcls.parallel.threads import Blocks, blocks_on

#: Rows in a block on the CPU, each block computed by one thread.
BLOCK = 256
#: Rows from which a method may take its start, at most, beside one per atom.
_SAMPLE = 4096
#: Minibatches between two looks at whether learning diverged, on a device that would have to wait.
_LOOK = 100


class TorchLearner(MinibatchLearner):
    """Base of dictionaries that are learnt by gradients, minibatch by minibatch.

    A subclass has the settings named below, and

    * ``_begin(sample, rng)``: the first parameters, arrays by name;
    * ``_slopes(p, x, blocks, learn)``: two mappings of sums over the rows of a minibatch: of each
      parameter's gradient (empty unless `learn`), and of what is measured, the ``objective`` and
      ``usage`` ``(n_atoms,)`` among it;
    * ``_settle(p)``: what follows a step, such as atoms brought to norm 1;
    * ``_renew(idle, rows)``: what becomes of atoms that an epoch did not use; they are rows of all
      parameters;
    * ``_waits = True``, if `_slopes` reads values back from the device, as solvers do that look at
      what they have reached: the step is not recorded then;
    * ``_encode(p, x)``: the codes of a block of rows;
    * ``_publish(arrays)``: the parameters as attributes, ``components_`` among them;
    * ``_wrong()``: what is wrong with its settings, as sentences.

    Attributes
    ----------
    history_ : list of dict
        The measures of each epoch, means over the rows.
    usage_ : np.ndarray, shape (n_atoms,)
        The mean over the last epoch's rows of each atom's activity.
    n_steps_ : int
        Minibatches learnt from.
    """

    learning_rate: float

    _waits: ClassVar[bool] = False
    _generator: torch.Generator | None = None

    #: Advice in the error when learning diverges.
    _advice: ClassVar[str] = "a lower learning_rate, or rows that are standardised"

    fit = Dictionary.fit  # rows in memory are learnt from as from a source

    def _source(self, X: np.ndarray) -> Source:
        return held(X, check_random_state(self.random_state))

    def _codes(self, rows: np.ndarray) -> np.ndarray:
        p = to_device(self._arrays, self.device)
        codes = np.empty((len(rows), len(self.components_)), np.float32)

        def encode(which: slice) -> None:
            codes[which] = self._encode(p, self._tensor(rows[which])).cpu().numpy()

        with blocks_on(self.device) as blocks:
            blocks(len(rows), BLOCK, encode)
        return codes

    def _begin(self, sample: np.ndarray, rng: np.random.RandomState) -> dict[str, np.ndarray]:
        raise NotImplementedError

    def _slopes(
        self, p: TensorDict, x: torch.Tensor, blocks: Blocks, *, learn: bool
    ) -> tuple[TensorDict, TensorDict]:
        raise NotImplementedError

    def _settle(self, p: TensorDict) -> None:
        """Do what follows a step; by default nothing."""

    def _renew(self, idle: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Restart idle atoms, and return their indices; by default none."""
        return idle[:0]

    def _encode(self, p: TensorDict, x: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError

    def _wrong(self) -> list[str]:
        if self.learning_rate > 0:
            return []
        return [f"learning_rate={self.learning_rate} must be above 0"]

    def _publish(self, arrays: dict[str, np.ndarray]) -> None:
        raise NotImplementedError

    def _start(self, source: Source, rng: np.random.RandomState) -> None:
        sample, n_rows = draw(source(), max(self.n_atoms, _SAMPLE), rng)
        self.n_features_in_ = sample.shape[1]
        self._rng = rng
        self._arrays = self._begin(sample, rng)
        self._moments = {
            f"{name} {moment}": np.zeros_like(array)
            for name, array in self._arrays.items()
            for moment in ("mean", "square")
        }
        self.n_steps_ = 0
        self._n_planned = self.n_epochs * -(-n_rows // self.batch_size)

    def _epoch(self, batches: Minibatches, *, left: int | None = None) -> dict[str, float]:
        """Learn from every minibatch.

        If `left` is known, the learning rate falls linearly to 0 over all epochs, and before the
        next epoch, atoms that no row used may restart from rows of the last minibatch.
        """
        p, moments = to_device(self._arrays, self.device), to_device(self._moments, self.device)
        numbers = size, correction = [torch.ones((), device=self.device) for _ in range(2)]
        total: TensorDict = {}
        look, generators = 1, []
        if self.device != "cpu":
            seed = deepcopy(self._rng).randint(2**31 - 1)  # rows come in the order of the CPU
            self._generator = torch.Generator(self.device).manual_seed(int(seed))
            look, generators = _LOOK, [self._generator]
        n_rows = 0
        with blocks_on(self.device) as blocks:
            blocks = shared_blocks(blocks)

            def learn(x: torch.Tensor) -> None:
                gradients, measured = self._slopes(p, x, blocks, learn=True)
                for name in p:
                    gradient = gradients[name].div_(len(x))
                    mean, square = moments[f"{name} mean"], moments[f"{name} square"]
                    adam_step(p[name], gradient, mean, square, size=size, correction=correction)
                self._settle(p)
                _add(total, measured)

            step = learn if self._waits else captured(learn, self.device, generators)
            for rows in batches:
                done = 0.0 if left is None else self.n_steps_ / self._n_planned
                self.n_steps_ += 1
                rate = self.learning_rate * max(0.0, 1 - done)
                for number, value in zip(numbers, adam_numbers(self.n_steps_, rate), strict=True):
                    number.fill_(value)
                step(self._tensor(rows))
                n_rows += len(rows)
                if self.n_steps_ % look == 0:
                    self._fail_unless(math.isfinite(float(total["objective"])))
        if not n_rows:
            raise DataError("the source yielded rows once and none the next time it was called")
        self._generator = None
        self._fail_unless(
            math.isfinite(float(total["objective"]))
            and all(bool(p[name].isfinite().all()) for name in p)
        )
        self._arrays, self._moments = to_arrays(p), to_arrays(moments)
        self.usage_ = total.pop("usage").cpu().numpy() / n_rows
        idle = np.flatnonzero(self.usage_ == 0)
        if left and len(idle):
            for i in self._renew(idle, np.asarray(self._tensor(rows).cpu())):
                for moment in self._moments.values():
                    moment[i] = 0
        self._publish(self._arrays)
        return {name: float(value) / n_rows for name, value in total.items()}

    def _watched(self, valid: Source) -> Callable[[], Minibatches]:
        return self._in_order(valid)

    def _measure(self, batches: Minibatches) -> dict[str, float]:
        p = to_device(self._arrays, self.device)
        total: TensorDict = {}
        n_rows = 0
        with blocks_on(self.device) as blocks:
            blocks = shared_blocks(blocks)
            for rows in batches:
                _add(total, self._slopes(p, self._tensor(rows), blocks, learn=False)[1])
                n_rows += len(rows)
        total.pop("usage", None)
        return {name: float(value) / n_rows for name, value in total.items()}

    def _tensor(self, rows: np.ndarray | torch.Tensor) -> torch.Tensor:
        if isinstance(rows, torch.Tensor):
            return rows
        return torch.tensor(rows, device=self.device)

    def _normal(self, n_rows: int, n_columns: int) -> torch.Tensor:
        """Draw standard normal numbers for the rows of a minibatch, on the device that learns."""
        size = (n_rows, n_columns)
        if self._generator is not None:
            return torch.randn(size, generator=self._generator, device=self.device)
        return torch.from_numpy(self._rng.standard_normal(size).astype(np.float32))

    def _fail_unless(self, sound: bool) -> None:
        if not sound:
            raise DataError(
                f"{self.registered_as}: learning diverged at minibatch {self.n_steps_} (its "
                f"numbers are NaN or infinite); try {self._advice}; the rows must be finite"
            )


def _add(total: TensorDict, sums: TensorDict) -> None:
    """Add what one minibatch measured, in double precision and in place."""
    for name, value in sums.items():
        if name not in total:
            total[name] = torch.zeros_like(value, dtype=torch.float64)
        total[name].add_(value)
