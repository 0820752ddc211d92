"""Data sets that come with a table of their tracks, ``annotations.csv``."""

from pathlib import Path

from mcls.data.datasets.inventory import find_audio, stem, take_stock
from mcls.disk.manifest import Manifest, read_manifest
from mcls.errors import DataError


def read_annotated(
    root: Path, dataset: str, *, n_expected: int, columns: list[str], url: str, partial: bool
) -> Manifest:
    """Read ``annotations.csv`` and keep the tracks whose audio is there.

    Parameters
    ----------
    root : Path
        Holds ``annotations.csv`` and the audio.
    dataset, n_expected, url
        Its name, its number of tracks, where it is to be had.
    columns : list of str
        What the table must have beside ``path``.
    partial : bool
        Whether tracks may be missing.

    Raises
    ------
    DataError
        If the table or a column of it is missing, or tracks are missing and may not be.
    """
    table = root / "annotations.csv"
    layout = f"annotations.csv with the columns path, {', '.join(columns)}, and the audio"
    found = set(find_audio(root, dataset, layout, url).values())
    if not table.is_file():
        raise DataError(f"{table}: no such file; expected {layout}")
    manifest = read_manifest(table)
    for column in columns:
        manifest.column(column)
    there = [track for track, path in enumerate(manifest.columns["path"]) if path in found]
    notes = take_stock(
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
