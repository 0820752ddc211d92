"""95 % confidence intervals by the jackknife over tracks.

Every track is left out in turn, from all labels and all of its lines, and the metric is computed
again. The differences give the variance of a value, whatever the metric [1]_; for the AUC it is
nearly that of DeLong et al. [2]_. The interval is symmetric on the logit scale (on the logarithmic
scale for values without an upper bound), so it contains the value and stays in its range. Its width
is that of a t distribution whose degrees of freedom follow from the number of tracks with the label
[3]_. Values of 0 and 1 do not vary; they get Wilson's interval of a proportion [4]_.

Two corrections matter for rare labels only. A label with one track has a variance that cannot be
known; in macro values it is that of one track of the other labels, which must be half of the labels
at least. And the variance is enlarged by that of a proportion of ten times the square of the number
of tracks, because two or three tracks can agree by chance.

The interval is about the mean of the value over test sets of the same size. Average precision is
higher, on the whole, the fewer tracks have a label; its limit for an infinite test set is lower.
`benchmarks/interval_coverage.py` measures how often the intervals contain that mean.

References
----------
.. [1] B. Efron, C. Stein, "The jackknife estimate of variance", Annals of Statistics 9, 1981.
.. [2] E. R. DeLong, D. M. DeLong, D. L. Clarke-Pearson, "Comparing the areas under two or more
   correlated receiver operating characteristic curves", Biometrics 44, 1988.
.. [3] F. E. Satterthwaite, "An approximate distribution of estimates of variance components",
   Biometrics Bulletin 2, 1946.
.. [4] E. B. Wilson, "Probable inference, the law of succession, and statistical inference", Journal
   of the American Statistical Association 22, 1927.
.. [5] J. N. Arvesen, "Jackknifing U-statistics", Annals of Mathematical Statistics 40, 1969.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

#: Confidence level of the intervals.
LEVEL = 0.95

#: More tracks than this are left out in groups of equal size.
MAX_UNITS = 1000

#: Share of the variance of a proportion of n squared that is added.
_FEW = 0.1


@dataclass(frozen=True)
class Spread:
    """The uncertainty of a value.

    Parameters
    ----------
    variance : float
        Squared standard error.
    df : float
        Degrees of freedom of the variance.
    n : int
        Number of tracks on which the value rests: those with the label, or those without it if they
        are fewer; summed over labels for macro and micro values.
    """

    variance: float
    df: float
    n: int


def units_of(names: Sequence[str]) -> np.ndarray:
    """Return the unit of each line, from 0: lines of one name are left out together.

    Examples
    --------
    >>> units_of(["a", "b", "a"]).tolist()
    [0, 1, 0]
    """
    place = {name: i for i, name in enumerate(dict.fromkeys(names))}
    return np.array([place[name] % MAX_UNITS for name in names], dtype=np.int16)


def influence(left: np.ma.MaskedArray, value: float | np.ma.MaskedArray) -> np.ndarray:
    """Return the influence of each unit on a value; 0 where the value without it is masked.

    Parameters
    ----------
    left : np.ma.MaskedArray, shape (n_units,) or (n_units, n_labels)
        The values with each unit left out.
    value : float or np.ma.MaskedArray, shape (n_labels,)
        The values of all units.

    Returns
    -------
    np.ndarray
        Pseudo-values minus their mean.
    """
    found = np.ma.filled((len(left) - 1) * (value - left), 0.0)
    return np.asarray(found - found.mean(axis=0), dtype=np.float64)


def influence_of_known(
    left: np.ma.MaskedArray, values: np.ndarray, known: np.ndarray
) -> np.ndarray:
    """Return the influence of each unit on each label, where labels are unknown in some units.

    The variance of a label is that of the units in which it is known, as if there were no others.

    Parameters
    ----------
    left : np.ma.MaskedArray, shape (n_units, n_labels)
        The values with each unit left out.
    values : np.ndarray, shape (n_labels,)
        The values of all units.
    known : np.ndarray, shape (n_units, n_labels), bool
        The units in which each label is known.
    """
    found, n = np.zeros(known.shape), len(known)
    for j, rows in enumerate(known.T):
        own = int(rows.sum())
        # so that the variance over all units is that over its own
        factor = np.sqrt(n * max(n - 1, 1) / (own * max(own - 1, 1)))
        found[rows, j] = factor * influence(left[rows, j], float(values[j]))
    return found


def given_labels(influences: np.ndarray, having: np.ndarray) -> np.ndarray:
    """Return influences with which the tracks with a label, and those without it, vary apart.

    Leaving out one of all tracks also varies how many have the label. That is too much where few
    have it: of a mean over n of them the variance is n / (n - 1) times too large. Here they are two
    samples, each with a jackknife of its own [5]_; the variance of an AUC is that of DeLong [2]_.

    Parameters
    ----------
    influences : np.ndarray, shape (n_units, n_labels)
    having : np.ndarray, shape (n_units, n_labels), bool
        The units with each label.
    """
    n_units = len(influences)
    found = np.zeros_like(influences)
    for rows in (having, ~having):
        n = np.maximum(rows.sum(axis=0), 1)
        means = np.where(rows, influences, 0.0).sum(axis=0) / n
        scale = np.sqrt((n - 1) / n * n_units / max(n_units - 1, 1))
        found += np.where(rows, (influences - means) * scale, 0.0)
    return found


def micro_spread(influences: np.ndarray, n: int) -> Spread:
    """Return the spread of a value of all labels together."""
    return Spread(_sum_of_squares(influences), n - 1.0, n)


def label_spread(
    influences: np.ndarray, having: np.ndarray, n: int, lacking: np.ndarray | None = None
) -> Spread:
    """Return the spread of the value of a label.

    `having` are the units with the label, `lacking` those without it; None: all others.
    """
    with_it, without = _two_variances(influences, having)
    return Spread(with_it + without, _df(with_it, without, having, lacking), n)


def macro_spread(
    influences: np.ndarray, having: np.ndarray, n: np.ndarray, lacking: np.ndarray | None = None
) -> Spread | None:
    """Return the spread of the mean over labels.

    Parameters
    ----------
    influences : np.ndarray, shape (n_units, n_labels)
    having : np.ndarray, shape (n_units, n_labels), bool
        The units with each label.
    n : np.ndarray, shape (n_labels,)
        As in `Spread`, for each label.
    lacking : np.ndarray, shape (n_units, n_labels), bool, or None
        The units without each label, where it is unknown in some; None: all others.

    Returns
    -------
    Spread or None
        None if most labels rest on one track.
    """
    several = np.flatnonzero(n > 1)
    if 2 * len(several) < len(n):
        return None
    parts = [_two_variances(influences[:, j], having[:, j]) for j in several]
    variances = [with_it + without for with_it, without in parts]
    dfs = [
        _df(*part, having[:, j], None if lacking is None else lacking[:, j])
        for part, j in zip(parts, several, strict=True)
    ]
    single = len(n) - len(several)
    one_track = float(np.mean([part[0] * n[j] for part, j in zip(parts, several, strict=True)]))
    variances += [one_track] * single
    dfs += [1.0] * single
    uncertain = sum(v**2 / df for v, df in zip(variances, dfs, strict=True))
    df = sum(variances) ** 2 / uncertain if uncertain else float(n.sum() - 1)
    variance = _sum_of_squares(influences.mean(axis=1)) + single * one_track / len(n) ** 2
    return Spread(variance, df, int(n.sum()))


def interval(value: float, spread: Spread, *, bounded: bool = True) -> tuple[float, float] | None:
    """Return the interval of a value.

    Parameters
    ----------
    value : float
        In [0, 1], or >= 0 without an upper bound.
    spread : Spread
    bounded : bool
        True if the value cannot exceed 1.

    Returns
    -------
    tuple of float, or None
        None if the value rests on a single track.

    Examples
    --------
    >>> [round(end, 3) for end in interval(0.8, Spread(0.0016, 99, 100))]
    [0.709, 0.868]
    >>> [round(end, 3) for end in interval(1.0, Spread(0.0, 9, 10))]
    [0.722, 1.0]
    """
    from scipy.stats import norm, t

    if spread.n < 2:
        return None
    width = float(t.ppf((1 + LEVEL) / 2, max(spread.df, 1.0)))
    if not bounded:
        if value <= 0:
            return None
        step = np.exp(width * np.sqrt(spread.variance) / value)
        return float(value / step), float(value * step)
    if not 0 < value < 1:
        share = spread.n / (spread.n + norm.ppf((1 + LEVEL) / 2) ** 2)
        return (float(share), 1.0) if value >= 1 else (0.0, float(1 - share))
    of_one = value * (1 - value)
    step = width * np.sqrt(spread.variance + _FEW * of_one / spread.n**2) / of_one
    middle = np.log(value / (1 - value))
    low, high = 1 / (1 + np.exp(-np.clip([middle - step, middle + step], -700, 700)))
    return min(float(low), value), max(float(high), value)


def _sum_of_squares(influences: np.ndarray) -> float:
    n = len(influences)
    return float(influences @ influences) / (n * max(n - 1, 1))


def _two_variances(influences: np.ndarray, having: np.ndarray) -> tuple[float, float]:
    """Return the parts of the variance that come from the units with a label and without it."""
    n = len(influences)
    with_it, without = influences[having], influences[~having]
    scale = n * max(n - 1, 1)
    return float(with_it @ with_it) / scale, float(without @ without) / scale


def _df(
    with_it: float, without: float, having: np.ndarray, lacking: np.ndarray | None = None
) -> float:
    n_with = int(having.sum())
    n_without = len(having) - n_with if lacking is None else int(lacking.sum())
    uncertain = with_it**2 / max(n_with - 1, 0.5) + without**2 / max(n_without - 1, 0.5)
    return (with_it + without) ** 2 / uncertain if uncertain else max(n_with - 1.0, 1.0)
