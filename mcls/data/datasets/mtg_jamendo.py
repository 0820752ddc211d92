"""MTG-Jamendo: 55,525 full tracks from Jamendo with 183 tags, in five splits by artist.

The lists of the splits are ``split-N/SUBSET-PART.tsv`` in ``data/splits`` of the repository, with
the columns track, artist, album, path, duration and tags; several tags are several cells. They are
licensed for non-commercial use and do not come with mcls: clone the repository. The dataset has 195
tags; 12 rare ones are in no list. The audio is ``24/3524.mp3`` or, in low quality,
``24/3524.low.mp3``.

A list is refused if its digest is not that of the repository at commit 1b4fa8c (2024).

References
----------
.. [1] D. Bogdanov, M. Won, P. Tovstogan, A. Porter, X. Serra, "The MTG-Jamendo dataset for
   automatic music tagging", Machine Learning for Music Discovery Workshop, ICML 2019.
"""

import hashlib
from pathlib import Path
from typing import Literal, NamedTuple

from mcls.data.datasets.inventory import (
    by_tail,
    expected_layout,
    find_audio,
    manifest_of,
    stem,
)
from mcls.data.published_splits import FOLDER
from mcls.disk.text_files import read_regular, read_toml
from mcls.errors import DataError
from mcls.registry import register
from mcls.tables.labels import SEPARATOR
from mcls.tables.manifest import Manifest

_PARTS = {"train": "train", "validation": "valid", "test": "test"}
_N_TRACKS = {
    "autotagging": 55525,
    "genre": 55094,
    "instrument": 24976,
    "moodtheme": 17982,
    "top50tags": 54380,
}


class _Track(NamedTuple):
    artist: str
    album: str
    path: str
    tags: str


@register(
    "datasets",
    "mtg-jamendo",
    task="tags",
    tracks=55525,
    labels=183,
    splits="split-0 to split-4, by artist (-p subset=autotagging, genre, instrument, moodtheme or "
    "top50tags)",
    paper="Bogdanov et al. 2019",
    audio_licence="CC, by track",
    metadata_licence="CC BY-NC-SA 4.0",
    url="https://github.com/MTG/mtg-jamendo-dataset",
    layout="data/splits/split-0/autotagging-train.tsv etc., and 24/3524.mp3 etc. at any depth",
)
def mtg_jamendo(
    root: Path,
    *,
    subset: Literal["autotagging", "genre", "instrument", "moodtheme", "top50tags"] = "autotagging",
    lists: str | None = None,
    partial: bool = False,
) -> Manifest:
    """MTG-Jamendo: full tracks with tags of genre, instrument, mood and theme.

    Parameters
    ----------
    root : Path
        Folder with the audio, at any depth.
    subset : {'autotagging', 'genre', 'instrument', 'moodtheme', 'top50tags'}
        Tags and tracks to take.
    lists : str or None
        Folder with split-0 to split-4 of the repository; ROOT/data/splits if not given.
    partial : bool
        Accept missing files, and missing lists of some splits.

    Returns
    -------
    Manifest
        Columns: labels (the tags, joined by ``|``), split-0 to split-4, group (the artist), album.

    Raises
    ------
    DataError
        If files are missing and `partial` is False, or a list is missing or has changed.
    """
    root = Path(root)
    audio = find_audio(root, "mtg-jamendo")
    folder = root / "data" / "splits" if lists is None else Path(lists)
    name = "autotagging" if subset == "autotagging" else f"autotagging_{subset}"
    tracks: dict[str, _Track] = {}
    splits: dict[str, dict[str, str]] = {}
    for split in [f"split-{number}" for number in range(5)]:
        if partial and splits and not (folder / split).is_dir():
            continue
        splits[split] = {}
        for published, part in _PARTS.items():
            listed = _read_list(folder, f"{split}/{name}-{published}.tsv")
            splits[split] |= dict.fromkeys(listed, part)
            tracks |= listed
    tails = by_tail(root, audio, 2)
    found = {name.removesuffix(".low"): path for name, path in tails.items()}
    if len(found) < len(tails):
        raise DataError(f"{root} holds tracks in full and in low quality; name the folder of one")
    files = {track: found[one.path] for track, one in tracks.items() if one.path in found}
    used = set(files.values())
    others = {path: path for path in audio.values() if path not in used}
    rows = tracks.values()
    return manifest_of(
        root,
        "mtg-jamendo",
        list(tracks),
        files | others,
        {
            "labels": [one.tags for one in rows],
            **{split: [part_of.get(t, "") for t in tracks] for split, part_of in splits.items()},
            "group": [one.artist for one in rows],
            "album": [one.album for one in rows],
        },
        n_expected=_N_TRACKS[subset],
        partial=partial,
    )


def _read_list(folder: Path, name: str) -> dict[str, _Track]:
    """Read the tracks of one list, and compare its digest with that of the repository."""
    path = folder / name
    if not path.is_file():
        expected = expected_layout("mtg-jamendo")
        raise DataError(
            f"{path} does not exist; expected {expected}, or pass -p lists=FOLDER with split-0"
        )
    raw = read_regular(path)
    digest = hashlib.sha1(b"blob %d\0" % len(raw) + raw, usedforsecurity=False).hexdigest()
    known = read_toml(FOLDER / "mtg-jamendo" / "lists.toml")["git-blobs"]
    if digest != known[name]:
        raise DataError(
            f"{path} is not the published list: `git hash-object` gives {digest[:12]}, not "
            f"{known[name][:12]}; clone the repository again, without changing ends of lines"
        )
    rows = (line.split("\t") for line in raw.decode("utf-8").splitlines()[1:])
    return {row[0]: _Track(row[1], row[2], stem(row[3]), SEPARATOR.join(row[5:])) for row in rows}
