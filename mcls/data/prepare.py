"""Manifests: add a split to one, write the one of a known data set."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcls import __version__
from mcls.data.parts import PARTS
from mcls.data.splits import make_folds, make_parts
from mcls.disk.labels import parse_labels
from mcls.disk.manifest import Manifest, open_source, render_manifest, write_manifest
from mcls.disk.workspace import written_whole
from mcls.errors import ConfigError, DataError
from mcls.registry import find
from mcls.settings import digest, resolve


@dataclass(frozen=True)
class Split:
    """What `split` wrote: the file, the column, tracks per part, how it was made, if anew."""

    path: Path
    column: str
    counts: dict[str, int]
    record: dict[str, Any]
    written: bool


@dataclass(frozen=True)
class Prepared:
    """What `prepare` wrote: the file, the manifest, if anew."""

    path: Path
    manifest: Manifest
    written: bool


def split(
    source: str | Path,
    out: str | Path | None = None,
    *,
    by: str | None = "group",
    parts: Sequence[float] | None = None,
    folds: int | None = None,
    column: str | None = None,
    labels: str | None = "labels",
    audio_root: str | Path | None = None,
    seed: int = 0,
    overwrite: bool = False,
) -> Split:
    """Add a split column to a manifest, in place or in a new file, and record how.

    The record goes into ``NAME.splits.json`` beside the manifest, under the name of the column.

    Parameters
    ----------
    source : path
        The manifest, or a folder of class folders (then `out` is required).
    out : path or None
        Where to write; None writes `source` anew, with the column added.
    by : str or None
        The column of what must not straddle parts. The default ``group`` may be absent; None or
        ``none`` deals out single tracks.
    parts : sequence of float or None
        Fractions of train, valid and test, or of train and test; None means 0.6, 0.2, 0.2.
    folds : int or None
        Make this many folds instead.
    column : str or None
        The new column; None means ``split``, or ``fold`` for folds.
    labels : str or None
        The column to stratify by. The default ``labels`` may be absent.
    audio_root : path or None
        Given for a manifest whose paths are relative to another folder: they are then copied as
        they are.
    seed : int
        Decides between equals.
    overwrite : bool
        Replace a column of that name, and another file at `out`.

    Raises
    ------
    ConfigError
        If both `parts` and `folds` are given, or one is out of range.
    DataError
        If a column is missing, one of the name exists, or there are too few groups.
    """
    if parts is not None and folds is not None:
        raise ConfigError("--parts and --folds exclude each other")
    manifest = open_source(source, audio_root=audio_root)
    column = column or ("split" if folds is None else "fold")
    if column in ("path", "track_id"):
        raise ConfigError(f"a split cannot be put into column {column!r}")
    if out is None and manifest.lines is None:
        raise ConfigError(f"{source} is a folder; say where to write the manifest: -o tracks.csv")
    target = Path(out) if out is not None else Path(source)
    cells = manifest.optional_column(labels, default="labels")
    table = None if cells is None else parse_labels(cells, allow_empty=True)
    groups = manifest.optional_column(by, default="group")
    strata = None if table is None else table.matrix
    ids = manifest.track_ids
    shares = [0.6, 0.2, 0.2] if parts is None else [float(share) for share in parts]
    values = (
        make_parts(strata, groups, fractions=shares, seed=seed, ids=ids)
        if folds is None
        else make_folds(strata, groups, n_folds=folds, seed=seed, ids=ids)
    )
    record = {
        "by": by if groups is not None else None,
        "labels": labels if table is not None else None,
        **({"parts": shares} if folds is None else {"folds": folds}),
        "seed": seed,
        "id": split_id(ids, values),
        "mcls": __version__,
    }
    counts = {name: values.count(name) for name in sorted(set(values), key=_order)}
    if audio_root is not None:
        manifest.root = target.parent
    old = manifest.columns.get(column)
    manifest.columns[column] = values
    same = _already(manifest, target)
    if not same and not overwrite:
        if old is not None and old != values:
            raise DataError(
                f"{source} has a column {column!r} already; name another with --column, or "
                "replace it with --overwrite"
            )
        if out is not None and target.exists() and not _same_file(target, source):
            raise DataError(f"{target} exists; --overwrite replaces it")
    if not same:
        write_manifest(manifest, target)
    _write_record(target, column, record)
    return Split(target, column, counts, record, not same)


def prepare(
    name: str,
    root: str | Path,
    out: str | Path,
    *,
    settings: dict[str, Any] | None = None,
    overwrite: bool = False,
) -> Prepared:
    """Write the manifest of a known data set.

    Parameters
    ----------
    name : str
        An entry of the registry's family ``datasets``.
    root : path
        Where its audio is.
    out : path
        The manifest to write; its paths are relative to its own folder.
    settings : dict or None
        Of the data set's reader.
    overwrite : bool
        Replace a file that says something else.

    Raises
    ------
    ConfigError
        If the data set or a setting is unknown.
    DataError
        If files are missing, or `out` exists and differs.
    """
    entry = find("datasets", name)
    manifest = entry.load()(Path(root), **resolve(entry, settings or {}))
    out = Path(out)
    if _already(manifest, out):
        return Prepared(out, manifest, False)
    if out.exists() and not overwrite:
        raise DataError(f"{out} exists and says something else; --overwrite replaces it")
    write_manifest(manifest, out)
    return Prepared(out, manifest, True)


def split_id(track_ids: Sequence[str], parts: Sequence[str]) -> str:
    """Return the 16 hex digits that name a split, as `mcls.data.parts` does."""
    return digest(sorted((i, part) for i, part in zip(track_ids, parts, strict=True) if part))


def _already(manifest: Manifest, path: Path) -> bool:
    """Return whether a file already says what would be written."""
    return path.is_file() and path.read_bytes() == render_manifest(manifest, path).encode()


def _same_file(a: Path, b: str | Path) -> bool:
    return Path(b).exists() and a.samefile(b)


def _record_file(manifest: Path) -> Path:
    return manifest.with_name(f"{manifest.stem}.splits.json")


def _read_records(manifest: Path) -> dict[str, Any]:
    file = _record_file(manifest)
    if not file.is_file():
        return {}
    try:
        records = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{file}: not JSON ({error}); remove it") from None
    return records if isinstance(records, dict) else {}


def _write_record(manifest: Path, column: str, record: dict[str, Any]) -> None:
    records = _read_records(manifest)
    if records.get(column) == record:
        return
    with written_whole(_record_file(manifest)) as temporary:
        text = json.dumps({**records, column: record}, indent=2, ensure_ascii=False)
        temporary.write_text(text + "\n", encoding="utf-8")


def history(manifest: Manifest, column: str | None, parts: list[str]) -> list[str]:
    """Note how a split column was made, if that is on record."""
    record = _read_records(manifest.source).get(column or "") if parts else None
    if not record:
        return []
    made = ", ".join(
        f"{key} {record[key]}"
        for key in ("by", "labels", "parts", "folds", "seed")
        if record.get(key) is not None
    )
    if record.get("id") != split_id(manifest.track_ids, parts):
        return [f"column {column!r} was changed since mcls data split made it ({made})"]
    return [f"column {column!r} was made by mcls data split: {made}"]


def _order(name: str) -> tuple[int, str]:
    """Order parts as they are used and folds by number."""
    return (PARTS.index(name), "") if name in PARTS else (int(name), "")
