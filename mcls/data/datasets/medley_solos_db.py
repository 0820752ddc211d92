"""Medley-solos-DB: 21,571 excerpts of 3 s of solo instruments, 8 classes.

``Medley-solos-DB_metadata.csv`` has ``subset,instrument_id,instrument,song_id,uuid4``; the audio is
``Medley-solos-DB_SUBSET-INSTRUMENT_UUID.wav``. The train and the valid part are from MedleyDB, the
test part from solosDB, so no song is in two of them; the group is the song. Columns and names are
those of version 1.2.

References
----------
.. [1] V. Lostanlen, C.-E. Cella, "Deep convolutional networks on the pitch spiral for musical
   instrument recognition", ISMIR 2016.
"""

from pathlib import Path

from mcls.data.datasets.inventory import by_tail, find_audio, manifest_of
from mcls.data.datasets.tables import find_table, read_columns
from mcls.errors import DataError
from mcls.registry import register
from mcls.tables.manifest import Manifest

_PARTS = {"training": "train", "validation": "valid", "test": "test"}


@register(
    "datasets",
    "medley-solos-db",
    task="instrument",
    tracks=21571,
    labels=8,
    splits="split: 5,841 train, 3,494 valid and 12,236 test",
    paper="Lostanlen & Cella 2016",
    audio_licence="CC BY 4.0",
    metadata_licence="CC BY 4.0",
    url="https://zenodo.org/records/3464194",
    layout="Medley-solos-DB_metadata.csv, and files such as Medley-solos-DB_test-0_UUID.wav",
)
def medley_solos_db(root: Path, *, partial: bool = False) -> Manifest:
    """Medley-solos-DB: solos of 3 s by eight instruments.

    Parameters
    ----------
    root : Path
        Folder with the table, also in ``annotation/``, and the audio at any depth.
    partial : bool
        Accept missing files.

    Returns
    -------
    Manifest
        Columns: labels (instrument), split and group (the song).

    Raises
    ------
    DataError
        If files are missing and `partial` is False, or the table is missing or has an unknown
        subset.
    """
    root = Path(root)
    found = by_tail(root, find_audio(root, "medley-solos-db"), 1)
    name = "Medley-solos-DB_metadata.csv"
    path = find_table(root, "medley-solos-db", name, f"annotation/{name}")
    table = read_columns(path, ["subset", "instrument_id", "instrument", "song_id", "uuid4"])
    if odd := sorted({*table["subset"]} - _PARTS.keys()):
        raise DataError(f"{path}: subset {odd[0]!r}; expected {', '.join(_PARTS)}")
    needed = zip(table["subset"], table["instrument_id"], table["uuid4"], strict=True)
    songs = zip(table["subset"], table["song_id"], strict=True)
    return manifest_of(
        root,
        "medley-solos-db",
        [f"Medley-solos-DB_{subset}-{number}_{uuid}" for subset, number, uuid in needed],
        found,
        {
            "labels": table["instrument"],
            "split": [_PARTS[subset] for subset in table["subset"]],
            "group": [f"{_PARTS[subset]} {song}" for subset, song in songs],
        },
        partial=partial,
    )
