"""Streams of rows: a sample drawn in one pass, minibatches of one size, a new order every pass.

The same rows give the same result however a source cuts them into batches.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from mcls.errors import DataError

RowBatches = Iterable[np.ndarray]
Source = Callable[[], RowBatches]

#: Rows that are put in a new order together, at least: they are all that is held.
_POOL = 8192


class LazyBatches(Sequence[np.ndarray]):
    """Batches that are read when they are asked for, so that some can be left out unread.

    Parameters
    ----------
    n : int
        Number of batches.
    read : callable
        Takes the number of a batch, and returns its rows.
    """

    def __init__(self, n: int, read: Callable[[int], np.ndarray]) -> None:
        self._n = n
        self._read = read

    def __len__(self) -> int:
        return self._n

    def __getitem__(self, i: int) -> np.ndarray:  # type: ignore[override]  # no slices
        if not 0 <= i < self._n:
            raise IndexError(i)
        return self._read(i)


def draw(batches: RowBatches, n: int, rng: np.random.RandomState) -> tuple[np.ndarray, int]:
    """Draw `n` rows that are not zero, or all if there are fewer, in one pass.

    Parameters
    ----------
    batches : iterable of np.ndarray, shape (n_rows, n_dims)
        The rows.
    n : int
        Number of rows to draw.
    rng : np.random.RandomState
        Generator of the random numbers.

    Returns
    -------
    sample : np.ndarray, shape (at most n, n_dims), float32
        In a random order.
    n_rows : int
        Number of rows seen.

    Raises
    ------
    DataError
        If there are no rows, or rows of different lengths.
    """
    kept, keys, n_rows = None, np.empty(0), 0
    for batch in batches:
        rows = np.asarray(batch, dtype=np.float32)
        if kept is None:
            kept = rows[:0]
        if rows.shape[1:] != kept.shape[1:]:
            raise DataError(
                f"a batch has rows of {rows.shape[1]} numbers, expected {kept.shape[1]} as before"
            )
        n_rows += len(rows)
        drawn = rng.uniform(size=len(rows))
        usable = np.flatnonzero(np.einsum("ij,ij->i", rows, rows) > 0)
        keys = np.concatenate([keys, drawn[usable]])
        lowest = np.argsort(keys, kind="stable")[:n]
        kept, keys = np.concatenate([kept, rows[usable]])[lowest], keys[lowest]
    if kept is None or not n_rows:
        raise DataError("there are no rows to learn from")
    return kept, n_rows


def regroup(batches: RowBatches, size: int) -> Iterator[np.ndarray]:
    """Yield the same rows, float32, in batches of one size (the last may be shorter)."""
    rest: list[np.ndarray] = []
    waiting = 0
    for batch in batches:
        rest.append(np.asarray(batch, dtype=np.float32))
        waiting += len(batch)
        if waiting >= size:
            rows = np.concatenate(rest)
            whole = len(rows) - len(rows) % size
            for i in range(0, whole, size):
                yield rows[i : i + size]
            rest, waiting = [rows[whole:]], len(rows) - whole
    if waiting:
        yield np.concatenate(rest)


def shuffled(batches: RowBatches, size: int, rng: np.random.RandomState) -> Iterator[np.ndarray]:
    """Yield the same rows, float32, in batches of one size, in an order drawn anew.

    Some thousand rows that follow one another are put in a random order together; so a source
    should not yield all rows of one recording, or of one class, together.
    """
    for rows in regroup(batches, _pool_of(size)):
        yield from reordered(rows, size, rng)


def shuffled_order(n_rows: int, size: int, rng: np.random.RandomState) -> np.ndarray:
    """Return the indices of rows in the order in which `shuffled` yields them."""
    pool = _pool_of(size)
    starts = range(0, n_rows, pool)
    order = [start + rng.permutation(min(pool, n_rows - start)) for start in starts]
    return np.concatenate(order) if order else np.arange(0)


def _pool_of(size: int) -> int:
    """Return how many rows are put in a new order together: whole minibatches."""
    return size * -(-_POOL // size)


def reordered(rows: np.ndarray, size: int, rng: np.random.RandomState) -> Iterator[np.ndarray]:
    """Yield rows in memory in batches of one size, in an order drawn anew."""
    order = rng.permutation(len(rows))
    for i in range(0, len(rows), size):
        yield rows[order[i : i + size]]


def held(rows: np.ndarray, rng: np.random.RandomState) -> Source:
    """Return rows in memory as a source, in an order drawn once."""
    order = rng.permutation(len(rows))
    return lambda: (rows[order[i : i + _POOL]] for i in range(0, len(rows), _POOL))
