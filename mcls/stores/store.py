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
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mcls import __version__
from mcls.disk.chain import Chain, chain_digest, read_chain, write_chain
from mcls.disk.checksums import Checksums, read_checksums
from mcls.disk.finite import first_not_finite
from mcls.disk.hdf5 import CORRUPT, member, members, new_hdf5, open_hdf5, system_message
from mcls.disk.text_files import parse_json
from mcls.disk.workspace import written_whole
from mcls.errors import ConfigError, DataError, FormatError, suggest
from mcls.settings import canonical
from mcls.stores.stored_rows import StoredRows, stamp_of
from mcls.tables.events import hold_events, labels_in
from mcls.tabular import Tabular

KIND, FORMAT = "features", 1
_DTYPES = ("float32", "float16", "int16")
#: Columns that extraction measures, and the type in which they are stored.
MEASURED = {"seconds": np.float64, "sample_rate": np.int64}

Columns = Mapping[str, Sequence[Any]]


class Store(Tabular):
    """A store opened for reading; everything that the file declares is checked.

    Parameters
    ----------
    path : path
        An HDF5 file written by `write_store`.

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
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        with open_hdf5(self.path, KIND, FORMAT) as file:
            try:
                self.settings: dict[str, Any] = parse_json(
                    file.attrs.get("settings", "{}"), f"{self.path} is corrupt: its settings"
                )
                self.split_note = str(file.attrs.get("split_note", ""))
                self.notes = [str(note) for note in json.loads(file.attrs.get("notes", "[]"))]
                self.tracks = _read_columns(file, "tracks", self.path)
                failed = _read_columns(file, "failed", self.path)
                self.features = _read_features(file, self.track_ids, self.path)
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
    lengths: Sequence[int]
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
        _check_unique(path, [_storable(str(i)) for i in columns["track_id"]])
    try:
        room = _room(contents, features)
        rows = [f"features/{feature.name}/rows" for feature in features]
        with written_whole(Path(path)) as temporary, new_hdf5(temporary, room, rows) as file:
            file.attrs["kind"] = KIND
            file.attrs["format"] = FORMAT
            file.attrs["version"] = __version__
            file.attrs["settings"] = canonical(contents.settings)
            if contents.split_note:
                file.attrs["split_note"] = contents.split_note
            if contents.notes:
                file.attrs["notes"] = canonical(contents.notes)
            write_columns(file.create_group("tracks"), contents.tracks)
            write_columns(file.create_group("failed"), contents.failed)
            group = file.create_group("features")
            for feature in features:
                _write_feature(group, feature, contents.tracks["track_id"])
    except (OSError, RuntimeError) as error:
        raise DataError(f"{path} could not be written: {system_message(error)}") from error


def rows_of(columns: Columns) -> list[dict[str, Any]]:
    """Return columns as one dict per row."""
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def write_columns(group: h5py.Group, columns: Columns) -> None:
    """Write columns as datasets: numbers if extraction measured them, else UTF-8."""
    for name, values in columns.items():
        if name in MEASURED:
            group.create_dataset(name, data=np.asarray(values, MEASURED[name]))
        else:
            text = np.array([_storable(str(value)) for value in values], dtype=object)
            group.create_dataset(name, data=text, dtype=h5py.string_dtype())


def _check_unique(path: Path | str, track_ids: Sequence[str]) -> None:
    """Refuse what `Store` would not read."""
    seen: set[str] = set()
    for track_id in track_ids:
        if track_id in seen:
            raise DataError(f"{path} is not written: two tracks have the track_id {track_id!r}")
        seen.add(track_id)


def _storable(text: str) -> str:
    """Return text that HDF5 can hold: bytes that are not UTF-8 and zero bytes are escaped."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


def _room(contents: StoreContents, features: Sequence[NewRows]) -> int:
    """Return an upper bound of the size of the file in bytes."""
    columns = [*contents.tracks.values(), *contents.failed.values()]
    texts = [str(value) for values in columns for value in values]
    groups, rows = len(columns) + 4, 0
    for new in features:
        rows += sum(new.lengths) * new.n_dims * np.dtype(new.dtype).itemsize + 8 * len(new.lengths)
        for step in new.chain:
            groups += 3 + len(step.arrays)
            rows += sum(array.nbytes for array in step.arrays.values())
            texts += [canonical(step.settings), *step.learnt_from]
    texts += [canonical(contents.settings), contents.split_note, *contents.notes]
    heaps = sum(2 * len(text.encode("utf-8", "backslashreplace")) + 64 for text in texts)
    return rows + heaps + (groups << 12)


def _write_feature(parent: h5py.Group, new: NewRows, track_ids: Sequence[str]) -> None:
    group = parent.create_group(new.name)
    group.attrs["settings"] = canonical(new.chain[-1].settings)
    group.attrs["digest"] = chain_digest(new.chain)
    if new.frame_rate is not None:
        group.attrs["frame_rate"] = float(new.frame_rate)
    write_chain(group, new.chain)
    offsets = np.concatenate([[0], np.cumsum(new.lengths, dtype=np.int64)]).astype(np.int64)
    group.create_dataset("offsets", data=offsets)
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


def _read_columns(file: h5py.File, name: str, path: Path) -> dict[str, list[Any]]:
    group = member(file, name, h5py.Group)
    columns: dict[str, list[Any]] = {}
    for column in members(group):
        dataset = member(group, column, h5py.Dataset)
        if dataset.ndim != 1:
            raise FormatError(f"{path}: column {column!r} has the shape {dataset.shape}")
        if h5py.check_string_dtype(dataset.dtype):
            columns[column] = list(dataset.asstr()[()])
        elif dataset.dtype.kind in "iuf":
            columns[column] = dataset[()].tolist()
        else:
            raise FormatError(f"{path}: column {column!r} is of type {dataset.dtype}")
    if "track_id" not in columns:
        raise FormatError(f"{path}: /{name} has no track_id")
    if len({len(values) for values in columns.values()}) > 1:
        raise FormatError(f"{path}: the columns of /{name} differ in length")
    ids = columns["track_id"]
    if not all(isinstance(track_id, str) for track_id in ids) or len(set(ids)) < len(ids):
        raise FormatError(f"{path}: the track_ids of /{name} are not text, each once")
    first = ["track_id", "path"]
    return {key: columns[key] for key in [*first, *columns] if key in columns}


def _read_features(file: h5py.File, track_ids: Sequence[str], path: Path) -> dict[str, StoredRows]:
    group, checksums = member(file, "features", h5py.Group), read_checksums(path)
    return {
        name: _read_feature(name, member(group, name, h5py.Group), track_ids, path, checksums)
        for name in members(group)
    }


def _read_feature(
    name: str,
    group: h5py.Group,
    track_ids: Sequence[str],
    path: Path,
    checksums: Checksums | None,
) -> StoredRows:
    rows = member(group, "rows", h5py.Dataset)
    offsets = member(group, "offsets", h5py.Dataset)
    where, n_tracks = f"{path}: feature {name!r}", len(track_ids)
    if rows.ndim != 2 or rows.dtype.name not in _DTYPES or rows.dtype.byteorder == ">":
        raise FormatError(f"{where}: rows are {rows.dtype} {rows.shape}; expected 2-d {_DTYPES}")
    if offsets.shape != (n_tracks + 1,) or offsets.dtype != np.int64:
        raise FormatError(f"{where}: offsets are {offsets.dtype} {offsets.shape}")
    at = offsets[()]
    if at[0] != 0 or at[-1] != len(rows) or np.any(np.diff(at) < 0):
        raise FormatError(f"{where}: offsets do not divide {len(rows)} rows into {n_tracks} tracks")
    chain = read_chain(group)
    rate = group.attrs.get("frame_rate")
    try:
        settings = parse_json(group.attrs["settings"], "the attribute")
        digest = str(group.attrs["digest"])
    except (FormatError, *CORRUPT) as error:
        raise FormatError(f"{where}: settings are corrupt ({error})") from error
    if digest != chain_digest(chain):
        raise FormatError(f"{where}: the chain does not match its digest; the file was changed")
    if not chain or settings != chain[-1].settings:
        raise FormatError(f"{where}: settings are not those of the last step of its chain")
    frame_rate = None if rate is None else float(rate)
    if frame_rate is not None and not (math.isfinite(frame_rate) and frame_rate > 0):
        raise FormatError(f"{where}: frame_rate is {frame_rate}")
    start = rows.id.get_offset() or 0
    place = (path.absolute(), start, rows.shape, rows.dtype, stamp_of(path), checksums, track_ids)
    return StoredRows(name, settings, digest, frame_rate, chain, at, *place)
