"""MagnaTagATune: 25,863 clips of 29 s with 188 tags that players of a game gave.

``annotations_final.csv``, separated by tabs, has a column per tag and ``mp3_path``, such as
``f/ARTIST-ALBUM-NN-TITLE-START-END.mp3``; ``clip_info_final.csv`` adds artists and albums. Three of
the MP3 files are empty, and are left out by name.

Two splits are in use, and scores on one cannot be compared with scores on the other:

``folders``
    18706/1825/5329 clips, those without a tag too: the folders 0 to b for training, c for
    validation, d to f for the test. It leaves out the three broken files.
``lee-nam``
    15244/1529/4332 clips: those of ``folders`` that have one of the 50 most frequent tags.

In both, the clips of a piece are in one part, which the group says; many artists are in several.
The names of all clips, and that lee-nam is this part of folders, were read from the lists of
https://github.com/jordipons/musicnn-training.

References
----------
.. [1] E. Law, K. West, M. Mandel, M. Bay, J. S. Downie, "Evaluation of algorithms using games: the
   case of music tagging", ISMIR 2009.
.. [2] J. Lee, J. Nam, "Multi-level and multi-scale feature aggregation using pretrained
   convolutional neural networks for music auto-tagging", IEEE Signal Processing Letters 24(8),
   2017 (the list).
"""

import re
from pathlib import Path

from mcls.data.datasets.inventory import by_tail, find_audio, first_few, manifest_of, stem
from mcls.data.datasets.tables import find_table, read_columns
from mcls.data.published_splits import FOLDER, published_split
from mcls.disk.text_files import read_text
from mcls.errors import DataError
from mcls.registry import register
from mcls.tables.labels import SEPARATOR
from mcls.tables.manifest import Manifest

_BROKEN = (
    "6/norine_braun-now_and_zen-08-gently-117-146",
    "8/jacob_heringman-josquin_des_prez_lute_settings-19-gintzler__pater_noster-204-233",
    "9/american_baroque-dances_and_suites_of_rameau_and_couperin-25-"
    "le_petit_rien_xiveme_ordre_couperin-88-117",
)
_PART_OF_FOLDER = {"c": "valid", "d": "test", "e": "test", "f": "test"}


@register(
    "datasets",
    "magnatagatune",
    task="tags",
    tracks=25863,
    labels=188,
    splits="lee-nam: 15244/1529/4332, clips with a top-50 tag; folders: 18706/1825/5329, all clips",
    paper="Law et al. 2009",
    audio_licence="CC BY-NC-SA 1.0",
    metadata_licence="not stated; MIT (lists)",
    url="https://mirg.city.ac.uk/codeapps/the-magnatagatune-dataset",
    layout="annotations_final.csv, clip_info_final.csv, and the 16 folders 0 to f at any depth",
)
def magnatagatune(root: Path, *, partial: bool = False) -> Manifest:
    """MagnaTagATune: clips of 29 s with tags of a game.

    Parameters
    ----------
    root : Path
        Folder with the two tables and the folders 0 to f, at any depth.
    partial : bool
        Accept missing files.

    Returns
    -------
    Manifest
        Columns: labels (those of the 50 most frequent tags that the clip has, in the published
        order), tags (of all 188), lee-nam and folders (the two splits), group (the piece), artist
        and album.

    Raises
    ------
    DataError
        If files are missing and `partial` is False, a table is missing, or it lacks a tag or a clip
        of the published lists.
    """
    root = Path(root)
    audio = find_audio(root, "magnatagatune")
    table = find_table(root, "magnatagatune", "annotations_final.csv")
    columns = read_columns(table, ["mp3_path"], "\t")
    clips = [stem(path) for path in columns.pop("mp3_path")]
    columns.pop("clip_id", None)
    top = top_50()
    part_of = published_split("magnatagatune", "lee-nam").part_of()
    known = set(clips)
    lacking = [name for name in top if name not in columns]
    if not partial:
        lacking += [clip for clip in part_of if clip not in known]
    if lacking:
        raise DataError(
            f"{table} lacks {len(lacking)} published tags or clips: {first_few(lacking)}"
        )
    info = read_columns(
        find_table(root, "magnatagatune", "clip_info_final.csv"),
        ["mp3_path", "artist", "album"],
        "\t",
    )
    rows = zip(info["mp3_path"], info["artist"], info["album"], strict=True)
    known_as = {stem(path): (artist, album) for path, artist, album in rows}
    return manifest_of(
        root,
        "magnatagatune",
        clips,
        by_tail(root, audio, 2),
        {
            "labels": _cells({name: columns[name] for name in top}, len(clips)),
            "tags": _cells(columns, len(clips)),
            "lee-nam": [part_of.get(clip, "") for clip in clips],
            "folders": [_PART_OF_FOLDER.get(clip[0], "train") for clip in clips],
            "group": [re.sub(r"-\d+-\d+$", "", clip) for clip in clips],
            "artist": [known_as.get(clip, ("", ""))[0] for clip in clips],
            "album": [known_as.get(clip, ("", ""))[1] for clip in clips],
        },
        broken=_BROKEN,
        partial=partial,
    )


def top_50() -> list[str]:
    """Return the 50 most frequent tags in the published order, as the table spells them.

    The published list writes ``maleVocal`` for ``male vocal``.
    """
    names = read_text(FOLDER / "magnatagatune" / "top50.txt").split()
    return [re.sub("([A-Z])", lambda found: f" {found[0].lower()}", name) for name in names]


def _cells(columns: dict[str, tuple[str, ...]], n_tracks: int) -> list[str]:
    """Return the tags of every clip, joined by ``|``, from a column of 0 and 1 per tag."""
    given: list[list[str]] = [[] for _ in range(n_tracks)]
    for name, column in columns.items():
        for row, cell in enumerate(column):
            if cell != "0":
                given[row].append(name)
    return [SEPARATOR.join(tags) for tags in given]
