"""Read the columns and the features of an open store, and check all that it declares.

Messages name the file, which may come from a stranger.
"""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mcls.disk.chain import chain_digest, read_chain
from mcls.disk.checksums import read_checksums
from mcls.disk.hdf5 import CORRUPT, member, members
from mcls.disk.text_files import parse_json
from mcls.errors import FormatError
from mcls.stores.pieces import Pieces
from mcls.stores.store_file import FileRows, StoreFile, stamp_of
from mcls.stores.stored_rows import StoredRows

#: Types of rows.
DTYPES = ("float32", "float16", "int16")

#: Texts of a column that show whether many of them are equal.
_FIRST = 1000

#: Finds the rows of a feature, from its group, the offsets of the tracks, and what to call it.
ReadPieces = Callable[[h5py.Group, np.ndarray, str], Pieces]


def read_columns(file: h5py.File, name: str, path: Path) -> dict[str, list[Any]]:
    """Return the columns of a group, ``track_id`` and ``path`` first.

    Raises
    ------
    FormatError
        If they are no columns of tracks, each of which is there once.
    """
    group = member(file, name, h5py.Group)
    columns: dict[str, list[Any]] = {}
    for column in members(group):
        dataset = member(group, column, h5py.Dataset)
        if dataset.ndim != 1:
            raise FormatError(f"{path}: column {column!r} has the shape {dataset.shape}")
        if h5py.check_string_dtype(dataset.dtype):
            columns[column] = _texts(dataset)
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


def _texts(dataset: h5py.Dataset) -> list[str]:
    """Return the texts of a column; equal ones are one object, if few of the first differ."""
    found = dataset[()].tolist()
    first = found[:_FIRST]
    if 2 * len(set(first)) > len(first):
        return [text.decode() for text in found]
    shared = {text: text.decode() for text in set(found)}
    return [shared[text] for text in found]


def read_features(
    file: h5py.File, track_ids: Sequence[str], path: Path, read_pieces: ReadPieces
) -> dict[str, StoredRows]:
    """Return the features by name.

    Raises
    ------
    FormatError
        If anything that is declared of them contradicts the rest.
    """
    group = member(file, "features", h5py.Group)
    return {
        name: _read_feature(name, member(group, name, h5py.Group), track_ids, path, read_pieces)
        for name in members(group)
    }


def _read_feature(
    name: str, group: h5py.Group, track_ids: Sequence[str], path: Path, read_pieces: ReadPieces
) -> StoredRows:
    where, n_tracks = f"{path}: feature {name!r}", len(track_ids)
    offsets = numbers(group, "offsets", n_tracks + 1, where)
    pieces = read_pieces(group, offsets, where)
    n_rows = int(pieces.first[-1])
    if offsets[0] != 0 or offsets[-1] != n_rows or np.any(np.diff(offsets) < 0):
        raise FormatError(f"{where}: offsets do not divide {n_rows} rows into {n_tracks} tracks")
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
    return StoredRows(
        name, settings, digest, frame_rate, chain, offsets, path.absolute(), pieces, track_ids
    )


def numbers(group: h5py.Group, name: str, n: int, where: str) -> np.ndarray:
    """Return a dataset of `n` integers of 64 bits.

    Raises
    ------
    FormatError
        If it is something else.
    """
    found = member(group, name, h5py.Dataset)
    if found.shape != (n,) or found.dtype != np.int64:
        raise FormatError(f"{where}: {name} are {found.dtype} {found.shape}")
    return np.asarray(found[()])


def pieces_of_file(path: Path) -> ReadPieces:
    """Return the function that finds the rows of each feature in a store that is one file."""
    file = StoreFile(path.absolute(), stamp_of(path), read_checksums(path))

    def pieces(group: h5py.Group, offsets: np.ndarray, where: str) -> Pieces:
        rows = member(group, "rows", h5py.Dataset)
        if rows.ndim != 2 or rows.dtype.name not in DTYPES or rows.dtype.byteorder == ">":
            raise FormatError(f"{where}: rows are {rows.dtype} {rows.shape}; expected 2-d {DTYPES}")
        start = rows.id.get_offset() or 0
        return Pieces.of_file(FileRows(file, start, rows.shape, rows.dtype))

    return pieces
