"""UrbanSound8K: 8732 excerpts of up to 4 s of street sounds, 10 classes, 10 official folds.

``metadata/UrbanSound8K.csv`` lists the files of ``audio/fold1`` to ``audio/fold10``, named
``FREESOUND_ID-CLASS-OCCURRENCE-SLICE.wav``; layout and columns are those of its README. The
official folds put excerpts of five source recordings into several folds, so the recording is a
column ``source`` and not the group.

References
----------
.. [1] J. Salamon, C. Jacoby, J. P. Bello, "A dataset and taxonomy for urban sound research", ACM
   Multimedia 2014.
"""

from pathlib import Path

from mcls.data.datasets.inventory import by_tail, find_audio, manifest_of, stem
from mcls.data.datasets.tables import find_table, read_columns
from mcls.registry import register
from mcls.tables.manifest import Manifest


@register(
    "datasets",
    "urbansound8k",
    task="urban sound",
    tracks=8732,
    labels=10,
    splits="fold: the 10 official folds",
    paper="Salamon et al. 2014",
    audio_licence="CC BY-NC 3.0",
    metadata_licence="CC BY-NC 3.0",
    url="https://urbansounddataset.weebly.com/urbansound8k.html",
    layout="metadata/UrbanSound8K.csv, and files such as audio/fold5/100032-3-0-0.wav",
)
def urbansound8k(root: Path, *, partial: bool = False) -> Manifest:
    """UrbanSound8K: street sounds of up to 4 s in ten classes.

    Parameters
    ----------
    root : Path
        Folder with ``metadata/UrbanSound8K.csv`` and ``audio/``.
    partial : bool
        Accept missing files.

    Returns
    -------
    Manifest
        Columns: labels (the class), fold (1 to 10), source (the recording at Freesound) and
        salience (foreground or background).

    Raises
    ------
    DataError
        If files are missing and `partial` is False, or the table is missing.
    """
    root = Path(root)
    audio = find_audio(root, "urbansound8k")
    table = read_columns(
        find_table(root, "urbansound8k", "metadata/UrbanSound8K.csv", "UrbanSound8K.csv"),
        ["slice_file_name", "fsID", "salience", "fold", "class"],
    )
    salience = {"1": "foreground", "2": "background"}
    return manifest_of(
        root,
        "urbansound8k",
        [stem(name) for name in table["slice_file_name"]],
        by_tail(root, audio, 1),
        {
            "labels": table["class"],
            "fold": table["fold"],
            "source": table["fsID"],
            "salience": [salience.get(cell, cell) for cell in table["salience"]],
        },
        partial=partial,
    )
