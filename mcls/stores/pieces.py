"""Where the rows of a feature lie: in one file, or in pieces of many."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from mcls.stores.store_file import FileRows


@dataclass(frozen=True)
class Pieces:
    """Pieces of files that are the rows of a feature, one after the other.

    Attributes
    ----------
    files : sequence of FileRows
        The files.
    n_dims : int
        Dimensions per row.
    dtype : np.dtype
        Type of the values.
    file : np.ndarray, shape (n_pieces,), int64
        The number of the file of each piece.
    first : np.ndarray, shape (n_pieces + 1,), int64
        The first row of each piece, ascending, and the number of rows.
    within : np.ndarray, shape (n_pieces,), int64
        Where each piece begins in its file, in rows.

    Examples
    --------
    >>> file, first, within = np.array([1, 0]), np.array([0, 3, 5]), np.array([10, 20])
    >>> at = Pieces([], 13, np.dtype("f4"), file, first, within)
    >>> [found.tolist() for found in at.places(np.array([0, 2, 3]))]
    [[1, 1, 0], [10, 12, 20]]
    """

    files: Sequence[FileRows]
    n_dims: int
    dtype: np.dtype
    file: np.ndarray
    first: np.ndarray
    within: np.ndarray

    @classmethod
    def of_file(cls, rows: FileRows) -> "Pieces":
        """Return all rows of one file as the only piece."""
        zero = np.zeros(1, np.int64)
        n_rows, n_dims = rows.shape
        return cls([rows], n_dims, rows.dtype, zero, np.array([0, n_rows]), zero)

    @classmethod
    def of_tracks(
        cls, files: Sequence[FileRows], file: np.ndarray, within: np.ndarray, offsets: np.ndarray
    ) -> "Pieces":
        """Return the pieces that hold tracks; neighbours in a file are one piece.

        Parameters
        ----------
        files : sequence of FileRows
            The files, at least one.
        file, within : np.ndarray, shape (n_tracks,), int64
            The number of the file of each track, and its first row there.
        offsets : np.ndarray, shape (n_tracks + 1,), int64
            The first row of each track, and the number of rows.
        """
        lengths = np.diff(offsets)
        own = np.flatnonzero(lengths)
        file, within, first = file[own], within[own], offsets[own]
        begins = np.ones(len(own), bool)
        begins[1:] = (np.diff(file) != 0) | (np.diff(within) != lengths[own][:-1])
        first, end = first[begins], offsets[-1:]
        kind = files[0].shape[1], files[0].dtype
        return cls(files, *kind, file[begins], np.append(first, end), within[begins])

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and dimensions."""
        return int(self.first[-1]), self.n_dims

    def places(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the number of the file of each row, and its number there."""
        piece = np.searchsorted(self.first, rows, side="right") - 1
        return self.file[piece], rows - self.first[piece] + self.within[piece]

    def parts(self, start: int, stop: int) -> Iterator[tuple[FileRows, int, int]]:
        """Yield the files of rows `start` to `stop`, with the first row and the end in each."""
        piece = max(0, int(np.searchsorted(self.first, start, side="right")) - 1)
        while start < stop:
            end = min(stop, int(self.first[piece + 1]))
            within = int(self.within[piece]) + start - int(self.first[piece])
            yield self.files[self.file[piece]], within, within + end - start
            start, piece = end, piece + 1

    def row_of(self, rows: FileRows, row: int) -> int:
        """Return the number of the row that is nearest to a row of a file, among all rows."""
        own = [i for i, number in enumerate(self.file) if self.files[number] is rows]
        within, lengths = self.within[own], np.diff(self.first)[own]
        nearest = np.clip(row, within, within + lengths - 1)
        i = int(np.abs(nearest - row).argmin())
        return int(self.first[own[i]] + nearest[i] - within[i])
