"""Ballroom and Extended Ballroom: excerpts of 30 s of dance music by their dance.

Ballroom has ten folders such as ``Rumba-American``; the three kinds of rumba are one label, as in
the paper. Files are named ``Media-105901.wav``, or ``Albums-ALBUM-NN.wav``; the group is the album.
It repeats some recordings, which ``mcls data audit`` finds.

Extended Ballroom has 13 folders with files named by an id, and ``extendedballroom_v1.1.xml``, which
says which tracks are the same recording or another version of a piece: the group of a track is all
that it is linked to. Layout and attributes are those of its README and XML file.

References
----------
.. [1] F. Gouyon, A. Klapuri, S. Dixon, M. Alonso, G. Tzanetakis, C. Uhle, P. Cano, "An experimental
   comparison of audio tempo induction algorithms", IEEE Trans. Audio, Speech and Language
   Processing 14(5), 2006.
.. [2] S. Dixon, F. Gouyon, G. Widmer, "Towards characterisation of music via rhythmic patterns",
   ISMIR 2004 (classification).
.. [3] U. Marchand, G. Peeters, "The Extended Ballroom dataset", ISMIR 2016, late-breaking session.
"""

from collections.abc import Iterable
from pathlib import Path
from xml.etree import ElementTree

from mcls.data.datasets.class_folders import read_class_folders
from mcls.data.datasets.inventory import expected_layout
from mcls.disk.text_files import read_regular
from mcls.errors import DataError, FormatError
from mcls.registry import register
from mcls.tables.manifest import Manifest

_BALLROOM = {
    **{"ChaChaCha": 111, "Jive": 60, "Quickstep": 82, "Rumba-American": 7},
    **{"Rumba-International": 51, "Rumba-Misc": 40, "Samba": 86, "Tango": 86},
    **{"VienneseWaltz": 65, "Waltz": 110},
}
_EXTENDED = {
    **{"Chacha": 455, "Foxtrot": 507, "Jive": 350, "Pasodoble": 53, "Quickstep": 497},
    **{"Rumba": 470, "Salsa": 47, "Samba": 468, "Slowwaltz": 65, "Tango": 464},
    **{"Viennesewaltz": 252, "Waltz": 529, "Wcswing": 23},
}
_TABLE = "extendedballroom_v1.1.xml"
_LINKS = ("version", "exact", "time", "karaoke")


@register(
    "datasets",
    "ballroom",
    task="dance",
    tracks=698,
    labels=8,
    splits="fold: 10 random, stratified, by album",
    paper="Gouyon et al. 2006",
    audio_licence="not stated",
    metadata_licence="none",
    url="https://mtg.upf.edu/ismir2004/contest/tempoContest/node5.html",
    layout="ten dance folders at any depth, with files such as Waltz/Media-105901.wav",
)
def ballroom(root: Path, *, partial: bool = False) -> Manifest:
    """Ballroom: excerpts of 30 s of eight dances.

    Parameters
    ----------
    root : Path
        Folder with the ten dance folders, at any depth (``BallroomData/``).
    partial : bool
        Accept missing files.

    Returns
    -------
    Manifest
        Columns: labels (the dance), group (the album), fold (10 random folds by album).

    Raises
    ------
    DataError
        If files are missing and `partial` is False.
    """
    rumba = {folder: "Rumba" for folder in _BALLROOM if folder.startswith("Rumba-")}
    return read_class_folders(
        Path(root), "ballroom", _BALLROOM, group_of=_album_of, label_of=rumba, partial=partial
    )


def _album_of(name: str) -> str:
    """Return ``Albums-ALBUM`` of ``Albums-ALBUM-NN``; the name itself of others."""
    return name.rpartition("-")[0] if name.startswith("Albums-") else name


@register(
    "datasets",
    "extended-ballroom",
    task="dance",
    tracks=4180,
    labels=13,
    splits="fold: 10 random, stratified, with repetitions of a piece in one fold",
    paper="Marchand & Peeters 2016",
    audio_licence="not stated",
    metadata_licence="not stated",
    url="https://anasynth.ircam.fr/home/media/ExtendedBallroom",
    layout="extendedballroom_v1.1.xml, and 13 dance folders with files such as Waltz/100601.mp3",
)
def extended_ballroom(root: Path, *, partial: bool = False) -> Manifest:
    """Extended Ballroom: excerpts of 30 s of 13 dances, with repetitions marked.

    Parameters
    ----------
    root : Path
        Folder with ``extendedballroom_v1.1.xml`` and the 13 dance folders, at any depth.
    partial : bool
        Accept missing files.

    Returns
    -------
    Manifest
        Columns: labels (the dance), group (the tracks that repeat one another), fold (10 random
        folds by group).

    Raises
    ------
    DataError
        If files are missing and `partial` is False, or the XML file is missing.
    """
    root = Path(root)
    tables = sorted(root.rglob(_TABLE)) if root.is_dir() else []
    group_of = _repetitions(tables[0]) if tables else {}
    manifest = read_class_folders(
        root,
        "extended-ballroom",
        _EXTENDED,
        group_of=lambda name: group_of.get(name, name),
        partial=partial,
    )
    if not tables:
        raise DataError(
            f"{root} holds no {_TABLE}; expected {expected_layout('extended-ballroom')}"
        )
    return manifest


def _repetitions(table: Path) -> dict[str, str]:
    """Return the group of every track: the least id of all that it is linked to."""
    try:
        tree = ElementTree.fromstring(read_regular(table))
    except ElementTree.ParseError as error:
        raise FormatError(f"{table} is not XML ({error})") from error
    links = {
        song.get("id", ""): [child.get("id", "") for child in song if child.tag in _LINKS]
        for dance in tree
        for song in dance
    }
    return _least_of_linked(links, links.items())


def _least_of_linked(
    ids: Iterable[str], links: Iterable[tuple[str, Iterable[str]]]
) -> dict[str, str]:
    """Return the least member of each connected component, by union of sets."""
    least = {name: name for name in ids}

    def find(name: str) -> str:
        while least.setdefault(name, name) != name:
            name = least[name]
        return name

    for one, others in links:
        for other in others:
            a, b = sorted((find(one), find(other)))
            least[b] = a
    return {name: find(name) for name in least}
