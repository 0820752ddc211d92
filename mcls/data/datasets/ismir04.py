"""ISMIR 2004 genre: 2187 pieces from Magnatune, 6 genres, three parts of 729.

``metadata/PART/tracklist.csv`` has no header; its columns are genre, artist, album, track, number
and file, for the parts ``training``, ``development`` and ``evaluation`` of ``audio/``; layout and
numbers are those of its README. Artists of the development part are anonymous there, and artists
may be in several parts, so the artist is a column of its own and not the group.

Papers before the evaluation part was published train on the training part and test on the
development part, which is the column ``two-parts``.

References
----------
.. [1] P. Cano et al., "ISMIR 2004 audio description contest", technical report MTG-TR-2006-02,
   Universitat Pompeu Fabra, 2006.
"""

from pathlib import Path, PurePosixPath

from mcls.data.datasets.inventory import find_audio, manifest_of, stem
from mcls.data.datasets.tables import find_table, read_rows
from mcls.errors import DataError
from mcls.registry import register
from mcls.tables.manifest import Manifest

_PARTS = {"training": "train", "development": "valid", "evaluation": "test"}
_TWO = {"training": "train", "development": "test", "evaluation": ""}


@register(
    "datasets",
    "ismir04",
    task="genre",
    tracks=2187,
    labels=6,
    splits="split: training, development and evaluation of the contest; two-parts: the first two",
    paper="Cano et al. 2006",
    audio_licence="CC BY-NC-SA 1.0",
    metadata_licence="not stated",
    url="https://zenodo.org/records/1302992",
    layout="metadata/PART/tracklist.csv and audio/PART/ for training, development and evaluation",
)
def ismir04(root: Path, *, partial: bool = False) -> Manifest:
    """ISMIR 2004 genre contest: pieces from Magnatune in six genres.

    Parameters
    ----------
    root : Path
        Folder with ``audio`` and ``metadata``.
    partial : bool
        Accept missing files, and missing parts.

    Returns
    -------
    Manifest
        Columns: labels (the genre), split, two-parts (training against development), artist and
        album.

    Raises
    ------
    DataError
        If files are missing and `partial` is False, or the table of a part is missing or has other
        columns.
    """
    root = Path(root)
    audio = find_audio(root, "ismir04")
    names: list[str] = []
    found: dict[str, str] = {}
    columns: dict[str, list[str]] = {
        name: [] for name in ("labels", "split", "two-parts", "artist", "album")
    }
    for part in _PARTS:
        if partial and not (root / "metadata" / part).is_dir():
            continue
        table = find_table(root, "ismir04", f"metadata/{part}/tracklist.csv")
        inside = _paths_in(audio, part)
        for number, row in enumerate(read_rows(table), start=1):
            if len(row) < 6:
                raise DataError(f"{table}: row {number} has {len(row)} cells; expected 6 or more")
            genre, artist, album = row[:3]
            listed = stem(str(PurePosixPath(row[5].replace("\\", "/"))))
            name = f"{part}/{listed}"
            names.append(name)
            if listed in inside:
                found[name] = inside[listed]
            cells = (genre, _PARTS[part], _TWO[part], artist, album)
            for column, cell in zip(columns.values(), cells, strict=True):
                column.append(cell)
    used = set(found.values())
    found |= {path: path for path in audio.values() if path not in used}
    return manifest_of(root, "ismir04", names, found, columns, partial=partial)


def _paths_in(audio: dict[str, str], part: str) -> dict[str, str]:
    """Return the audio of a part by its path below ``audio/PART``."""
    below = f"/audio/{part}/"
    return {
        f"/{name}".partition(below)[2]: path for name, path in audio.items() if below in f"/{name}"
    }
