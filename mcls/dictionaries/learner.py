"""Base classes of dictionaries: scikit-learn's contract, and learning by minibatches.

A method that learns in its own way is a `Dictionary`; one that goes through the rows a number of
times, a minibatch at a time, is a `MinibatchLearner` and says only how it starts, what an epoch
does and what its codes are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from mcls.dictionaries.batches import (
    RowBatches,
    Source,
    regroup,
    reordered,
    shuffled,
    shuffled_order,
)
from mcls.dictionaries.decoders import decode
from mcls.errors import ConfigError
from mcls.registry import find

if TYPE_CHECKING:
    import torch

#: Arrays on the CPU, tensors elsewhere.
Minibatches = Iterable["np.ndarray | torch.Tensor"]


class Dictionary(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Base of all dictionaries: a transformer of float32 rows with `components_`.

    A subclass has ``fit_batches(source)`` and ``_codes(rows)``; ``_wrong()`` and
    ``_check_rows(rows)`` are optional checks of the settings and of the rows.
    """

    registered_as: ClassVar[str]
    random_state: int | None
    components_: np.ndarray
    history_: list[dict[str, float]]

    #: Settings that must be at least 1.
    _counts: ClassVar[tuple[str, ...]] = ("n_atoms", "batch_size", "n_epochs")

    def fit(self, X: np.ndarray, y: object = None) -> Self:
        """Learn from rows in memory.

        Parameters
        ----------
        X : array-like, shape (n_rows, n_dims)
            The rows.
        y : object
            Ignored.
        """
        X = self._rows(X)
        self._check_rows(X)
        return self.fit_batches(self._source(X))

    def fit_batches(self, source: Source) -> Self:
        """Learn from batches that need not fit in memory.

        Parameters
        ----------
        source : callable
            ``source()`` yields the rows from the first on, in arrays of any length.
        """
        raise NotImplementedError

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Return the codes that the method's own encoder gives some rows.

        Parameters
        ----------
        X : array-like, shape (n_rows, n_dims)
            The rows.

        Returns
        -------
        np.ndarray, shape (n_rows, n_atoms), float32
        """
        check_is_fitted(self)
        return self._codes(self._rows(X, reset=False))

    def inverse_transform(self, X: np.ndarray) -> np.ndarray:
        """Return the rows that codes of the method's own encoder stand for.

        Parameters
        ----------
        X : array-like, shape (n_rows, n_codes)
            Codes.

        Returns
        -------
        np.ndarray, shape (n_rows, n_dims), float32

        Raises
        ------
        ConfigError
            If codes of its encoder cannot be decoded; see `mcls.dictionaries.decoders.decode`.
        """
        check_is_fitted(self)
        rows = decode(
            np.asarray(X, np.float32),
            self.arrays(),
            encoder=find("dictionaries", self.registered_as).facts["encoder"],
            settings=self.encoder_settings(),
            method=self.get_params(),
        )
        return rows.astype(np.float32, copy=False)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return what encoders need: ``atoms``, ``(n_atoms, n_dims)`` float32."""
        return {"atoms": self.components_}

    def encoder_settings(self) -> dict[str, Any]:
        """Return the settings of its encoder that give what `transform` gives."""
        return {}

    @property
    def _n_features_out(self) -> int:
        return len(self.components_)

    def _codes(self, rows: np.ndarray) -> np.ndarray:
        raise NotImplementedError

    def _source(self, X: np.ndarray) -> Source:
        """Return rows in memory as a source."""
        return lambda: [X]

    def _rows(self, X: np.ndarray, *, reset: bool = True) -> np.ndarray:
        return validate_data(self, X, dtype=np.float32, order="C", reset=reset)

    def _check_rows(self, rows: np.ndarray) -> None:
        """Refuse rows in memory that cannot be learnt from; by default none."""

    def _wrong(self) -> list[str]:
        """Return the errors in the settings, beside counts, as sentences."""
        return []

    def _check_settings(self) -> None:
        bad = [
            f"{name}={getattr(self, name)} must be at least 1"
            for name in self._counts
            if getattr(self, name, 1) < 1
        ]
        bad += self._wrong()
        if bad:
            raise ConfigError(f"{self.registered_as}: " + "; ".join(bad))

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags


class MinibatchLearner(Dictionary):
    """Base of dictionaries that are learnt by epochs of minibatches.

    A subclass has the settings named below, and

    * ``_start(source, rng)``: set what learning begins with, after one pass over a source; it may
      also have ``_start_held(X, rng)`` from the rows in memory of ``fit``, and ``_start_part(X,
      rng)`` from the first ones of ``partial_fit``;
    * ``_epoch(batches, left)``: learn from every minibatch, and return the measures. Minibatches
      are arrays, or tensors on the device if that is not the CPU. `left` is the number of epochs
      that follow, or None if it is not known, in ``partial_fit``;
    * ``_measure(batches)``: the measures of rows of the valid part, if it is registered with
      ``watches_valid``; ``_watched(valid)``: the source of those rows.
    """

    n_atoms: int
    batch_size: int
    n_epochs: int
    device: str

    #: Whether the rows of a source are put in a new order for each epoch.
    _reorders: ClassVar[bool] = True

    def fit(self, X: np.ndarray, y: object = None) -> Self:
        """Learn from rows in memory, in an order drawn anew for each epoch.

        Parameters
        ----------
        X : array-like, shape (n_rows, n_dims)
            The rows.
        y : object
            Ignored.
        """
        X = self._rows(X)
        self._check_settings()
        self._check_rows(X)
        rng = check_random_state(self.random_state)
        self.history_ = []
        self._start_held(X, rng)
        return self._learn(
            self._minibatches(
                lambda: [X], lambda: reordered(X, self.batch_size, rng), order=rng.permutation
            )
        )

    def fit_batches(self, source: Source, valid: Source | None = None) -> Self:
        """Learn from batches that need not fit in memory.

        Parameters
        ----------
        source : callable
            ``source()`` yields the rows from the first on, in arrays of any length; it is called
            once to begin and once for each epoch. Rows of one recording should not all come
            together.
        valid : callable or None
            Yields rows of the same kind that are measured after every epoch, by a method that is
            registered with ``watches_valid``; nothing is learnt from them.

        Raises
        ------
        ConfigError
            If a setting is wrong.
        DataError
            If there are no rows, rows of different lengths or rows the method cannot take, or if
            learning diverges.
        """
        self._check_settings()
        rng = check_random_state(self.random_state)
        self.history_ = []
        self._start(source, rng)
        size = self.batch_size
        if self._reorders:
            minibatches = self._minibatches(
                source,
                lambda: shuffled(source(), size, rng),
                order=lambda n_rows: shuffled_order(n_rows, size, rng),
            )
        else:
            minibatches = self._in_order(source)
        return self._learn(minibatches, valid)

    def partial_fit(self, X: np.ndarray, y: object = None) -> Self:
        """Go on learning from some more rows, each seen once, in the order given.

        Every call counts as an epoch; the first rows decide what learning begins with.

        Parameters
        ----------
        X : array-like, shape (n_rows, n_dims)
            The rows.
        y : object
            Ignored.
        """
        first = not hasattr(self, "components_")
        X = self._rows(X, reset=first)
        self._check_settings()
        self._check_rows(X)
        if first:
            self.history_ = []
            self._start_part(X, check_random_state(self.random_state))
        self.history_.append(self._epoch(regroup([X], self.batch_size)))
        return self

    def _learn(self, minibatches: Callable[[], Minibatches], valid: Source | None = None) -> Self:
        watched = None if valid is None else self._watched(valid)
        for left in reversed(range(self.n_epochs)):
            entry = self._epoch(minibatches(), left=left)
            if watched is not None:
                seen = self._measure(watched())
                entry |= {f"valid_{name}": value for name, value in seen.items()}
            self.history_.append(entry)
        return self

    def _minibatches(
        self,
        source: Source,
        streamed: Callable[[], RowBatches],
        order: Callable[[int], np.ndarray],
    ) -> Callable[[], Minibatches]:
        """Return what yields the minibatches of an epoch, where the method computes.

        `streamed` yields them as arrays; they are rows of `source` in an `order` of so many.
        """
        if self.device == "cpu":
            return streamed
        from mcls.dictionaries.device_rows import minibatches_on  # torch

        return minibatches_on(self.device, source, self.batch_size, order, streamed)

    def _in_order(self, source: Source) -> Callable[[], Minibatches]:
        """Return what yields the rows of a source in minibatches, in their own order."""
        return self._minibatches(
            source, lambda: regroup(source(), self.batch_size), order=np.arange
        )

    def _start(self, source: Source, rng: np.random.RandomState) -> None:
        raise NotImplementedError

    def _start_held(self, X: np.ndarray, rng: np.random.RandomState) -> None:
        self._start(lambda: [X], rng)

    def _start_part(self, X: np.ndarray, rng: np.random.RandomState) -> None:
        """Start from the first rows of ``partial_fit``."""
        self._start_held(X, rng)

    def _epoch(self, batches: Minibatches, *, left: int | None = None) -> dict[str, float]:
        raise NotImplementedError

    def _measure(self, batches: Minibatches) -> dict[str, float]:
        raise NotImplementedError

    def _watched(self, valid: Source) -> Callable[[], Minibatches]:
        return valid
