"""K-means: atoms are the means of the rows nearest to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Self

import numpy as np
from scipy import sparse
from sklearn.base import ClusterMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from mcls.dictionaries.batches import Source, regroup
from mcls.dictionaries.learner import Dictionary, Minibatches
from mcls.dictionaries.usage import perplexity
from mcls.parallel.processes import from_first, shared
from mcls.parallel.threads import for_blocks, one_blas_thread
from mcls.registry import register

if TYPE_CHECKING:
    import torch

_TASK = 4096  # rows that a thread takes at once
_BLOCK = 512  # rows whose likeness to all atoms is held at once: it fits the second-level cache
_SAMPLE_ROWS = 32  # per atom, in the first sample
_SEED_ROWS = 16  # per atom, of which the first atoms are chosen
_AT_ONCE = 4  # atoms whose candidates are drawn together
_DEVICE_ROWS = 2**16  # rows that another device takes at once

#: Rows far from their atoms: the negative squared distance, the number and the row of each.
_Far = list[tuple[float, int, np.ndarray]]


@register("dictionaries", "kmeans", encoder="hard", distributed=True)
class KMeans(ClusterMixin, Dictionary):
    """K-means: exact Lloyd's algorithm over batches, in memory that does not grow with the rows.

    The atoms start by k-means++ and converge on a sample first, then on all rows. An atom that
    loses its last row restarts at the row farthest from its atom, so the number of atoms stays.

    Parameters
    ----------
    n_atoms : int
        Number of atoms.
    max_iter : int
        Maximum number of passes over the rows.
    tol : float
        Stop when a pass lowers the inertia by less than this share of it.
    device : str
        Torch device on which `fit` and `predict` compute: cpu, cuda or cuda:1.
    random_state : int or None
        Random seed.

    Attributes
    ----------
    components_ : np.ndarray, shape (n_atoms, n_dims), float32
        The atoms.
    inertia_ : float
        Sum over rows of the squared distance to the nearest atom.
    history_ : list of dict
        The mean squared ``distance`` at each pass over all rows.
    counts_ : np.ndarray, shape (n_atoms,)
        Rows nearest to each atom.
    usage_ : np.ndarray, shape (n_atoms,)
        Share of the rows that are nearest to each atom.
    perplexity_ : float
        exp(entropy of the usage): how many atoms are in effective use.
    n_iter_ : int
        Passes made over all rows.

    References
    ----------
    Lloyd (1982); Arthur & Vassilvitskii (2007), k-means++, the greedy variant.

    Examples
    --------
    >>> rows = np.array([[0.0, 0], [0, 1], [9, 9], [9, 8]], dtype=np.float32)
    >>> KMeans(n_atoms=2, random_state=0).fit(rows).labels_.tolist() in ([0, 0, 1, 1], [1, 1, 0, 0])
    True
    """

    def __init__(
        self,
        *,
        n_atoms: int = 256,
        max_iter: int = 50,
        tol: float = 1e-4,
        device: str = "cpu",
        random_state: int | None = None,
    ) -> None:
        self.n_atoms = n_atoms
        self.max_iter = max_iter
        self.tol = tol
        self.device = device
        self.random_state = random_state

    def fit(self, X: np.ndarray, y: object = None) -> Self:
        """Learn from rows.

        Parameters
        ----------
        X : np.ndarray, shape (n_rows, n_dims)
            At least `n_atoms` rows.
        y : ignored

        Raises
        ------
        ValueError
            If there are fewer rows than atoms.
        """
        super().fit(X)
        self.labels_ = self.predict(X)
        return self

    def fit_batches(self, source: Source) -> Self:
        """Learn from batches.

        Parameters
        ----------
        source : callable
            Each call yields all rows in batches ``(n, n_dims)`` float32, in the same order.
        """
        with one_blas_thread():
            return self._fit_batches(source)

    def _fit_batches(self, source: Source) -> Self:
        rng = check_random_state(self.random_state)
        sample, n_rows = _sample(source, _SAMPLE_ROWS * self.n_atoms, rng)
        if n_rows < self.n_atoms:
            raise ValueError(f"n_samples={n_rows} should be >= n_atoms={self.n_atoms}")
        self.n_features_in_ = sample.shape[1]
        some = self._compared(sample[: _SEED_ROWS * self.n_atoms])
        self.components_ = from_first(_plus_plus(some, self.n_atoms, rng))
        if len(sample) < n_rows:
            self._lloyd(self._placed(lambda: _slices(sample)))
        self._lloyd(self._placed(source))
        self.inertia_ = self.history_[-1]["distance"] * n_rows
        return self

    def partial_fit(self, X: np.ndarray, y: object = None) -> Self:
        """Learn from one more batch: every atom moves to the mean of all its rows so far.

        The first batch must hold at least `n_atoms` rows.
        """
        first = not hasattr(self, "components_")
        X = self._compared(self._rows(X, reset=first))
        if first:
            if len(X) < self.n_atoms:
                raise ValueError(f"n_samples={len(X)} should be >= n_atoms={self.n_atoms}")
            self.components_ = _plus_plus(X, self.n_atoms, check_random_state(self.random_state))
            self._sums, self.counts_ = np.zeros(self.components_.shape), np.zeros(self.n_atoms)
        labels, distances = nearest(X, self.components_)
        sums, counts = _sums(X, labels, self.n_atoms)
        self._sums += sums
        self._measure(self.counts_ + counts)
        self.components_ = self._moved(self._sums, self.counts_)
        self.inertia_ = float(distances.sum())
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Return the index of the nearest atom of each row, ``(n_rows,)``."""
        check_is_fitted(self)
        return self._nearest(self._rows(X, reset=False))

    def _source(self, X: np.ndarray) -> Source:
        return lambda: _slices(X)

    def _nearest(self, rows: np.ndarray) -> np.ndarray:
        if self.device == "cpu":
            return nearest(self._compared(rows), self.components_)[0]
        from mcls.dictionaries.device_rows import sent_ahead  # torch
        from mcls.dictionaries.kmeans_device import nearest_there

        batches = map(self._compared, _slices(rows, _DEVICE_ROWS))
        labels = [
            nearest_there(batch, self.components_)[0].cpu().numpy()
            for batch in sent_ahead(batches, self.device)
        ]
        return np.concatenate(labels).astype(np.int32)

    def _placed(self, source: Source) -> Callable[[], Minibatches]:
        """Return what yields the rows of a source in batches, where they are assigned."""
        if self.device == "cpu":
            return source
        from mcls.dictionaries.device_rows import minibatches_on  # torch

        def compared() -> Iterator[np.ndarray]:
            return map(self._compared, source())

        def streamed() -> Iterator[np.ndarray]:
            return regroup(compared(), _DEVICE_ROWS)

        return minibatches_on(self.device, compared, _DEVICE_ROWS, np.arange, streamed)

    def _codes(self, rows: np.ndarray) -> np.ndarray:
        """Return one-hot codes: 1 at the nearest atom."""
        codes = np.zeros((len(rows), len(self.components_)), np.float32)
        codes[np.arange(len(rows)), self._nearest(rows)] = 1
        return codes

    def _compared(self, rows: np.ndarray) -> np.ndarray:
        """Return rows in the form that is compared with the atoms."""
        return rows

    def _moved(self, sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """Return the atoms, moved to where their rows are; those without rows stay.

        Parameters
        ----------
        sums : np.ndarray, shape (n_atoms, n_dims), float64
            Sums of the rows nearest to each atom.
        counts : np.ndarray, shape (n_atoms,)
            Numbers of these rows.
        """
        means = sums / np.maximum(counts, 1)[:, None]
        return np.where(counts[:, None] > 0, means, self.components_).astype(np.float32)

    def _lloyd(self, source: Callable[[], Minibatches]) -> None:
        before = np.inf
        self.history_ = []
        for turn in range(self.max_iter):
            sums = np.zeros(self.components_.shape)
            counts = np.zeros(self.n_atoms)
            inertia, n_rows = 0.0, 0
            worst = _Worst(self.n_atoms)
            for some, n, distance, far in shared(source(), self._assigned):
                sums += some
                counts += n
                inertia += distance
                worst.see(far, n_rows)
                n_rows += int(n.sum())
            self.n_iter_ = turn + 1
            self.history_.append({"distance": inertia / n_rows})
            self._sums = sums
            self._measure(counts)
            dead = np.flatnonzero(counts == 0)
            if before - inertia <= self.tol * inertia and not len(dead):
                return
            before = inertia
            self.components_ = self._moved(sums, counts)
            for atom, row in zip(dead, worst.rows(), strict=False):
                self.components_[atom] = row

    def _assigned(
        self, batch: np.ndarray | torch.Tensor
    ) -> tuple[np.ndarray, np.ndarray, float, _Far]:
        """Return sums and numbers of a batch's rows per atom, their inertia, and the farthest."""
        if not isinstance(batch, np.ndarray):
            from mcls.dictionaries.kmeans_device import assigned_there

            return assigned_there(batch, self.components_)
        rows = self._compared(batch)
        labels, distances = nearest(rows, self.components_)
        k = min(4, len(rows))
        far = [
            (-float(distances[i]), int(i), rows[i].copy())
            for i in np.argpartition(-distances, k - 1)[:k]
        ]
        return *_sums(rows, labels, self.n_atoms), float(distances.sum(dtype=np.float64)), far

    def _measure(self, counts: np.ndarray) -> None:
        self.counts_ = counts
        self.usage_ = counts / max(counts.sum(), 1)
        self.perplexity_ = perplexity(self.usage_)


def nearest(rows: np.ndarray, atoms: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the nearest atom of each row.

    Parameters
    ----------
    rows : np.ndarray, shape (n_rows, n_dims), float32
        Rows.
    atoms : np.ndarray, shape (n_atoms, n_dims), float32
        Atoms; of equally near ones the first is taken.

    Returns
    -------
    labels : np.ndarray, shape (n_rows,), int32
    distances : np.ndarray, shape (n_rows,), float32
        Squared, >= 0.
    """
    # |row - atom|^2 = |row|^2 - 2 (row . atom - |atom|^2 / 2): a row that ends in 1, times an atom
    # that ends in -|atom|^2 / 2, is what must be largest, in one product.
    n_dims = atoms.shape[1]
    factor = np.empty((n_dims + 1, len(atoms)), np.float32)
    factor[:-1] = atoms.T
    factor[-1] = -0.5 * np.einsum("ij,ij->i", atoms, atoms)
    labels = np.empty(len(rows), np.int32)
    distances = np.empty(len(rows), np.float32)

    def work(which: slice) -> None:
        longer = np.ones((_BLOCK, n_dims + 1), np.float32)
        products = np.empty((_BLOCK, len(atoms)), np.float32)
        for start in range(which.start, which.stop, _BLOCK):
            block = slice(start, min(start + _BLOCK, which.stop))
            n = block.stop - start
            longer[:n, :-1] = rows[block]
            likeness = np.dot(longer[:n], factor, out=products[:n])
            best = likeness.argmax(axis=1)
            labels[block] = best
            squares = np.einsum("ij,ij->i", rows[block], rows[block])
            near = likeness[np.arange(n), best]
            np.maximum(squares - 2 * near, 0, out=distances[block])

    for_blocks(len(rows), _TASK, work)
    return labels, distances


class _Worst:
    """The rows farthest from their atoms, to restart atoms from."""

    def __init__(self, n: int) -> None:
        self.n = n
        self._far: _Far = []

    def see(self, far: _Far, first: int) -> None:
        """Take in the farthest rows of a batch whose first row has this number."""
        self._far += [(distance, first + i, row) for distance, i, row in far]
        self._far = sorted(self._far, key=lambda one: one[:2])[: self.n]

    def rows(self) -> Iterator[np.ndarray]:
        return (row for _, _, row in self._far)


def _slices(X: np.ndarray, size: int = 8192) -> Iterator[np.ndarray]:
    return (X[start : start + size] for start in range(0, len(X), size))


def _sums(rows: np.ndarray, labels: np.ndarray, n_atoms: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the sum and the number of the rows of each atom."""
    ones = np.ones(len(rows), np.float32)
    member = sparse.csr_matrix((ones, labels, np.arange(len(rows) + 1)), shape=(len(rows), n_atoms))
    return member.T @ rows, np.bincount(labels, minlength=n_atoms).astype(float)


def _sample(source: Source, size: int, rng: np.random.RandomState) -> tuple[np.ndarray, int]:
    """Draw up to `size` rows from one pass (every row as likely), and count the rows."""
    kept: np.ndarray | None = None
    keys = np.zeros(0)
    n_rows = 0
    for batch in source():
        n_rows += len(batch)
        new = rng.random_sample(len(batch))
        if kept is None:
            kept, keys = batch.copy(), new
        else:
            low = new < keys.max() if len(keys) >= size else np.ones(len(new), bool)
            kept, keys = np.concatenate([kept, batch[low]]), np.concatenate([keys, new[low]])
        if len(keys) > size:
            order = np.argpartition(keys, size - 1)[:size]
            kept, keys = kept[order], keys[order]
    if kept is None:
        raise ValueError("there are no rows to learn from")
    return kept[np.argsort(keys)], n_rows


def _plus_plus(rows: np.ndarray, n_atoms: int, rng: np.random.RandomState) -> np.ndarray:
    """Choose first atoms: rows drawn by their squared distance to those chosen before.

    The best of 2 + log(n_atoms) rows drawn, by the sum of the distances left, is taken. The rows
    for `_AT_ONCE` atoms are drawn together, since one product then serves them all.
    """
    n_trials = 2 + int(np.log(n_atoms))
    n_rows, n_dims = rows.shape
    squares = np.einsum("ij,ij->i", rows, rows)
    # |row - atom|^2 in one product: (row, |row|^2, 1) . (-2 atom, 1, |atom|^2)
    points = np.ones((n_dims + 2, n_rows), np.float32)
    points[:n_dims], points[n_dims] = rows.T, squares
    factor = np.ones((_AT_ONCE * n_trials, n_dims + 2), np.float32)
    chosen: list[int] = [int(rng.randint(n_rows))]
    distances = np.maximum(squares + squares[chosen] - 2 * (rows @ rows[chosen[0]]), 0)
    while len(chosen) < n_atoms:
        upto = np.cumsum(distances, dtype=np.float64)
        drawn = rng.random_sample(len(factor)) * upto[-1]
        candidates = np.minimum(np.searchsorted(upto, drawn, side="right"), n_rows - 1)
        factor[:, :n_dims], factor[:, -1] = -2 * rows[candidates], squares[candidates]
        products = factor @ points  # (n_candidates, n_rows)
        np.maximum(products, 0, out=products)
        for first in range(0, len(factor), n_trials):
            trials = products[first : first + n_trials]
            np.minimum(trials, distances, out=trials)
            best = int(trials.sum(axis=1, dtype=np.float64).argmin())
            chosen.append(int(candidates[first + best]))
            distances = trials[best]
    return rows[chosen[:n_atoms]]
