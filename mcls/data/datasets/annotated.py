"""Datasets with a table of their tracks, ``annotations.csv``."""

from pathlib import Path

from mcls.data.datasets.inventory import expected_layout, find_audio, stem, tracks_found
from mcls.errors import DataError
from mcls.tables.manifest import Manifest, read_manifest
from mcls.tables.options import Reading


def read_annotated(root: Path, dataset: str, *, columns: list[str], partial: bool) -> Manifest:
    """Read ``annotations.csv`` and keep the tracks whose audio exists.

    Parameters
    ----------
    root : Path
        Folder with ``annotations.csv`` and the audio.
    dataset : str
        Name of the dataset.
    columns : list of str
        Required columns beside ``path``.
    partial : bool
        Accept missing tracks.

    Raises
    ------
    DataError
        If the table or a column is missing, or tracks are missing and `partial` is False.
    """
    found = {path: path for path in find_audio(root, dataset).values()}
    table = root / "annotations.csv"
    if not table.is_file():
        raise DataError(f"{table} does not exist; expected {expected_layout(dataset)}")
    manifest = read_manifest(table, reading=Reading())
    for column in columns:
        manifest.column(column)
    there, notes = tracks_found(root, dataset, manifest.columns["path"], found, partial=partial)
    kept = {name: [cells[track] for track in there] for name, cells in manifest.columns.items()}
    kept["track_id"] = [stem(path) for path in kept["path"]]
    return Manifest(kept, root, root, None, notes)
