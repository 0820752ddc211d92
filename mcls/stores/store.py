"""Stores: rows of numbers per track, several features, in one HDF5 file.

Layout::

    /                       attrs: kind="features", format=1, version, settings, split_note, notes
    /tracks/<column>        every manifest column as UTF-8; seconds, sample_rate, sha1
    /features/<name>        attrs: settings (JSON), digest, frame_rate in rows/s
       /rows                (n_rows, n_dims) float32, float16 or int16, contiguous
       /offsets             (n_tracks + 1,) int64
       /chain/<i>           the steps from the audio to these rows
    /failed                 track_id, path, reason

The file holds no date, so the same rows give the same bytes. ``rows`` is memory-mapped straight
from the file: a `Store` holds no HDF5 handle, can be pickled and may be shared by processes. If the
file is replaced after it was opened, reading its rows is an error, as the offsets would be those of
another file. Links to other files are never followed.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mcls import __version__
from mcls.disk.chain import Chain, chain_digest, write_chain
from mcls.disk.finite import first_not_finite
from mcls.disk.hdf5 import CORRUPT, new_hdf5, open_hdf5, system_message
from mcls.disk.text_files import parse_json
from mcls.disk.workspace import written_whole
from mcls.errors import ConfigError, DataError, FormatError, suggest
from mcls.remote.places import kept, spelled
from mcls.settings import canonical
from mcls.stores.read_store import pieces_of_file, read_columns, read_features
from mcls.stores.shard_index import INDEX, INDEX_KIND, ShardIndex, is_shard_folder
from mcls.stores.stored_rows import StoredRows
from mcls.tables.events import hold_events, labels_in
from mcls.tabular import Tabular

KIND, FORMAT = "features", 1
#: Columns that extraction measures, and the type in which they are stored.
MEASURED = {"seconds": np.float64, "sample_rate": np.int64}

Columns = Mapping[str, Sequence[Any]]


class Store(Tabular):
    """A store opened for reading; everything that the file declares is checked.

    Parameters
    ----------
    path : path
        An HDF5 file written by `write_store`, or a folder written by `mcls.stores.shard_folder`.

    Raises
    ------
    FormatError
        If it is not a store, is corrupt or points outside itself.

    Attributes
    ----------
    tracks : dict of str to list
        The columns: text, except for those that extraction measures.
    features : dict of str to StoredRows
        The features by name.
    failed : list of dict
        ``track_id``, ``path`` and ``reason`` of each track without rows.
    settings : dict
        The settings of the command that made it.
    split_note : str
        A description of the split, if mcls made it.
    notes : list of str
        What its makers were told of its rows, such as which tracks are truncated.
    index : ShardIndex or None
        Its shards, if it is a folder.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = kept(path)
        in_folder = is_shard_folder(self.path)
        place = self.path / INDEX if in_folder else self.path
        with open_hdf5(place, INDEX_KIND if in_folder else KIND, FORMAT) as file:
            try:
                self.settings: dict[str, Any] = parse_json(
                    file.attrs.get("settings", "{}"), f"{self.path} is corrupt: its settings"
                )
                self.index: ShardIndex | None = None
                self.split_note = str(file.attrs.get("split_note", ""))
                self.notes = [str(note) for note in json.loads(file.attrs.get("notes", "[]"))]
                self.tracks = read_columns(file, "tracks", place)
                failed = read_columns(file, "failed", place)
                if in_folder:
                    self.index = ShardIndex.read(file, self.path, self.n_tracks)
                order = json.loads(file.attrs.get("columns", "[]"))
                self._written_columns: list[str] = (
                    order if sorted(order) == sorted(self.tracks) else list(self.tracks)
                )
                pieces = pieces_of_file(place) if self.index is None else self.index.pieces
                self.features = read_features(file, self.track_ids, self.path, pieces)
            except CORRUPT as error:
                raise FormatError(f"{self.path} is corrupt ({error})") from error
        self.failed = rows_of(failed)

    @property
    def title(self) -> str:
        """The path, the number of tracks, and the features with their dimensions."""
        features = ", ".join(f"{name} ({one.n_dims})" for name, one in self.features.items())
        return f"{self.path}: {self.n_tracks} tracks; features (dimensions): {features}"

    def columns(self, most: int | None = None) -> dict[str, list[Any]]:
        """Return the columns of the tracks; `StoredRows` are tables of rows."""
        return {name: list(cells[:most]) for name, cells in self.tracks.items()}

    @property
    def n_tracks(self) -> int:
        """The number of tracks with rows."""
        return len(self.tracks["track_id"])

    @property
    def track_ids(self) -> list[str]:
        """The ``track_id`` of every track."""
        return self.tracks["track_id"]

    @property
    def contents(self) -> "StoreContents":
        """What is written of it besides its rows, in the order in which it was written."""
        tracks = {name: self.tracks[name] for name in self._written_columns}
        failed = {
            name: [row.get(name, "") for row in self.failed]
            for name in ("track_id", "path", "reason")
        }
        return StoreContents(tracks, failed, self.settings, self.split_note, self.notes)

    @property
    def n_bytes(self) -> int:
        """The size of its files together."""
        if self.index is None:
            return self.path.stat().st_size
        shards = sum(shard.stamp[0] for shard in self.index.shards)
        return shards + (self.path / INDEX).stat().st_size

    def file_of(self, track: int) -> tuple[Path, int]:
        """Return the file that has the rows of a track, and the number of tracks in it."""
        if self.index is None:
            return self.path, self.n_tracks
        i = int(self.index.of_track[track])
        return self.index.shards[i].path, int(self.index.n_tracks[i])

    @property
    def source_ids(self) -> list[str]:
        """The ``track_id`` of the track that each track is of: itself, unless it is an event."""
        return self.track_ids

    @property
    def from_audio(self) -> bool:
        """Whether its rows were computed from audio; else ``sha1`` is that of the rows."""
        return all(stored.chain[0].kind != "imported" for stored in self.features.values())

    def index_of(self, track: str) -> int:
        """Return the place of a track in the store.

        Raises
        ------
        DataError
            If there is no such track; the message suggests one, and of many names only a few.
        """
        ids = self.track_ids
        if track in ids:
            return ids.index(track)
        hint = suggest(track, ids)
        if len(ids) > 10 and hint.startswith("there are"):
            hint = f"there are {len(ids)}, such as {', '.join(ids[:3])}"
        raise DataError(f"{self.path}: there is no track {track!r}; {hint}")

    def column(self, name: str) -> list[str]:
        """Return a column as text.

        Raises
        ------
        DataError
            If there is none of that name; the message lists the columns.
        """
        if name not in self.tracks:
            raise DataError(
                f"{self.path}: there is no column {name!r}; {suggest(name, self.tracks)}"
            )
        return [str(value) for value in self.tracks[name]]

    def labels(self, name: str) -> list[str]:
        """Return a column of labels, those of a track joined by ``|``.

        Of a column of events these are the labels that occur in each track.
        """
        cells = self.column(name)
        return labels_in(cells) if hold_events(cells) else cells

    def feature(self, name: str | None = None) -> StoredRows:
        """Return a feature; without a name, the only one.

        Raises
        ------
        ConfigError
            If there is none of that name, or several and no name.
        """
        if name is None:
            if len(self.features) != 1:
                raise ConfigError(
                    f"{self.path} contains the features {', '.join(self.features)}; "
                    "choose one with --feature"
                )
            return next(iter(self.features.values()))
        if name not in self.features:
            raise ConfigError(
                f"{self.path}: there is no feature {name!r}; {suggest(name, self.features)}"
            )
        return self.features[name]


def is_store(path: Path) -> bool:
    """Return whether a path is read as a store: an HDF5 file, or a folder of shards.

    A manifest, a folder of audio or a run is none.
    """
    return is_shard_folder(path) or (path.is_file() and h5py.is_hdf5(path))


@dataclass
class NewRows:
    """The rows of one feature to write.

    Parameters
    ----------
    name : str
        The feature's name in the store.
    chain : Chain
        The steps that made the rows.
    frame_rate : float or None
        Rows per second.
    n_dims : int
        Dimensions per row.
    lengths : sequence of int
        The number of rows of every track.
    blocks : iterable of np.ndarray
        The rows of all tracks in order, in blocks of any size.
    dtype : str
        ``float32``, ``float16`` or ``int16``.
    """

    name: str
    chain: Chain
    frame_rate: float | None
    n_dims: int
    lengths: Sequence[int] | np.ndarray
    blocks: Iterable[np.ndarray]
    dtype: str = "float32"


@dataclass
class StoreContents:
    """The columns and settings of a store to write."""

    tracks: Columns
    failed: Columns = field(default_factory=lambda: {"track_id": [], "path": [], "reason": []})
    settings: dict[str, Any] = field(default_factory=dict)
    split_note: str = ""
    notes: list[str] = field(default_factory=list)


def write_store(path: str | Path, contents: StoreContents, features: Sequence[NewRows]) -> None:
    """Write a store; it appears whole or not at all, and memory does not grow with it.

    Parameters
    ----------
    path : path
        The file to write; replaced if it is there.
    contents : StoreContents
        The columns, the failed tracks and the settings.
    features : sequence of NewRows
        The features, written one after the other.

    Raises
    ------
    DataError
        If rows and lengths do not agree, two tracks have one track_id, or the file cannot be
        written.
    """
    for columns in (contents.tracks, contents.failed):
        _check_unique(path, [storable(str(i)) for i in columns["track_id"]])
    try:
        room = room_for(contents, features)
        rows = [f"features/{feature.name}/rows" for feature in features]
        with written_whole(Path(path)) as temporary, new_hdf5(temporary, room, rows) as file:
            write_contents(file, KIND, contents)
            group = file.create_group("features")
            for feature in features:
                _write_feature(group, feature, contents.tracks["track_id"])
    except (OSError, RuntimeError) as error:
        raise DataError(f"{path} could not be written: {system_message(error)}") from error


def write_contents(file: h5py.File, kind: str, contents: StoreContents) -> None:
    """Write everything but the features of a store, or of an index of shards."""
    file.attrs["kind"] = kind
    file.attrs["format"] = FORMAT
    file.attrs["version"] = __version__
    file.attrs["settings"] = canonical(contents.settings)
    if contents.split_note:
        file.attrs["split_note"] = contents.split_note
    if contents.notes:
        file.attrs["notes"] = canonical([*map(spelled, contents.notes)])
    write_columns(file.create_group("tracks"), contents.tracks)
    write_columns(file.create_group("failed"), contents.failed)


def rows_of(columns: Columns) -> list[dict[str, Any]]:
    """Return columns as one dict per row."""
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def write_columns(group: h5py.Group, columns: Columns) -> None:
    """Write columns as datasets: numbers if extraction measured them, else UTF-8."""
    for name, values in columns.items():
        if name in MEASURED:
            group.create_dataset(name, data=np.asarray(values, MEASURED[name]))
        else:
            text = np.array([storable(str(value)) for value in values], dtype=object)
            group.create_dataset(name, data=text, dtype=h5py.string_dtype())


def _check_unique(path: Path | str, track_ids: Sequence[str]) -> None:
    """Refuse what `Store` would not read."""
    seen: set[str] = set()
    for track_id in track_ids:
        if track_id in seen:
            raise DataError(f"{path} is not written: two tracks have the track_id {track_id!r}")
        seen.add(track_id)


def storable(text: str) -> str:
    """Return text that HDF5 can hold: bytes that are not UTF-8 and zero bytes are escaped."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


def room_for(contents: StoreContents, features: Sequence[NewRows], *, own_rows: bool = True) -> int:
    """Return an upper bound of the size of a file in bytes, without rows if these are in shards."""
    columns = [*contents.tracks.values(), *contents.failed.values()]
    texts = [str(value) for values in columns for value in values]
    groups, rows = len(columns) + 4, 0
    for new in features:
        rows += 8 * len(new.lengths)
        if own_rows:
            rows += sum(new.lengths) * new.n_dims * np.dtype(new.dtype).itemsize
        for step in new.chain:
            groups += 3 + len(step.arrays)
            rows += sum(array.nbytes for array in step.arrays.values())
            texts += [canonical(step.settings), *step.learnt_from]
    texts += [canonical(contents.settings), contents.split_note, *contents.notes]
    heaps = sum(2 * len(text.encode("utf-8", "backslashreplace")) + 64 for text in texts)
    return rows + heaps + (groups << 12)


def write_feature_head(parent: h5py.Group, new: NewRows) -> tuple[h5py.Group, np.ndarray]:
    """Write a feature without its rows; return its group and its offsets."""
    group = parent.create_group(new.name)
    group.attrs["settings"] = canonical(new.chain[-1].settings)
    group.attrs["digest"] = chain_digest(new.chain)
    if new.frame_rate is not None:
        group.attrs["frame_rate"] = float(new.frame_rate)
    write_chain(group, new.chain)
    offsets = np.concatenate([[0], np.cumsum(new.lengths, dtype=np.int64)]).astype(np.int64)
    group.create_dataset("offsets", data=offsets)
    return group, offsets


def _write_feature(parent: h5py.Group, new: NewRows, track_ids: Sequence[str]) -> None:
    group, offsets = write_feature_head(parent, new)
    shape = (int(offsets[-1]), new.n_dims)
    rows = group.create_dataset("rows", shape, new.dtype)
    done = 0
    for block in new.blocks:
        if (bad := first_not_finite(block)) is not None:
            track = track_ids[int(np.searchsorted(offsets, done + bad, "right")) - 1]
            raise DataError(
                f"rows of track {track!r} (feature {new.name!r}) are NaN or infinite and are not "
                "stored"
            )
        rows[done : done + len(block)] = block
        done += len(block)
    if done != shape[0]:
        raise DataError(f"feature {new.name!r}: {done} rows, but lengths that add up to {shape[0]}")
