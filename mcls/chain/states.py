"""States steps: the posteriors of the states of a classifier's HMMs as codes, one row per frame."""

from collections.abc import Sequence
from dataclasses import replace

from mcls.chain.model_cache import classifier_of_step, step_model
from mcls.chain.step import Kind, RowAxes, RowsAndRate
from mcls.disk.chain import Step
from mcls.disk.run import Run
from mcls.errors import DataError, FormatError
from mcls.registry import register


@register("steps", "states", needs=("model",))
class StatesKind(Kind):
    """Computes the probability of each state of HMMs in each row, given the whole track."""

    noun = "run of"

    def apply(self, step: Step, inputs: Sequence[RowsAndRate]) -> RowsAndRate:
        """Return the state posteriors, ``(n_rows, n_states)`` float32, at the same frame rate."""
        rows, frame_rate = inputs[0]
        if len(rows) == 0:
            raise DataError("no rows")
        model = step_model(step)
        if not hasattr(model, "state_posteriors") or rows.shape[1] != model.n_features_in_:
            raise FormatError(
                f"the model {step.name!r} in the chain has no states for rows of {rows.shape[1]} "
                "numbers; its file is corrupt"
            )
        return model.state_posteriors(rows).astype("float32"), frame_rate

    def axes(self, step: Step, inputs: Sequence[RowAxes], sr: int | None) -> RowAxes:
        """Number the states; a row stands where it stood."""
        return replace(super().axes(step, inputs, sr), unit="probability", codes=True)

    def title(self, step: Step, n_dims: int) -> str:
        """Name the model."""
        return f"posteriors of {n_dims} states of {step.name}"


def states_step(run: Run) -> Step:
    """Return the step of a chain that gives the state posteriors of a run of `gmm-hmm`.

    Raises
    ------
    DataError
        If the run does not name the tracks it was learnt from.
    """
    arrays, learnt_from = classifier_of_step(run)
    return Step(
        "states", run.settings["train"]["model"], {}, arrays=arrays, learnt_from=learnt_from
    )
