"""The result of a comparison of runs, and what it says in sentences."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mcls.evaluation import Estimate
from mcls.evaluation.paired import POWER, Difference
from mcls.tabular import Tabular, columns_of


@dataclass(frozen=True)
class ComparedRun:
    """A run of a comparison.

    Parameters
    ----------
    path : Path
    value : Estimate
        The metric; of several seeds the mean.
    difference : Difference or None
        The metric minus that of the baseline; None for the baseline.
    p : float or None
        The p value of the difference, adjusted for the number of tests (Holm).
    mcnemar : float or None
        The p value of McNemar's test against the baseline, adjusted likewise; for accuracy over
        tracks, with one seed.
    folds : Difference or None
        The mean difference over folds, by the corrected resampled t test.
    facts : dict
        JSON-like, as far as it is known: see `mcls.judging.run_facts`.
    seeds : dict of str to float
        The metric by seed; empty with one seed.
    """

    path: Path
    value: Estimate
    difference: Difference | None = None
    p: float | None = None
    mcnemar: float | None = None
    folds: Difference | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    seeds: dict[str, float] = field(default_factory=dict)

    @property
    def sd_of_seeds(self) -> float | None:
        """The standard deviation over seeds; None with one seed."""
        return float(np.std([*self.seeds.values()], ddof=1)) if len(self.seeds) > 1 else None


@dataclass(frozen=True, repr=False)
class Compared(Tabular):
    """The result of `compare`; runs are sorted, best first.

    Parameters
    ----------
    metric, headline : str
        The metric, and whether its value is ``micro`` or ``macro``.
    part : str
    n_tracks : int
    baseline : Path
        The run that the others are compared with.
    runs : list of ComparedRun
    verdicts : list of str
        A sentence for each run but the baseline.
    by : str or None
        Column of the groups over which intervals and p values are; None: over tracks.
    n_groups : int or None
    notes : list of str
        How columns of CSVs were read, if they are not named as those of mcls.
    """

    metric: str
    headline: str
    part: str
    n_tracks: int
    baseline: Path
    runs: list[ComparedRun]
    verdicts: list[str]
    by: str | None = None
    n_groups: int | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def title(self) -> str:
        """The metric, the part and the number of tracks."""
        return f"{self.headline} {self.metric}, part {self.part}, {self.n_tracks} tracks"

    def columns(self, most: int | None = None) -> dict[str, list[Any]]:
        """Return a row per run: its value, the difference to the baseline, and its p values."""
        rows = []
        for run in self.runs:
            value, gap = run.value, run.difference
            own = (str(run.path), value.value, value.low, value.high, run.sd_of_seeds)
            gaps = (None, None, None) if gap is None else (gap.value, gap.low, gap.high)
            rows.append((*own, *gaps, run.p, run.mcnemar))
        names = ["run", self.metric, "low", "high", "sd of seeds"]
        names += ["difference", "difference low", "difference high", "p", "McNemar"]
        return columns_of(names, rows)

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON object."""
        about = {
            "metric": self.metric,
            "headline": self.headline,
            "part": self.part,
            "n_tracks": self.n_tracks,
            "interval": {"over": self.by or "tracks", "n": self.n_groups or self.n_tracks},
            "baseline": str(self.baseline),
            "verdicts": self.verdicts,
            "notes": self.notes,
        }
        return {**about, "runs": [{**asdict(run), "path": str(run.path)} for run in self.runs]}


def verdict(
    run: ComparedRun, base: ComparedRun, metric: str, on: str, n_units: int, sign: float
) -> str:
    """Say in a sentence whether a run differs from the baseline."""
    one = run.difference
    assert one is not None
    size = f"a difference of {abs(one.value):.3f} in {metric}"
    if run.p is None:
        return f"{run.path} and {base.path}: nothing can be said of {size}"
    return _judgement(run, base, size, on, n_units, sign) + _of_seeds(run, base, one)


def _judgement(
    run: ComparedRun, base: ComparedRun, size: str, on: str, n_units: int, sign: float
) -> str:
    one = run.difference
    assert one is not None and run.p is not None
    if run.p < 0.05:
        word = "better" if sign * one.value > 0 else "worse"
        p = "p < 0.001" if run.p < 0.001 else f"p {run.p:.3f}"
        return f"{run.path} is {word} than {base.path}: {size} ({p})"
    told = f"{run.path} and {base.path} cannot be told apart on {on}"
    if one.value == 0:
        return f"{told}: their values are the same"
    if one.needed is None:
        return f"{told}: {size} is less than seeds differ; train with more seeds"
    if one.needed <= n_units:
        return f"{told}: {size} may be chance, as several runs are compared"
    digits = max(len(str(one.needed)) - 2, 0)
    needed = int(np.ceil(one.needed / 10**digits)) * 10**digits
    return f"{told}: {size} would need about {needed} ({100 * POWER:.0f} % power)"


def _of_seeds(run: ComparedRun, base: ComparedRun, one: Difference) -> str:
    """Tell the spread between seeds from that between tracks."""
    if one.errors is None:
        return ""
    said = (
        f"; its standard error is {one.errors[0]:.3f} over tracks, {one.errors[1]:.3f} over seeds"
    )
    single = [str(some.path) for some in (run, base) if not some.seeds]
    return said + (f" (of {single[0]} one seed is known)" if single else "")
