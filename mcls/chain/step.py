"""Steps at work: the kinds of step there are, and what a chain makes of the rows of a track.

A chain is a tuple of steps (`mcls.disk.chain`). What a step does depends on its kind. Each kind is
one module of this package: a subclass of `Kind`, registered in the family ``steps`` under the name
that files store. A new kind of step is one new module, and nothing else is edited.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from mcls.disk.chain import Chain, Step
from mcls.errors import ConfigError, FormatError
from mcls.plots.axes import DimensionAxis
from mcls.registry import find

if TYPE_CHECKING:
    from torch import nn

#: The rows of a track, ``(n_rows, n_dims)``, and their frame rate; None where a row is a whole
#: track.
RowsAndRate = tuple[np.ndarray, float | None]

#: Rows that are known already, by the index of the step of a chain that makes them.
RowsByStep = Mapping[int, RowsAndRate]


@dataclass(frozen=True)
class RowAxes:
    """The axes of some rows: the frequency of each dimension and the time of each row.

    Parameters
    ----------
    dimensions : DimensionAxis
        The axis of the dimensions.
    hop : float or None
        Seconds from row to row; None if it is unknown or a row is a whole track.
    start : float
        Time of the middle of the first row, in seconds.
    unit : str
        Unit of the values.
    codes : bool
        Whether the values are codes, or pooled codes.
    order : np.ndarray, shape (n_dims,), or None
        The order in which dimensions are best shown: codes by the centre frequency of their atoms.
    apart : int
        Number of first dimensions on a scale of their own, such as the level C0 of MFCC.
    """

    dimensions: DimensionAxis
    hop: float | None
    start: float = 0.0
    unit: str = "value"
    codes: bool = False
    order: np.ndarray | None = None
    apart: int = 0

    def counted(self, name: str, n_dims: int) -> "RowAxes":
        """Return these axes with dimensions that have a number only, no frequency."""
        axis = DimensionAxis(f"{name} dimension", n_dims)
        return replace(self, dimensions=axis, apart=0, order=None)


class Kind:
    """A kind of step. Subclass it in a module of this package and register it under ``steps``.

    Attributes
    ----------
    noun : str
        The words before the name of such a step in messages: "the *dictionary* 'kmeans'".
    """

    noun: str = "step"

    def apply(self, step: Step, inputs: Sequence[RowsAndRate]) -> RowsAndRate:
        """Return the rows that a step makes of the rows of a track.

        Parameters
        ----------
        step : Step
            A step of this kind.
        inputs : sequence of (rows, frame rate)
            The rows of the steps that it reads, in the order of ``step.inputs``.
        """
        raise NotImplementedError

    def axes(self, step: Step, inputs: Sequence[RowAxes], sr: int | None) -> RowAxes:
        """Return the axes of the rows that a step makes.

        Parameters
        ----------
        step : Step
            A step of this kind.
        inputs : sequence of RowAxes
            The axes of the rows that it reads.
        sr : int or None
            Sample rate of the audio file in Hz, for a feature that does not resample.
        """
        return replace(inputs[0].counted(step.name, 0), unit="value", codes=False)

    def graph(self, step: Step, sr: int | None) -> "nn.Module":
        """Return a torch module that does what a step does, for ``mcls export``.

        Parameters
        ----------
        step : Step
            A step of this kind.
        sr : int or None
            Sample rate of the audio in Hz, for a feature that does not resample.

        Returns
        -------
        nn.Module
            From the rows that the step reads, or from the audio, to its rows.

        Raises
        ------
        ConfigError
            If there is no such module.
        """
        raise ConfigError(f"the {self.noun} {step.name} cannot be exported; use `mcls predict`")

    def title(self, step: Step, n_dims: int) -> str:
        """Return the title of a plot of the rows that a step makes."""
        return f"{step.name}, {n_dims} dimensions" if n_dims > 1 else step.name


def kind_of(step: Step) -> Kind:
    """Return the kind of a step.

    Raises
    ------
    ConfigError
        If there is no such kind; the message lists the kinds there are.
    FormatError
        If the step has not all that its kind needs.
    """
    entry = find("steps", step.kind)
    there = {*step.settings, *step.arrays}
    missing = [name for name in entry.facts.get("needs", ()) if name not in there]
    if missing:
        raise FormatError(
            f"the step {step.name!r} of the chain is a {step.kind} without {', '.join(missing)}; "
            "its file is corrupt"
        )
    kind: Kind = entry.load()()
    return kind


def apply_chain(chain: Chain, known: RowsByStep) -> RowsAndRate:
    """Return the result of a chain for one track.

    Parameters
    ----------
    chain : Chain
        The last step makes the result.
    known : mapping of int to (rows, frame rate)
        Rows that are known already: those of the feature steps, or of any later steps.

    Raises
    ------
    DataError
        If the rows of a feature step are missing, or inputs of a step do not fit together.
    """
    return _result(chain, len(chain) - 1, dict(known))


def _result(chain: Chain, i: int, done: dict[int, RowsAndRate]) -> RowsAndRate:
    """Return the result of a step; what is computed for it is added to `done`."""
    if i not in done:
        inputs = [_result(chain, j, done) for j in chain[i].inputs]
        done[i] = kind_of(chain[i]).apply(chain[i], inputs)
    return done[i]


def axes_of(chain: Chain, sr: int | None = None, n_dims: int | None = None) -> RowAxes:
    """Return the axes of the rows that a chain ends in.

    Parameters
    ----------
    chain : Chain
        From the audio.
    sr : int or None
        Sample rate of the audio file in Hz, for features that do not resample.
    n_dims : int or None
        Number of dimensions, if it is known.
    """
    known: list[RowAxes] = []
    for step in chain:
        known.append(kind_of(step).axes(step, [known[i] for i in step.inputs], sr))
    last = known[-1]
    if n_dims is not None and n_dims != last.dimensions.n_dims:
        return last.counted(chain[-1].name, n_dims)
    return last
