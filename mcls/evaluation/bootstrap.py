"""Confidence intervals by the bootstrap over tracks.

Tracks are drawn one by one, so intervals are too narrow if the tracks of a group are strongly
related. Average precision rises slightly when the tracks of a rare label are drawn repeatedly, so
the interval of its macro value lies somewhat high.

References
----------
.. [1] B. Efron, R. J. Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13
   (percentile intervals).
"""

import numpy as np

#: Confidence level of the intervals.
LEVEL = 0.95


def draw_weights(n_tracks: int, n_replicates: int, seed: int) -> np.ndarray:
    """Draw tracks with replacement.

    Returns
    -------
    np.ndarray, shape (n_replicates, n_tracks), int32
        Number of times that each track was drawn; every row adds up to `n_tracks`.

    Examples
    --------
    >>> draw_weights(5, 3, seed=0).sum(axis=1).tolist()
    [5, 5, 5]
    """
    rng = np.random.default_rng(seed)
    weights = np.empty((n_replicates, n_tracks), dtype=np.int32)
    for row in weights:
        row[:] = np.bincount(rng.integers(0, n_tracks, n_tracks), minlength=n_tracks)
    return weights


def interval(replicates: np.ma.MaskedArray) -> tuple[float, float] | None:
    """Return the percentile interval of the replicates.

    Parameters
    ----------
    replicates : np.ma.MaskedArray, shape (n_replicates,)
        Value of each replicate, masked if it cannot be computed.

    Returns
    -------
    tuple of float, or None
        None if all replicates are masked.

    Examples
    --------
    >>> [round(end) for end in interval(np.ma.arange(1001))]
    [25, 975]
    """
    values = np.ma.compressed(replicates)
    if not len(values):
        return None
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
