"""Results of an evaluation: metrics with confidence intervals, and the labels left out.

A label is left out of per-label and macro values if no track has it or every track has it, because
nothing can be told apart then. It is named, never counted as 0.5 or 0. Micro values take all labels
together and leave none out.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from mcls.evaluation.jackknife import LEVEL
from mcls.tabular import Tabular, columns_of


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % confidence interval.

    `low` and `high` are None without intervals, and where the value rests on a single track.
    """

    value: float
    low: float | None
    high: float | None

    def as_dict(self) -> dict[str, float | None]:
        """Return a JSON object."""
        return {"value": self.value, "low": self.low, "high": self.high}


@dataclass(frozen=True)
class MetricResult:
    """The result of one metric.

    Parameters
    ----------
    headline : str
        ``macro`` or ``micro``: the value to quote.
    macro : Estimate or None
        Mean over the labels; None if it cannot be computed.
    micro : Estimate or None
        Value of all labels taken together; None if it cannot be computed.
    per_label : dict of str to Estimate
        Values of the labels for which it can be computed.
    """

    headline: str
    macro: Estimate | None
    micro: Estimate | None
    per_label: dict[str, Estimate]

    @property
    def main(self) -> Estimate | None:
        """The value to quote."""
        return self.macro if self.headline == "macro" else self.micro


@dataclass(frozen=True, repr=False)
class Evaluation(Tabular):
    """The metrics of some tracks.

    Parameters
    ----------
    part : str
        The part that was evaluated, several joined by ``+``, or ``all``.
    n_tracks : int
        Number of tracks.
    names : list of str
        The labels.
    multi_label : bool
        True if a track can have any number of labels.
    support : dict of str to int
        Number of tracks with each label.
    left_out : dict of str to str
        Labels that are left out, and the reason.
    metrics : dict of str to MetricResult
        Results by the name or spec of the metric.
    intervals : bool
        True if confidence intervals were computed.
    regression : bool
        True if numbers were predicted, which are then the labels here.
    threshold : float, sequence of float or None
        Score from which a label counts as predicted; None if no metric used one.
    n_known : dict of str to int, or None
        Number of tracks of which each label is known; None if all are.
    n_groups : int or None
        Number of groups over which intervals were computed; None if they are over tracks.
    confusion : list of list of int, or None
        Rows are true labels, columns predicted labels, both in the order of `names`.
    """

    part: str
    n_tracks: int
    names: list[str]
    multi_label: bool
    support: dict[str, int]
    left_out: dict[str, str]
    metrics: dict[str, MetricResult]
    intervals: bool
    regression: bool = False
    threshold: float | Sequence[float] | None = None
    n_known: dict[str, int] | None = None
    n_groups: int | None = None
    confusion: list[list[int]] | None = field(default=None, repr=False)

    @property
    def single_track(self) -> list[str]:
        """The labels without an interval: a single track has the label, or lacks it."""
        measured = {label for one in self.metrics.values() for label in one.per_label}
        n_known = self.n_known or dict.fromkeys(self.names, self.n_tracks)
        return [
            label
            for label in self.names
            if label in measured and self.support[label] in (1, n_known[label] - 1)
        ]

    @property
    def notes(self) -> list[str]:
        """What has no value or no interval, and why."""
        found = []
        if self.n_known is not None:
            pairs = len(self.names) * self.n_tracks
            found.append(
                f"{pairs - sum(self.n_known.values())} of {pairs} pairs of a track and a label are "
                "unknown; metrics are over the others"
            )
        if self.left_out:
            named = ", ".join(f"{label} ({why})" for label, why in self.left_out.items())
            found.append(
                f"left out of macro, {len(self.left_out)} of {len(self.names)} labels: {named}"
            )
        if not self.intervals or self.regression:
            return found
        single = self.single_track
        if single:
            n = "1 label" if len(single) == 1 else f"{len(single)} labels"
            found.append(f"no interval for {n} with a single track: {', '.join(single)}")
        for name, one in self.metrics.items():
            if one.macro is not None and one.macro.low is None and single:
                found.append(f"no interval for macro {name}: most labels have a single track")
            if one.micro is not None and one.micro.low is None and self.n_tracks > 1:
                found.append(f"no interval for micro {name}: too few tracks have the labels")
        return found

    @property
    def title(self) -> str:
        """The part, the number of tracks and of labels."""
        what = "targets" if self.regression else "labels"
        return f"part {self.part}, {self.n_tracks} tracks, {len(self.names)} {what}"

    def columns(self, most: int | None = None) -> dict[str, list[Any]]:
        """Return a row per metric: macro, micro and each label, with interval and tracks."""
        rows = []
        for name, one in self.metrics.items():
            averages = [("macro", one.macro), ("micro", one.micro)]
            for over, estimate in [*averages, *one.per_label.items()]:
                if estimate is not None:
                    n = self.support[over] if over in one.per_label else self.n_tracks
                    rows.append((name, over, estimate.value, estimate.low, estimate.high, n))
        return columns_of(["metric", "over", "value", "low", "high", "tracks"], rows)

    def __getitem__(self, metric: str) -> MetricResult:
        return self.metrics[metric]

    def _known(self, label: str) -> dict[str, int]:
        return {} if self.n_known is None else {"known": self.n_known[label]}

    def _interval(self) -> dict[str, Any] | None:
        if not self.intervals:
            return None
        over = "tracks" if self.n_groups is None else f"{self.n_groups} groups"
        return {"level": LEVEL, "over": over, "method": "jackknife"}

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON object: no NaN, no arrays."""
        n_used = len(self.names) - len(self.left_out)
        found: dict[str, Any] = {
            "part": self.part,
            "n_tracks": self.n_tracks,
            "n_labels": len(self.names),
            "multi_label": self.multi_label,
            **({"regression": True} if self.regression else {}),
            "interval": self._interval(),
            "threshold": self.threshold,
            "left_out": self.left_out,
            "notes": self.notes,
            "metrics": {
                name: {
                    "headline": one.headline,
                    "macro": _as_dict(one.macro, n_tracks=self.n_tracks, n_labels=n_used),
                    "micro": _as_dict(one.micro, n_tracks=self.n_tracks),
                    "per_label": {
                        label: _as_dict(value, support=self.support[label], **self._known(label))
                        for label, value in one.per_label.items()
                    },
                }
                for name, one in self.metrics.items()
            },
        }
        if self.confusion is not None:
            found["confusion"] = {"labels": self.names, "counts": self.confusion}
        return found


def _as_dict(estimate: Estimate | None, **more: int) -> dict[str, Any] | None:
    return None if estimate is None else {**estimate.as_dict(), **more}
