"""Write a store as a folder of shards, which `mcls.stores.store.Store` reads like one file.

`mcls.stores.shard_index` describes the folder. It appears whole, and is replaced as a whole.
"""

import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np

from mcls.disk.hdf5 import kind_of, new_hdf5
from mcls.disk.outputs import check_replaced_hdf5, check_suffix, refusal
from mcls.disk.workspace import written_whole
from mcls.errors import ConfigError, FormatError
from mcls.settings import canonical
from mcls.stores.shard_index import INDEX, INDEX_KIND, is_shard_folder, shard_name
from mcls.stores.shards import TrackOf, pack
from mcls.stores.store import (
    KIND,
    NewRows,
    Store,
    StoreContents,
    room_for,
    storable,
    write_columns,
    write_contents,
    write_feature_head,
)
from mcls.stores.stored_rows import StoredRows

#: Bytes of rows in a shard, unless another size is asked for.
SHARD_BYTES = 10**9


@dataclass(frozen=True)
class NewShard:
    """A shard to write.

    Attributes
    ----------
    tracks : list of int
        Its tracks, by their places in the store.
    whole : Path or None
        A shard that holds just these tracks.
    """

    tracks: list[int]
    whole: Path | None = None


def check_output(out: Path, *, packed: bool) -> None:
    """Refuse a path where a store of this form cannot be written, a file or a folder of shards.

    Raises
    ------
    ConfigError
        If its suffix is that of something else, or the other form is there.
    """
    if packed:
        check_suffix(out, "a store")
    else:
        check_suffix(out, "a store that is a folder", own=(".store",))
    if packed and is_shard_folder(out):
        raise ConfigError(
            f"{out} is a folder of shards; pass --no-pack to write it, or choose another output"
        )
    if not packed and out.is_file():
        raise ConfigError(
            f"{out} is a file; leave out --no-pack to write it, or choose another output"
        )


def check_replaced_store(out: Path) -> None:
    """Refuse to replace anything but a store that mcls wrote, a file or a folder.

    Raises
    ------
    ConfigError
        If something else is there.
    """
    if not out.is_dir():
        check_replaced_hdf5(out, KIND, "a store")
        return
    with suppress(FormatError):
        if kind_of(out / INDEX) == INDEX_KIND:
            return
    raise ConfigError(refusal(out, "a store"))


def shards_as_they_are(sources: Sequence[TrackOf]) -> list[NewShard]:
    """Return the shards that hold tracks, in the order of their first tracks.

    A shard with other tracks than these is written again with these only.

    Parameters
    ----------
    sources : sequence of (store, track)
        The store and the index of every track of the output; stores that are shards, or folders.
    """
    tracks: dict[Path, list[int]] = {}
    n_tracks: dict[Path, int] = {}
    for i, (store, track) in enumerate(sources):
        path, n_tracks[path] = store.file_of(track)
        tracks.setdefault(path, []).append(i)
    return [
        NewShard(some, path if len(some) == n_tracks[path] else None)
        for path, some in tracks.items()
    ]


def shards_of_size(
    sources: Sequence[TrackOf],
    names: Sequence[str],
    *,
    n_shards: int | None = None,
    n_bytes: int = SHARD_BYTES,
) -> list[NewShard]:
    """Divide tracks into shards, in their order.

    Parameters
    ----------
    sources : sequence of (store, track)
        The store and the index of every track of the output.
    names : sequence of str
        The features that are written.
    n_shards : int or None
        The number of shards, about equally large.
    n_bytes : int
        Without `n_shards`: the most bytes of rows of a shard, except of one with a single track.

    Raises
    ------
    ConfigError
        If there are more shards than tracks.
    """
    n = len(sources)
    ends = np.cumsum([_n_bytes(store, track, names) for store, track in sources])
    edges = [0]
    if n_shards is not None:
        if not 1 <= n_shards <= n:
            raise ConfigError(f"{n} tracks cannot be divided into {n_shards} shards")
        for i in range(1, n_shards):
            end = int(np.searchsorted(ends, i * ends[-1] / n_shards)) + 1
            edges.append(min(max(end, edges[-1] + 1), n - n_shards + i))
        edges.append(n)
    while edges[-1] < n:
        before = ends[edges[-1] - 1] if edges[-1] else 0
        end = int(np.searchsorted(ends, before + n_bytes, side="right"))
        edges.append(max(end, edges[-1] + 1))
    return [NewShard(list(range(a, b))) for a, b in pairwise(edges)]


def write_tracks(
    out: Path, sources: Sequence[TrackOf], contents: StoreContents, *, packed: bool
) -> None:
    """Write a store of finished tracks; parameters and errors as of `mcls.stores.shards.pack`.

    Parameters
    ----------
    packed : bool
        Write one file; else a folder of the shards where the tracks are, which are not copied.
    """
    if packed:
        pack(out, sources, contents)
    else:
        write_folder(out, shards_as_they_are(sources), sources, contents)


def write_folder(
    out: Path,
    shards: Sequence[NewShard],
    sources: Sequence[TrackOf],
    contents: StoreContents,
    names: Sequence[str] | None = None,
) -> None:
    """Write a store as a folder of shards.

    Parameters
    ----------
    out : Path
        The folder to write; it appears whole.
    shards : sequence of NewShard
        The shards, which together have every track once.
    sources, contents, names
        As of `mcls.stores.shards.pack`.

    Raises
    ------
    DataError
        If the folder cannot be written.
    """
    with written_whole(out) as new:
        new.mkdir()
        for i, shard in enumerate(shards):
            path = new / shard_name(i)
            if shard.whole is not None:
                _link(shard.whole, path)
                continue
            columns = {
                name: [cells[track] for track in shard.tracks]
                for name, cells in contents.tracks.items()
            }
            pack(path, [sources[track] for track in shard.tracks], StoreContents(columns), names)
        _write_index(new, len(shards), contents)


def _n_bytes(store: Store, track: int, names: Sequence[str]) -> int:
    """Return the bytes of the rows of a track."""
    features = [store.features[name] for name in names]
    return sum(
        int(rows.offsets[track + 1] - rows.offsets[track]) * rows.n_dims * rows.dtype.itemsize
        for rows in features
    )


def _link(shard: Path, new: Path) -> None:
    """Give a shard a second name, or copy it where the file system has no such names."""
    try:
        os.link(shard, new)
    except OSError:
        shutil.copyfile(shard, new)


def _write_index(folder: Path, n_shards: int, contents: StoreContents) -> None:
    track_ids = [storable(str(track_id)) for track_id in contents.tracks["track_id"]]
    place = {track_id: i for i, track_id in enumerate(track_ids)}
    of_track, size = np.empty(len(place), np.int64), np.empty(n_shards, np.int64)
    digests, places = [], {}
    for i in range(n_shards):
        shard = Store(folder / shard_name(i))
        own = [place[track_id] for track_id in shard.track_ids]
        of_track[own] = i
        for name, rows in shard.features.items():
            if i == 0:
                places[name] = _Places(rows, len(place), n_shards)
            places[name].add(i, own, rows)
        file = next(iter(shard.features.values())).pieces.files[0].file
        size[i] = file.stamp[0]
        assert file.checksums is not None
        digests.append(file.checksums.digest)
    features = [one.new_rows() for one in places.values()]
    room = room_for(contents, features, own_rows=False)
    with new_hdf5(folder / INDEX, room) as index:
        write_contents(index, INDEX_KIND, contents)
        index.attrs["columns"] = canonical(list(contents.tracks))
        group = index.create_group("shards")
        write_columns(group, {"digest": digests})
        group.create_dataset("size", data=size)
        group.create_dataset("of_track", data=of_track)
        parent = index.create_group("features")
        for one, new in zip(places.values(), features, strict=True):
            one.write(write_feature_head(parent, new)[0])


class _Places:
    """Where the rows of a feature are in the shards."""

    def __init__(self, like: StoredRows, n_tracks: int, n_shards: int) -> None:
        self.like = like
        self.first, self.lengths = np.empty(n_tracks, np.int64), np.empty(n_tracks, np.int64)
        self.start, self.n_rows = np.empty(n_shards, np.int64), np.empty(n_shards, np.int64)

    def add(self, i: int, tracks: Sequence[int], rows: StoredRows) -> None:
        """Note the places of shard `i`, which has some tracks."""
        self.first[tracks], self.lengths[tracks] = rows.offsets[:-1], np.diff(rows.offsets)
        self.start[i], self.n_rows[i] = rows.pieces.files[0].start, len(rows)

    def new_rows(self) -> NewRows:
        """Return the feature as it is written, without rows."""
        like = self.like
        return NewRows(
            like.name, like.chain, like.frame_rate, like.n_dims, self.lengths, (), like.dtype.name
        )

    def write(self, group: h5py.Group) -> None:
        """Write the places."""
        group.attrs["n_dims"], group.attrs["dtype"] = self.like.n_dims, self.like.dtype.name
        for name in ("first", "start", "n_rows"):
            group.create_dataset(name, data=getattr(self, name))
