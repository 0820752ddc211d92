"""The rows of one feature in a store, memory-mapped or read straight from the file."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from mcls.disk.chain import Chain
from mcls.disk.checksums import Checksums
from mcls.disk.finite import first_not_finite
from mcls.errors import DataError, FormatError
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
    rows : np.ndarray, shape (n_rows, n_dims)
        Read-only memory map.
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
    start: int
    shape: tuple[int, int]
    dtype: np.dtype
    stamp: tuple[int, int]
    checksums: Checksums | None
    track_ids: Sequence[str]
    cut: np.ndarray | None = None

    @property
    def spans(self) -> np.ndarray:
        """The first row of every track and the row after its last one, ``(n_tracks, 2)``."""
        if self.cut is not None:
            return self.cut
        return np.stack([self.offsets[:-1], self.offsets[1:]], axis=1)

    @property
    def rows(self) -> np.ndarray:
        """All rows, as a memory map; their checksums are compared first."""
        if self.shape[0] * self.shape[1] == 0:
            return np.empty(self.shape, self.dtype)
        with self._open() as file:
            self._check(file, 0, self.shape[0])
            return np.memmap(file, self.dtype, "r", self.start, self.shape)

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

    @property
    def n_dims(self) -> int:
        """Dimensions per row."""
        return self.shape[1]

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
        with self._open() as file:
            self._check(file, start, stop)
            file.seek(self.start + start * self._width)
            count = (stop - start) * self.n_dims
            rows = np.fromfile(file, self.dtype, count).reshape(stop - start, self.n_dims)
        if (bad := first_not_finite(rows)) is not None:
            track = self.track_ids[int(np.searchsorted(self.offsets, start + bad, "right")) - 1]
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
        with self._open() as file:
            self._check(file, 0, len(self))

    @property
    def _width(self) -> int:
        """Bytes per row."""
        return self.n_dims * self.dtype.itemsize

    def _check(self, file: BinaryIO, start: int, stop: int) -> None:
        """Compare the checksums of the blocks of some rows, each block once."""
        if self.checksums is None or start >= stop:
            return
        place = [self.start + row * self._width for row in (start, stop)]
        wrong = self.checksums.wrong_block(file.fileno(), *place)
        if wrong is None:
            return
        first, last = [min(max(0, (at - self.start) // self._width), len(self) - 1) for at in wrong]
        tracks = np.unique(np.searchsorted(self.offsets, [first, last], side="right") - 1)
        names = [self.track_ids[i] for i in tracks]
        raise FormatError(
            f"{self.path} is damaged: rows {first} to {last} of feature {self.name!r} do not match "
            f"their checksum (track {' to '.join(map(repr, names))}); extract it again"
        )

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
