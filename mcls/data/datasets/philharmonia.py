"""Philharmonia orchestra samples: 1493 notes and phrases of 15 instruments, with 36 tags."""

from pathlib import Path

from mcls.data.datasets.annotated import read_annotated
from mcls.registry import register
from mcls.tables.manifest import Manifest


@register(
    "datasets",
    "philharmonia",
    task="instrument; tags",
    tracks=1493,
    labels=15,
    splits="split: by instrument and note",
    paper="none",
    audio_licence="CC BY-SA 3.0",
    metadata_licence="CC BY-SA 3.0",
    url="https://philharmonia.co.uk/resources/sound-samples",
    layout="annotations.csv with the columns path, split, instrument, note and tags, and the audio",
)
def philharmonia(root: Path, *, partial: bool = False) -> Manifest:
    """Philharmonia orchestra samples: notes and phrases of 15 instruments, with 36 tags.

    Parameters
    ----------
    root : Path
        Folder with ``annotations.csv`` (path, split, instrument, note, tags) and a folder per
        instrument.
    partial : bool
        Accept missing files.

    Returns
    -------
    Manifest
        Columns: labels (the instrument), tags (instrument, family, register, dynamic, articulation
        and length, joined by ``|``), split, group (instrument and note) and note.

    Raises
    ------
    DataError
        If files are missing and `partial` is False.
    """
    manifest = read_annotated(
        Path(root),
        "philharmonia",
        columns=["split", "instrument", "note", "tags"],
        partial=partial,
    )
    old = manifest.columns
    manifest.columns = {
        "track_id": old["track_id"],
        "path": old["path"],
        "labels": old["instrument"],
        "tags": old["tags"],
        "split": old["split"],
        "group": [
            f"{instrument} {note}"
            for instrument, note in zip(old["instrument"], old["note"], strict=True)
        ],
        "note": old["note"],
    }
    return manifest
