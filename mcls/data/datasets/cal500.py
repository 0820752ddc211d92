"""CAL500: 502 songs of as many artists, each with some of 174 tags by three or more listeners.

``hardAnnotations.txt`` has a line per song of ``songNames.txt`` and a column per tag of
``vocab.txt``, 1 where at least 80 % of the listeners, and at least two, gave the tag; files and
numbers are those of its README. The audio, ``NAME.mp3``, comes in an archive of its own.

References
----------
.. [1] D. Turnbull, L. Barrington, D. Torres, G. Lanckriet, "Semantic annotation and retrieval of
   music and sound effects", IEEE Trans. Audio, Speech and Language Processing 16(2), 2008.
"""

from pathlib import Path

from mcls.data.datasets.inventory import by_tail, find_audio, manifest_of
from mcls.data.datasets.tables import find_table, read_rows
from mcls.data.splits import make_folds
from mcls.disk.text_files import read_text
from mcls.errors import DataError
from mcls.registry import register
from mcls.tables.labels import SEPARATOR, parse_labels
from mcls.tables.manifest import Manifest


@register(
    "datasets",
    "cal500",
    task="tags",
    tracks=502,
    labels=174,
    splits="fold: 10 random, stratified",
    paper="Turnbull et al. 2008",
    audio_licence="not stated",
    metadata_licence="not stated",
    url="https://web.archive.org/web/2019/http://calab1.ucsd.edu/~datasets/cal500/",
    layout="songNames.txt, vocab.txt, hardAnnotations.txt, and the songs as NAME.mp3 at any depth",
)
def cal500(root: Path, *, partial: bool = False) -> Manifest:
    """CAL500: songs with tags of emotion, genre, instruments, usage and voice.

    Parameters
    ----------
    root : Path
        Folder with the three tables, or with ``CAL500_noAudioFeatures`` that holds them, and the
        audio.
    partial : bool
        Accept missing files.

    Returns
    -------
    Manifest
        Columns: labels (the tags, joined by ``|``) and fold (10 random folds of all songs).

    Raises
    ------
    DataError
        If files are missing and `partial` is False, or the tables do not fit one another.
    """
    root = Path(root)
    audio = find_audio(root, "cal500")
    songs, tags, given = (
        find_table(root, "cal500", name, f"CAL500_noAudioFeatures/{name}")
        for name in ("songNames.txt", "vocab.txt", "hardAnnotations.txt")
    )
    names = read_text(songs).split()
    vocabulary = [line.strip() for line in read_text(tags).splitlines() if line.strip()]
    rows = list(read_rows(given))
    if len(rows) != len(names) or any(len(row) != len(vocabulary) for row in rows):
        raise DataError(
            f"{given} has {len(rows)} rows of {len(rows[0]) if rows else 0} numbers; expected "
            f"{len(names)} songs ({songs.name}) and {len(vocabulary)} tags ({tags.name})"
        )
    cells = [
        SEPARATOR.join(tag for tag, cell in zip(vocabulary, row, strict=True) if float(cell))
        for row in rows
    ]
    strata = parse_labels(cells, allow_empty=True).matrix
    return manifest_of(
        root,
        "cal500",
        names,
        by_tail(root, audio, 1),
        {"labels": cells, "fold": make_folds(strata, n_folds=10, ids=names)},
        partial=partial,
    )
