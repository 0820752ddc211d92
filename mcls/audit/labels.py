"""Labels that may be wrong: those that a model that did not learn from the track disputes.

References
----------
Northcutt, Jiang & Chuang (2021), "Confident learning: estimating uncertainty in dataset labels".
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Disputed:
    """A label that predictions dispute.

    Parameters
    ----------
    track : int
        The line of the predictions.
    given, predicted : int
        The label of the track, and the one that is likelier.
    margin : float
        Probability of the predicted label minus that of the given one.
    """

    track: int
    given: int
    predicted: int
    margin: float


def disputed_labels(truth: np.ndarray, probabilities: np.ndarray) -> list[Disputed]:
    """Find tracks that belong to the confident joint off its diagonal, least likely label first.

    A label is confident if its probability reaches the mean of its probability over the tracks
    that have it. A track is disputed if the likeliest of its confident labels is not its own.

    Parameters
    ----------
    truth : np.ndarray, shape (n_tracks, n_labels), bool
        One label per track.
    probabilities : np.ndarray, shape (n_tracks, n_labels)
        Predicted by models that did not learn from the track. Scores will do if they are on one
        scale for all labels.

    Returns
    -------
    list of Disputed

    Notes
    -----
    This is the method "confident joint" of the paper, without pruning by noise rate, in the order
    of self-confidence: the probability of the given label.
    """
    given = truth.argmax(axis=1)
    n_labels = truth.shape[1]
    thresholds = np.array(
        [
            probabilities[given == label, label].mean() if np.any(given == label) else np.inf
            for label in range(n_labels)
        ]
    )
    confident = np.where(probabilities >= thresholds, probabilities, -np.inf)
    predicted = confident.argmax(axis=1)
    disputed = np.flatnonzero(np.isfinite(confident.max(axis=1)) & (predicted != given))
    margins = (
        probabilities[disputed, predicted[disputed]] - probabilities[disputed, given[disputed]]
    )
    order = np.argsort(probabilities[disputed, given[disputed]], kind="stable")
    return [
        Disputed(
            int(disputed[i]),
            int(given[disputed[i]]),
            int(predicted[disputed[i]]),
            float(margins[i]),
        )
        for i in order
    ]
