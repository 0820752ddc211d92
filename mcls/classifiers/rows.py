"""Rows that stay on the disk, for classifiers that learn by passes over chunks of them."""

from collections.abc import Iterator
from typing import Any

import numpy as np

#: Values of a chunk: small enough for the cache, large enough for products and reads.
_CHUNK = 1 << 19


class Rows:
    """Some rows of a matrix on the disk, read in chunks and standardised as they are read.

    Parameters
    ----------
    stored : array, shape (n_stored, n_dims)
        Has ``shape``, slices and `take`, as arrays, their memory maps and those of many files have;
        of any type of float. A chunk is converted to float64, never the whole.
    index : np.ndarray, shape (n_rows,), int64
        The rows, ascending.
    memory : int
        Bytes that a classifier may hold.
    scaler : StandardScaler or None
        Standardisation.
    """

    def __init__(self, stored: Any, index: np.ndarray, *, memory: int, scaler: Any = None) -> None:
        self.stored = stored
        self.index = index
        self.memory = memory
        self.scaler = scaler
        self.shape = (len(index), int(stored.shape[1]))

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, rows: Any) -> np.ndarray:
        """Read some rows, a slice or indices; return them as float64, standardised."""
        index = self.index[rows]
        together = len(index) > 0 and index[-1] - index[0] == len(index) - 1
        found = (
            self.stored[index[0] : index[-1] + 1] if together else self.stored.take(index, axis=0)
        )
        found = np.asarray(found, dtype=np.float64)
        return found if self.scaler is None else self.scaler.transform(found)

    def only(self, rows: np.ndarray) -> "Rows":
        """Return some of the rows, without reading them; `rows` is a mask."""
        return Rows(self.stored, self.index[rows], memory=self.memory, scaler=self.scaler)

    def scaled(self, scaler: Any) -> "Rows":
        """Return the same rows, standardised."""
        return Rows(self.stored, self.index, memory=self.memory, scaler=scaler)

    def min(self) -> float:
        """Return the smallest value."""
        return min(float(chunk.min()) for chunk in self.chunks())

    def chunks(self) -> Iterator[np.ndarray]:
        """Yield all rows in chunks, in order."""
        size = chunk_size(self.shape[1])
        for start in range(0, len(self), size):
            yield self[start : start + size]


def chunk_size(width: int) -> int:
    """Return the rows of a chunk whose widest matrix has `width` columns."""
    return max(64, _CHUNK // max(1, width))


def spread(n: int, at_most: int) -> np.ndarray:
    """Return up to `at_most` evenly spaced indices below `n`."""
    return np.unique(np.linspace(0, n - 1, min(n, at_most)).astype(int))
