"""What a run says of a track, as rows: so that one run can build on the scores of others.

A ``scores`` step of a chain carries the whole model of a run. Of the rows of a track it makes one
row with a number per label in [0, 1]: probabilities as they are, margins m as 1 / (1 + exp(-2 m)),
so that a row on the edge of the margin counts as .88 and the boundary as .5.
"""

import numpy as np
from scipy.special import expit

from mcls.chain.model_cache import carried_model
from mcls.disk.chain import Step
from mcls.disk.run import Run
from mcls.disk.tensors import read_tensors
from mcls.errors import DataError, FormatError
from mcls.evaluation.aggregate import tracks_of_segments

#: How steep a margin is as a probability.
_SLOPE = 2.0


def scores_step(run: Run) -> Step:
    """Return the step of a chain that gives the scores of a run.

    Parameters
    ----------
    run : Run
        Of a classifier or a net.

    Raises
    ------
    DataError
        If the run does not say from which tracks it was learnt.
    FormatError
        If a file in it is damaged.
    """
    settings = {key: run.about[key] for key in ("labels", "aggregate")}
    if run.net_file is not None:
        tensors, about = read_tensors(run.net_file)
        learnt_from = tuple(map(str, about.pop("learnt_from", ())))
        arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
        settings |= about
    else:
        learnt_from = run.learnt_from()
        arrays = {"model": np.frombuffer((run.path / "model.skops").read_bytes(), dtype=np.uint8)}
    if not learnt_from:
        raise DataError(
            f"{run.path}: does not say from which tracks it was learnt, so that nobody could see "
            "whether it knows those that are to be scored; an older mcls made it: train it again"
        )
    name = run.settings["train"]["model"]
    return Step("scores", name, settings, arrays=arrays, learnt_from=learnt_from)


def score_rows(rows: np.ndarray, step: Step) -> np.ndarray:
    """Return the scores of a track by a run.

    Parameters
    ----------
    rows : np.ndarray, shape (n_rows, n_dims)
        What the run's model reads.
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
    if len(rows) == 0:
        raise DataError("no rows")
    model = carried_model(step)
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
