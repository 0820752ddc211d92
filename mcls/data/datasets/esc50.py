"""ESC-50: 2000 environmental recordings of 5 s, 50 classes of 40, 5 official folds.

``meta/esc50.csv`` lists the files of ``audio/``, named ``FOLD-FREESOUND_ID-TAKE-CLASS.wav``. The
official folds put tracks of four source recordings into two folds, so the recording is a column
``source`` and not the group.

References
----------
.. [1] K. J. Piczak, "ESC: Dataset for environmental sound classification", ACM Multimedia 2015.
"""

from pathlib import Path

from mcls.data.datasets.inventory import by_tail, find_audio, manifest_of, stem
from mcls.data.datasets.tables import find_table, read_columns
from mcls.registry import register
from mcls.tables.manifest import Manifest


@register(
    "datasets",
    "esc50",
    task="environmental sound",
    tracks=2000,
    labels=50,
    splits="fold: the 5 official folds",
    paper="Piczak 2015",
    audio_licence="CC BY-NC 3.0",
    metadata_licence="CC BY-NC 3.0",
    url="https://github.com/karolpiczak/ESC-50",
    layout="meta/esc50.csv, and audio/ with files such as 1-100032-A-0.wav",
)
def esc50(root: Path, *, partial: bool = False) -> Manifest:
    """ESC-50: environmental sounds of 5 s in 50 classes.

    Parameters
    ----------
    root : Path
        Folder with ``meta/esc50.csv`` and ``audio/``.
    partial : bool
        Accept missing files.

    Returns
    -------
    Manifest
        Columns: labels (the class), fold (1 to 5), source (the recording at Freesound) and esc10
        (whether the track belongs to ESC-10).

    Raises
    ------
    DataError
        If files are missing and `partial` is False, or the table is missing.
    """
    root = Path(root)
    audio = find_audio(root, "esc50")
    table = read_columns(
        find_table(root, "esc50", "meta/esc50.csv", "esc50.csv"),
        ["filename", "fold", "category", "esc10", "src_file"],
    )
    return manifest_of(
        root,
        "esc50",
        [stem(name) for name in table["filename"]],
        by_tail(root, audio, 1),
        {
            "labels": table["category"],
            "fold": table["fold"],
            "source": table["src_file"],
            "esc10": tuple(cell.lower() for cell in table["esc10"]),
        },
        partial=partial,
    )
