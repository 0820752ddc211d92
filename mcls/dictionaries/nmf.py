"""Non-negative matrix factorisation: a spectrum is a sum of parts with levels of 0 or more."""

from collections.abc import Iterator
from typing import Any, Self

import numpy as np
from sklearn.decomposition import MiniBatchNMF
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import check_non_negative

from mcls.dictionaries.batches import RowBatches, Source, draw, regroup, shuffled
from mcls.dictionaries.lasso import lasso
from mcls.dictionaries.learner import Dictionary
from mcls.dictionaries.spherical_kmeans import unit_rows
from mcls.errors import DataError
from mcls.parallel.threads import one_blas_thread
from mcls.registry import register

#: Rows that are measured after each epoch.
_MEASURED = 1000
#: How far codes may miss the optimality conditions, in parts of the (small) penalty.
_TOL = 0.5


@register("dictionaries", "nmf", encoder="nmf")
class NMF(Dictionary):
    """Non-negative matrix factorisation, learnt from minibatches by scikit-learn.

    Rows and atoms are not negative: magnitudes, or magnitudes compressed by log(1 + x). Rows of
    zeros are skipped.

    Parameters
    ----------
    n_atoms : int
        Number of atoms.
    batch_size : int
        Rows per minibatch.
    n_epochs : int
        Number of passes over the rows.
    forget : float
        Weight of earlier minibatches in the statistics, in (0, 1].
    penalty : float
        Weight of the L1 penalty of the encoder nmf, above 0, for a row of norm 1.
    random_state : int or None
        Random seed.

    Attributes
    ----------
    components_ : np.ndarray, shape (n_atoms, n_dims), float32
        The atoms, of norm 1.
    history_ : list of dict
        For each epoch, on a sample of up to 1000 rows: the ``error``, the share of their squared
        norm that their codes do not explain.
    usage_ : np.ndarray, shape (n_atoms,)
        Share of those rows that use each atom.

    References
    ----------
    D. Lee, H. Seung, "Learning the parts of objects by non-negative matrix factorization", Nature
    401, 1999; A. Lefèvre, F. Bach, C. Févotte, "Online algorithms for nonnegative matrix
    factorization with the Itakura-Saito divergence", WASPAA 2011, for the minibatches. Differs from
    the papers: Frobenius norm, atoms scaled to norm 1, codes by coordinate descent to the optimum.

    Examples
    --------
    >>> rows = np.random.default_rng(0).uniform(size=(200, 8)).astype(np.float32)
    >>> codes = NMF(n_atoms=4, random_state=0).fit_transform(rows)
    >>> codes.shape, bool((codes >= 0).all())
    ((200, 4), True)
    """

    def __init__(
        self,
        *,
        n_atoms: int = 64,
        batch_size: int = 256,
        n_epochs: int = 10,
        forget: float = 0.7,
        penalty: float = 1e-4,
        random_state: int | None = None,
    ) -> None:
        self.n_atoms = n_atoms
        self.batch_size = batch_size
        self.n_epochs = n_epochs
        self.forget = forget
        self.penalty = penalty
        self.random_state = random_state

    def fit_batches(self, source: Source) -> Self:
        """Learn the atoms from batches that need not fit in memory.

        Parameters
        ----------
        source : callable
            ``source()`` yields the rows, in arrays of any length; it is called once to draw the
            rows that are measured and once for each epoch.

        Raises
        ------
        ConfigError
            If a setting is wrong.
        DataError
            If a number is negative, or every row is zero.
        """
        self._check_settings()
        rng = check_random_state(self.random_state)
        measured, _ = draw(_not_negative(source()), _MEASURED, rng)
        if not len(measured):
            raise DataError("nmf: every row is zero; expected rows with sound in them")
        self.n_features_in_ = measured.shape[1]
        self._learner = self._new_learner(rng)
        self.history_ = []
        for _ in range(self.n_epochs):
            for batch in shuffled(_not_negative(source()), self.batch_size, rng):
                self._step(batch)
            codes = self._codes(measured)
            rest = measured - codes @ self.components_
            error = np.square(rest, dtype=np.float64).sum()
            total = np.square(measured, dtype=np.float64).sum()
            self.history_.append({"error": float(error / total)})
        self.usage_ = (codes > 0).mean(axis=0)
        return self

    def partial_fit(self, X: np.ndarray, y: Any = None) -> Self:
        """Go on learning from some more rows, each seen once, in the order given.

        Parameters
        ----------
        X : np.ndarray, shape (n_rows, n_dims)
            Not negative.
        y : ignored
        """
        first = not hasattr(self, "components_")
        X = self._rows(X, reset=first)
        self._check_rows(X)
        if first:
            self._check_settings()
            self._learner = self._new_learner(check_random_state(self.random_state))
            self.history_ = []
        for batch in regroup([X], self.batch_size):
            self._step(batch)
        return self

    def _codes(self, rows: np.ndarray) -> np.ndarray:
        return lasso(rows, self.components_, positive=True, **self.encoder_settings())

    def encoder_settings(self) -> dict[str, float]:
        """Return the settings of the encoder ``nmf`` that give the codes of ``transform``."""
        return {"penalty": self.penalty, "tol": _TOL}

    def _check_rows(self, rows: np.ndarray) -> None:
        check_non_negative(rows, "NMF")

    def _wrong(self) -> list[str]:
        bad = []
        if not 0 < self.forget <= 1:
            bad.append(f"forget={self.forget} must be above 0 and at most 1")
        if not self.penalty > 0:
            bad.append(f"penalty={self.penalty} must be above 0")
        return bad

    def _new_learner(self, rng: np.random.RandomState) -> MiniBatchNMF:
        seed = int(rng.randint(np.iinfo(np.int32).max))
        return MiniBatchNMF(
            self.n_atoms,
            batch_size=self.batch_size,
            forget_factor=self.forget,
            random_state=seed,
        )

    def _step(self, batch: np.ndarray) -> None:
        rows = batch[batch.any(axis=1)]
        if len(rows):
            with one_blas_thread():
                self._learner.partial_fit(rows)
            self.components_ = unit_rows(self._learner.components_)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        return tags


def _not_negative(batches: RowBatches) -> Iterator[np.ndarray]:
    for batch in batches:
        lowest = float(batch.min(initial=0))
        if lowest < 0:
            raise DataError(
                f"nmf: rows hold negative numbers ({lowest:.4g}); expected 0 or more. Standardised "
                "and whitened rows and decibels are negative: learn with --no-standardize, without "
                "--whiten, from a feature of magnitudes (mel:compress=log1p, cqt:compress=log1p)"
            )
        yield batch
