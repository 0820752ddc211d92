"""Paired differences of two sets of scores of the same tracks.

The same tracks are left out of both (`mcls.evaluation.jackknife`), so what makes a track hard for
both does not blur their difference. The variance is enlarged as if the runs differed on two tracks
more, as Agresti and Min [4]_ do it; otherwise few tracks on which they differ look too sure. Groups
of tracks differ by more than all or nothing, and so do ranks, so nothing is added for them. Where
tracks are ranked (AUC, AP), those with a label and those without it are two samples, because few
may have it (`mcls.evaluation.jackknife.given_labels`).

Runs that were trained with several seeds are compared by their means over the seeds. Their
difference varies with the test tracks and with the seeds; both variances add up, and the degrees of
freedom are those of Welch and Satterthwaite [5]_.

References
----------
.. [1] Q. McNemar, "Note on the sampling error of the difference between correlated proportions or
   percentages", Psychometrika 12, 1947 (the exact form, by the binomial distribution).
.. [2] S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of
   Statistics 6, 1979.
.. [3] C. Nadeau, Y. Bengio, "Inference for the generalization error", Machine Learning 52, 2003.
.. [4] A. Agresti, Y. Min, "Simple improved confidence intervals for comparing matched proportions",
   Statistics in Medicine 24, 2005.
.. [5] B. L. Welch, "The generalization of 'Student's' problem when several different population
   variances are involved", Biometrika 34, 1947.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mcls.evaluation.classification import predicted_labels
from mcls.evaluation.jackknife import LEVEL, Spread
from mcls.evaluation.measured import Measured

#: Probability of finding a difference that `tracks_needed` asks for.
POWER = 0.8

#: Tracks on which the runs would differ that are added to the variance.
_MORE = 2


@dataclass(frozen=True)
class Difference:
    """The difference of a metric between two runs on the same tracks.

    Parameters
    ----------
    value : float
        The metric of the first minus that of the second.
    low, high : float or None
        The 95 % interval; None if there is none.
    p : float or None
        Probability of a difference at least as large if there were none, two-sided.
    needed : int or None
        Tracks (or groups) needed to find a difference of this size with a probability of 80 %; None
        if no number would do, because seeds differ more.
    errors : tuple of float or None
        The standard error over tracks and over seeds; None without several seeds.
    """

    value: float
    low: float | None = None
    high: float | None = None
    p: float | None = None
    needed: int | None = None
    errors: tuple[float, float] | None = None


def difference(
    one: Measured, other: Measured, n_units: int, *, seeds: Sequence[Sequence[float]] = ()
) -> Difference | None:
    """Return the difference of the headline values of a metric.

    Parameters
    ----------
    one, other : Measured
        The same metric of the same tracks in the same order, with influences. Of several seeds
        their mean; see `mcls.evaluation.measured.mean_of`.
    n_units : int
        Number of tracks, or of groups.
    seeds : sequence of sequence of float
        The values of the metric of each seed, for each of the runs that has several. The variance
        of their mean is added to that over tracks.

    Returns
    -------
    Difference or None
        None if the metric cannot be computed.
    """
    gap = one.minus(other)
    value = gap.value
    if value is None:
        return None
    facts = one.entry.facts
    ranks = bool(facts.get("ranks_tracks"))
    if ranks and not gap.grouped:
        gap = gap.given_labels()
    spread = gap.spread_main()
    if spread is None:
        return Difference(value)
    varies = ranks and spread.variance > 0
    if not (varies or facts.get("unbounded") or facts.get("regression") or gap.grouped):
        spread = replace(spread, variance=spread.variance + _MORE / spread.n**2)
    return _judged(value, spread, n_units, [_of_mean(values) for values in seeds])


def _of_mean(values: Sequence[float]) -> Spread:
    """Return the spread of the mean over seeds."""
    n = len(values)
    return Spread(float(np.var(values, ddof=1)) / n, n - 1.0, n)


def _judged(value: float, spread: Spread, n_units: int, seeds: Sequence[Spread]) -> Difference:
    from scipy.stats import norm, t

    every = [one for one in (spread, *seeds) if one.variance > 0]
    if not every:
        return Difference(value, value, value, 1.0 if value == 0 else 0.0)
    variance = sum(one.variance for one in every)
    uncertain = sum(one.variance**2 / max(one.df, 1.0) for one in every)
    error, df = float(np.sqrt(variance)), variance**2 / uncertain
    quantile = float(t.ppf((1 + LEVEL) / 2, df))
    needed = None
    room = (value / (quantile + norm.ppf(POWER))) ** 2 - (variance - spread.variance)
    if value and room > 0:  # else no number of tracks is enough, as seeds differ more
        needed = int(np.ceil(n_units * spread.variance / room))
    p = float(2 * t.sf(abs(value) / error, df))
    ends = value - quantile * error, value + quantile * error
    tracks, of_seeds = np.sqrt(spread.variance), np.sqrt(variance - spread.variance)
    errors = (float(tracks), float(of_seeds)) if seeds else None
    return Difference(value, *ends, p, needed, errors)


def mcnemar(truth: np.ndarray, one: np.ndarray, other: np.ndarray) -> float:
    """Return the p value of the exact test of McNemar for single-label scores.

    Parameters
    ----------
    truth : np.ndarray, shape (n_tracks, n_labels), bool
    one, other : np.ndarray, shape (n_tracks, n_labels)
        The scores of two runs.
    """
    from scipy.stats import binomtest

    right = [(predicted_labels(scores) & truth).any(axis=1) for scores in (one, other)]
    only_one, only_other = int((right[0] & ~right[1]).sum()), int((right[1] & ~right[0]).sum())
    if only_one + only_other == 0:
        return 1.0
    return float(binomtest(only_one, only_one + only_other).pvalue)


def holm(ps: Sequence[float | None], n_tests: int) -> list[float | None]:
    """Return p values that are adjusted for the number of tests; None stays None.

    Parameters
    ----------
    ps : sequence of float or None
    n_tests : int
        At least the number of `ps`: the tests from which these were chosen, such as all pairs of
        runs if they are those with the best one.

    Examples
    --------
    >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03], 3)]
    [0.03, 0.06, 0.06]
    """
    known = sorted((p, i) for i, p in enumerate(ps) if p is not None)
    adjusted: list[float | None] = [None] * len(ps)
    largest = 0.0
    for rank, (p, i) in enumerate(known):
        largest = max(largest, min(1.0, (n_tests - rank) * p))
        adjusted[i] = largest
    return adjusted


def resampled_t(differences: Sequence[float], test_share: float) -> Difference | None:
    """Return the mean difference over folds, judged by the corrected resampled t test.

    The variance over folds is too small, because folds share train tracks; it is corrected by the
    ratio of the sizes of the test and the train part.

    Parameters
    ----------
    differences : sequence of float
        The difference in each fold.
    test_share : float
        Tracks of the test part per track of the train part.

    Returns
    -------
    Difference or None
        None with fewer than two folds.
    """
    from scipy.stats import t

    k = len(differences)
    if k < 2:
        return None
    value = float(np.mean(differences))
    error = float(np.sqrt((1 / k + test_share) * np.var(differences, ddof=1)))
    if error == 0:
        return Difference(value, value, value, 1.0 if value == 0 else 0.0)
    quantile = float(t.ppf((1 + LEVEL) / 2, k - 1))
    p = float(2 * t.sf(abs(value) / error, k - 1))
    return Difference(value, value - quantile * error, value + quantile * error, p)
