"""Datasets with a table of their tracks, ``annotations.csv``."""

from pathlib import Path

from mcls.data.datasets.inventory import check_complete, find_audio, stem
from mcls.disk.manifest import Manifest, read_manifest
from mcls.disk.options import Reading
from mcls.errors import DataError


def read_annotated(
    root: Path, dataset: str, *, n_expected: int, columns: list[str], url: str, partial: bool
) -> Manifest:
    """Read ``annotations.csv`` and keep the tracks whose audio exists.

    Parameters
    ----------
    root : Path
        Folder with ``annotations.csv`` and the audio.
    dataset, n_expected, url
        Name, number of tracks and download address of the dataset.
    columns : list of str
        Required columns beside ``path``.
    partial : bool
        Accept missing tracks.

    Raises
    ------
    DataError
        If the table or a column is missing, or tracks are missing and `partial` is False.
    """
    table = root / "annotations.csv"
    layout = f"annotations.csv with the columns path, {', '.join(columns)}, and the audio"
    found = set(find_audio(root, dataset, layout, url).values())
    if not table.is_file():
        raise DataError(f"{table} does not exist; expected {layout}")
    manifest = read_manifest(table, reading=Reading())
    for column in columns:
        manifest.column(column)
    there = [track for track, path in enumerate(manifest.columns["path"]) if path in found]
    notes = check_complete(
        root,
        dataset,
        n_expected=n_expected,
        n_found=len(there),
        missing=[path for path in manifest.columns["path"] if path not in found],
        extra=sorted(found - set(manifest.columns["path"])),
        partial=partial,
    )
    kept = {name: [cells[track] for track in there] for name, cells in manifest.columns.items()}
    kept["track_id"] = [stem(path) for path in kept["path"]]
    return Manifest(kept, root, root, None, notes)
