"""Tables of a report, and how numbers are spelt in them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class PageTable:
    """A table with a caption; the first cell of a row is its heading.

    Parameters
    ----------
    caption : str
    columns : sequence of str
    rows : sequence of sequence of str
    left : int
        Number of columns from the first that hold text, not numbers.
    """

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    left: int = 1

    @property
    def filled(self) -> "PageTable":
        """The table without the columns that no row fills."""
        kept = [i for i in range(len(self.columns)) if any(row[i] for row in self.rows)]
        rows = [[row[i] for i in kept] for row in self.rows]
        left = sum(i < self.left for i in kept)
        return PageTable(self.caption, [self.columns[i] for i in kept], rows, left)


def spell(value: float | None, digits: int = 3) -> str:
    """Write a number; nothing for None."""
    return "" if value is None else f"{value:.{digits}f}"


def spell_interval(low: float | None, high: float | None, *, sign: bool = False) -> str:
    """Write the ends of an interval; nothing without one.

    Examples
    --------
    >>> spell_interval(0.1, 0.25), spell_interval(-0.1, 0.25, sign=True), spell_interval(None, None)
    ('0.100 to 0.250', '-0.100 to +0.250', '')
    """
    if low is None or high is None:
        return ""
    return f"{low:+.3f} to {high:+.3f}" if sign else f"{low:.3f} to {high:.3f}"


def spell_p(p: float | None) -> str:
    """Write a p value; nothing for None."""
    return "" if p is None else ("<0.001" if p < 0.001 else f"{p:.3f}")


def spell_count(number: Any) -> str:
    """Write a number with commas; nothing for None."""
    return "" if number is None else f"{number:,}"
