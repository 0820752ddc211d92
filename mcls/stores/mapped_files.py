"""The rows of a feature in many files, as one array whose parts are mapped when they are read."""

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import numpy as np

from mcls.stores.pieces import Pieces
from mcls.stores.store_file import FileRows

#: Memory maps that are open at once; each takes one of the files that a process may have open.
_MAPS = 256


class MappedFiles:
    """A read-only array of rows that are in several files.

    Files are mapped when rows of them are asked for. If too many are, the one that was least
    recently used is closed.

    Parameters
    ----------
    pieces : Pieces
        Where the rows are.
    mapped : callable
        Maps the rows of a file.
    """

    def __init__(self, pieces: Pieces, mapped: Callable[[FileRows], np.ndarray]) -> None:
        self.pieces = pieces
        self.shape = pieces.shape
        self.dtype = pieces.dtype
        self._map = lru_cache(_MAPS)(lambda file: np.asarray(mapped(pieces.files[file])))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: slice) -> np.ndarray:
        """Return some rows, ``(n, n_dims)``, of which only these are read."""
        return self.take(np.arange(*index.indices(len(self))))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Return a copy of all rows in memory."""
        return self[:] if dtype is None else self[:].astype(dtype, copy=False)

    def take(self, rows: np.ndarray, axis: int = 0) -> np.ndarray:
        """Return rows by their numbers, ``(*rows.shape, n_dims)``, as `numpy.take` does."""
        taken = np.empty((rows.size, self.shape[1]), self.dtype)
        for array, within, where in self.by_file(rows.ravel()):
            taken[where] = array[within]
        return taken.reshape(*rows.shape, self.shape[1])

    def by_file(self, rows: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Yield the map of each file with some of the rows, their numbers in it and in `rows`."""
        files, within = self.pieces.places(rows)
        order = np.argsort(files, kind="stable")
        ends = np.flatnonzero(np.diff(files[order], append=-1)) + 1
        start = 0
        for end in ends.tolist():
            where = order[start:end]
            yield self._map(int(files[where[0]])), within[where], where
            start = end
