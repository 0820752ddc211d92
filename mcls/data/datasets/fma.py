"""FMA: 106,574 tracks of the Free Music Archive, 161 genres, official parts by artist.

``fma_metadata/tracks.csv`` has three lines of header: groups of columns, columns, and the name of
the index. ``fma_metadata/genres.csv`` names the genres. The audio of track 2 is ``000/000002.mp3``.
The subsets contain one another: small is part of medium, and medium of large. Layout and numbers
are those of its README and of ``utils.py`` there.

The excerpts of tracks 99134, 108925 and 133297 have no audio (issue 44 of the repository), and are
left out by name; the untrimmed files of ``full`` are sound.

References
----------
.. [1] M. Defferrard, K. Benzi, P. Vandergheynst, X. Bresson, "FMA: a dataset for music analysis",
   ISMIR 2017.
"""

import json
from pathlib import Path
from typing import Literal

from mcls.data.datasets.inventory import by_tail, find_audio, manifest_of
from mcls.data.datasets.tables import find_table, read_columns, read_rows
from mcls.errors import DataError
from mcls.registry import register
from mcls.tables.labels import SEPARATOR
from mcls.tables.manifest import Manifest

_BROKEN = ("099134", "108925", "133297")
_N_TRACKS = {"small": 8000, "medium": 25000, "large": 106574, "full": 106574}
_PARTS = {"training": "train", "validation": "valid", "test": "test"}


@register(
    "datasets",
    "fma",
    task="genre",
    tracks=106574,
    labels=161,
    splits="split: official, by artist (-p subset=small: 8,000 tracks, medium: 25,000, large: all)",
    paper="Defferrard et al. 2017",
    audio_licence="CC, by track",
    metadata_licence="CC BY 4.0",
    url="https://github.com/mdeff/fma",
    layout="fma_metadata/tracks.csv, fma_metadata/genres.csv, and fma_small/000/000002.mp3 etc.",
)
def fma(
    root: Path,
    *,
    subset: Literal["small", "medium", "large", "full"] = "small",
    partial: bool = False,
) -> Manifest:
    """FMA: tracks of the Free Music Archive and their genres.

    Parameters
    ----------
    root : Path
        Folder with ``fma_metadata`` and the audio of one subset, such as ``fma_small``.
    subset : {'small', 'medium', 'large', 'full'}
        Subset to take: 8,000 tracks, 25,000, or all, as excerpts or in full.
    partial : bool
        Accept missing files.

    Returns
    -------
    Manifest
        Columns: labels (the top genre; of large and full it may be empty), genres (all genres of
        the track, joined by ``|``), split (official), group (the artist).

    Raises
    ------
    DataError
        If files are missing and `partial` is False, or a table is missing or is another one.
    """
    root = Path(root)
    audio = find_audio(root, "fma")
    table = find_table(root, "fma", "fma_metadata/tracks.csv", "tracks.csv")
    columns = _read_tracks(table)
    genres = read_columns(
        find_table(root, "fma", "fma_metadata/genres.csv", "genres.csv"), ["genre_id", "title"]
    )
    title_of = dict(zip(genres["genre_id"], genres["title"], strict=True))
    within = {"small": ("small",), "medium": ("small", "medium")}.get(subset)
    rows = [row for row, its in enumerate(columns["set/subset"]) if within is None or its in within]
    tracks = [f"{int(columns['track_id'][row]):06d}" for row in rows]
    found = by_tail(root, audio, 1)
    manifest = manifest_of(
        root,
        "fma",
        tracks,
        found,
        {
            "labels": [columns["track/genre_top"][row] for row in rows],
            "genres": [_titles(columns["track/genres_all"][row], title_of) for row in rows],
            "split": [_PARTS[columns["set/split"][row]] for row in rows],
            "group": [columns["artist/id"][row] for row in rows],
        },
        n_expected=_N_TRACKS[subset],
        broken=[] if subset == "full" else [name for name in _BROKEN if name in set(tracks)],
        partial=partial,
    )
    if unlabelled := manifest.column("labels").count(""):
        manifest.notes.append(
            f"{unlabelled} tracks have no top genre; pass --skip-unlabelled, or --labels genres"
        )
    return manifest


def _read_tracks(table: Path) -> dict[str, list[str]]:
    """Read the columns that are used, each as ``GROUP/NAME``, and ``track_id``."""
    rows = read_rows(table)
    groups, names, index = (next(rows, []) for _ in range(3))
    if index[:1] != ["track_id"] or len(groups) != len(names):
        raise DataError(f"{table} is not tracks.csv of FMA: line 3 does not begin with track_id")
    header = [f"{group}/{name}" for group, name in zip(groups, names, strict=True)]
    needed = ["set/subset", "set/split", "track/genre_top", "track/genres_all", "artist/id"]
    if missing := [name for name in needed if name not in header]:
        raise DataError(f"{table}: there is no column {missing[0]!r} in its two lines of header")
    place = {"track_id": 0} | {name: header.index(name) for name in needed}
    columns: dict[str, list[str]] = {name: [] for name in place}
    for row in rows:
        if len(row) != len(header):
            raise DataError(
                f"{table}: track {row[0]} has {len(row)} cells, the header {len(header)}"
            )
        for name, i in place.items():
            columns[name].append(row[i])
    return columns


def _titles(cell: str, title_of: dict[str, str]) -> str:
    """Return the titles of a list of genres, such as ``[21, 45]``."""
    return SEPARATOR.join(title_of.get(str(genre), str(genre)) for genre in json.loads(cell))
