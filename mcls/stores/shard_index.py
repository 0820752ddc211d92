"""The index of a store that is a folder: which shard has the rows of which track.

A folder holds shards, ``000000.h5``, ``000001.h5``, ..., which are stores themselves, and
``index.h5``. Layout of the index::

    /                       attrs: kind="features-index", and as in a store
    /tracks, /failed        as in a store
    /shards/of_track        (n_tracks,) the number of the shard of every track
           /size            (n_shards,) bytes
           /digest          (n_shards,) SHA-256 of the checksums at the end of the file
    /features/<name>        attrs: as in a store, and n_dims, dtype
       /offsets, /chain     as in a store
       /first               (n_tracks,) the first row of every track in its shard
       /start, /n_rows      (n_shards,) the byte where the rows of a shard begin, and their number

Rows are read from the shards at these places. What the index says of a shard is compared with the
shard: its size when the store is opened, and its digest when rows of it are read.
"""

import os
import stat
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from mcls.disk.hdf5 import member
from mcls.errors import FormatError
from mcls.stores.pieces import Pieces
from mcls.stores.read_store import DTYPES, numbers
from mcls.stores.store_file import FileRows, ShardFile

#: The name of the index, and its attribute ``kind``.
INDEX, INDEX_KIND = "index.h5", "features-index"


def shard_name(i: int) -> str:
    """Return the name of the file of shard `i`."""
    return f"{i:06d}.h5"


@dataclass(frozen=True)
class ShardIndex:
    """The shards of a folder.

    Attributes
    ----------
    shards : list of ShardFile
        The shards.
    of_track : np.ndarray, shape (n_tracks,), int64
        The number of the shard of every track.
    n_tracks : np.ndarray, shape (n_shards,), int64
        The number of tracks of every shard.
    """

    shards: list[ShardFile]
    of_track: np.ndarray
    n_tracks: np.ndarray

    @classmethod
    def read(cls, file: h5py.File, folder: Path, n_tracks: int) -> "ShardIndex":
        """Read the index and look for the shards.

        Raises
        ------
        FormatError
            If a shard is missing, no file, or of another size; the message names it.
        """
        where, group = f"{folder / INDEX}: /shards", member(file, "shards", h5py.Group)
        digests = member(group, "digest", h5py.Dataset)
        if digests.ndim != 1 or not len(digests) or not h5py.check_string_dtype(digests.dtype):
            raise FormatError(f"{where}: digest is {digests.dtype} {digests.shape}")
        sizes = numbers(group, "size", len(digests), where)
        of_track = numbers(group, "of_track", n_tracks, where)
        if n_tracks and not (of_track.min() >= 0 and of_track.max() < len(sizes)):
            raise FormatError(f"{where}: of_track names shards that are not there")
        shards = [
            _found(folder / shard_name(i), int(size), digest)
            for i, (size, digest) in enumerate(zip(sizes, digests.asstr()[()], strict=True))
        ]
        return cls(shards, of_track, np.bincount(of_track, minlength=len(shards)))

    def pieces(self, group: h5py.Group, offsets: np.ndarray, where: str) -> Pieces:
        """Find the rows of a feature; see `mcls.stores.read_store`.

        Raises
        ------
        FormatError
            If a place is not in its shard.
        """
        n_shards, n_dims = len(self.shards), group.attrs.get("n_dims")
        name = str(group.attrs.get("dtype"))
        if name not in DTYPES or not (isinstance(n_dims, np.integer) and n_dims >= 0):
            raise FormatError(f"{where}: rows are {name} of {n_dims} dimensions")
        dtype, n_dims = np.dtype(name), int(n_dims)
        first = numbers(group, "first", len(self.of_track), where)
        start, n_rows = (numbers(group, name, n_shards, where) for name in ("start", "n_rows"))
        sizes = np.array([shard.stamp[0] for shard in self.shards])
        room = (sizes - start) // max(1, n_dims * dtype.itemsize)
        wrong = (start < 0) | (start > sizes) | (n_rows < 0) | (n_rows > room)
        if wrong.any():
            raise FormatError(f"{where}: its rows are not in {shard_name(int(wrong.argmax()))}")
        if np.any((first < 0) | (first > n_rows[self.of_track] - np.diff(offsets))):
            raise FormatError(f"{where}: rows of a track are not in its shard")
        files = [
            FileRows(shard, at, (n, n_dims), dtype)
            for shard, at, n in zip(self.shards, start.tolist(), n_rows.tolist(), strict=True)
        ]
        return Pieces.of_tracks(files, self.of_track, first, offsets)


def _found(path: Path, size: int, digest: str) -> ShardFile:
    """Return a shard that is there, and the size that it should have."""
    try:
        status = os.lstat(path)
    except FileNotFoundError as error:
        raise FormatError(f"{path.parent} is not complete: {path.name} is missing") from error
    if not stat.S_ISREG(status.st_mode):
        raise FormatError(f"{path} is a link or no file; a shard is a file in its folder")
    if status.st_size != size:
        raise FormatError(
            f"{path} is not the shard that {path.parent} was made with; it was damaged or replaced"
        )
    return ShardFile(path.absolute(), (size, status.st_mtime_ns), digest)


def is_shard_folder(path: Path) -> bool:
    """Return whether a path is a folder with an index of shards."""
    return (path / INDEX).is_file()
