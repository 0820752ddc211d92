"""Scores steps: the scores of a trained run as rows, so that one run can build on others.

A ``scores`` step carries the whole model of a run. It makes one row per track, with a number per
label in [0, 1]: probabilities stay as they are, and a margin m becomes 1 / (1 + exp(-2 m)), so that
a row on the edge of the margin counts as .88 and one on the boundary as .5.
"""

from collections.abc import Sequence

import numpy as np

from mcls.chain.model_cache import classifier_of_step, refuse_nameless_tracks, step_model
from mcls.chain.step import Kind, RowAxes, RowsAndRate
from mcls.disk.chain import Step
from mcls.disk.run import Run
from mcls.disk.tensors import read_tensors
from mcls.errors import DataError, FormatError
from mcls.evaluation.aggregate import tracks_of_segments
from mcls.plots.axes import DimensionAxis
from mcls.registry import register

#: Slope of the logistic function that turns a margin into a probability.
_SLOPE = 2.0


@register("steps", "scores", needs=("labels", "aggregate"))
class ScoresKind(Kind):
    """Scores a track with the model of a run, one row per track."""

    noun = "run of"

    def apply(self, step: Step, inputs: Sequence[RowsAndRate]) -> RowsAndRate:
        """Score a track."""
        return score_rows(inputs[0][0], step), None

    def axes(self, step: Step, inputs: Sequence[RowAxes], sr: int | None) -> RowAxes:
        """Number the labels; a row is a whole track."""
        return RowAxes(DimensionAxis("label", len(step.settings["labels"])), None, unit="score")

    def title(self, step: Step, n_dims: int) -> str:
        """Name the model."""
        return f"scores of {step.name} for {n_dims} labels"


def scores_step(run: Run) -> Step:
    """Return the step of a chain that gives the scores of a run.

    Parameters
    ----------
    run : Run
        A run of a classifier or a net.

    Raises
    ------
    DataError
        If the run does not name the tracks it was learnt from.
    FormatError
        If one of its files is damaged.
    """
    settings = {key: run.about[key] for key in ("labels", "aggregate")}
    if run.net_file is not None:
        tensors, about = read_tensors(run.net_file)
        learnt_from = tuple(map(str, about.pop("learnt_from", ())))
        arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
        settings |= about
        refuse_nameless_tracks(run, learnt_from)
    else:
        arrays, learnt_from = classifier_of_step(run)
    name = run.settings["train"]["model"]
    return Step("scores", name, settings, arrays=arrays, learnt_from=learnt_from)


def score_rows(rows: np.ndarray, step: Step) -> np.ndarray:
    """Return the scores of a track by a run.

    Parameters
    ----------
    rows : np.ndarray, shape (n_rows, n_dims)
        The rows that the run's model reads.
    step : Step
        From `scores_step`.

    Returns
    -------
    np.ndarray, shape (1, n_labels), float32
        In [0, 1], in the order of the run's labels; 0 for a label that it never saw.

    Raises
    ------
    DataError
        If there are no rows.
    FormatError
        If the step's model is damaged, or does not fit the rows.
    """
    from scipy.special import expit

    if len(rows) == 0:
        raise DataError("no rows")
    model = step_model(step)
    n_labels = len(step.settings["labels"])
    if rows.shape[1] != model.n_features_in_ or max(model.classes_) >= n_labels:
        raise FormatError(
            f"the model {step.name!r} in the chain reads rows of {model.n_features_in_} numbers "
            f"and knows label {max(model.classes_)}; there are rows of {rows.shape[1]} numbers and "
            f"{n_labels} labels"
        )
    how = step.settings["aggregate"]
    [scores] = tracks_of_segments(model, model.scores_of([rows]), n_labels, how)
    if how != "vote" and model.lowest < 0:
        scores = expit(_SLOPE * scores)
    return scores[None].astype(np.float32)
