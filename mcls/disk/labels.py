"""Labels: from the text of a manifest to a boolean matrix for classifiers.

A cell holds one label, or several joined by ``|``. White space around a label, empty labels
(``rock|``) and repetitions are ignored.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mcls.errors import DataError, suggest

#: Separator of the labels of one track.
SEPARATOR = "|"


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
        True if some track has several labels.
    """

    names: list[str]
    matrix: np.ndarray
    multi_label: bool

    def __len__(self) -> int:
        return len(self.matrix)

    @property
    def regression(self) -> bool:
        """Whether these are numbers to predict, in place of labels."""
        return self.matrix.dtype != bool

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
        """Return the labels of each track joined by ``|``, in the order of `names`.

        Examples
        --------
        >>> parse_labels(["b|a", "b"]).texts()
        ['a|b', 'b']
        """
        if self.regression:
            return [
                SEPARATOR.join(
                    f"{name}={value!r}" for name, value in zip(self.names, row, strict=True)
                )
                for row in self.matrix.tolist()
            ]
        return [
            SEPARATOR.join(self.names[column] for column in np.flatnonzero(row))
            for row in self.matrix
        ]


def parse_labels(
    values: Sequence[str],
    *,
    names: Sequence[str] | None = None,
    allow_empty: bool = False,
    where: Sequence[str] | None = None,
) -> LabelTable:
    """Parse the cells of a label column.

    Parameters
    ----------
    values : sequence of str, length n_tracks
        One label per track, or several joined by ``|``.
    names : sequence of str or None
        The known labels, in the order of the columns. None takes those that occur, sorted.
    allow_empty : bool
        Accept tracks without a label; their row is all False.
    where : sequence of str or None
        The place of each track for messages, such as ``"tracks.csv:7"``.

    Returns
    -------
    LabelTable

    Raises
    ------
    DataError
        If a track has no label and `allow_empty` is False, a label is not among `names`, or there
        are no labels at all.

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
    cells = [split_labels(value) for value in values]
    empty = [i for i, cell in enumerate(cells) if not cell]
    if empty and not allow_empty:
        more = f" (and {len(empty) - 1} more tracks)" if len(empty) > 1 else ""
        raise DataError(
            f"{_name(where, empty[0])}: no label{more}; expected a label for every track"
        )
    found = sorted({label for cell in cells for label in cell})
    if not found and names is None:
        raise DataError("the label column is empty")
    known = list(names) if names is not None else found
    column = {name: i for i, name in enumerate(known)}
    matrix = np.zeros((len(cells), len(known)), dtype=bool)
    for i, cell in enumerate(cells):
        for label in cell:
            if label not in column:
                raise DataError(
                    f"{_name(where, i)}: unknown label {label!r}; {suggest(label, known)}"
                )
            matrix[i, column[label]] = True
    return LabelTable(known, matrix, bool((matrix.sum(axis=1) > 1).any()))


def split_labels(value: str, separators: str = SEPARATOR) -> list[str]:
    """Split a cell into its labels, in order and without repetitions.

    Examples
    --------
    >>> split_labels(" rock | live|rock|")
    ['rock', 'live']
    >>> split_labels("rock, live; loud", ",;")
    ['rock', 'live', 'loud']
    """
    for other in separators[1:]:
        value = value.replace(other, separators[0])
    labels = (label.strip() for label in value.split(separators[0]))
    return list(dict.fromkeys(label for label in labels if label))


def _name(where: Sequence[str] | None, track: int) -> str:
    return where[track] if where is not None else f"track {track + 1}"
