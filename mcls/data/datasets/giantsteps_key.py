"""GiantSteps key: 604 excerpts of 2 min of electronic dance music with one key each.

``annotations/key/ID.LOFI.key`` holds the key of ``audio/ID.LOFI.mp3``, such as ``Eb minor``, and
``annotations/genre/ID.LOFI.genre`` its genre; layout and numbers are those of its README. There is
no published split: the dataset is used as a test set, or split at random.

References
----------
.. [1] P. Knees, Á. Faraldo, P. Herrera, R. Vogl, S. Böck, F. Hörschläger, M. Le Goff, "Two data
   sets for tempo estimation and key detection in electronic dance music annotated from user
   corrections", ISMIR 2015.
"""

from pathlib import Path

from mcls.data.datasets.inventory import by_tail, expected_layout, find_audio, manifest_of
from mcls.disk.text_files import read_text
from mcls.errors import DataError
from mcls.registry import register
from mcls.tables.manifest import Manifest


@register(
    "datasets",
    "giantsteps-key",
    task="key",
    tracks=604,
    labels=24,
    splits="none published",
    paper="Knees et al. 2015",
    audio_licence="not stated",
    metadata_licence="not stated",
    url="https://github.com/GiantSteps/giantsteps-key-dataset",
    layout="annotations/key/10089.LOFI.key and the like, and audio/10089.LOFI.mp3 and the like",
)
def giantsteps_key(root: Path, *, partial: bool = False) -> Manifest:
    """GiantSteps key: electronic dance music and its keys.

    Parameters
    ----------
    root : Path
        Folder with ``annotations/key`` and ``audio``.
    partial : bool
        Accept missing files.

    Returns
    -------
    Manifest
        Columns: labels (the key) and genre (empty if it is not annotated).

    Raises
    ------
    DataError
        If files are missing and `partial` is False, or there are no annotations.
    """
    root = Path(root)
    audio = find_audio(root, "giantsteps-key")
    keys = sorted((root / "annotations" / "key").glob("*.key"))
    if not keys:
        expected = expected_layout("giantsteps-key")
        raise DataError(f"{root}/annotations/key holds no .key file; expected {expected}")
    genres = [root / "annotations" / "genre" / f"{file.stem}.genre" for file in keys]
    return manifest_of(
        root,
        "giantsteps-key",
        [file.stem for file in keys],
        by_tail(root, audio, 1),
        {
            "labels": [" ".join(read_text(file).split()) for file in keys],
            "genre": [read_text(file).strip() if file.is_file() else "" for file in genres],
        },
        partial=partial,
    )
