"""Labels: from the text of a manifest to a boolean matrix for classifiers.

A cell holds one label, or several joined by ``|``. White space around a label, empty labels
(``rock|``) and repetitions are ignored.

``flute?`` says that nobody knows whether the track has the label ``flute``; a label that is not
named is absent. Only tags can be unknown, not the one label of a track.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mcls.errors import DataError, suggest

#: Separator of the labels of one track.
SEPARATOR = "|"
#: The end of a label of which nobody knows whether the track has it.
UNKNOWN = "?"


@dataclass(frozen=True)
class LabelTable:
    """The labels of every track.

    Parameters
    ----------
    names : list of str
        The labels, one per column; sorted unless they are given.
    matrix : np.ndarray, shape (n_tracks, n_labels), bool or float64
        True where the track has the label; for a regression the numbers to predict.
    multi_label : bool
        True if some track has several labels, or if some are unknown.
    unknown : np.ndarray, shape (n_tracks, n_labels), bool, or None
        True where nobody knows whether the track has the label; the matrix is False there. None if
        all are known.
    """

    names: list[str]
    matrix: np.ndarray
    multi_label: bool
    unknown: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.matrix)

    @property
    def regression(self) -> bool:
        """Whether these are numbers to predict, in place of labels."""
        return self.matrix.dtype != bool

    def targets(self) -> np.ndarray:
        """Return the matrix; if some labels are unknown, as float64 with NaN in their places."""
        if self.unknown is None:
            return self.matrix
        return np.where(self.unknown, np.nan, self.matrix)

    def classes(self) -> np.ndarray:
        """Return the column of the single label of each track, int64 ``(n_tracks,)``.

        Raises
        ------
        DataError
            If some track has several labels, or none.
        """
        counts = self.matrix.sum(axis=1)
        if (counts > 1).any():
            raise DataError(
                f"{int((counts > 1).sum())} of {len(self)} tracks have several labels; "
                "expected exactly one label per track"
            )
        if (counts == 0).any():
            raise DataError(
                f"{int((counts == 0).sum())} of {len(self)} tracks have no label; expected "
                "exactly one label per track"
            )
        return self.matrix.argmax(axis=1).astype(np.int64)

    def texts(self) -> list[str]:
        """Return the cell of each track, with its labels in the order of `names`.

        Examples
        --------
        >>> parse_labels(["b|a?", "b"], unknown=True).texts()
        ['a?|b', 'b']
        """
        if self.regression:
            return [
                SEPARATOR.join(
                    f"{name}={value!r}" for name, value in zip(self.names, row, strict=True)
                )
                for row in self.matrix.tolist()
            ]
        return label_cells(self.names, self.matrix, self.unknown)


def parse_labels(
    values: Sequence[str],
    *,
    names: Sequence[str] | None = None,
    allow_empty: bool = False,
    unknown: bool = False,
    where: Sequence[str] | None = None,
) -> LabelTable:
    """Parse the cells of a label column.

    Parameters
    ----------
    values : sequence of str, length n_tracks
        One label per track, or several joined by ``|``; ``flute?`` is unknown.
    names : sequence of str or None
        The known labels, in the order of the columns. None takes those that occur, sorted.
    allow_empty : bool
        Accept tracks without a label; their row is all False.
    unknown : bool
        Accept unknown labels; the caller must not take them for absent ones.
    where : sequence of str or None
        The place of each track for messages, such as ``"tracks.csv:7"``.

    Returns
    -------
    LabelTable

    Raises
    ------
    DataError
        If a track has no label and `allow_empty` is False, a label is not among `names`, a label is
        unknown and `unknown` is False, or there are no labels at all.

    Examples
    --------
    >>> table = parse_labels(["rock", "jazz|live", "rock"])
    >>> table.names, table.multi_label
    (['jazz', 'live', 'rock'], True)
    >>> table.matrix.astype(int).tolist()
    [[0, 0, 1], [1, 1, 0], [0, 0, 1]]
    """
    if names is not None and len(set(names)) < len(names):
        raise DataError(f"the list of labels has a repeated label: {', '.join(names)}")
    cells = [split_items(value) for value in values]
    empty = [i for i, cell in enumerate(cells) if not cell]
    if empty and not allow_empty:
        more = f" (and {len(empty) - 1} more tracks)" if len(empty) > 1 else ""
        raise DataError(
            f"{_name(where, empty[0])}: no label{more}; expected a label for every track"
        )
    given = frozenset() if names is None else frozenset(names)
    found = sorted({label_of(item, given) for cell in cells for item in cell})
    if not found and names is None:
        raise DataError("the label column is empty")
    known = list(names) if names is not None else found
    column = {name: i for i, name in enumerate(known)}
    matrix = np.zeros((len(cells), len(known)), dtype=bool)
    absent = np.zeros_like(matrix)
    for i, cell in enumerate(cells):
        for item in cell:
            label = label_of(item, given)
            if label not in column:
                raise DataError(
                    f"{_name(where, i)}: unknown label {label!r}; {suggest(label, known)}"
                )
            if label != item and not unknown:
                raise DataError(
                    f"{_name(where, i)}: {item!r} says that nobody knows whether the track has the "
                    "label, which is possible for tags only (several labels per track, joined by "
                    f"{SEPARATOR!r}); if the question mark belongs to the label, rename it"
                )
            (matrix if label == item else absent)[i, column[label]] = True
    both = (matrix & absent).any(axis=1)
    if both.any():
        i = int(both.argmax())
        label = known[int((matrix & absent)[i].argmax())]
        raise DataError(f"{_name(where, i)}: both {label!r} and {label + UNKNOWN!r}; keep one")
    several = bool((matrix.sum(axis=1) > 1).any() or absent.any())
    return LabelTable(known, matrix, several, absent if absent.any() else None)


def label_cells(
    names: Sequence[str], matrix: np.ndarray, unknown: np.ndarray | None = None
) -> list[str]:
    """Return the cell of each row of a bool matrix of labels; see `LabelTable`."""
    not_known = np.zeros_like(matrix) if unknown is None else unknown
    return [
        SEPARATOR.join(
            names[column] + (UNKNOWN if marks[column] else "")
            for column in np.flatnonzero(row | marks).tolist()
        )
        for row, marks in zip(matrix, not_known, strict=True)
    ]


def split_labels(value: str, separators: str = SEPARATOR) -> list[str]:
    """Split a cell into the labels that the track has, in order and without repetitions.

    Examples
    --------
    >>> split_labels(" rock | live|rock|loud?")
    ['rock', 'live']
    >>> split_labels("rock, live; loud", ",;")
    ['rock', 'live', 'loud']
    """
    return [item for item in split_items(value, separators) if label_of(item) == item]


def unknown_labels(value: str) -> list[str]:
    """Return the labels of a cell of which nobody knows whether the track has them.

    Examples
    --------
    >>> unknown_labels("rock|loud?|live?")
    ['loud', 'live']
    """
    return [label for item in split_items(value) if (label := label_of(item)) != item]


def split_items(value: str, separators: str = SEPARATOR) -> list[str]:
    """Split a cell into its labels as they are written, unknown ones included.

    Examples
    --------
    >>> split_items("rock|loud?|rock")
    ['rock', 'loud?']
    """
    for other in separators[1:]:
        value = value.replace(other, separators[0])
    labels = (label.strip() for label in value.split(separators[0]))
    return list(dict.fromkeys(label for label in labels if label))


def label_of(item: str, names: frozenset[str] = frozenset()) -> str:
    """Return the label that an item of a cell is about; one of `names` is taken as it is.

    Examples
    --------
    >>> label_of("loud"), label_of("loud?"), label_of("loud?", frozenset(["loud?"]))
    ('loud', 'loud', 'loud?')
    """
    if item in names or not item.endswith(UNKNOWN):
        return item
    return item.removesuffix(UNKNOWN).rstrip() or item


def _name(where: Sequence[str] | None, track: int) -> str:
    return where[track] if where is not None else f"track {track + 1}"
