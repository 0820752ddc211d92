"""Homburg: 1886 excerpts of 10 s from garageband.com, 9 genres, named ``GENRE/ARTIST-TITLE.mp3``.

The genres and the names of the files are those of a list of its contents in
https://github.com/fadymedhat/Homburg-for-MCLNN.

References
----------
.. [1] H. Homburg, I. Mierswa, B. Möller, K. Morik, M. Wurst, "A benchmark dataset for audio
   classification and clustering", ISMIR 2005.
"""

from pathlib import Path

from mcls.data.datasets.class_folders import read_class_folders
from mcls.registry import register
from mcls.tables.manifest import Manifest

_N_TRACKS = {
    **{"alternative": 145, "blues": 120, "electronic": 113, "folkcountry": 222, "funksoulrnb": 47},
    **{"jazz": 319, "pop": 116, "raphiphop": 300, "rock": 504},
}


@register(
    "datasets",
    "homburg",
    task="genre",
    tracks=1886,
    labels=9,
    splits="fold: 10 random, stratified, by artist",
    paper="Homburg et al. 2005",
    audio_licence="not stated",
    metadata_licence="none",
    url="https://www-ai.cs.tu-dortmund.de/audio.html",
    layout="nine genre folders at any depth, with files such as blues/Guitarboy-TWICE_A_DAY.mp3",
)
def homburg(root: Path, *, partial: bool = False) -> Manifest:
    """Homburg: excerpts of 10 s in nine genres.

    Parameters
    ----------
    root : Path
        Folder with the nine genre folders, at any depth.
    partial : bool
        Accept missing files.

    Returns
    -------
    Manifest
        Columns: labels (the genre), group (the artist), fold (10 random folds by artist).

    Raises
    ------
    DataError
        If files are missing and `partial` is False.
    """
    return read_class_folders(
        Path(root), "homburg", _N_TRACKS, group_of=_artist_of, partial=partial
    )


def _artist_of(name: str) -> str:
    """Return the artist in ``ARTIST-TITLE``."""
    return name.partition("-")[0].strip("_ ").casefold()
