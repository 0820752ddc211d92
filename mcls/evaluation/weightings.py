"""Weights of tracks with each unit of tracks left out in turn, without the matrix that they are.

A thousand units of a million tracks would be a matrix of 4 GB, nearly all ones. Metrics take either
a matrix or `LeftOut`; both can be sliced, multiplied by a table and summed, and `exceptions` says
where a weight is not 1.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

#: Elements of the matrix that are made at once, to multiply it by a table of fractions.
_BLOCK = 1 << 24


@dataclass(frozen=True)
class LeftOut:
    """A matrix ``(n_units, n_lines)`` of ones, with a 0 where a line is of the unit of the row.

    Parameters
    ----------
    units : np.ndarray, shape (n_lines,), int
        The unit of each line, from 0.
    n_units : int
        The number of units.

    Examples
    --------
    >>> left_out = LeftOut(np.array([0, 1, 0]), 2)
    >>> np.asarray(left_out).tolist(), (left_out @ np.array([1, 2, 4])).tolist()
    ([[0, 1, 0], [1, 0, 1]], [2.0, 5.0])
    """

    units: np.ndarray
    n_units: int

    def __len__(self) -> int:
        return self.n_units

    def __getitem__(self, rows: slice) -> np.ndarray:
        """Return some rows of the matrix, int32."""
        return (np.arange(self.n_units)[rows, None] != self.units).astype(np.int32)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Return the whole matrix."""
        return self[:].astype(dtype or np.int32, copy=False)

    def take(self, lines: np.ndarray, axis: int) -> "LeftOut":
        """Return the columns of some lines; `axis` is 1."""
        assert axis == 1
        return LeftOut(self.units.take(lines), self.n_units)

    def sum(self, axis: int) -> np.ndarray:
        """Return the number of lines that each row keeps; `axis` is 1."""
        assert axis == 1
        return len(self.units) - np.bincount(self.units, minlength=self.n_units)

    def __matmul__(self, table: np.ndarray) -> np.ndarray:
        """Return the product with a table ``(n_lines, n_columns)`` or ``(n_lines,)``, float64.

        Of whole numbers the sums of each unit are taken from those of all lines, which is exact.
        """
        if table.dtype.kind == "f":
            return np.concatenate([block.astype(np.float64) @ table for block in row_blocks(self)])
        each = [
            column.sum() - np.bincount(self.units, weights=column, minlength=self.n_units)
            for column in table.reshape(len(table), -1).T
        ]
        return np.stack(each, axis=1).reshape(self.n_units, *table.shape[1:])


#: Weights of lines, ``(n_weightings, n_lines)``.
Weights = np.ndarray | LeftOut


def row_blocks(weights: Weights) -> Iterator[np.ndarray]:
    """Yield the rows of the matrix in blocks that are not too large, int32."""
    n_lines = len(weights.units) if isinstance(weights, LeftOut) else weights.shape[1]
    step = max(1, _BLOCK // max(n_lines, 1))
    for start in range(0, len(weights), step):
        yield weights[start : start + step]


@dataclass(frozen=True)
class Exceptions:
    """The weights that are not 1, in the order of the weightings.

    Parameters
    ----------
    row, line : np.ndarray, int
        The weighting and the line of each.
    more : np.ndarray, int
        By how much each weight is more than 1.
    edges : np.ndarray, shape (n_weightings + 1,), int64
        Where those of each weighting begin, and the number of all.
    """

    row: np.ndarray
    line: np.ndarray
    more: np.ndarray
    edges: np.ndarray

    def of_rows(self, rows: slice) -> "Exceptions":
        """Return those of some weightings, which are numbered from 0 again."""
        part, edges = self.part(rows), self.edges[rows.start : rows.stop + 1]
        return Exceptions(
            self.row[part] - rows.start, self.line[part], self.more[part], edges - edges[0]
        )

    def part(self, rows: slice) -> slice:
        """Return the place of those of some weightings."""
        return slice(self.edges[rows.start], self.edges[rows.stop])


def exceptions(weights: Weights, order: np.ndarray) -> Exceptions:
    """Return the weights that are not 1; those of a weighting are in the given order of lines."""
    if isinstance(weights, LeftOut):
        line = order[np.argsort(weights.units[order], kind="stable")]
        row, more = weights.units[line], np.broadcast_to(np.int64(-1), line.shape)
    else:
        row, place = np.nonzero(weights[:, order] != 1)
        line = order[place]
        more = weights[row, line].astype(np.int64) - 1
    edges = np.cumsum(np.bincount(row, minlength=len(weights)))
    return Exceptions(row, line, more, np.concatenate([[0], edges]))
