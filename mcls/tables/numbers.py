"""Numbers to predict: from the text of a manifest to a matrix.

A cell holds one number, ``0.25``, or several joined by ``|``. Several may be named, as in
``valence=0.3|arousal=-0.1``; without names they are called after the column, ``factors:1``,
``factors:2``.
"""

import math
from collections.abc import Sequence

import numpy as np

from mcls.errors import DataError
from mcls.tables.labels import SEPARATOR, LabelTable
from mcls.tables.number_cells import has_comma


def parse_numbers(values: Sequence[str], column: str, where: Sequence[str]) -> LabelTable:
    """Parse the cells of a column of numbers.

    Parameters
    ----------
    values : sequence of str, length n_tracks
    column : str
        Name of the column.
    where : sequence of str
        The place of each track, for messages.

    Returns
    -------
    LabelTable
        Its matrix is float64.

    Raises
    ------
    DataError
        If a cell is empty, holds anything but numbers, or other targets than the first cell.

    Examples
    --------
    >>> table = parse_numbers(["a=1|b=-0.5", "b=2|a=0"], "mood", ["x", "y"])
    >>> table.names, table.matrix.tolist()
    (['a', 'b'], [[1.0, -0.5], [0.0, 2.0]])
    """
    cells = [_numbers(value, column, place) for value, place in zip(values, where, strict=True)]
    names = list(cells[0])
    for cell, place in zip(cells, where, strict=True):
        if set(cell) != set(names):
            raise DataError(
                f"{place}: numbers for {', '.join(cell)}; expected {', '.join(names)}, as for the "
                "first track"
            )
    matrix = np.array([[cell[name] for name in names] for cell in cells], dtype=np.float64)
    return LabelTable(names, matrix, multi_label=False)


def _numbers(value: str, column: str, where: str) -> dict[str, float]:
    pieces = [piece.strip() for piece in value.split(SEPARATOR)]
    found: dict[str, float] = {}
    for i, piece in enumerate(pieces, start=1):
        name, named, text = piece.rpartition("=")
        if not named:
            name = column if len(pieces) == 1 else f"{column}:{i}"
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if has_comma(text):
            raise DataError(
                f"{where}: {piece!r} has a decimal comma; write {piece.replace(',', '.')}"
            )
        if not math.isfinite(number):
            raise DataError(
                f"{where}: {piece!r} is not a finite number; leave --regression out if these are "
                "labels"
            )
        if name.strip() in found:
            raise DataError(f"{where}: {name.strip()!r} occurs twice in {value!r}")
        found[name.strip()] = number
    return found
