"""Compare runs that scored the same tracks: a table, best first, and the differences to one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from mcls.disk.run import seed_folders
from mcls.errors import ConfigError, DataError
from mcls.evaluation import Estimate
from mcls.evaluation.compute import measured
from mcls.evaluation.measured import Measured, mean_of
from mcls.evaluation.paired import Difference, difference, holm, mcnemar, resampled_t
from mcls.evaluation.suitable import default_metrics
from mcls.judging.compared import Compared, ComparedRun, verdict
from mcls.judging.evaluate import open_predictions, open_seeds, run_threshold
from mcls.judging.run_facts import run_facts
from mcls.judging.same_tracks import aligned, refuse_other_splits
from mcls.judging.scored_columns import column_of
from mcls.remote.functions import takes_urls
from mcls.tables.predictions import Predictions

#: Metrics by which runs are compared, in order of preference, unless another is asked for.
_PREFERRED = ("accuracy", "auc", "r2")


@dataclass(frozen=True)
class _Candidate:
    """A run that is compared: its predictions by seed, all with the lines of the first run."""

    path: Path
    seeds: dict[str, Predictions]
    about: Mapping[str, Any]
    threshold: float | list[float] | None

    def measured(
        self, metric: str, groups: Mapping[str, str] | None = None, fold: str | None = None
    ) -> list[Measured]:
        """Measure each seed; without intervals for a fold."""
        found = []
        for one in self.seeds.values():
            some = one if fold is None else one.only(fold=fold)
            cells = None if groups is None else [groups[track] for track in some.track_ids]
            options: dict[str, Any] = {"threshold": self.threshold, "groups": cells}
            found.append(measured(some, metric, intervals=fold is None, **options))
        return found


@takes_urls(reads=("paths", "baseline", "tracks"))
def compare(
    paths: Sequence[Path | str],
    metric: str | None = None,
    *,
    part: str | None = None,
    threshold: float | None = None,
    baseline: Path | str | None = None,
    by: str | None = None,
    tracks: Path | str | None = None,
) -> Compared:
    """Compare runs, cross-validations or CSVs of predictions of the same tracks.

    Parameters
    ----------
    paths : sequence of paths
        Two or more.
    metric : str or None
        Name or spec of a metric; None takes accuracy with one label per track, AUC with several,
        R2 for numbers.
    part : str or None
        None takes ``test``, or all tracks if there are no parts.
    threshold : float or None
        Score from which a label counts as predicted, for multi-label data.
    baseline : path or None
        The run that the others are compared with; None takes the best.
    by : str or None
        Column of the tracks: intervals and p values are over its groups, in place of tracks.
    tracks : path or None
        The store or manifest with that column; None takes the store of one of the runs.

    Raises
    ------
    ConfigError
        If there are fewer than two runs, or the baseline is none of them.
    DataError
        If runs were scored on other tracks, labels or splits.
    """
    named = list(dict.fromkeys(Path(path) for path in paths))
    if len(named) < 2:
        raise ConfigError("compare needs two or more different runs")
    if baseline is not None and Path(baseline) not in named:
        raise ConfigError(f"--baseline {baseline} is not among the runs")
    runs, split_notes = _opened(named, part, threshold)
    first = next(iter(runs[0].seeds.values()))
    metric = metric or next(name for name in _PREFERRED if name in default_metrics(first))
    groups = None if by is None else _groups(by, first.track_ids, runs, tracks)
    units = set(first.track_ids) if groups is None else set(groups.values())
    each = [run.measured(metric, groups) for run in runs]
    found = [mean_of(several) for several in each]
    values = [_main(one, metric) for one in found]
    sign = -1.0 if found[0].entry.facts.get("lower_is_better") else 1.0
    order = sorted(range(len(runs)), key=lambda i: -sign * values[i].value)
    base = order[0] if baseline is None else named.index(Path(baseline))
    others = [i for i in order if i != base]
    by_seed = [_by_seed(run, several) for run, several in zip(runs, each, strict=True)]
    differences = {}
    for i in others:
        seeds = [[*by_seed[j].values()] for j in (i, base) if by_seed[j]]
        differences[i] = difference(found[i], found[base], len(units), seeds=seeds)
    n_pairs = len(others) if baseline is not None else len(named) * len(others) // 2
    adjusted = holm([one.p if (one := differences[i]) else None for i in others], n_pairs)
    ps = dict(zip(others, adjusted, strict=True))
    tests: dict[int, float | None] = {}
    if metric == "accuracy" and groups is None and first.times is None and not any(by_seed):
        raw = _mcnemars([runs[i] for i in others], runs[base])
        tests = dict(zip(others, holm(raw, n_pairs), strict=True))
    table = [
        ComparedRun(
            named[i],
            values[i],
            differences.get(i),
            ps.get(i),
            tests.get(i),
            None if i == base else _over_folds(runs[i], runs[base], metric),
            run_facts(named[i]),
            by_seed[i],
        )
        for i in order
    ]
    on = f"{len(set(first.track_ids))} tracks" if by is None else f"{len(units)} groups ({by})"
    baseline_run = table[order.index(base)]
    return Compared(
        metric=metric,
        headline=found[0].entry.facts["headline"],
        part="+".join(dict.fromkeys(filter(None, first.parts))) or "all",
        n_tracks=len(set(first.track_ids)),
        baseline=named[base],
        runs=table,
        verdicts=[
            verdict(run, baseline_run, metric, on, len(units), sign)
            for run in table
            if run.difference
        ],
        by=by,
        n_groups=None if by is None else len(units),
        notes=split_notes
        + [f"{run.path}: {note}" for run in runs for note in next(iter(run.seeds.values())).notes],
    )


def _opened(
    paths: Sequence[Path], part: str | None, threshold: float | None
) -> tuple[list[_Candidate], list[str]]:
    """Read the runs in the order of the first's lines; return them and notes on splits."""
    opened = {path: open_seeds(path, part) for path in paths}
    known = [
        (path, {seed: split for seed, split in about["split_ids"].items() if split})
        for path, (_, about) in opened.items()
    ]
    names = {path: about.get("split_name") for path, (_, about) in opened.items()}
    notes = refuse_other_splits(known, names, cache(_development))
    first = next(iter(opened[paths[0]][0].values()))
    found = [
        _Candidate(
            path,
            {
                seed: one if path == paths[0] else aligned(paths[0], first, path, one)
                for seed, one in seeds.items()
            },
            about,
            run_threshold(about) if threshold is None else threshold,
        )
        for path, (seeds, about) in opened.items()
    ]
    return found, notes


def _development(path: Path, seed: str) -> frozenset[tuple[str, str]]:
    """Return the tracks that a run learnt from or chose on, each with its fold."""
    read, _ = open_predictions(seed_folders(path).get(seed, path), "train", audited=False)
    lines = zip(read.track_ids, read.folds, read.parts, strict=True)
    return frozenset((track, fold) for track, fold, part in lines if part in ("train", "valid"))


def _groups(
    by: str, track_ids: Sequence[str], runs: Sequence[_Candidate], tracks: Path | str | None
) -> dict[str, str]:
    """Return the group of each track, from a file or the store of the first run that has one."""
    about = next((run.about for run in runs if run.about.get("store")), {})
    cells = column_of(by, track_ids, about, None if tracks is None else Path(tracks))
    found = dict(zip(track_ids, cells, strict=True))
    if len(set(found.values())) < 2:
        raise DataError(f"all tracks have the same {by!r}; intervals need two or more groups")
    return found


def _main(one: Measured, metric: str) -> Estimate:
    main = one.result().main
    if main is None:
        raise DataError(
            f"{metric} cannot be computed: no label is on some tracks and not on others"
        )
    return main


def _by_seed(run: _Candidate, each: Sequence[Measured]) -> dict[str, float]:
    """Return the metric of each seed; empty with one seed."""
    if len(each) < 2:
        return {}
    values = zip(run.seeds, (one.value for one in each), strict=True)
    return {seed: value for seed, value in values if value is not None}


def _mcnemars(runs: Sequence[_Candidate], base: _Candidate) -> list[float]:
    """Return the p value of McNemar's test of each run against the baseline."""
    [other] = base.seeds.values()
    scores = [next(iter(run.seeds.values())).scores for run in runs]
    return [mcnemar(other.truth, some, other.scores) for some in scores]


def _over_folds(one: _Candidate, other: _Candidate, metric: str) -> Difference | None:
    """Judge the differences of the folds; None without folds."""
    names = next(iter(one.seeds.values())).fold_names()
    if len(names) < 2:
        return None
    differences = []
    for fold in names:
        pair = [mean_of(run.measured(metric, fold=fold)).value for run in (one, other)]
        if pair[0] is not None and pair[1] is not None:
            differences.append(pair[0] - pair[1])
    return resampled_t(differences, 1 / (len(names) - 1))
