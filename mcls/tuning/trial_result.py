"""A trial and what it gave, as mcls shows it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mcls.tuning.space import Parameter, values_of

#: Our words for the states of Optuna.
_STATES = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed", "WAITING": "waiting"}


@dataclass(frozen=True)
class TrialResult:
    """A trial and what it gave.

    Parameters
    ----------
    number : int
        Its number, from 0 on.
    state : {'complete', 'pruned', 'failed', 'killed', 'running', 'waiting'}
    score : float or None
        The score; of a pruned trial the last that it reported.
    values : dict of str to value
        Values by the keys of the space.
    seconds : float or None
        How long it took.
    why : str
        Why it failed; for a pruned trial, where it was ended.
    """

    number: int
    state: str
    score: float | None
    values: dict[str, Any]
    seconds: float | None
    why: str = ""


def result_of(trial: Any, parameters: Sequence[Parameter], *, by_epoch: bool) -> TrialResult:
    """Return what a trial of Optuna gave.

    Parameters
    ----------
    trial : optuna.trial.FrozenTrial
    parameters : sequence of Parameter
        The search space.
    by_epoch : bool
        Whether trials report epochs, or percents of the train tracks.
    """
    state = _STATES.get(trial.state.name, "running")
    score, why = trial.value, str(trial.user_attrs.get("error", ""))
    if state == "pruned" and trial.intermediate_values:
        step = max(trial.intermediate_values)
        score = trial.intermediate_values[step]
        why = f"at epoch {step}" if by_epoch else f"at {step} % of the train tracks"
    if was_killed(trial):
        state, why = "killed", "its values are tried again"
    seconds = None if trial.duration is None else trial.duration.total_seconds()
    return TrialResult(
        trial.number, state, score, values_of(parameters, trial.params), seconds, why
    )


def was_killed(trial: Any) -> bool:
    """Return whether a trial of Optuna ended with its process, and not with an error."""
    return trial.state.name == "FAIL" and "error" not in trial.user_attrs
