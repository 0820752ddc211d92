"""Choose the tracks that a report lists: the worst errors, and the least sure."""

from dataclasses import dataclass

import numpy as np

from mcls.errors import ConfigError
from mcls.evaluation.classification import predicted_labels
from mcls.evaluation.errors import (
    LabelError,
    Thresholds,
    amounts,
    least_sure,
    limits_of,
    worst_errors,
)
from mcls.tables.predictions import Predictions

#: Labels whose scores are shown of a track, at least.
_LABELS = 4


@dataclass(frozen=True)
class ListedTrack:
    """A track that a report lists.

    Parameters
    ----------
    line : int
        Its line in the predictions.
    said : str
        What the run got wrong, or could not decide.
    labels : tuple of int
        The labels whose scores are shown: those of `said`, the true ones, then the likeliest.
    """

    line: int
    said: str
    labels: tuple[int, ...]


@dataclass(frozen=True)
class Lists:
    """The lists of a run.

    Parameters
    ----------
    errors, unsure : list of ListedTrack
        Worst, and least sure, first. A track of the first is not in the second.
    n_errors : int
        Tracks that are wrong, in all.
    missing : str
        Why there are no lists; empty if there are.
    """

    errors: list[ListedTrack]
    unsure: list[ListedTrack]
    n_errors: int
    missing: str = ""


def choose_listed(
    predictions: Predictions, threshold: float | list[float] | None, most: int
) -> Lists:
    """Choose the worst errors and the least sure tracks; see `worst_errors` and `least_sure`.

    The errors of a regression are in standard deviations of the true numbers.

    Parameters
    ----------
    predictions : Predictions
    threshold : float, list of float or None
        Score from which a label counts as predicted, if a track may have several.
    most : int
        Length of each list.
    """
    if predictions.regression:
        return _of_numbers(predictions, most)
    values, name = amounts(predictions)
    try:
        limits = limits_of(predictions, threshold)
    except ConfigError as error:
        return Lists([], [], 0, str(error))
    found = worst_errors(predictions.truth, values, threshold=limits, unknown=predictions.unknown)
    first = {one.track: one for one in reversed(found)}  # of each track the worst
    order = list(dict.fromkeys(one.track for one in found))
    errors = [_error(predictions, values, limits, first[i], name) for i in order[:most]]
    listed = {one.line for one in errors}
    unsure = [int(i) for i in least_sure(values, threshold=limits) if int(i) not in listed][:most]
    return Lists(errors, [_unsure(predictions, values, limits, i) for i in unsure], len(order))


def _error(
    predictions: Predictions, values: np.ndarray, limits: Thresholds, error: LabelError, name: str
) -> ListedTrack:
    i, j, names = error.track, error.label, predictions.names
    true = [int(k) for k in np.flatnonzero(predictions.truth[i])]
    if error.kind == "wrong":
        [t] = true
        said = (
            f"Predicted {names[j]} with {name} {values[i, j]:.2f}; "
            f"the true label {names[t]} has {values[i, t]:.2f}."
        )
    else:
        kind = "not true, but predicted" if error.kind == "false positive" else "true, but missed"
        said = f"{names[j]} is {kind}: {name} {values[i, j]:.2f}, {_limit(limits, j)}."
    return ListedTrack(i, said, _shown(values[i], [j, *true]))


def _unsure(
    predictions: Predictions, values: np.ndarray, limits: Thresholds, i: int
) -> ListedTrack:
    names = predictions.names
    true = [int(k) for k in np.flatnonzero(predictions.truth[i])]
    if limits is None:
        first, second = (int(j) for j in np.argsort(-values[i], kind="stable")[:2])
        said = f"{names[first]} {values[i, first]:.2f} or {names[second]} {values[i, second]:.2f}."
        return ListedTrack(i, said, _shown(values[i], [first, second, *true]))
    j = int(np.abs(values[i] - limits).argmin())
    said = f"{names[j]} {values[i, j]:.2f}, {_limit(limits, j)}."
    return ListedTrack(i, said, _shown(values[i], [j, *true]))


def _limit(limits: Thresholds, j: int) -> str:
    assert limits is not None
    at = np.asarray(limits)
    return f"threshold {at if at.ndim == 0 else at[j]:.2f}"


def _of_numbers(predictions: Predictions, most: int) -> Lists:
    errors = np.abs(predictions.scores - predictions.truth)
    spread = predictions.truth.std(axis=0)
    errors /= np.where(spread > 0, spread, 1)
    listed = []
    for i in np.argsort(-errors.max(axis=1), kind="stable")[:most]:
        j = int(errors[i].argmax())
        said = (
            f"Predicted {predictions.names[j]} {predictions.scores[i, j]:.3g}; "
            f"true is {predictions.truth[i, j]:.3g}, {errors[i, j]:.1f} standard deviations away."
        )
        listed.append(ListedTrack(int(i), said, (j,)))
    return Lists(listed, [], len(errors))


def _shown(values: np.ndarray, first: list[int]) -> tuple[int, ...]:
    order = [*first, *np.argsort(-values, kind="stable").tolist()]
    return tuple(dict.fromkeys(order))[: max(_LABELS, len(set(first)))]


def predicted(predictions: Predictions, threshold: float | list[float] | None) -> np.ndarray:
    """Return the predicted labels, bool ``(n_tracks, n_labels)``."""
    if not predictions.multi_label:
        return predicted_labels(predictions.scores)
    return predicted_labels(predictions.scores, np.asarray(0.5 if threshold is None else threshold))
