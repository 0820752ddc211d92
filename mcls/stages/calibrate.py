"""The calibration of a run: from the scores of its valid part, or of inner folds."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mcls.disk.run import Run
from mcls.evaluation.calibration import MIN_TRACKS, Calibration, calibrate, calibration_of
from mcls.tables.predictions import Predictions

if TYPE_CHECKING:
    from mcls.stages.plan import Plan


@dataclass(frozen=True)
class HeldOut:
    """Scores of tracks that the model did not learn from.

    Parameters
    ----------
    scores : np.ndarray, shape (n_tracks, n_labels)
    truth : np.ndarray, shape (n_tracks, n_labels), bool
        The true labels.
    unknown : np.ndarray, shape (n_tracks, n_labels), bool, or None
        Labels that are unknown.
    """

    scores: np.ndarray
    truth: np.ndarray
    unknown: np.ndarray | None = None


def calibrate_run(
    plan: "Plan", model: Any, predictions: Predictions, held_out: HeldOut | None
) -> tuple[Calibration | None, dict[str, Any]]:
    """Learn the calibration of a run.

    Parameters
    ----------
    plan : Plan
    model : classifier or TrainedNet
        The fitted model.
    predictions : Predictions
        Scores of the valid and the test part.
    held_out : HeldOut or None
        Scores of train tracks from inner folds, if there is no valid part.

    Returns
    -------
    Calibration or None
        None if there are too few tracks.
    dict
        JSON-like: what it was learnt from (``on``) and the number of tracks, or the reason why
        there is none.
    """
    if plan.table.regression:
        return None, {"on": None, "reason": "the run predicts numbers"}
    on = "inner folds of the train part"
    if "valid" in predictions.parts:
        valid = predictions.only("valid")
        held_out, on = HeldOut(valid.scores, valid.truth, valid.unknown), "valid"
    if held_out is None:
        return None, {"on": None, "reason": "there is no valid part and there are no inner folds"}
    n = len(held_out.scores)
    if n < MIN_TRACKS:
        reason = f"{on}: {n} tracks; a calibration needs {MIN_TRACKS} or more"
        return None, {"on": None, "reason": reason}
    by_vote = plan.settings["aggregate"] == "vote"
    learnt = calibrate(
        held_out.scores,
        held_out.truth,
        multi_label=plan.table.multi_label,
        are_probabilities=by_vote or (model.lowest, model.highest) == (0.0, 1.0),
        unknown=held_out.unknown,
    )
    return learnt, {"on": on, "tracks": n}


def read_calibration(run: Run) -> Calibration | None:
    """Return the calibration of a run; None if it has none.

    Raises
    ------
    FormatError
        If its file is corrupt.
    """
    content = run.calibration()
    if content is None:
        return None
    return calibration_of(content, len(run.labels), run.path / "calibration.toml")


def why_not(run: Run) -> str:
    """Say why a run has no calibration."""
    told = run.about.get("calibration")
    if isinstance(told, dict) and told.get("reason"):
        return str(told["reason"])
    return "it was made by an earlier version of mcls; train it again"
