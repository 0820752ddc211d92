"""Published splits: which track of a dataset is in which part or fold, as its authors say.

``data/DATASET/splits.toml`` at the top of the sources, installed with the package, has a table per
split of the dataset: the ``column`` of the manifest that holds it, its ``source`` and ``licence``,
the number of ``tracks`` per part, and its ``id``, the digest of the whole column (see
`mcls.data.parts.split_id`). If the licence allows to pass the list on, ``file`` is a table of
``track_id`` and part beside it, as CSV or as CSV in gzip, and ``sha256`` is its digest.

A split is recognised by what is in the column, not by a name that is carried along: a column that
was edited is not recognised, whatever it is called.
"""

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from mcls.disk.text_files import read_regular, read_toml
from mcls.errors import FormatError

FOLDER = Path(__file__).with_name("published")


@dataclass(frozen=True)
class PublishedSplit:
    """A split of a dataset, as its table in ``splits.toml`` describes it.

    Parameters
    ----------
    dataset, name : str
        The dataset, and the name of the split.
    column : str
        The column of the manifest.
    source, licence : str
        Where it was published, and the licence of the list.
    tracks : dict of str to int
        Number of tracks per part or fold.
    id : str
        16 hexadecimal digits that identify it; see `mcls.data.parts.split_id`.
    file, sha256 : str
        The list of its tracks and the digest of that file; empty if it cannot be passed on.
    """

    dataset: str
    name: str
    column: str
    source: str
    licence: str
    tracks: dict[str, int]
    id: str
    file: str = ""
    sha256: str = ""

    @property
    def n_tracks(self) -> int:
        """Number of tracks in any part."""
        return sum(self.tracks.values())

    def part_of(self) -> dict[str, str]:
        """Read the part or fold of every track.

        Raises
        ------
        FormatError
            If the file is not the one that was published.
        """
        path = FOLDER / self.dataset / self.file
        raw = read_regular(path)
        if (found := hashlib.sha256(raw).hexdigest()) != self.sha256:
            raise FormatError(f"{path} has changed: its SHA-256 is {found}, not {self.sha256}")
        text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode("utf-8")
        pairs = (line.rpartition(",") for line in text.splitlines()[1:])
        return {track: part for track, _, part in pairs}


@cache
def published_splits() -> tuple[PublishedSplit, ...]:
    """Return all published splits that mcls knows, by dataset and name."""
    return tuple(
        PublishedSplit(path.parent.name, name, **table)
        for path in sorted(FOLDER.glob("*/splits.toml"))
        for name, table in read_toml(path).items()
    )


def published_split(dataset: str, name: str) -> PublishedSplit:
    """Return one published split."""
    for one in published_splits():
        if (one.dataset, one.name) == (dataset, name):
            return one
    raise KeyError(f"{dataset} has no published split {name}")


def recognise(column: str, part_of: Mapping[str, str], identifier: str) -> str:
    """Say which published split a column holds, in whole or in part; empty if it holds none.

    Parameters
    ----------
    column : str
        The name of the column.
    part_of : mapping of str to str
        The part or fold of every track that has one.
    identifier : str
        Its digest; see `mcls.data.parts.split_id`.
    """
    for one in published_splits():
        if one.id == identifier:
            return f"{one.name} of {one.dataset}, as published"
    for one in published_splits():
        if one.column == column and one.file and part_of:
            whole = one.part_of()
            if all(whole.get(track) == part for track, part in part_of.items()):
                return f"{one.name} of {one.dataset}, {len(part_of)} of {one.n_tracks} tracks"
    return ""
