"""Numbers in the cells of tables of other programs: 0.83 or, in much of the world, 0,83.

A comma can be a decimal comma only where commas do not separate the cells.
"""

import math
import re
from array import array
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from mcls.errors import FormatError
from mcls.tables.csv_cells import read_cell

_WITH_COMMA = re.compile(r"[+-]?\d*,\d+(?:[eE][+-]?\d+)?")
#: What may be thousands as well as thousandths.
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")


def read_number(cell: str) -> float | None:
    """Return the number in a cell, with a decimal point or comma; None if it holds none.

    Examples
    --------
    >>> read_number("0,83"), read_number("-8.3e-1"), read_number("1.234,5"), read_number("")
    (0.83, -0.83, None, None)
    """
    try:
        return float(cell.replace(",", ".") if has_comma(cell) else cell)
    except ValueError:
        return None


def has_comma(cell: str) -> bool:
    """Return whether a cell holds a number with a decimal comma."""
    return _WITH_COMMA.fullmatch(cell.strip()) is not None


def decimal_comma(cells: Collection[str], delimiter: str | None) -> tuple[str, str]:
    """Return a cell with a decimal comma, and why the commas of a table cannot be read.

    Parameters
    ----------
    cells : collection of str
        All cells of the table that should be numbers.
    delimiter : str or None
        What separates the cells of the table; None: white space.

    Returns
    -------
    example, problem : str
        Empty if there is none.

    Examples
    --------
    >>> decimal_comma(["1", "0,83"], ";")
    ('0,83', '')
    >>> decimal_comma(["0.5", "0,83"], ";")[1]
    "'0.5' has a decimal point and '0,83' a decimal comma; write all numbers with a point"
    """
    example = next((cell for cell in cells if has_comma(cell)), None)
    if example is None:
        return "", ""
    if delimiter == ",":
        return example, (
            f"{example!r} has a decimal comma, and commas separate the cells; write numbers with a "
            "decimal point, or separate the cells by ; or tab"
        )
    point = next((cell for cell in cells if "." in cell and read_number(cell) is not None), None)
    if point is not None:
        return example, (
            f"{point!r} has a decimal point and {example!r} a decimal comma; write all numbers "
            "with a point"
        )
    if all(_THOUSANDS.fullmatch(cell.strip()) for cell in cells if has_comma(cell)):
        return example, (
            f"{example!r} may be {example.replace(',', '.')} or {example.replace(',', '')}; write "
            "numbers with a decimal point"
        )
    return example, ""


class NumberColumns:
    """The columns of numbers of a table that is read row by row; eight bytes a number are kept.

    Parameters
    ----------
    path : Path
        The table.
    delimiter : str
        What separates its cells.
    columns : sequence of (str, int)
        Name and place of each column.
    """

    def __init__(self, path: Path, delimiter: str, columns: Sequence[tuple[str, int]]) -> None:
        self.path = path
        self.delimiter = delimiter
        self.columns = columns
        self._values = array("d")
        self._point = ""
        self._odd: dict[str, int] = {}  # cells that are not numbers as they stand, and their lines

    def __len__(self) -> int:
        return len(self.columns)

    def add(self, line: int, row: Sequence[str]) -> None:
        """Add a row.

        Raises
        ------
        FormatError
            If a cell is not a number.
        """
        cells = [row[place] for _, place in self.columns]
        try:
            values = list(map(float, cells))
        except ValueError:
            values = [math.nan]
        if math.isnan(sum(values)):  # infinite ones are numbers
            values = [
                self._read(line, name, read_cell(cell))
                for (name, _), cell in zip(self.columns, cells, strict=True)
            ]
        if not self._point:
            self._point = next((cell for cell in cells if "." in cell and not has_comma(cell)), "")
        self._values.extend(values)

    def _read(self, line: int, name: str, cell: str) -> float:
        value = read_number(cell)
        if value is None or math.isnan(value):
            raise FormatError(f"{self.path}:{line}: score of {name!r} is {cell!r}, not a number")
        self._odd.setdefault(cell, line)
        return value

    def notes(self) -> list[str]:
        """Return what is to be said of decimal commas.

        Raises
        ------
        FormatError
            If they cannot be read.
        """
        cells = [*self._odd, *filter(None, [self._point])]
        example, problem = decimal_comma(cells, self.delimiter)
        if problem:
            raise FormatError(f"{self.path}:{self._odd[example]}: {problem}")
        return [f"numbers such as {example} were read with a decimal comma"] if example else []

    def table(self) -> np.ndarray:
        """Return the numbers, float64 ``(n_rows, n_columns)``."""
        return np.frombuffer(self._values).reshape(-1, len(self.columns))
