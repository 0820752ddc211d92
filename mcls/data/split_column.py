"""Adding a split column to a manifest, and a record of how it was made.

The record is in ``NAME.splits.json`` beside the manifest, under the name of the column, so that
``mcls data check`` can say how a split was made and whether it was edited since.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mcls import __version__
from mcls.data.parts import split_id
from mcls.data.split_cells import PARTS
from mcls.data.splits import make_folds, make_parts
from mcls.disk.audit_file import carry_findings
from mcls.disk.text_files import read_json
from mcls.disk.workspace import clean_workspace, written_whole
from mcls.errors import ConfigError, DataError, FormatError
from mcls.options import takes_options
from mcls.remote.places import spelled
from mcls.tables.manifest import Manifest, is_written, open_source, write_manifest
from mcls.tables.options import Reading


@dataclass(frozen=True)
class AddedSplit:
    """The result of `add_split`.

    Parameters
    ----------
    path : Path
        The manifest with the split column.
    column : str
        The column.
    counts : dict of str to int
        Tracks per part or fold.
    record : dict
        The settings of the split.
    written : bool
        False if the manifest already had this column.
    """

    path: Path
    column: str
    counts: dict[str, int]
    record: dict[str, Any]
    written: bool


@takes_options
def add_split(
    source: str | Path,
    out: str | Path | None = None,
    *,
    by: str | None = "group",
    parts: Sequence[float] | None = None,
    folds: int | None = None,
    column: str | None = None,
    reading: Reading,
    seed: int = 0,
    overwrite: bool = False,
) -> AddedSplit:
    """Add a split column to a manifest, in place or in a new file, and record how it was made.

    Parameters
    ----------
    source : path
        The manifest, or a folder of class folders (then `out` is required).
    out : path or None
        The file to write; None rewrites `source`.
    by : str or None
        The column whose groups stay within one part. The default ``group`` may be absent; None or
        ``none`` splits single tracks.
    parts : sequence of float or None
        Fractions of train, valid and test, or of train and test; None means 0.6, 0.2, 0.2.
    folds : int or None
        Number of folds to make instead of parts.
    column : str or None
        Name of the new column; None means ``split``, or ``fold`` for folds.
    reading : Reading
        As keywords: ``labels`` (the column to stratify by; the default may be absent), ``sep``,
        ``path_column``, ``skip_unlabelled`` (tracks without a label are in no part), and
        ``audio_root``; with it the paths are copied unchanged.
    seed : int
        Random seed.
    overwrite : bool
        Replace a column of that name, and another file at `out`.

    Raises
    ------
    ConfigError
        If both `parts` and `folds` are given, or one is out of range.
    DataError
        If a column is missing or already exists, or there are too few groups.
    """
    if parts is not None and folds is not None:
        raise ConfigError("--parts and --folds exclude each other; pass one of them")
    labels = reading.labels
    manifest = open_source(source, reading=replace(reading, skip_unlabelled=False))
    column = column or ("split" if folds is None else "fold")
    if column in ("path", "track_id"):
        raise ConfigError(f"column {column!r} cannot hold a split; choose another --column")
    if out is None and manifest.lines is None:
        raise ConfigError(
            f"{source} is a folder; name the manifest to write, such as -o tracks.csv"
        )
    target = Path(out) if out is not None else Path(source)
    used = manifest.without(manifest.unlabelled(labels) if reading.skip_unlabelled else ())
    labelled = used.optional_column(labels, default="labels") is not None
    strata = used.labels(labels, allow_empty=True).matrix if labelled else None
    groups = used.optional_column(by, default="group")
    ids = used.track_ids
    fractions = [0.6, 0.2, 0.2] if parts is None else [float(share) for share in parts]
    values = (
        make_parts(strata, groups, fractions=fractions, seed=seed, ids=ids)
        if folds is None
        else make_folds(strata, groups, n_folds=folds, seed=seed, ids=ids)
    )
    record = {
        "by": by if groups is not None else None,
        "labels": labels if strata is not None else None,
        **({"parts": fractions} if folds is None else {"folds": folds}),
        "seed": seed,
        "id": split_id(ids, values),
        "mcls": __version__,
    }
    part_of = dict(zip(ids, values, strict=True))
    counts = {name: values.count(name) for name in sorted(set(values), key=_order)}
    if reading.audio_root is not None:
        manifest.root = target.parent
    old = manifest.columns.get(column)
    values = [part_of.get(track_id, "") for track_id in manifest.track_ids]
    manifest.columns[column] = values
    same = is_written(manifest, target)
    if not same and not overwrite:
        if old is not None and old != values:
            raise DataError(
                f"{source} already has a column {column!r}; choose another --column, or pass "
                "--overwrite to replace it"
            )
        if out is not None and target.exists() and not _same_file(target, source):
            raise DataError(f"{target} already exists; pass --overwrite to replace it")
    if same:
        clean_workspace(target)
    else:
        write_manifest(manifest, target)
    if not _same_file(target, source):
        carry_findings([source], target, manifest.track_ids)
    _write_record(target, column, record)
    return AddedSplit(target, column, counts, record, not same)


def describe_split(manifest: Manifest, column: str | None, parts: list[str]) -> list[str]:
    """Return notes on how a split column was made, if there is a record of it."""
    record = _read_records(manifest.source).get(column or "") if parts else None
    if not record:
        return []
    settings = ", ".join(
        f"{key} {record[key]}"
        for key in ("by", "labels", "parts", "folds", "seed")
        if record.get(key) is not None
    )
    if record.get("id") != split_id(manifest.track_ids, parts):
        return [f"column {column!r} was edited after `mcls data split` made it ({settings})"]
    return [f"column {column!r} was made by `mcls data split`: {settings}"]


def _same_file(a: Path, b: str | Path) -> bool:
    return Path(b).exists() and a.samefile(b)


def _record_file(manifest: Path) -> Path:
    return manifest.with_name(f"{manifest.stem}.splits.json")


def _read_records(manifest: Path) -> dict[str, Any]:
    file = _record_file(manifest)
    if not file.is_file():
        return {}
    try:
        return read_json(file)
    except FormatError as error:
        raise FormatError(f"{error}; delete it") from error


def _write_record(manifest: Path, column: str, record: dict[str, Any]) -> None:
    records = _read_records(manifest)
    if records.get(column) == record:
        clean_workspace(_record_file(manifest))
        return
    with written_whole(_record_file(manifest)) as temporary:
        text = json.dumps({**records, column: record}, indent=2, ensure_ascii=False)
        temporary.write_text(spelled(text) + "\n", encoding="utf-8")


def _order(name: str) -> tuple[int, str]:
    """Sort parts as train, valid, test, and folds by number."""
    return (PARTS.index(name), "") if name in PARTS else (int(name), "")
