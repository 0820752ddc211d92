"""OpenMIC-2018: 20,000 excerpts of 10 s, with 20 instruments of which most are unknown.

``openmic-2018-aggregated-labels.csv`` has a line for every pair of an excerpt and an instrument
that people listened for: ``sample_key,instrument,relevance,num_responses``. An instrument is there
if its relevance is 0.5 or more. Of all other pairs nobody knows, and the manifest says so
(``flute?``; see `mcls.tables.labels`). ``audio/000/000046_3840.ogg`` is the excerpt
``000046_3840``. Layout and columns are those of the archive ``openmic-2018-v1.0.0.tgz``; the lists
of the split are those of its authors' repository.

References
----------
.. [1] E. J. Humphrey, S. Durand, B. McFee, "OpenMIC-2018: an open dataset for multiple instrument
   recognition", ISMIR 2018.
"""

from pathlib import Path

import numpy as np

from mcls.data.datasets.inventory import by_tail, find_audio, first_few, manifest_of
from mcls.data.datasets.tables import find_table, read_columns
from mcls.data.published_splits import published_split
from mcls.errors import DataError
from mcls.registry import register
from mcls.tables.labels import label_cells
from mcls.tables.manifest import Manifest

_INSTRUMENTS = [
    *("accordion", "banjo", "bass", "cello", "clarinet", "cymbals", "drums", "flute", "guitar"),
    *("mallet_percussion", "mandolin", "organ", "piano", "saxophone", "synthesizer", "trombone"),
    *("trumpet", "ukulele", "violin", "voice"),
]


@register(
    "datasets",
    "openmic",
    task="instruments",
    tracks=20000,
    labels=20,
    splits="split: split01, 14,915 train and 5,085 test",
    paper="Humphrey et al. 2018",
    audio_licence="CC BY and others, per track",
    metadata_licence="CC BY 4.0; MIT (lists)",
    url="https://zenodo.org/records/1432913",
    layout="openmic-2018-aggregated-labels.csv, and files such as audio/000/000046_3840.ogg",
)
def openmic(root: Path, *, relevance: float = 0.5, partial: bool = False) -> Manifest:
    """OpenMIC-2018: excerpts of 10 s with the instruments that are there, not there, or unknown.

    Parameters
    ----------
    root : Path
        Folder with the table of labels and ``audio/``, or the folder above it.
    relevance : float
        Relevance from which an instrument counts as present, in [0, 1].
    partial : bool
        Accept missing files.

    Returns
    -------
    Manifest
        Columns: labels (instruments that are there, and with ``?`` those that are unknown) and
        split (train or test; the authors leave the valid part to the user).

    Raises
    ------
    DataError
        If files are missing and `partial` is False, the table is missing, or a line of it has an
        unknown excerpt or instrument.
    """
    root = Path(root)
    found = by_tail(root, find_audio(root, "openmic"), 1)
    name = "openmic-2018-aggregated-labels.csv"
    path = find_table(root, "openmic", name, f"openmic-2018/{name}")
    table = read_columns(path, ["sample_key", "instrument", "relevance"])
    part_of = published_split("openmic", "split01").part_of()
    keys = list(part_of)
    row_of = {key: row for row, key in enumerate(keys)}
    column_of = {instrument: column for column, instrument in enumerate(_INSTRUMENTS)}
    if odd := sorted({*table["sample_key"]} - row_of.keys()):
        raise DataError(f"{path}: not an excerpt of OpenMIC-2018: {first_few(odd)}")
    if odd := sorted({*table["instrument"]} - column_of.keys()):
        raise DataError(f"{path}: not an instrument of OpenMIC-2018: {first_few(odd)}")
    rows = [row_of[key] for key in table["sample_key"]]
    columns = [column_of[instrument] for instrument in table["instrument"]]
    there = np.zeros((len(keys), len(_INSTRUMENTS)), dtype=bool)
    unknown = np.ones_like(there)
    there[rows, columns] = [_number(path, cell) >= relevance for cell in table["relevance"]]
    unknown[rows, columns] = False
    manifest = manifest_of(
        root,
        "openmic",
        keys,
        found,
        {
            "labels": label_cells(_INSTRUMENTS, there, unknown),
            "split": [part_of[key] for key in keys],
        },
        partial=partial,
    )
    manifest.notes.append(
        f"{len(rows)} of {unknown.size} pairs of an excerpt and an instrument are known; the "
        "others are marked as unknown, as in 'flute?'"
    )
    return manifest


def _number(path: Path, cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        raise DataError(f"{path}: relevance {cell!r}; expected a number from 0 to 1") from None
