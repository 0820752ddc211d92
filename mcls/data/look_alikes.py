"""Find names that look alike, and labels that hold several.

Two names look alike if they differ only in case, in the form of their Unicode characters (composed
or decomposed, full or half width), in invisible characters or in white space. People read them as
one name, but mcls takes them for two: for two classes, or for two artists who may be in train and
test.
"""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from mcls.data.datasets.inventory import first_few
from mcls.data.split_cells import MISSING
from mcls.tables.labels import split_labels

#: What separates labels in other programs' tables.
_SEPARATORS = (",", ";", "/", "\t")


def look_alikes(names: Iterable[str]) -> list[list[str]]:
    r"""Return the groups of distinct names that look alike, in order of appearance.

    Examples
    --------
    >>> look_alikes(["Miles", "Bill", "MILES", "bill\u200b", "Chet"])
    [['Miles', 'MILES'], ['Bill', 'bill\u200b']]
    """
    groups: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        groups.setdefault(_seen(name), []).append(name)
    return [group for group in groups.values() if len(group) > 1]


def _seen(name: str) -> str:
    """Return a name without what the eye does not tell apart."""
    shown = "".join(
        c for c in unicodedata.normalize("NFKC", name) if unicodedata.category(c) != "Cf"
    )
    return unicodedata.normalize("NFKC", " ".join(shown.split()).casefold())


def difference(names: Sequence[str]) -> str:
    r"""Say in what the names of a group that looks alike differ.

    Examples
    --------
    >>> difference(["low", "Low"]), difference(["low", "low\u200b"])
    ('case', 'invisible characters')
    """
    steps = {
        "white space": lambda name: " ".join(name.split()),
        "case": str.casefold,
        "invisible characters": lambda name: "".join(
            c for c in name if unicodedata.category(c) != "Cf"
        ),
        "the form of accents": lambda name: unicodedata.normalize("NFC", name),
        "the width of characters": lambda name: unicodedata.normalize("NFKC", name),
    }
    for what, step in steps.items():
        if len({step(name) for name in names}) == 1:
            return what
    return "case, width or invisible characters"


def spell(names: Sequence[str]) -> str:
    r"""Write names so that they can be told apart: with escapes where they differ unseen.

    Examples
    --------
    >>> spell(["low", "Low"]), spell(["low", "low\u200b"])
    ("'low' and 'Low' (case)", "'low' and 'low\\u200b' (invisible characters)")
    """
    what = difference(names)
    write = repr if what in ("case", "white space") else ascii
    return f"{' and '.join(map(write, names))} ({what})"


def name_problems(
    labels: Sequence[str] | None, groups: Sequence[str] | None, parts: Sequence[str]
) -> list[str]:
    """Return the problems of labels and groups: look-alikes and likely separators.

    Parameters
    ----------
    labels : sequence of str, length n_tracks, or None
        The cells of the label column, with labels separated by ``|``.
    groups : sequence of str, length n_tracks, or None
        The group of each track; empty cells are ignored.
    parts : sequence of str, length n_tracks, or empty
        The part or fold of each track; empty without a split column.
    """
    problems = []
    each = [label for cell in labels or () for label in split_labels(cell)]
    if alike := [names for names in look_alikes(each) if not _are_keys(names)]:
        said = first_few([spell(names) for names in alike])
        problems.append(f"{len(alike)} groups of labels look alike but are different: {said}")
    if separator := _likely_separator(each):
        problems.append(separator)
    if groups is not None and parts:
        where: dict[str, set[str]] = {}
        for group, part in zip(groups, parts, strict=True):
            if group and part:
                where.setdefault(group, set()).add(part)
        astride = [
            names
            for names in look_alikes(where)
            if len(set().union(*(where[name] for name in names))) > 1
        ]
        if astride:
            said = first_few([spell(names) for names in astride])
            problems.append(
                f"{len(astride)} sets of groups look alike and are in several parts: {said}"
            )
    return problems


def _are_keys(names: Sequence[str]) -> bool:
    r"""Return whether names are a key in major and in minor, such as C and c or B♭ and b♭.

    Examples
    --------
    >>> _are_keys(["C", "c"]), _are_keys(["F#", "f#"]), _are_keys(["Rock", "rock"])
    (True, True, False)
    """
    letters = [name[:1] for name in names]
    signs = {name[1:] for name in names}
    return {*letters} == {letters[0].upper(), letters[0].lower()} <= {*"ABCDEFGHabcdefgh"} and (
        signs <= {"", "#", "b", "♯", "♭"} and len(signs) == 1
    )


def name_notes(track_ids: Sequence[str], columns: Mapping[str, Sequence[str] | None]) -> list[str]:
    """Return notes on track ids that look alike, and on cells that stand for a missing value.

    Parameters
    ----------
    track_ids : sequence of str
    columns : mapping of str to sequence of str, or None
        The columns of labels and groups.
    """
    notes = []
    if alike := look_alikes(track_ids):
        said = first_few([spell(names) for names in alike])
        notes.append(f"{len(alike)} groups of track ids look alike: {said}")
    for name, cells in columns.items():
        counts = Counter(cell for cell in cells or () if cell.casefold() in MISSING)
        for cell, times in counts.items():
            notes.append(
                f"{times} tracks have {cell!r} in column {name!r}, which is taken for a name; "
                "leave the cell empty if the value is missing"
            )
    return notes


def _likely_separator(labels: Sequence[str]) -> str:
    """Say that a character seems to separate labels: pieces around it are labels elsewhere."""
    for separator in _SEPARATORS:
        cells = Counter(label for label in labels if separator in label)
        pieces = {cell: [one.strip() for one in cell.split(separator)] for cell in cells}
        known = Counter(label for label in set(labels) if separator not in label)
        for several in pieces.values():
            known.update(set(several))
        likely = [cell for cell, some in pieces.items() if any(known[one] > 1 for one in some)]
        if likely:
            n_tracks = sum(cells[cell] for cell in likely)
            return (
                f"{n_tracks} tracks have a label such as {likely[0]!r}, which seems to be several "
                f"labels separated by {separator!r}; pass --sep {separator!r}"
            )
    return ""
