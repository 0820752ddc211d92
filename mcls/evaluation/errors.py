"""The errors of predictions, the most confident first, and the tracks that are least sure.

Everything is in the unit of the scores that are given: `amounts` chooses probabilities where they
can be compared, and `limits_of` the score from which a label counts as predicted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mcls.errors import ConfigError
from mcls.evaluation.classification import predicted_labels
from mcls.tables.predictions import Predictions

#: Score from which labels count as predicted, of all or each; None: that of the highest score is.
Thresholds = float | np.ndarray | None

ErrorKind = Literal["wrong", "false positive", "false negative"]


@dataclass(frozen=True)
class LabelError:
    """A label that is predicted and wrong, or missed.

    Parameters
    ----------
    track : int
        Row of the scores.
    label : int
        Column: the predicted label, or of a false negative the missed one.
    kind : {'wrong', 'false positive', 'false negative'}
        ``wrong`` where each track has one label.
    margin : float
        >= 0. Of a wrong track the score of the predicted label minus that of the true one; else the
        distance of the score to the threshold.
    """

    track: int
    label: int
    kind: ErrorKind
    margin: float


def amounts(predictions: Predictions) -> tuple[np.ndarray, str]:
    """Return by what tracks are ordered, and its name: probabilities, or scores without any.

    Scores are also taken where tracks have several labels, as thresholds are those of scores.
    """
    if predictions.regression:
        return predictions.scores, "predicted"
    sure = predictions.probabilities
    if sure is None or predictions.multi_label:
        return predictions.scores, "score"
    if (sure.argmax(axis=1) != predictions.scores.argmax(axis=1)).any():
        return predictions.scores, "score"
    return sure, "probability"


def limits_of(predictions: Predictions, threshold: float | Sequence[float] | None) -> Thresholds:
    """Return the score from which labels count as predicted; None with one label per track.

    Parameters
    ----------
    predictions : Predictions
    threshold : float, sequence of float or None
        The threshold of the run; None: 0.5.

    Raises
    ------
    ConfigError
        If no threshold is known, and scores are no probabilities.
    """
    if not predictions.multi_label:
        return None
    scores = predictions.scores
    if threshold is None and (scores.min() < 0 or scores.max() > 1):
        said = f"scores from {scores.min():.3g} to {scores.max():.3g} are not probabilities"
        raise ConfigError(f"{said}, and no threshold is known")
    return np.asarray(0.5 if threshold is None else threshold, dtype=float)


def worst_errors(
    truth: np.ndarray,
    scores: np.ndarray,
    *,
    threshold: Thresholds = None,
    most: int | None = None,
    unknown: np.ndarray | None = None,
) -> list[LabelError]:
    """Return the errors of predictions, those of the largest margin first.

    Parameters
    ----------
    truth : np.ndarray, shape (n_tracks, n_labels), bool
    scores : np.ndarray, shape (n_tracks, n_labels)
        Higher is likelier; no NaN.
    threshold : float, np.ndarray of shape (n_labels,), or None
        Score from which a label counts as predicted; None: each track has one label, and the one
        of the highest score is predicted.
    most : int or None
        Largest number of errors; None: all.
    unknown : np.ndarray, shape (n_tracks, n_labels), bool, or None
        Labels that are unknown, which cannot be wrong; with a threshold only.

    Examples
    --------
    >>> truth = np.array([[True, False], [False, True], [True, False]])
    >>> scores = np.array([[0.4, 0.6], [0.9, 0.1], [0.8, 0.2]])
    >>> [(one.track, one.label) for one in worst_errors(truth, scores)]
    [(1, 0), (0, 1)]
    >>> [one.kind for one in worst_errors(truth, scores, threshold=0.5, most=2)]
    ['false positive', 'false negative']
    """
    predicted = predicted_labels(scores, threshold)
    if threshold is None:
        tracks = np.flatnonzero((predicted & ~truth).any(axis=1))
        labels = predicted[tracks].argmax(axis=1)
        margins = scores[tracks, labels] - scores[tracks, truth[tracks].argmax(axis=1)]
    else:
        wrong = predicted != truth
        tracks, labels = np.nonzero(wrong if unknown is None else wrong & ~unknown)
        limits = np.broadcast_to(threshold, scores.shape[1:])[labels]
        margins = np.abs(scores[tracks, labels] - limits)
    order = np.argsort(-margins, kind="stable")[:most]
    return [
        LabelError(int(tracks[i]), int(labels[i]), _kind(threshold, truth[tracks[i], labels[i]]), m)
        for i, m in zip(order, margins[order].tolist(), strict=True)
    ]


def least_sure(
    scores: np.ndarray,
    *,
    threshold: Thresholds = None,
    most: int | None = None,
) -> np.ndarray:
    """Return the tracks that are least sure, right or wrong, the least sure first.

    Parameters
    ----------
    scores, threshold, most
        See `worst_errors`. Without a threshold a track is unsure if its two highest scores are
        close, else if the score of some label is close to the threshold.

    Examples
    --------
    >>> least_sure(np.array([[0.9, 0.1], [0.5, 0.4], [0.3, 0.6]])).tolist()
    [1, 2, 0]
    """
    if threshold is None:
        second, first = np.sort(scores, axis=1)[:, -2:].T
        distances = first - second
    else:
        distances = np.abs(scores - threshold).min(axis=1)
    return np.argsort(distances, kind="stable")[:most]


def _kind(threshold: Thresholds, has_it: bool) -> ErrorKind:
    if threshold is None:
        return "wrong"
    return "false negative" if has_it else "false positive"
