"""Compare runs that scored the same tracks: a table, best first, and the differences to one."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from mcls.disk.predictions import Predictions
from mcls.disk.run import open_run
from mcls.errors import ConfigError, DataError
from mcls.evaluation import Estimate
from mcls.evaluation.compute import measured
from mcls.evaluation.paired import POWER, Difference, difference, holm, mcnemar, resampled_t
from mcls.stages.evaluate import open_predictions, run_threshold

#: Score from which a label counts as predicted, of all labels or of each.
Limit = float | list[float] | None


@dataclass(frozen=True)
class ComparedRun:
    """A run of a comparison.

    Parameters
    ----------
    path : Path
    value : Estimate
        The metric.
    difference : Difference or None
        The metric minus that of the baseline; None for the baseline.
    p : float or None
        The p value of the difference, adjusted for the number of tests (Holm).
    mcnemar : float or None
        The p value of McNemar's test against the baseline, adjusted likewise; for accuracy.
    folds : Difference or None
        The mean difference over folds, by the corrected resampled t test.
    facts : dict
        JSON-like: model, feature, parameters, seconds of training, as far as they are known.
    """

    path: Path
    value: Estimate
    difference: Difference | None = None
    p: float | None = None
    mcnemar: float | None = None
    folds: Difference | None = None
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Compared:
    """The result of `compare`; runs are sorted, best first."""

    metric: str
    headline: str
    part: str
    n_tracks: int
    baseline: Path
    runs: list[ComparedRun]
    verdicts: list[str]

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON object."""
        about = {
            "metric": self.metric,
            "headline": self.headline,
            "part": self.part,
            "n_tracks": self.n_tracks,
            "baseline": str(self.baseline),
            "verdicts": self.verdicts,
        }
        return {**about, "runs": [{**asdict(run), "path": str(run.path)} for run in self.runs]}


def compare(
    paths: Sequence[Path | str],
    metric: str | None = None,
    *,
    part: str | None = None,
    threshold: float | None = None,
    baseline: Path | str | None = None,
) -> Compared:
    """Compare runs, cross-validations or CSVs of predictions of the same tracks.

    Parameters
    ----------
    paths : sequence of paths
        Two or more.
    metric : str or None
        Name or spec of a metric; None takes accuracy with one label per track, else AUC.
    part : str or None
        None takes ``test``, or all tracks if there are no parts.
    threshold : float or None
        Score from which a label counts as predicted, for multi-label data.
    baseline : path or None
        The run that the others are compared with; None takes the best.

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
    opened = [_read(path, part) for path in named]
    first = opened[0][0]
    aligned = [
        (_aligned(named[0], first, path, one), about)
        for path, (one, about) in zip(named, opened, strict=True)
    ]
    _refuse_other_splits(named, [about.get("split_id") for _, about in aligned])
    metric = metric or ("auc" if first.multi_label else "accuracy")
    limits = [run_threshold(about) if threshold is None else threshold for _, about in aligned]
    found = [
        measured(one, metric, threshold=limit)
        for (one, _), limit in zip(aligned, limits, strict=True)
    ]
    results = [one.result() for one in found]
    if any(one.main is None for one in results):
        raise DataError(
            f"{metric} cannot be computed: no label is on some tracks and not on others"
        )
    values = [one.main for one in results if one.main is not None]
    sign = -1.0 if found[0].entry.facts.get("lower_is_better") else 1.0
    order = sorted(range(len(named)), key=lambda i: -sign * values[i].value)
    base = order[0] if baseline is None else named.index(Path(baseline))
    others = [i for i in order if i != base]
    n_tracks = len(set(first.track_ids))
    differences = {i: difference(found[i], found[base], n_tracks) for i in others}
    n_pairs = len(others) if baseline is not None else len(named) * len(others) // 2
    adjusted = holm([one.p if (one := differences[i]) else None for i in others], n_pairs)
    ps = dict(zip(others, adjusted, strict=True))
    tests: dict[int, float | None] = {}
    if metric == "accuracy" and first.times is None:  # McNemar's test takes lines as independent
        truth, scores = first.truth, [one.scores for one, _ in aligned]
        raw = [mcnemar(truth, scores[i], scores[base]) for i in others]
        tests = dict(zip(others, holm(raw, n_pairs), strict=True))
    runs = []
    for i in order:
        folds = None
        if i != base:
            pair = aligned[i][0], aligned[base][0]
            folds = _over_folds(*pair, metric, limits[i], limits[base])
        facts = _facts(named[i])
        at = differences.get(i)
        runs.append(ComparedRun(named[i], values[i], at, ps.get(i), tests.get(i), folds, facts))
    headline = found[0].entry.facts["headline"]
    part_name = "+".join(dict.fromkeys(filter(None, first.parts))) or "all"
    verdicts = [
        _verdict(run, named[base], metric, n_tracks, sign) for run in runs if run.difference
    ]
    return Compared(metric, headline, part_name, n_tracks, named[base], runs, verdicts)


def _read(path: Path, part: str | None) -> tuple[Predictions, dict[str, Any]]:
    predictions, about = open_predictions(path)
    if predictions.regression:
        raise ConfigError(f"{path} predicts numbers; compare is for labels")
    chosen = ("test" if any(predictions.parts) else "") if part is None else part
    try:
        return predictions.only(chosen), about
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def _aligned(first_path: Path, first: Predictions, path: Path, other: Predictions) -> Predictions:
    """Return the lines and labels of other predictions in the order of the first; refuse others."""
    if set(first.names) != set(other.names):
        odd = sorted(set(first.names) ^ set(other.names))
        raise DataError(f"{first_path} and {path} have other labels, such as {odd[0]!r}")
    keys = [dict.fromkeys(one.line_names()) for one in (first, other)]
    if keys[0].keys() != keys[1].keys() and not all(any(one.folds) for one in (first, other)):
        first, other = (replace(one, folds=[""] * len(one)) for one in (first, other))
        keys = [dict.fromkeys(one.line_names()) for one in (first, other)]
    for mine, theirs, where in ((keys[0], keys[1], path), (keys[1], keys[0], first_path)):
        missing = [key for key in mine if key not in theirs]
        if missing:
            name = f"{missing[0][0]!r}" + (f" in fold {missing[0][1]}" if missing[0][1] else "")
            raise DataError(
                f"{first_path} and {path} were scored on other tracks: {len(missing)} are not in "
                f"{where}, such as {name}; compare runs with the same split"
            )
    place = {key: i for i, key in enumerate(other.line_names())}
    lines = [place[key] for key in first.line_names()]
    columns = [other.names.index(name) for name in first.names]
    truth = other.truth[lines][:, columns]
    differ = (truth != first.truth).any(axis=1)
    if differ.any():
        name = first.track_ids[int(differ.argmax())]
        raise DataError(
            f"{first_path} and {path} have other true labels, such as those of {name!r}"
        )
    sure = other.probabilities
    return replace(
        other,
        track_ids=first.track_ids,
        parts=first.parts,
        folds=first.folds,
        names=first.names,
        truth=first.truth,
        scores=other.scores[lines][:, columns],
        multi_label=first.multi_label,
        probabilities=None if sure is None else sure[lines][:, columns],
    )


def _refuse_other_splits(paths: Sequence[Path], ids: Sequence[str | None]) -> None:
    known = [(path, one) for path, one in zip(paths, ids, strict=True) if one]
    for path, one in known[1:]:
        if one != known[0][1]:
            raise DataError(
                f"{known[0][0]} and {path} have other splits ({known[0][1]} and {one}): they were "
                "trained on other tracks; train them with the same --split, --fold and --seed"
            )


def _over_folds(
    one: Predictions, other: Predictions, metric: str, limit: Limit, base: Limit
) -> Difference | None:
    """Judge the differences of the folds; None without folds."""
    names = one.fold_names()
    if len(names) < 2:
        return None
    differences = []
    for fold in names:
        pair = []
        for predictions, threshold in ((one, limit), (other, base)):
            some = predictions.only(fold=fold)
            main = measured(some, metric, threshold=threshold, intervals=False).result().main
            pair.append(main)
        if pair[0] is not None and pair[1] is not None:
            differences.append(pair[0].value - pair[1].value)
    share = 1 / (len(names) - 1)
    return resampled_t(differences, share)


def _facts(path: Path) -> dict[str, Any]:
    """Return what is known of a run: model, features, parameters and seconds."""
    folders = [path] if (path / "run.toml").is_file() else sorted(path.glob("fold-*"))
    runs = [open_run(folder) for folder in folders if (folder / "about.json").is_file()]
    if not runs:
        return {}
    settings = runs[0].settings.get("train", {})
    steps = [step.name for step in runs[0].chain() if not step.inputs]
    return {
        "model": settings.get("model"),
        "feature": "+".join(dict.fromkeys(steps)),
        "parameters": runs[0].about.get("parameters"),
        "seconds": round(sum(float(run.about.get("seconds", 0)) for run in runs), 1),
    }


def _verdict(run: ComparedRun, base: Path, metric: str, n_tracks: int, sign: float) -> str:
    """Say in a sentence whether a run differs from the baseline."""
    one = run.difference
    assert one is not None
    size = f"a difference of {abs(one.value):.3f}"
    if run.p is None:
        return f"{run.path} and {base}: nothing can be said of {size} in {metric}"
    if run.p < 0.05:
        word = "better" if sign * one.value > 0 else "worse"
        return f"{run.path} is {word} than {base}: {size} in {metric} (p {run.p:.3f})"
    told = f"{run.path} and {base} cannot be told apart on {n_tracks} tracks"
    if one.needed is None:
        return f"{told}: their {metric} is the same"
    if one.needed <= n_tracks:
        return f"{told}: {size} in {metric} may be chance, as several runs are compared"
    digits = max(len(str(one.needed)) - 2, 0)
    needed = int(np.ceil(one.needed / 10**digits)) * 10**digits
    return f"{told}: {size} in {metric} would need about {needed} ({100 * POWER:.0f} % power)"
