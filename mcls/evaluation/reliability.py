"""Reliability: how often labels are true that have a certain probability.

The probabilities are sorted into bins of equal width, each with its upper edge [1]_, as
``sklearn.calibration.calibration_curve`` sorts them. Of a calibrated model the fraction of tracks
that have the label is the mean probability of the bin.

References
----------
.. [1] C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger, "On calibration of modern neural networks",
   ICML 2017, eq. 2.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Reliability:
    """The bins with any probabilities, in ascending order.

    Parameters
    ----------
    probability : np.ndarray, shape (n_bins,)
        Mean probability.
    fraction : np.ndarray, shape (n_bins,)
        Fraction of the probabilities whose label is true.
    low, high : np.ndarray, shape (n_bins,)
        95 % interval of the fraction (Wilson).
    count : np.ndarray, shape (n_bins,), int
        Number of probabilities.
    """

    probability: np.ndarray
    fraction: np.ndarray
    low: np.ndarray
    high: np.ndarray
    count: np.ndarray


def reliability(truth: np.ndarray, probabilities: np.ndarray, bins: int = 10) -> Reliability:
    """Return the bins of probabilities of any shape.

    Parameters
    ----------
    truth : np.ndarray, bool
        Whether each label is true. A column of the true labels gives the bins of a label,
        `pooled` those of all labels.
    probabilities : np.ndarray
        Their probabilities, in [0, 1], of the same shape.
    bins : int
        Number of bins, 1 or more.

    Examples
    --------
    >>> found = reliability(np.array([False, True, True]), np.array([0.1, 0.7, 0.8]), 2)
    >>> found.probability.tolist(), found.fraction.tolist(), found.count.tolist()
    ([0.1, 0.75], [0.0, 1.0], [1, 2])
    """
    from scipy.stats import binomtest

    truth, probabilities = np.ravel(truth), np.ravel(probabilities)
    place = bin_of(probabilities, bins)
    count = np.bincount(place, minlength=bins)
    kept = np.flatnonzero(count)
    count = count[kept]
    hits = np.bincount(place, truth, bins)[kept]
    ends = [
        binomtest(int(k), int(n)).proportion_ci(method="wilson")
        for k, n in zip(hits, count, strict=True)
    ]
    return Reliability(
        np.bincount(place, probabilities, bins)[kept] / count,
        hits / count,
        np.array([end.low for end in ends]),
        np.array([end.high for end in ends]),
        count,
    )


def pooled(
    truth: np.ndarray, probabilities: np.ndarray, unknown: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return true labels and probabilities of all labels together, as a calibration error needs.

    With one label per track those of the predicted labels, ``(n_tracks, 1)``; otherwise all, or
    those of all known pairs, ``(n_pairs, 1)``, if `unknown` is given.
    """
    if unknown is not None:
        return truth[~unknown, None], probabilities[~unknown, None]
    if not (truth.sum(axis=1) == 1).all():
        return truth, probabilities
    best = probabilities.argmax(axis=1)[:, None]
    return np.take_along_axis(truth, best, axis=1), np.take_along_axis(probabilities, best, axis=1)


def bin_of(probabilities: np.ndarray, bins: int) -> np.ndarray:
    """Return the bin of each probability, from 0; a bin has its upper edge.

    Examples
    --------
    >>> bin_of(np.array([0.0, 0.5, 0.6, 1.0]), 2).tolist()
    [0, 0, 1, 1]
    """
    return np.searchsorted(np.linspace(0, 1, bins + 1)[1:-1], probabilities)
