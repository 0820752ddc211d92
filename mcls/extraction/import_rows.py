"""Import: a store of rows that another program made, such as embeddings of a pretrained net."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from mcls.chain.imported import imported_step
from mcls.disk.audio_suffixes import AUDIO_SUFFIXES
from mcls.disk.workspace import Workspace
from mcls.errors import ConfigError, DataError
from mcls.extraction.options import SplitReading
from mcls.extraction.track_columns import complete_columns, no_split
from mcls.options import takes_options
from mcls.parallel.progress import Progress
from mcls.remote.functions import takes_urls
from mcls.settings import digest, parse_pairs
from mcls.stores.row_files import ARRAY_SUFFIXES, RowFiles, checked_rows, open_row_files
from mcls.stores.shard_folder import check_output, check_replaced_store
from mcls.stores.shards import refuse_other_settings
from mcls.stores.store import NewRows, Store, StoreContents, rows_of, write_store
from mcls.tables.manifest import Manifest, open_source


@dataclass(frozen=True)
class Imported:
    """The result of `import_rows`.

    Attributes
    ----------
    path : Path
        The store.
    feature : str
        The name of its feature.
    n_tracks, n_rows, n_dims : int
        Numbers of tracks, rows and dimensions.
    failed : list of dict
        ``track_id``, ``path`` and ``reason`` of every track that is not in it.
    notes : list of str
        Notes for the user.
    """

    path: Path
    feature: str
    n_tracks: int
    n_rows: int
    n_dims: int
    failed: list[dict[str, str]]
    notes: list[str] = field(default_factory=list)


@takes_urls(reads=("files", "source"), writes=("out",))
@takes_options
def import_rows(
    files: Path | str,
    source: Path | str,
    out: Path | str,
    *,
    name: str,
    tracks: SplitReading,
    rate: float | None = None,
    settings: Sequence[str] = (),
    transpose: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Imported:
    """Write a store of rows that another program made.

    Parameters
    ----------
    files : path
        A folder or a file of rows; see `mcls.stores.row_files`. A track is found by its
        ``track_id``, its path with or without suffix, or the name of its file if no other has it.
    source : path
        A manifest, or a folder of class folders. No audio is read.
    out : path
        The store to write.
    name : str
        Name of the feature.
    tracks : SplitReading
        As keywords: ``labels``, ``split``, ``group`` and the other options of a manifest.
    rate : float or None
        Rows per second; None: one row per track.
    settings : sequence of str
        ``KEY=VALUE``: how the rows were made, such as the version of a net. Rows with other
        settings are other rows.
    transpose : bool
        Read arrays as (dimensions, rows).
    overwrite : bool
        Replace a store.
    progress : callable or None
        ``progress(tracks done, tracks in all, 0.0)``.

    Returns
    -------
    Imported

    Raises
    ------
    ConfigError
        If a setting is wrong, or `out` is there already with other settings.
    DataError
        If a file cannot be read, or no track has rows.
    """
    out = Path(out)
    check_output(out, packed=True)
    if rate is not None and not 0 < rate < float("inf"):
        raise ConfigError(f"rate={rate}; expected rows per second, or none for a row per track")
    made = parse_pairs(settings)
    if taken := sorted({"rate", "n_dims", "made"} & {*made}):
        raise ConfigError(f"{taken[0]} is a name that mcls uses itself; choose another")
    manifest = open_source(source, reading=tracks)
    found = open_row_files(Path(files))
    place = _places(manifest, found)
    failed = {
        i: f"there are no rows of it in {files}" for i in manifest.track_ids if i not in place
    }
    measured = _measure(found, place, rate, transpose, failed, progress)
    if not measured:
        reasons = "; ".join(why for why, _ in Counter(failed.values()).most_common(2))
        raise DataError(f"{files}: no track of {source} has rows: {reasons}")
    n_dims = _common_dims(measured, failed)
    step = imported_step(name, rate, n_dims, made)
    asked = {"import": {name: step.settings}}
    if overwrite:
        check_replaced_store(out)
    elif out.exists() and (there := Store(out).settings) != asked:
        refuse_other_settings(out, there, asked)
    contents, notes = _contents(manifest, tracks, measured, failed, asked, rate)
    if unused := sorted({*found.names} - {*place.values()}):
        shown = ", ".join(unused[:3]) + (", ..." if len(unused) > 3 else "")
        notes.append(f"{len(unused)} arrays in {files} belong to no track: {shown}")
    lengths = [one.n_rows for one in measured.values()]
    blocks = (_rows(found, place[i], transpose) for i in measured)
    with Workspace(out, digest(asked)):
        write_store(out, contents, [NewRows(name, (step,), rate, n_dims, lengths, blocks)])
    return Imported(out, name, len(lengths), sum(lengths), n_dims, rows_of(contents.failed), notes)


@dataclass(frozen=True)
class _Measured:
    """The size of the rows of a track, and the SHA-1 of their bytes."""

    n_rows: int
    n_dims: int
    sha1: str


def _places(manifest: Manifest, found: RowFiles) -> dict[str, str]:
    """Return the name of the array of each track that has one."""
    names = set(found.names)
    files = Counter(_file_name(name) for name in found.names)
    by_file = {_file_name(name): name for name in found.names if files[_file_name(name)] == 1}
    tracks = Counter(_file_name(path) for path in manifest.columns["path"])
    place = {}
    for track_id, path in zip(manifest.track_ids, manifest.columns["path"], strict=True):
        below = PurePosixPath(path)
        exact = [one for one in (track_id, path, str(below.with_suffix(""))) if one in names]
        if exact:
            place[track_id] = exact[0]
        elif tracks[_file_name(path)] == 1 and _file_name(path) in by_file:
            place[track_id] = by_file[_file_name(path)]
    return place


def _file_name(name: str) -> str:
    """Return the name of a file without folders and without the suffix of audio or of arrays."""
    last = PurePosixPath(name).name
    suffix = PurePosixPath(last).suffix.lower()
    return last[: -len(suffix)] if suffix in AUDIO_SUFFIXES | {*ARRAY_SUFFIXES} else last


def _rows(found: RowFiles, name: str, transpose: bool) -> np.ndarray:
    rows = found.array(name)
    return checked_rows(rows.T if transpose else rows)


def _measure(
    found: RowFiles,
    place: Mapping[str, str],
    rate: float | None,
    transpose: bool,
    failed: dict[str, str],
    progress: Progress | None,
) -> dict[str, _Measured]:
    """Return the sizes of the rows of each track; note those that cannot be used as failed."""
    measured = {}
    for n_done, (track_id, name) in enumerate(place.items(), start=1):
        try:
            rows = _rows(found, name, transpose)
            if rate is None and len(rows) > 1:
                raise DataError(f"it has {len(rows)} rows; expected one, or a rate (--rate)")
            measured[track_id] = _Measured(len(rows), rows.shape[1], _sha1(rows))
        except DataError as error:
            failed[track_id] = f"{name}: {error}"
        if progress is not None:
            progress(n_done, len(place), 0.0)
    return measured


def _sha1(rows: np.ndarray) -> str:
    return hashlib.sha1(rows.tobytes(), usedforsecurity=False).hexdigest()


def _common_dims(measured: dict[str, _Measured], failed: dict[str, str]) -> int:
    """Return the dimensions of most tracks; the others fail."""
    counts = Counter(one.n_dims for one in measured.values())
    n_dims = counts.most_common(1)[0][0]
    for track_id in [i for i, one in measured.items() if one.n_dims != n_dims]:
        other = measured.pop(track_id).n_dims
        failed[track_id] = f"its rows have {other} dimensions, those of most tracks {n_dims}"
    return n_dims


def _contents(
    manifest: Manifest,
    asked: SplitReading,
    measured: Mapping[str, _Measured],
    failed: Mapping[str, str],
    settings: dict[str, Any],
    rate: float | None,
) -> tuple[StoreContents, list[str]]:
    """Return the columns of the store, and notes."""
    columns = dict(manifest.columns)
    notes = list(manifest.notes)
    split_note = complete_columns(columns, manifest, None, asked)
    if split_note:
        notes.append(no_split(columns, split_note, asked))
    place = {track_id: i for i, track_id in enumerate(manifest.track_ids)}
    kept = [place[track_id] for track_id in measured]
    tracks: dict[str, Any] = {name: [cells[i] for i in kept] for name, cells in columns.items()}
    if rate is not None:
        tracks["seconds"] = [one.n_rows / rate for one in measured.values()]
    tracks["sha1"] = [one.sha1 for one in measured.values()]
    bad = [i for i in manifest.track_ids if i in failed]
    failures = {
        "track_id": bad,
        "path": [columns["path"][place[i]] for i in bad],
        "reason": [failed[i] for i in bad],
    }
    return StoreContents(tracks, failures, settings, split_note), notes
