"""What labels look like: keys, notes, tempi and others that an augmentation can make wrong.

A label is of a kind if it is written like one. Some spellings leave no doubt (``C# minor``,
``120 bpm``, ``tempo:fast``); others may be something else (``A``, ``f``, ``120``) and count only
if at least half of the labels of the column are so, and numbers only if the column is named after
the kind.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from mcls.tables.labels import split_labels

#: The name of a note: a letter, and an accidental as in ``C#``, ``Db``, ``Csh`` or ``C sharp``.
NOTE = r"(?P<letter>[A-Ga-g])(?P<accidental>##|bb|♯♯|♭♭|[#♯b♭x]|(?i:[ _-]?sharp|[ _-]?flat|sh|s))?"
_MODES = (
    r"(?:major|minor|maj|min|ionian|dorian|phrygian|lydian|mixolydian|aeolian|locrian|dim|aug|"
    r"sus[24]|maj7|min7|m7|hdim7|minmaj7)"
)
#: What may follow the note of a key or chord: nothing, or a mode.
MODE = rf"(?P<mode>[ :_-]*(?i:{_MODES})|m|M|mi|ma)?"
OCTAVE = r"(?P<octave>-?\d{1,2})"
#: What may precede it: the name of the kind, as in ``key:C``.
NAMED = r"(?P<named>(?i:key|tonic|note|pitch|chord|root)[\W_]+)?"


@dataclass(frozen=True)
class _Kind:
    """How labels of a kind are written.

    Parameters
    ----------
    plural : str
        The kind in messages.
    named : str
        Pattern of the names of columns, and of the beginnings of labels.
    sure, unsure : str
        Patterns of whole labels that are surely of the kind, and that may be.
    numbers : bool
        Whether bare numbers are of the kind in a column that is named after it.
    """

    plural: str
    named: str
    sure: str
    unsure: str = r"(?!)"
    numbers: bool = False


_KINDS = {
    "key": _Kind(
        "keys",
        r"key|tonic|chord|root",
        rf"[A-G](?:[#♯b♭]|[ _-](?i:sharp|flat))?[ :_-]*(?i:{_MODES})|[A-G][#♯♭]",
        rf"{NOTE}{MODE}",
    ),
    "pitch": _Kind(
        "notes", r"pitch|note|midi", rf"[A-G][#♯b♭]{OCTAVE}", rf"{NOTE}{OCTAVE}", numbers=True
    ),
    "tempo": _Kind(
        "tempi",
        r"tempo|bpm",
        r"\d+(?:\.\d+)? ?bpm|slow|fast|largo|adagio|andante|moderato|allegro|presto|vivace",
        numbers=True,
    ),
    "length": _Kind("lengths", r"length|duration", r"(?:very[ -])?(?:long|short)", numbers=True),
    "loudness": _Kind(
        "loudness",
        r"dynamics?|loudness|volume",
        r"loud|quiet|soft|(?:mezzo[ -]?)?forte|fortissimo|pianissimo|mezzo[ -]?piano|pp+|ff+|m[pf]",
        r"[pf]",
    ),
}


def plural_of(kind: str) -> str:
    """Return the word for labels of a kind, such as ``keys``."""
    return _KINDS[kind].plural


def kinds_of(column: str, cells: Iterable[str]) -> dict[str, list[str]]:
    """Return the kinds of label in a column, with the labels that look so.

    Parameters
    ----------
    column : str
        Name of the column.
    cells : iterable of str
        Its cells; a cell holds one label, or several joined by ``|``.

    Returns
    -------
    dict of str to list of str
        Kinds (``key``, ``pitch``, ``tempo``, ``length``, ``loudness``) to labels, sorted.

    Examples
    --------
    >>> kinds_of("labels", ["C major", "F# minor", "rock|fast", "jazz"])
    {'key': ['C major', 'F# minor'], 'tempo': ['fast']}
    >>> kinds_of("labels", ["120", "130"]), kinds_of("bpm", ["120", "130"])
    ({}, {'tempo': ['120', '130']})
    """
    labels = sorted({label for cell in dict.fromkeys(cells) for label in split_labels(cell)})
    found = {name: _labels_of(kind, column, labels) for name, kind in _KINDS.items()}
    return {name: such for name, such in found.items() if such}


def _labels_of(kind: _Kind, column: str, labels: list[str]) -> list[str]:
    """Return the labels that are of a kind."""
    named = re.search(rf"(?:^|[\W_])(?:{kind.named})s?(?:$|[\W_])", column, re.IGNORECASE)
    begins = re.compile(rf"(?:{kind.named})[\W_]+\S", re.IGNORECASE)
    sure = [x for x in labels if begins.match(x) or re.fullmatch(kind.sure, x, _case_of(kind.sure))]
    number = kind.numbers and named
    maybe = [
        x
        for x in labels
        if re.fullmatch(kind.unsure, x) or (number and re.fullmatch(r"-?\d+(?:\.\d+)?", x))
    ]
    if maybe and 2 * len({*sure, *maybe}) >= len(labels):
        return sorted({*sure, *maybe})
    return sure


def _case_of(pattern: str) -> int:
    """Return the flags of a pattern: letters of notes mind their case, words do not."""
    return 0 if "[A-G]" in pattern else re.IGNORECASE
