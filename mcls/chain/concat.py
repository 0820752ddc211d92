"""Concat steps: the rows of several steps, side by side."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mcls.chain.step import Kind, RowAxes, RowsAndRate
from mcls.disk.chain import Step
from mcls.errors import DataError
from mcls.plots.axes import DimensionAxis
from mcls.registry import register

if TYPE_CHECKING:
    from torch import nn


@register("steps", "concat", inputs="several")
class ConcatKind(Kind):
    """Concatenates the rows of several steps along the dimensions."""

    noun = "concatenation"

    def apply(self, step: Step, inputs: Sequence[RowsAndRate]) -> RowsAndRate:
        """Concatenate rows.

        Raises
        ------
        DataError
            If the inputs have different numbers of rows.
        """
        counts = [len(rows) for rows, _ in inputs]
        if len(set(counts)) > 1:
            raise DataError(
                f"rows of several steps cannot be concatenated: they have {counts} rows for the "
                "same track; pool them over the same windows, or over the whole track"
            )
        return np.concatenate([rows for rows, _ in inputs], axis=1), inputs[0][1]

    def axes(self, step: Step, inputs: Sequence[RowAxes], sr: int | None) -> RowAxes:
        """Count the dimensions; the times are those of the first input."""
        n_dims = sum(one.dimensions.n_dims for one in inputs)
        codes = all(one.codes for one in inputs)
        axis = DimensionAxis("dimension", n_dims)
        return RowAxes(axis, inputs[0].hop, inputs[0].start, "value", codes)

    def graph(self, step: Step, sr: int | None) -> "nn.Module":
        """Return the concatenation as a torch module."""
        from mcls.export.rows_graph import Concatenation

        return Concatenation()

    def title(self, step: Step, n_dims: int) -> str:
        """Count the dimensions."""
        return f"concatenated, {n_dims} dimensions"
