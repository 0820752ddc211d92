"""The rows of one feature in a store, memory-mapped or read straight from the file."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from mcls.disk.chain import Chain
from mcls.errors import DataError


@dataclass(frozen=True)
class StoredRows:
    """The rows of one feature of an opened store.

    Attributes
    ----------
    name : str
        The feature's name in the store.
    settings : dict
        The settings of the last step of its chain.
    digest : str
        The digest of the chain, learnt arrays included.
    frame_rate : float or None
        Rows per second; None if a row is a whole track.
    chain : Chain
        Every step from the audio to these rows.
    offsets : np.ndarray, shape (n_tracks + 1,), int64
        The first row of every track, and the number of rows.
    rows : np.ndarray, shape (n_rows, n_dims)
        Read-only memory map.
    """

    name: str
    settings: dict[str, Any]
    digest: str
    frame_rate: float | None
    chain: Chain
    offsets: np.ndarray
    path: Path
    start: int
    shape: tuple[int, int]
    dtype: np.dtype
    stamp: tuple[int, int]

    @property
    def rows(self) -> np.ndarray:
        """All rows, as a memory map."""
        if self.shape[0] * self.shape[1] == 0:
            return np.empty(self.shape, self.dtype)
        with self._open() as file:
            return np.memmap(file, self.dtype, "r", self.start, self.shape)

    @property
    def n_dims(self) -> int:
        """Dimensions per row."""
        return self.shape[1]

    def __len__(self) -> int:
        return self.shape[0]

    def track(self, i: int) -> np.ndarray:
        """Read and return the rows of track `i`, ``(n, n_dims)``."""
        return self.read(int(self.offsets[i]), int(self.offsets[i + 1]))

    def read(self, start: int, stop: int) -> np.ndarray:
        """Read and return rows `start` to `stop` without the memory map."""
        width = self.n_dims * self.dtype.itemsize
        with self._open() as file:
            file.seek(self.start + start * width)
            count = (stop - start) * self.n_dims
            return np.fromfile(file, self.dtype, count).reshape(stop - start, self.n_dims)

    def _open(self) -> BinaryIO:
        """Open the file and check that it was not replaced since it was opened first."""
        try:
            file = self.path.open("rb")
        except OSError as error:
            raise DataError(f"{self.path} can no longer be read: {error.strerror}") from error
        if stamp_of(file.fileno()) != self.stamp:
            file.close()
            raise DataError(f"{self.path} was replaced while it was read; run the command again")
        return file


def stamp_of(file: Path | int) -> tuple[int, int]:
    """Return size and modification time, which differ if the file is replaced."""
    status = os.stat(file)  # noqa: PTH116  # takes an open file, too
    return status.st_size, status.st_mtime_ns
