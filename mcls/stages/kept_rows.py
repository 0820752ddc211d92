"""The rows that a classifier learns from: in memory, or on the disk if they do not fit."""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO
from weakref import finalize

import numpy as np

from mcls.classifiers.rows import Rows
from mcls.stores.joined_files import JoinedFiles
from mcls.stores.stored_rows import StoredRows

#: Says whether so many rows of so many dimensions fit in memory.
Fits = Callable[[int, int], bool]


class KeptRows(Mapping[int, np.ndarray]):
    """The rows of tracks, by the index of the track.

    As soon as they do not fit in memory they are moved into a file without a name, which ends with
    the process however that ends. Rows that a store holds as they are, are read from there.

    Parameters
    ----------
    fits : callable
        Says whether ``(n_rows, n_dims)`` fit in memory.
    folder : Path
        Where the file is made.
    stored : StoredRows or None
        The rows of the store, if they are the same.
    """

    def __init__(self, fits: Fits, folder: Path, stored: StoredRows | None = None) -> None:
        self.on_disk = False
        self._fits = fits
        self._folder = folder
        self._stored = stored
        self._held: dict[int, np.ndarray] = {}
        self._spans: dict[int, tuple[int, int]] = {}
        self._shape = (0, 0)
        self._file: IO[bytes] | None = None
        self._matrix: np.ndarray | JoinedFiles | None = None

    def __len__(self) -> int:
        return len(self._spans)

    def __iter__(self) -> Iterator[int]:
        return iter(self._spans)

    def __getitem__(self, track: int) -> np.ndarray:
        start, stop = self._spans[track]
        return np.array(self._all()[start:stop]) if self.on_disk else self._held[track]

    @property
    def shape(self) -> tuple[int, int]:
        """The number of rows of all tracks, and of their dimensions."""
        return self._shape

    def n_rows(self, track: int) -> int:
        """Return the number of rows of a track."""
        start, stop = self._spans[track]
        return stop - start

    def add(self, track: int, rows: np.ndarray) -> None:
        """Keep the rows of a track."""
        before = self._shape[0]
        self._shape = before + len(rows), rows.shape[1]
        span = (before, self._shape[0]) if self._stored is None else self._stored.spans[track]
        self._spans[track] = int(span[0]), int(span[1])
        self._held[track] = rows
        if self.on_disk or not self._fits(*self._shape):
            self.on_disk = True
            for one in self._held.values():
                self._write(one)
            self._held = {}

    def forget(self, track: int) -> None:
        """Let go of the rows of a track."""
        del self._spans[track]
        self._held.pop(track, None)

    def of_tracks(self, tracks: Sequence[int], memory: int) -> Rows:
        """Return the rows of tracks, ascending, without reading them."""
        index = [np.arange(*self._spans[i]) for i in tracks]
        return Rows(self._all(), np.concatenate(index), memory=memory)

    def _write(self, rows: np.ndarray) -> None:
        if self._stored is not None:
            return
        if self._file is None:
            self._file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115  # kept open
            finalize(self, self._file.close)
        self._file.write(np.ascontiguousarray(rows, dtype=np.float32).data)

    def _all(self) -> np.ndarray | JoinedFiles:
        """Return all rows on the disk as a memory map."""
        if self._matrix is None:
            if self._stored is not None:
                self._matrix = self._stored.rows
            elif self._file is not None:
                self._file.flush()
                self._matrix = np.memmap(self._file, np.float32, "r", shape=self._shape)
        assert self._matrix is not None  # it is only asked for if the rows are on the disk
        return self._matrix
