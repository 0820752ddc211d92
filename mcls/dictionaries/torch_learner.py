"""What dictionaries learnt by gradients have in common: epochs of minibatches, steps of Adam.

A method says what its parameters are, what they begin as, and what a minibatch tells of their
slopes; see `TorchLearner`. Gradients are written out, for they are a few lines. The arrays live in
numpy between calls, so that a model can be pickled, copied and read anywhere.
"""

import math
from typing import Any, ClassVar, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from mcls.dictionaries.batches import Batches, Source, draw, regroup, shuffled
from mcls.dictionaries.torch_blocks import Blocks, adam_step, blocks_on, to_arrays, to_device
from mcls.errors import ConfigError, DataError

Tensors = dict[str, torch.Tensor]

#: Rows from which a method may take its start, at most, beside one per atom.
_SAMPLE = 4096
#: Rows that are taken from memory, or to a device, at once.
_ROWS = 8192


class TorchLearner(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Base of dictionaries that are learnt by gradients, minibatch by minibatch.

    A subclass has the settings named below, and

    * ``_begin(sample, rng)``: the first parameters, arrays by name;
    * ``_slopes(p, x, blocks, learn)``: two mappings of sums over the rows of a minibatch: of each
      parameter's gradient (empty unless `learn`), and of what is measured, the ``objective`` and
      ``usage`` ``(n_atoms,)`` among it;
    * ``_settle(p)``: what follows a step, such as atoms brought to norm 1;
    * ``_renew(idle, rows)``: what becomes of atoms that an epoch did not use; they are rows of all
      parameters;
    * ``_codes(p, x)``: the codes of a block of rows;
    * ``_publish(arrays)``: the parameters as attributes, ``components_`` among them;
    * ``_wrong()``: what is wrong with its own settings, as sentences.

    Attributes
    ----------
    history_ : list of dict
        What was measured in each epoch, means over the rows.
    usage_ : np.ndarray, shape (n_atoms,)
        The mean over the last epoch's rows of each atom's activity.
    n_steps_ : int
        Minibatches learnt from.
    """

    registered_as: ClassVar[str]
    n_atoms: int
    batch_size: int
    n_epochs: int
    learning_rate: float
    device: str
    random_state: int | None

    #: What to try where learning fails, in words.
    _advice: ClassVar[str] = "a lower learning_rate, or rows that are standardised"

    def fit(self, X: np.ndarray, y: object = None) -> Self:
        """Learn from rows in memory.

        Parameters
        ----------
        X : array-like, shape (n_rows, n_dims)
            The rows.
        y : object
            Ignored.
        """
        X = validate_data(self, X, dtype=np.float32, order="C")
        self._check()
        order = check_random_state(self.random_state).permutation(len(X))
        return self.fit_batches(lambda: (X[order[i : i + _ROWS]] for i in range(0, len(X), _ROWS)))

    def fit_batches(self, source: Source, valid: Source | None = None) -> Self:
        """Learn from batches that need not fit in memory.

        Parameters
        ----------
        source : callable
            ``source()`` yields the rows from the first on, in arrays of any length; it is called
            once to draw what learning begins with and once for each epoch. Rows of one recording
            should not all come together.
        valid : callable or None
            Yields rows of the same kind that are measured after every epoch, not learnt from.

        Raises
        ------
        ConfigError
            If a setting is wrong.
        DataError
            If there are no rows, or learning diverges.
        """
        self._check()
        rng = check_random_state(self.random_state)
        sample, n_rows = draw(source(), max(self.n_atoms, _SAMPLE), rng)
        self._start(sample, rng)
        n_steps = self.n_epochs * -(-n_rows // self.batch_size)
        with blocks_on(self.device) as blocks:
            for left in reversed(range(self.n_epochs)):
                batches = shuffled(source(), self.batch_size, self._rng)
                entry = self._epoch(batches, blocks, n_steps=n_steps, renew=left > 0)
                if valid is not None:
                    seen = self._measure(regroup(valid(), self.batch_size), blocks)
                    entry |= {f"valid_{name}": value for name, value in seen.items()}
                self.history_.append(entry)
        self._publish(self._arrays)
        return self

    def partial_fit(self, X: np.ndarray, y: object = None) -> Self:
        """Go on learning from some more rows, each seen once, in the order given.

        Parameters
        ----------
        X : array-like, shape (n_rows, n_dims)
            The rows.
        y : object
            Ignored.
        """
        first = not hasattr(self, "components_")
        X = validate_data(self, X, dtype=np.float32, order="C", reset=first)
        self._check()
        if first:
            rng = check_random_state(self.random_state)
            self._start(draw([X], max(self.n_atoms, _SAMPLE), rng)[0], rng)
        with blocks_on(self.device) as blocks:
            self.history_.append(self._epoch(regroup([X], self.batch_size), blocks))
        self._publish(self._arrays)
        return self

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Return the codes that the encoder gives some rows.

        Parameters
        ----------
        X : array-like, shape (n_rows, n_dims)
            The rows.

        Returns
        -------
        np.ndarray, shape (n_rows, n_atoms), float32
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float32, order="C", reset=False)
        p = to_device(self._arrays, self.device)
        codes = np.empty((len(X), len(self.components_)), np.float32)

        def encode(rows: np.ndarray, out: np.ndarray) -> None:
            out[:] = self._codes(p, self._tensor(rows)).cpu().numpy()

        with blocks_on(self.device) as blocks:
            for start in range(0, len(X), _ROWS):
                rows, out = X[start : start + _ROWS], codes[start : start + _ROWS]
                blocks(len(rows), lambda which, x=rows, z=out: encode(x[which], z[which]))  # type: ignore[misc]
        return codes

    @property
    def _n_features_out(self) -> int:
        return len(self.components_)

    def _begin(self, sample: np.ndarray, rng: np.random.RandomState) -> dict[str, np.ndarray]:
        raise NotImplementedError

    def _slopes(
        self, p: Tensors, x: torch.Tensor, blocks: Blocks, *, learn: bool
    ) -> tuple[Tensors, Tensors]:
        raise NotImplementedError

    def _settle(self, p: Tensors) -> None:
        """Do what follows a step; by default nothing."""

    def _renew(self, idle: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Let idle atoms start anew, and return which did; by default none."""
        return idle[:0]

    def _codes(self, p: Tensors, x: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError

    def _wrong(self) -> list[str]:
        raise NotImplementedError

    def _publish(self, arrays: dict[str, np.ndarray]) -> None:
        raise NotImplementedError

    def _check(self) -> None:
        bad = [
            f"{name}={getattr(self, name)} must be at least 1"
            for name in ("n_atoms", "batch_size", "n_epochs")
            if getattr(self, name) < 1
        ]
        if not self.learning_rate > 0:
            bad.append(f"learning_rate={self.learning_rate} must be above 0")
        bad += self._wrong()
        if bad:
            raise ConfigError(f"{self.registered_as}: " + "; ".join(bad))

    def _start(self, sample: np.ndarray, rng: np.random.RandomState) -> None:
        self.n_features_in_ = sample.shape[1]
        self._rng = rng
        self._arrays = self._begin(sample, rng)
        self._moments = {
            f"{name} {moment}": np.zeros_like(array)
            for name, array in self._arrays.items()
            for moment in ("mean", "square")
        }
        self.n_steps_ = 0
        self.history_: list[dict[str, float]] = []

    def _epoch(
        self, batches: Batches, blocks: Blocks, *, n_steps: int = 0, renew: bool = False
    ) -> dict[str, float]:
        """Learn from every batch.

        The rate falls linearly to 0 over `n_steps`, if there are any. With `renew`, atoms that no
        row used may start anew from rows of the last batch.
        """
        p, moments = to_device(self._arrays, self.device), to_device(self._moments, self.device)
        total: dict[str, Any] = {}
        n_rows = 0
        for rows in batches:
            gradients, measured = self._slopes(p, self._tensor(rows), blocks, learn=True)
            self.n_steps_ += 1
            rate = self.learning_rate
            if n_steps:
                rate *= max(0.0, 1 - (self.n_steps_ - 1) / n_steps)
            for name in p:
                gradient = gradients[name].div_(len(rows))
                mean, square = moments[f"{name} mean"], moments[f"{name} square"]
                adam_step(p[name], gradient, mean, square, step=self.n_steps_, rate=rate)
            self._settle(p)
            n_rows += len(rows)
            _add(total, measured)
            self._fail_unless(math.isfinite(float(total["objective"])))
        if not n_rows:
            raise DataError("the source yielded rows once and none the next time it was called")
        self._fail_unless(all(bool(p[name].isfinite().all()) for name in p))
        self._arrays, self._moments = to_arrays(p), to_arrays(moments)
        self.usage_ = total.pop("usage").cpu().numpy() / n_rows
        idle = np.flatnonzero(self.usage_ == 0)
        if renew and len(idle):
            for i in self._renew(idle, rows):
                for moment in self._moments.values():
                    moment[i] = 0
        return {name: float(value) / n_rows for name, value in total.items()}

    def _measure(self, batches: Batches, blocks: Blocks) -> dict[str, float]:
        p = to_device(self._arrays, self.device)
        total: dict[str, Any] = {}
        n_rows = 0
        for rows in batches:
            _add(total, self._slopes(p, self._tensor(rows), blocks, learn=False)[1])
            n_rows += len(rows)
        total.pop("usage", None)
        return {name: float(value) / n_rows for name, value in total.items()}

    def _tensor(self, rows: np.ndarray) -> torch.Tensor:
        return torch.tensor(rows, device=self.device)

    def _fail_unless(self, sound: bool) -> None:
        if not sound:
            raise DataError(
                f"{self.registered_as}: learning diverged at minibatch {self.n_steps_}: its "
                f"numbers are not finite; try {self._advice}, and see that the rows are finite"
            )

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags


def _add(total: dict[str, Any], sums: Tensors) -> None:
    """Add what one minibatch measured, in double precision."""
    for name, value in sums.items():
        total[name] = total.get(name, 0) + value.double()
