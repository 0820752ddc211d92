"""TinySOL: 2913 single notes by 14 instruments, 5 official folds.

``TinySOL_metadata.csv`` has a line per note, with ``Path``, such as
``Brass/Bass_Tuba/ordinario/BTb-ord-A#1-ff-N-N.wav``, and the fold. The folds are balanced in
instrument, pitch and dynamics. Columns are those of version 6.

References
----------
.. [1] C. E. Cella, D. Ghisi, V. Lostanlen, F. Lévy, J. Fineberg, Y. Maresz, "OrchideaSOL: a dataset
   of extended instrumental techniques for computer-aided orchestration", ICMC 2020.
"""

from pathlib import Path, PurePosixPath

from mcls.data.datasets.inventory import by_tail, find_audio, manifest_of, stem
from mcls.data.datasets.tables import find_table, read_columns
from mcls.registry import register
from mcls.tables.manifest import Manifest

_COLUMNS = {
    "labels": "Instrument (in full)",
    "fold": "Fold",
    "family": "Family",
    "pitch": "Pitch",
    "dynamics": "Dynamics",
}


@register(
    "datasets",
    "tinysol",
    task="instrument",
    tracks=2913,
    labels=14,
    splits="fold: the 5 official folds",
    paper="Cella et al. 2020",
    audio_licence="CC BY 4.0",
    metadata_licence="CC BY 4.0",
    url="https://zenodo.org/records/3685367",
    layout="TinySOL_metadata.csv, and files such as Brass/Horn/ordinario/Hn-ord-A#2-ff-N-N.wav",
)
def tinysol(root: Path, *, partial: bool = False) -> Manifest:
    """TinySOL: single notes by fourteen instruments.

    Parameters
    ----------
    root : Path
        Folder with the table, also in ``annotation/``, and the audio at any depth.
    partial : bool
        Accept missing files.

    Returns
    -------
    Manifest
        Columns: labels (instrument), fold (0 to 4), family, pitch (such as A#1) and dynamics.

    Raises
    ------
    DataError
        If files are missing and `partial` is False, or the table is missing.
    """
    root = Path(root)
    found = by_tail(root, find_audio(root, "tinysol"), 1)
    name = "TinySOL_metadata.csv"
    table = read_columns(
        find_table(root, "tinysol", name, f"annotation/{name}"), ["Path", *_COLUMNS.values()]
    )
    return manifest_of(
        root,
        "tinysol",
        [PurePosixPath(stem(path)).name for path in table["Path"]],
        found,
        {name: table[column] for name, column in _COLUMNS.items()},
        partial=partial,
    )
