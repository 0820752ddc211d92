"""Results as tables: how they print, show in a notebook, and go to pandas or polars."""

from collections.abc import Mapping, Sequence
from html import escape
from itertools import islice
from typing import TYPE_CHECKING, Any

from mcls.errors import missing_extra

if TYPE_CHECKING:
    import pandas
    import polars

#: Rows of a table that are shown.
_SHOWN = 10
#: Characters of a cell, and columns, that are shown.
_WIDE, _COLUMNS = 40, 12


class Tabular:
    """A result that is a table. A subclass names itself in `title` and fills `columns`."""

    @property
    def title(self) -> str:
        """What it is, in a line."""
        raise NotImplementedError

    def columns(self, most: int | None = None) -> Mapping[str, Sequence[Any]]:
        """Return the cells by the names of the columns.

        Parameters
        ----------
        most : int or None
            Rows that are needed; None: all.
        """
        raise NotImplementedError

    def to_pandas(self) -> "pandas.DataFrame":
        """Return the table as a DataFrame of pandas.

        Raises
        ------
        ConfigError
            If pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise missing_extra("to_pandas", "pandas", "pandas") from error

        return pd.DataFrame(dict(self.columns()))

    def to_polars(self) -> "polars.DataFrame":
        """Return the table as a DataFrame of polars.

        Raises
        ------
        ConfigError
            If polars is not installed.
        """
        try:
            import polars as pl
        except ImportError as error:
            raise missing_extra("to_polars", "polars", "polars") from error

        return pl.DataFrame(dict(self.columns()), strict=False)

    def __repr__(self) -> str:
        head, rows, more = self._shown()
        widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in [head, *rows]
        ]
        return "\n".join([self.title, *lines, *more])

    def _repr_html_(self) -> str:
        head, rows, more = self._shown()
        body = [_html_row(head, "th"), *(_html_row(row, "td") for row in rows)]
        after = "".join(f"<p>{escape(line)}</p>" for line in more)
        return f"<p>{escape(self.title)}</p><table>{''.join(body)}</table>{after}"

    def _shown(self) -> tuple[list[str], list[list[str]], list[str]]:
        """Return the head, the first rows, and a line if there are more rows or columns."""
        columns = self.columns(_SHOWN + 1)
        head = list(islice(columns, _COLUMNS))
        cells = [[_text(cell) for cell in columns[name][: _SHOWN + 1]] for name in head]
        rows = [list(row) for row in zip(*cells, strict=True)]
        left = ["more rows"] if len(rows) > _SHOWN else []
        if len(columns) > len(head):
            left.append(f"{len(columns) - len(head)} more columns")
        return head, rows[:_SHOWN], [f"... {' and '.join(left)}"] if left else []


def _html_row(cells: Sequence[str], tag: str) -> str:
    return f"<tr>{''.join(f'<{tag}>{escape(cell)}</{tag}>' for cell in cells)}</tr>"


def metric_columns(metrics: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Return the columns of the metrics of parts, as metrics.json has them."""
    rows = [
        (part, name, over, *(one[over][key] for key in ("value", "low", "high")))
        for part, report in metrics.items()
        for name, one in report["metrics"].items()
        for over in ("macro", "micro")
        if one[over] is not None
    ]
    return columns_of(["part", "metric", "over", "value", "low", "high"], rows)


def columns_of(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> dict[str, list[Any]]:
    """Return columns from rows."""
    return {name: [row[i] for row in rows] for i, name in enumerate(names)}


def _text(cell: Any) -> str:
    """Write a cell in a few characters, none of which can change a terminal."""
    if cell is None:
        return ""
    kind = getattr(getattr(cell, "dtype", None), "kind", "")
    text = f"{cell:.4g}" if isinstance(cell, float) or kind == "f" else str(cell)
    text = "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)
    return text if len(text) <= _WIDE else text[: _WIDE - 3] + "..."
