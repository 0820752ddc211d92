"""Writing the manifest of a known dataset."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcls.data.parts import published_as, split_id
from mcls.data.published_splits import published_splits
from mcls.disk.workspace import clean_workspace
from mcls.errors import DataError
from mcls.registry import find
from mcls.settings import resolve
from mcls.tables.manifest import Manifest, is_written, write_manifest


@dataclass(frozen=True)
class PreparedDataset:
    """The result of `prepare`: the file, the manifest in it, and whether it was written anew."""

    path: Path
    manifest: Manifest
    written: bool


def prepare(
    name: str,
    root: str | Path,
    out: str | Path,
    *,
    settings: dict[str, Any] | None = None,
    overwrite: bool = False,
) -> PreparedDataset:
    """Write the manifest of a known dataset.

    Parameters
    ----------
    name : str
        Name of the dataset in the registry; mirdata:NAME is the loader NAME of mirdata.
    root : path
        Folder that holds the audio.
    out : path
        The manifest to write; its paths are relative to its own folder.
    settings : dict or None
        Settings of the dataset.
    overwrite : bool
        Replace another file at `out`.

    Raises
    ------
    ConfigError
        If the dataset or a setting is unknown.
    DataError
        If files are missing, or another file exists at `out`.
    """
    name, _, loader = name.partition(":")
    given = {**(settings or {}), **({"loader": loader} if loader else {})}
    entry = find("datasets", name)
    manifest = entry.load()(Path(root), **resolve(entry, given))
    manifest.notes += _published(name, manifest)
    out = Path(out)
    if is_written(manifest, out):
        clean_workspace(out)
        return PreparedDataset(out, manifest, False)
    if out.exists() and not overwrite:
        raise DataError(f"{out} already exists with other content; pass --overwrite to replace it")
    write_manifest(manifest, out)
    return PreparedDataset(out, manifest, True)


def _published(name: str, manifest: Manifest) -> list[str]:
    """Say which columns are published splits, and with which digest."""
    notes = []
    for column in dict.fromkeys(one.column for one in published_splits() if one.dataset == name):
        if column in manifest.columns:
            cells = manifest.column(column)
            found = published_as(column, manifest.track_ids, cells)
            identifier = split_id(manifest.track_ids, cells)
            said = found or f"not the whole published split: {sum(map(bool, cells))} tracks"
            notes.append(f"column {column!r}: {said} (split id {identifier})")
    return notes
