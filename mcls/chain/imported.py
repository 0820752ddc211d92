"""Imported steps: rows that another program made, such as embeddings of a pretrained net."""

from collections.abc import Sequence

from mcls.chain.step import Kind, RowAxes, RowsAndRate
from mcls.disk.chain import Step
from mcls.errors import DataError
from mcls.plots.axes import DimensionAxis
from mcls.registry import register


@register("steps", "imported", inputs="none", needs=("rate", "n_dims"))
class ImportedKind(Kind):
    """Rows made elsewhere; no audio can be turned into them here."""

    noun = "feature"

    def apply(self, step: Step, inputs: Sequence[RowsAndRate]) -> RowsAndRate:
        """Refuse: the rows come from a store, or from files of them."""
        raise DataError(f"the rows of the feature {step.name!r} were not given")

    def axes(self, step: Step, inputs: Sequence[RowAxes], sr: int | None) -> RowAxes:
        """Number the dimensions."""
        rate = step.settings["rate"]
        axis = DimensionAxis(f"{step.name} dimension", step.settings["n_dims"])
        return RowAxes(axis, None if rate is None else 1 / rate)

    def title(self, step: Step, n_dims: int) -> str:
        """Say that they were made elsewhere."""
        return f"{step.name}, {n_dims} dimensions, made elsewhere"


def imported_step(name: str, rate: float | None, n_dims: int, notes: dict[str, str]) -> Step:
    """Return the first step of a chain whose rows another program made.

    Parameters
    ----------
    name : str
        Name of the feature.
    rate : float or None
        Rows per second; None if a row is a whole track.
    n_dims : int
        Dimensions of a row.
    notes : dict of str to str
        What is to be kept of how they were made. Rows with other notes are other rows.
    """
    return Step("imported", name, {"rate": rate, "n_dims": n_dims, "made": "elsewhere", **notes})
