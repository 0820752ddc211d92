"""The rows of a feature in many files, as one array that is read where it is indexed."""

import resource
from collections.abc import Callable
from io import FileIO
from itertools import pairwise
from typing import Any

import numpy as np

from mcls.stores.pieces import Pieces
from mcls.stores.store_file import FileRows

#: Files that are mapped: half of those that a process may have open, as each map takes one.
_MAPS = (resource.getrlimit(resource.RLIMIT_NOFILE)[0] % (1 << 63)) // 2


class JoinedFiles:
    """A read-only array of rows that are in several files.

    Files are memory-mapped when rows of them are asked for. If there are more than a process may
    map, the others are opened for each reading.

    Parameters
    ----------
    pieces : Pieces
        Where the rows are.
    check : callable
        ``check(rows, opened, start, stop)`` compares the checksums of rows of an opened file. It
        is called of all rows of a file when the first of them are read.
    """

    def __init__(self, pieces: Pieces, check: Callable[[FileRows, FileIO, int, int], None]) -> None:
        self.pieces = pieces
        self.shape = pieces.shape
        self.dtype = pieces.dtype
        self._check = check
        self._maps: dict[int, np.ndarray] = {}
        self._checked: set[int] = set()

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: slice) -> np.ndarray:
        """Return some rows, ``(n, n_dims)``, of which only these are read."""
        return self.take(np.arange(*index.indices(len(self))))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Return a copy of all rows in memory."""
        return self[:] if dtype is None else self[:].astype(dtype, copy=False)

    def take(self, rows: np.ndarray, axis: int = 0) -> np.ndarray:
        """Return rows by their numbers, ``(*rows.shape, n_dims)``, as `numpy.take` does.

        Rows that follow each other in `rows` are read together.
        """
        numbers = rows.ravel()
        begins = np.append(0, np.flatnonzero(numbers[1:] != numbers[:-1] + 1) + 1)[: len(numbers)]
        lengths = np.append(begins[1:], len(numbers))[: len(begins)] - begins
        return self._read(numbers[begins], lengths).reshape(*rows.shape, self.shape[1])

    def runs(self, first: np.ndarray, n_rows: int) -> np.ndarray:
        """Return runs of adjacent rows, ``(len(first), n_rows, n_dims)``."""
        lengths = np.full(len(first), n_rows)
        return self._read(first, lengths).reshape(len(first), n_rows, self.shape[1])

    def _read(self, first: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """Read runs of rows, one after the other, ``(sum of lengths, n_dims)``."""
        first, lengths = self._within_pieces(first, lengths)
        files, within = self.pieces.places(first)
        read, done = np.empty((int(lengths.sum()), self.shape[1]), self.dtype), 0
        for file, at, n in zip(files.tolist(), within.tolist(), lengths.tolist(), strict=True):
            array = self._maps.get(file)
            read[done : done + n] = (
                self._of_file(file, at, at + n) if array is None else array[at : at + n]
            )
            done += n
        return read

    def _within_pieces(
        self, first: np.ndarray, lengths: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Divide runs where a piece ends."""
        edges = self.pieces.first
        piece = np.searchsorted(edges, first, side="right") - 1
        if np.all(first + lengths <= edges[piece + 1]):
            return first, lengths
        parts: list[tuple[int, int]] = []
        for row, n, i in zip(first.tolist(), lengths.tolist(), piece.tolist(), strict=True):
            inside = edges[i + 1 : np.searchsorted(edges, row + n)].tolist()
            parts += pairwise([row, *inside, row + n])
        divided = np.array(parts)
        return divided[:, 0], divided[:, 1] - divided[:, 0]

    def _of_file(self, file: int, start: int, stop: int) -> np.ndarray:
        """Read rows of a file that is not mapped, and map it if it may be."""
        rows = self.pieces.files[file]
        with rows.file.open() as opened:
            if file not in self._checked:
                self._check(rows, opened, 0, rows.shape[0])
                self._checked.add(file)
            if len(self._maps) < _MAPS:
                self._maps[file] = np.asarray(rows.mapped(opened))
            return rows.read(opened, start, stop)
