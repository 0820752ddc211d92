"""The rows of one feature in a store, memory-mapped or read straight from the file."""

from collections.abc import Sequence
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np

from mcls.disk.chain import Chain
from mcls.disk.finite import first_not_finite
from mcls.errors import DataError, FormatError
from mcls.stores.joined_files import JoinedFiles
from mcls.stores.pieces import Pieces
from mcls.stores.store_file import FileRows
from mcls.tabular import Tabular


@dataclass(frozen=True, repr=False)
class StoredRows(Tabular):
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
    path : Path
        The store, a file or a folder.
    pieces : Pieces
        Where the rows are in its files.
    track_ids : sequence of str
        The names of the tracks.
    cut : np.ndarray, shape (n_tracks, 2), int64, or None
        The first row of every track and the row after its last one, where tracks are stretches of
        the stored ones (`mcls.stores.event_store`); None: they follow from `offsets`.
    """

    name: str
    settings: dict[str, Any]
    digest: str
    frame_rate: float | None
    chain: Chain
    offsets: np.ndarray
    path: Path
    pieces: Pieces
    track_ids: Sequence[str]
    cut: np.ndarray | None = None

    @property
    def spans(self) -> np.ndarray:
        """The first row of every track and the row after its last one, ``(n_tracks, 2)``."""
        if self.cut is not None:
            return self.cut
        return np.stack([self.offsets[:-1], self.offsets[1:]], axis=1)

    @property
    def rows(self) -> np.ndarray | JoinedFiles:
        """All rows, read-only, ``(n_rows, n_dims)``; their checksums are compared first.

        A memory map; of a store that is a folder, an array that is read where it is indexed, which
        compares the checksums of a shard when its rows are asked for.
        """
        files = self.pieces.files
        if len(files) == 1 and len(self.pieces.file) <= 1 and files[0].shape == self.shape:
            return self._mapped(files[0])
        return JoinedFiles(self.pieces, self._check)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and dimensions."""
        return self.pieces.shape

    @property
    def n_dims(self) -> int:
        """Dimensions per row."""
        return self.pieces.n_dims

    @property
    def dtype(self) -> np.dtype:
        """Type of the values."""
        return self.pieces.dtype

    @property
    def title(self) -> str:
        """The feature, and the number of tracks, rows and dimensions."""
        rate = "one per track" if self.frame_rate is None else f"{self.frame_rate:.4g} per second"
        return (
            f"{self.name} in {self.path}: {len(self.track_ids)} tracks, {len(self)} rows ({rate}) "
            f"of {self.n_dims} dimensions"
        )

    def columns(self, most: int | None = None) -> dict[str, Any]:
        """Return a row per stored row: track, its number within the track, and the dimensions."""
        lengths = np.diff(self.spans, axis=1)[:, 0]
        if most is not None:
            before = np.cumsum(lengths) - lengths
            lengths = np.clip(most - before, 0, lengths)
        kept = [
            self.read(int(start), int(start + n))
            for (start, _), n in zip(self.spans, lengths, strict=True)
            if n
        ]
        rows = np.concatenate(kept) if kept else np.empty((0, self.n_dims), self.dtype)
        names = [name for name, n in zip(self.track_ids, lengths, strict=True) for _ in range(n)]
        numbers = [row for n in lengths for row in range(n)]
        dims = {str(i): column for i, column in enumerate(rows.T)}
        return {"track_id": names, "row": numbers, **dims}

    def __len__(self) -> int:
        return self.shape[0]

    def track(self, i: int) -> np.ndarray:
        """Read and return the rows of track `i`, ``(n, n_dims)``."""
        if self.cut is not None:
            return self.read(*map(int, self.cut[i]))
        return self.read(int(self.offsets[i]), int(self.offsets[i + 1]))

    def read(self, start: int, stop: int) -> np.ndarray:
        """Read and return rows `start` to `stop` without the memory map.

        Raises
        ------
        DataError
            If a number in them is NaN or infinite; the message names the track.
        FormatError
            If they do not match their checksums; the message names the track.
        """
        read = []
        for part, first, end in self.pieces.parts(start, stop):
            with part.file.open() as file:
                self._check(part, file, first, end)
                read.append(part.read(file, first, end))
        if not read:
            return np.empty((0, self.n_dims), self.dtype)
        rows = read[0] if len(read) == 1 else np.concatenate(read)
        if (bad := first_not_finite(rows)) is not None:
            track = self._track_at(start + bad)
            raise DataError(
                f"{self.path}: rows of track {track!r} (feature {self.name!r}) are NaN or "
                f"infinite; leave it out with `mcls store remove`, or extract it again"
            )
        return rows

    def verify(self) -> None:
        """Compare the checksums of all rows.

        Raises
        ------
        FormatError
            If some do not match; the message names the track.
        """
        for part in self.pieces.files:
            with part.file.open() as file:
                self._check(part, file, 0, part.shape[0])

    def _mapped(self, part: FileRows) -> np.ndarray:
        """Return the rows of a file as a memory map; their checksums are compared first."""
        if part.shape[0] * part.shape[1] == 0:
            return np.empty(part.shape, part.dtype)
        with part.file.open() as file:
            self._check(part, file, 0, part.shape[0])
            return part.mapped(file)

    def _check(self, part: FileRows, file: FileIO, start: int, stop: int) -> None:
        """Compare the checksums of some rows of a file."""
        damaged = part.damaged(file, start, stop)
        if damaged is None:
            return
        tracks = [self._track_at(self.pieces.row_of(part, row)) for row in damaged]
        names = dict.fromkeys(tracks)
        raise FormatError(
            f"{part.file.path} is damaged: rows {damaged[0]} to {damaged[1]} of feature "
            f"{self.name!r} do not match their checksum (track {' to '.join(map(repr, names))}); "
            "extract it again"
        )

    def _track_at(self, row: int) -> str:
        """Return the ``track_id`` of the track that has a row."""
        return self.track_ids[int(np.searchsorted(self.offsets, row, "right")) - 1]
