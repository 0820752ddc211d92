"""GTZAN: 1000 excerpts of 30 s, 10 genres of 100, named ``GENRE/GENRE.000NN.wav``.

The dataset repeats recordings, and artists occur many times. The published fault-filtered split
omits the repetitions and separates the artists; scores of other splits are too good. There is no
list of artists here, so there is no group column.

The common download has a ``jazz.00054.wav`` that no program can decode, though it is on the list of
the train part. It is left out if it does not begin like a sound file.

References
----------
.. [1] G. Tzanetakis, P. Cook, "Musical genre classification of audio signals", IEEE
   Trans. Speech and Audio Processing 10(5), 2002.
.. [2] B. L. Sturm, "The state of the art ten years after a state of the art: future research in
   music information retrieval", J. New Music Research 43(2), 2014 (the faults).
.. [3] C. Kereliuk, B. L. Sturm, J. Larsen, "Deep learning and music adversaries", IEEE Trans.
   Multimedia 17(11), 2015 (the lists).
"""

from pathlib import Path

import numpy as np

from mcls.data.datasets.inventory import by_tail, find_audio, manifest_of
from mcls.data.published_splits import published_split
from mcls.data.splits import make_folds
from mcls.registry import register
from mcls.tables.manifest import Manifest

_GENRES = [
    *("blues", "classical", "country", "disco", "hiphop"),
    *("jazz", "metal", "pop", "reggae", "rock"),
]
_CORRUPT = "jazz/jazz.00054"
_MAGIC = (b"RIFF", b".snd", b"fLaC", b"OggS", b"ID3", b"\xff")


@register(
    "datasets",
    "gtzan",
    task="genre",
    tracks=1000,
    labels=10,
    splits="split: fault-filtered 443/197/290 (Kereliuk et al. 2015); fold: 10 stratified, random",
    paper="Tzanetakis & Cook 2002",
    audio_licence="not stated",
    metadata_licence="MIT (lists)",
    url="https://huggingface.co/datasets/marsyas/gtzan",
    layout="ten genre folders at any depth, with files such as blues/blues.00000.wav",
)
def gtzan(root: Path, *, partial: bool = False) -> Manifest:
    """GTZAN: excerpts of music in ten genres.

    Parameters
    ----------
    root : Path
        Folder with the ten genre folders, at any depth (``genres/``, ``genres_original/``).
    partial : bool
        Accept missing files.

    Returns
    -------
    Manifest
        Columns: labels (the genre), split (the fault-filtered one; empty for the 70 tracks that it
        omits) and fold (10 stratified random folds of all tracks).

    Raises
    ------
    DataError
        If files are missing and `partial` is False.
    """
    root = Path(root)
    found = by_tail(root, find_audio(root, "gtzan"), 2)
    expected = [f"{genre}/{genre}.{number:05d}" for genre in _GENRES for number in range(100)]
    broken = [_CORRUPT] if _CORRUPT in found and not _is_audio(root / found[_CORRUPT]) else []
    part_of = published_split("gtzan", "fault-filtered").part_of()
    genre_of = np.repeat(np.eye(len(_GENRES), dtype=bool), 100, axis=0)
    columns = {
        "labels": [name.split("/")[0] for name in expected],
        "split": [part_of.get(name, "") for name in expected],
        "fold": make_folds(genre_of, n_folds=10, ids=expected),
    }
    manifest = manifest_of(root, "gtzan", expected, found, columns, broken=broken, partial=partial)
    omitted = manifest.column("split").count("")
    manifest.notes.append(
        "GTZAN repeats recordings and artists, so scores of the random column fold are too good; "
        f"the fault-filtered column split omits {omitted} of these tracks"
    )
    return manifest


def _is_audio(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4).startswith(_MAGIC)
