"""A metric of some tracks with the influence of each track on it, from which intervals follow.

Influences of different runs on the same tracks can be subtracted, and those of several seeds
averaged: the result is again a metric with influences.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mcls.evaluation.jackknife import (
    Spread,
    given_labels,
    interval,
    label_spread,
    macro_spread,
    micro_spread,
)
from mcls.evaluation.results import Estimate, MetricResult
from mcls.registry import Entry

#: Offset and factor to the scale of an interval, and whether its values cannot exceed 1; by the
#: fact ``interval`` of a metric.
_SCALES = {
    "share": (0.0, 1.0, True),
    "ratio": (0.0, 1.0, False),
    "unexplained": (1.0, -1.0, False),
    "correlation": (0.5, 0.5, True),
}


@dataclass(frozen=True)
class Measured:
    """A metric of some tracks, with the influence of each unit of tracks on it.

    Parameters
    ----------
    entry : Entry
        The metric.
    names : list of str
        The labels, or targets of a regression, for which it can be computed.
    per_label : np.ndarray, shape (n_names,), or None
        Its values.
    micro : float or None
        The value of all labels together.
    n : np.ndarray, shape (n_names,)
        Number of tracks on which each value rests; see `Spread`. With groups it is at most the
        number of groups.
    n_micro : int
        That of the value of all labels together.
    influences : np.ndarray, shape (n_units, n_names), or None
        Influence of each unit on each label; None without intervals.
    influences_micro : np.ndarray, shape (n_units,), or None
    having : np.ndarray, shape (n_units, n_names), bool, or None
        The units with each label.
    grouped : bool
        Whether units are groups of tracks.
    lacking : np.ndarray, shape (n_units, n_names), bool, or None
        The units without each label, if labels are unknown in some; None: all that have it not.
    """

    entry: Entry
    names: list[str]
    per_label: np.ndarray | None
    micro: float | None
    n: np.ndarray
    n_micro: int
    influences: np.ndarray | None = None
    influences_micro: np.ndarray | None = None
    having: np.ndarray | None = None
    grouped: bool = False
    lacking: np.ndarray | None = None

    @property
    def value(self) -> float | None:
        """The value to quote; None if it cannot be computed."""
        if self.entry.facts["headline"] == "micro":
            return self.micro
        if self.per_label is None or not self.names:
            return None
        return float(self.per_label.mean())

    def result(self) -> MetricResult:
        """Return the values with their intervals."""
        micro = None if self.micro is None else self._estimate(self.micro, self.spread_micro())
        per_label, macro = {}, None
        if self.per_label is not None:
            per_label = {
                name: self._estimate(float(value), self.spread(j))
                for j, (name, value) in enumerate(zip(self.names, self.per_label, strict=True))
            }
            if self.names:
                macro = self._estimate(float(self.per_label.mean()), self.spread_macro())
        return MetricResult(self.entry.facts["headline"], macro, micro, per_label)

    def spread_main(self) -> Spread | None:
        """Return the spread of the value to quote; None without influences."""
        return self.spread_macro() if self._headline_is_macro() else self.spread_micro()

    def spread(self, j: int) -> Spread | None:
        """Return the spread of the value of a label; None without influences."""
        if self.influences is None or self.having is None:
            return None
        lacking = None if self.lacking is None else self.lacking[:, j]
        return label_spread(self.influences[:, j], self.having[:, j], int(self.n[j]), lacking)

    def spread_macro(self) -> Spread | None:
        """Return the spread of the mean over labels; None without influences."""
        if self.influences is None or self.having is None:
            return None
        if self.entry.facts.get("regression"):  # all tracks have all targets
            return micro_spread(self.influences.mean(axis=1), self.n_micro)
        found = macro_spread(self.influences, self.having, self.n, self.lacking)
        if found is None or not self.grouped:
            return found
        most = len(self.influences) - 1.0  # the same groups make the spread of all labels
        return replace(found, df=min(found.df, most))

    def spread_micro(self) -> Spread | None:
        """Return the spread of the value of all labels together; None without influences."""
        if self.influences_micro is None or self.n_micro < self.entry.facts.get("micro_from", 0):
            return None
        return micro_spread(self.influences_micro, self.n_micro)

    def minus(self, other: "Measured") -> "Measured":
        """Return the differences to the same metric of another run on the same tracks.

        Only the labels for which both can be computed are kept.
        """
        one, two = _common([self, other])
        return replace(
            one,
            per_label=_difference(one.per_label, two.per_label),
            micro=None if one.micro is None or two.micro is None else one.micro - two.micro,
            influences=_difference(one.influences, two.influences),
            influences_micro=_difference(one.influences_micro, two.influences_micro),
        )

    def given_labels(self) -> "Measured":
        """Return the metric for test sets in which as many tracks have each label."""
        if self.influences is None or self.having is None:
            return self
        return replace(self, influences=given_labels(self.influences, self.having))

    def _headline_is_macro(self) -> bool:
        return bool(self.entry.facts["headline"] == "macro")

    def _estimate(self, value: float, spread: Spread | None) -> Estimate:
        if spread is None:
            return Estimate(value, None, None)
        facts = self.entry.facts
        scale = facts.get("interval") or ("ratio" if facts.get("unbounded") else "share")
        offset, factor, bounded = _SCALES[scale]
        scaled = replace(spread, variance=factor**2 * spread.variance)
        ends = interval(offset + factor * value, scaled, bounded=bounded)
        if ends is None:
            return Estimate(value, None, None)
        low, high = sorted((end - offset) / factor for end in ends)
        return Estimate(value, low, high)


def mean_of(several: Sequence[Measured]) -> Measured:
    """Return the mean of a metric over several seeds, which scored the same tracks.

    Only the labels for which all can be computed are kept.
    """
    if len(several) == 1:
        return several[0]
    found = _common(several)
    return replace(
        found[0],
        per_label=_mean([one.per_label for one in found]),
        micro=_mean_number([one.micro for one in found]),
        influences=_mean([one.influences for one in found]),
        influences_micro=_mean([one.influences_micro for one in found]),
    )


def _common(several: Sequence[Measured]) -> list[Measured]:
    """Keep the labels that all have."""
    names = [name for name in several[0].names if all(name in one.names for one in several)]
    return [_only(one, names) for one in several]


def _only(one: Measured, names: list[str]) -> Measured:
    if one.names == names:
        return one
    columns = [one.names.index(name) for name in names]
    assert one.per_label is not None
    return replace(
        one,
        names=names,
        per_label=one.per_label[columns],
        n=one.n[columns],
        influences=None if one.influences is None else one.influences[:, columns],
        having=None if one.having is None else one.having[:, columns],
        lacking=None if one.lacking is None else one.lacking[:, columns],
    )


def _difference(one: np.ndarray | None, other: np.ndarray | None) -> np.ndarray | None:
    return None if one is None or other is None else one - other


def _mean(several: Sequence[np.ndarray | None]) -> np.ndarray | None:
    known = [one for one in several if one is not None]
    return np.mean(known, axis=0) if len(known) == len(several) else None


def _mean_number(several: Sequence[float | None]) -> float | None:
    known = [one for one in several if one is not None]
    return float(np.mean(known)) if len(known) == len(several) else None
