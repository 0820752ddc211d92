"""The cells of a split column: parts under any of their usual names, or names of folds.

A column is a **part column** if every cell is a usual spelling of a part, in any case: train
(``training``, ``trn``), valid (``validation``, ``val``, ``dev``, ``development``) or test
(``testing``, ``tst``, ``evaluation``, ``eval``). An empty cell excludes the track.

Any other column is a **fold column**, and every track needs a fold. If all names of the folds are
whole numbers, they are read as numbers: ``1.0`` and ``01`` are the fold ``1``.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from mcls.errors import DataError, suggest

#: The parts in their usual order.
PARTS = ("train", "valid", "test")

_SPELLINGS = {
    "train": ("train", "training", "trn"),
    "valid": ("valid", "validation", "val", "dev", "development"),
    "test": ("test", "testing", "tst", "evaluation", "eval"),
}
_PART_OF = {spelling: part for part, spellings in _SPELLINGS.items() for spelling in spellings}

#: What programs write into a cell without a value.
MISSING = ("nan", "none", "null", "na", "n/a", "<na>")

_WHOLE_NUMBER = re.compile(r"0*(\d+)(?:\.0*)?", re.ASCII)


@dataclass(frozen=True)
class SplitCells:
    """The cells of a split column, each under its one name.

    Parameters
    ----------
    values : list of str
        ``train``, ``valid`` or ``test``, or the name of a fold; ``""`` excludes the track.
    folds : list of str
        The folds in natural order; empty for a part column.
    notes : list of str
        Which spelling was taken as which part or fold.
    """

    values: list[str]
    folds: list[str]
    notes: list[str] = field(default_factory=list)

    @property
    def names(self) -> list[str]:
        """The folds, or the parts that occur, in their order."""
        return self.folds or [part for part in PARTS if part in self.values]


def read_split_cells(
    cells: Sequence[str], column: str = "split", *, where: Callable[[int], str] | None = None
) -> SplitCells:
    """Read the cells of a split column.

    Parameters
    ----------
    cells : sequence of str, length n_tracks
        Parts or names of folds.
    column : str
        The name of the column, for messages.
    where : callable or None
        Returns the place of a track for messages, such as ``"tracks.csv:7"``.

    Returns
    -------
    SplitCells

    Raises
    ------
    DataError
        If the column is empty, has only one fold, mixes parts with other values, or a track has a
        missing value such as ``nan``, or an empty cell in a column of folds.

    Examples
    --------
    >>> read_split_cells(["Train", "testing", ""]).values
    ['train', 'test', '']
    >>> read_split_cells(["10.0", "2.0", "1.0"]).folds
    ['1', '2', '10']
    """
    values = [cell.strip() for cell in cells]
    place = where or (lambda row: f"track {row + 1}")
    named = [value for value in dict.fromkeys(values) if value]
    if not named:
        raise DataError(f"column {column!r} is empty: no track has a part or a fold")
    _refuse_missing(values, column, place)
    strangers = [name for name in named if name.casefold() not in _PART_OF]
    if not strangers:
        return _renamed(values, {name: _PART_OF[name.casefold()] for name in named}, column)
    if len(strangers) < len(named):
        raise DataError(
            f"{place(values.index(strangers[0]))}: column {column!r} mixes parts with "
            f"{', '.join(map(repr, strangers[:5]))}, but a part column holds only train, valid, "
            f"test or empty cells; {suggest(strangers[0], PARTS)}"
        )
    _refuse_empty(values, column, place)
    read = _renamed(values, _fold_names(named), column)
    folds = sorted(set(read.values), key=_natural)
    if len(folds) == 1:
        raise DataError(
            f"column {column!r} holds only {folds[0]!r}; expected train, valid and test, or at "
            "least two folds"
        )
    return SplitCells(read.values, folds, read.notes)


def usual_part(cell: str) -> str:
    """Return the part that a cell spells; any other cell unchanged.

    Examples
    --------
    >>> usual_part("Testing"), usual_part("fold 2")
    ('test', 'fold 2')
    """
    return _PART_OF.get(cell.strip().casefold(), cell)


def fold_called(name: str, folds: Sequence[str]) -> str | None:
    """Return the fold that a name means; None if there is no such fold.

    Examples
    --------
    >>> fold_called("02", ["1", "2"])
    '2'
    """
    if name in folds:
        return name
    meant = _fold_names([name, *folds])[name]
    return meant if meant in folds else None


def _fold_names(names: Sequence[str]) -> dict[str, str]:
    """Return each name as a number if all of them are whole numbers, else as it is."""
    numbers = {name: match[1] for name in names if (match := _WHOLE_NUMBER.fullmatch(name))}
    return numbers if len(numbers) == len(set(names)) else {name: name for name in names}


def _renamed(values: Sequence[str], name_of: dict[str, str], column: str) -> SplitCells:
    """Rename the cells, and say which of them had another name."""
    counts = Counter(values)
    taken = [
        f"{old!r} as {new} ({counts[old]} tracks)" for old, new in name_of.items() if old != new
    ]
    notes = []
    if taken:
        more = f" and {len(taken) - 8} more" if len(taken) > 8 else ""
        notes.append(f"column {column!r}: took {', '.join(taken[:8])}{more}")
    return SplitCells([name_of.get(value, value) for value in values], [], notes)


def _refuse_missing(values: Sequence[str], column: str, place: Callable[[int], str]) -> None:
    rows = [row for row, value in enumerate(values) if value.casefold() in MISSING]
    if rows:
        raise DataError(
            f"{place(rows[0])}: {len(rows)} of {len(values)} tracks have {values[rows[0]]!r} in "
            f"column {column!r}, which stands for a missing value; name a part or fold, or remove "
            "the tracks"
        )


def _refuse_empty(values: Sequence[str], column: str, place: Callable[[int], str]) -> None:
    if "" in values:
        raise DataError(
            f"{place(values.index(''))}: {values.count('')} of {len(values)} tracks have no fold "
            f"in column {column!r}; name one, or remove the tracks"
        )


def _natural(text: str) -> list[tuple[bool, int, str]]:
    """Return a key that sorts numbers within text by value: 2 before 10."""
    pieces = re.split(r"(\d+)", text)
    return [(piece.isdigit(), int(piece) if piece.isdigit() else 0, piece) for piece in pieces]
