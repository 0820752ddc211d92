"""Pool steps: rows over windows of time, or over the whole track, become one row each."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from mcls.chain.step import Kind, RowAxes, RowsAndRate
from mcls.disk.chain import Step
from mcls.errors import ConfigError
from mcls.features.pooling import pool_of, pool_rows
from mcls.registry import register

if TYPE_CHECKING:
    from torch import nn


@register("steps", "pool", needs=("window", "hop"))
class PoolKind(Kind):
    """Pools rows over windows or over the whole track."""

    noun = "pooler"

    def apply(self, step: Step, inputs: Sequence[RowsAndRate]) -> RowsAndRate:
        """Pool the rows of a track."""
        rows, frame_rate = inputs[0]
        return pool_rows(rows, frame_rate, pool_of(step.name, step.settings))

    def axes(self, step: Step, inputs: Sequence[RowAxes], sr: int | None) -> RowAxes:
        """Keep the dimensions; each row stands at the middle of its window."""
        before = inputs[0]
        window, hop = step.settings["window"], step.settings["hop"]
        if window is None or before.hop is None:
            return replace(before, hop=None, start=0.0)
        length = max(1, round(window / before.hop))
        start = before.start + (length - 1) / 2 * before.hop
        return replace(before, hop=max(1, round(hop / before.hop)) * before.hop, start=start)

    def graph(self, step: Step, sr: int | None) -> "nn.Module":
        """Return the pooler of a whole track as a torch module."""
        from mcls.export.rows_graph import PoolerGraph

        window = step.settings["window"]
        if window is not None:
            raise ConfigError(
                f"the pooler {step.name}@{window:g}s cannot be exported; pool the whole track"
            )
        return PoolerGraph(step.name, step.settings)

    def title(self, step: Step, n_dims: int) -> str:
        """Name the pooler and its window."""
        window, hop = step.settings["window"], step.settings["hop"]
        over = "the track" if window is None else f"{window:g} s"
        every = "" if hop == window else f" every {hop:g} s"
        return f"{step.name} over {over}{every}"
