"""A file with rows, and the rows of one feature in it, read straight from their bytes.

No HDF5 handle is held: the file is opened for each read, and refused if it is no longer the one
that was there at first.
"""

import os
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

import numpy as np

from mcls.disk.checksums import Checksums, read_checksums
from mcls.errors import DataError, FormatError

#: Size and modification time, which differ if a file is replaced.
FileStamp = tuple[int, int]


class StoreFile:
    """A file of rows.

    Parameters
    ----------
    path : Path
        The file.
    stamp : (int, int)
        Its `stamp_of` when it was found.
    checksums : Checksums or None
        Those at its end; None if it has none.
    """

    def __init__(self, path: Path, stamp: FileStamp, checksums: Checksums | None) -> None:
        self.path = path
        self.stamp = stamp
        self._checksums = checksums

    @property
    def checksums(self) -> Checksums | None:
        """The checksums at its end."""
        return self._checksums

    def open(self) -> FileIO:
        """Open the file and check that it was not replaced since it was found.

        Raises
        ------
        DataError
            If it was, or can no longer be read.
        """
        try:
            file = self.path.open("rb", buffering=0)
        except OSError as error:
            raise DataError(f"{self.path} can no longer be read: {error.strerror}") from error
        if stamp_of(file.fileno()) != self.stamp:
            file.close()
            raise DataError(f"{self.path} was replaced while it was read; run the command again")
        return file


class ShardFile(StoreFile):
    """A file of a store that is a folder; its checksums are read when its rows are.

    Parameters
    ----------
    path, stamp
        As of a `StoreFile`.
    digest : str
        The digest of the checksums that it had when the folder was made.
    """

    def __init__(self, path: Path, stamp: FileStamp, digest: str) -> None:
        super().__init__(path, stamp, None)
        self.digest = digest

    @property
    def checksums(self) -> Checksums:
        """The checksums at its end.

        Raises
        ------
        FormatError
            If they are not those that it had when the folder was made.
        """
        if self._checksums is None:
            found = read_checksums(self.path)
            if found is None or found.digest != self.digest:
                raise FormatError(
                    f"{self.path} is not the shard that {self.path.parent} was made with; it was "
                    "damaged or replaced"
                )
            self._checksums = found
        return self._checksums

    def verify(self) -> None:
        """Compare the checksums with the digest; errors as of `checksums`."""
        _ = self.checksums


@dataclass(frozen=True)
class FileRows:
    """The rows of one feature in one file.

    Attributes
    ----------
    file : StoreFile
        The file; its `open` gives what the methods read from.
    start : int
        The byte at which the rows begin.
    shape : (int, int)
        Rows and dimensions.
    dtype : np.dtype
        Type of the values.
    """

    file: StoreFile
    start: int
    shape: tuple[int, int]
    dtype: np.dtype

    def read(self, opened: FileIO, start: int, stop: int) -> np.ndarray:
        """Read and return rows `start` to `stop`."""
        opened.seek(self.start + start * self._width)
        count = (stop - start) * self.shape[1]
        return np.fromfile(opened, self.dtype, count).reshape(stop - start, self.shape[1])

    def mapped(self, opened: FileIO) -> np.ndarray:
        """Return all rows as a read-only memory map."""
        return np.memmap(opened, self.dtype, "r", self.start, self.shape)

    def damaged(self, opened: FileIO, start: int, stop: int) -> tuple[int, int] | None:
        """Return the first and the last row of the first block that is not as it was written.

        Blocks of rows `start` to `stop` are compared with their checksums, each block once; None
        if all are right.
        """
        checksums = self.file.checksums
        if checksums is None or start >= stop:
            return None
        place = [self.start + row * self._width for row in (start, stop)]
        wrong = checksums.wrong_block(opened.fileno(), *place)
        if wrong is None:
            return None
        first, last = ((at - self.start) // self._width for at in wrong)
        return max(0, first), min(last, self.shape[0] - 1)

    @property
    def _width(self) -> int:
        """Bytes per row."""
        return self.shape[1] * self.dtype.itemsize


def stamp_of(file: Path | int) -> FileStamp:
    """Return size and modification time, which differ if the file is replaced."""
    status = os.stat(file)  # noqa: PTH116  # takes an open file, too
    return status.st_size, status.st_mtime_ns
