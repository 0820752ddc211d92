"""Metrics of a run, of a cross-validation, or of a CSV of predictions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from mcls.data.split_cells import usual_part
from mcls.disk.run import fold_folder, open_run, refuse_seeds, run_files, seed_folders
from mcls.disk.sums import check_sums
from mcls.disk.text_files import read_json
from mcls.errors import ConfigError, DataError, FormatError
from mcls.evaluation import Estimate, Evaluation, MetricResult, across_folds
from mcls.evaluation import evaluate as measure
from mcls.judging.audited import audit_notes
from mcls.judging.same_tracks import aligned
from mcls.judging.scored_columns import column_of
from mcls.registry import entries
from mcls.remote.functions import takes_urls
from mcls.settings import split_spec
from mcls.stages.calibrate import read_calibration, why_not
from mcls.stages.predict_events import measure_events
from mcls.tables.event_table import EVENTS_FILE, read_event_table
from mcls.tables.predictions import Predictions, join_predictions, read_predictions
from mcls.tabular import Tabular


@dataclass(frozen=True, repr=False)
class RunEvaluation(Tabular):
    """The metrics of a run, a cross-validation or a CSV.

    Parameters
    ----------
    path : Path
        The run folder or CSV.
    overall : Evaluation
        Evaluation of all tracks of the part, with the folds pooled; of several seeds the mean.
    folds : dict of str to Evaluation
        Evaluation of each fold, if there are several.
    across_folds : dict
        Mean and standard deviation over the folds; empty without folds.
    split_id : str or None
        Identifier of the split, if the run has one.
    split_name : str or None
        The published split that it is, if it is one.
    own_notes : tuple of str
        Notes about the scores of all folds together, and about probabilities.
    timelines : dict of str to Estimate
        Metrics of the timelines of all tracks of the part (`mcls.evaluation.sequences`), if the run
        learnt from events.
    seeds : dict of str to Evaluation
        Evaluation of each seed, if there are several.
    across_seeds : dict
        Mean and standard deviation over the seeds; empty with one.
    by : str or None
        Column of the groups over which the intervals are; None: over tracks.
    """

    path: Path
    overall: Evaluation
    folds: dict[str, Evaluation] = field(default_factory=dict)
    across_folds: dict[str, Any] = field(default_factory=dict)
    split_id: str | None = None
    split_name: str | None = None
    own_notes: tuple[str, ...] = ()
    timelines: dict[str, Estimate] = field(default_factory=dict)
    seeds: dict[str, Evaluation] = field(default_factory=dict)
    across_seeds: dict[str, Any] = field(default_factory=dict)
    by: str | None = None

    @property
    def notes(self) -> list[str]:
        """What a reader of the values must know."""
        return [*self.own_notes, *self.overall.notes]

    @property
    def title(self) -> str:
        """The path, the part, the number of tracks and of labels."""
        return f"{self.path}: {self.overall.title}"

    def columns(self, most: int | None = None) -> dict[str, list[Any]]:
        """Return the columns of the evaluation of all tracks."""
        return self.overall.columns(most)

    def __getitem__(self, metric: str) -> MetricResult:
        return self.overall[metric]

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON object."""
        found = {
            "path": str(self.path),
            "split_id": self.split_id,
            "split_name": self.split_name,
            **self.overall.as_dict(),
        }
        found["notes"] = self.notes
        if self.timelines:
            found["timelines"] = {name: one.as_dict() for name, one in self.timelines.items()}
        if self.folds:
            found["folds"] = {fold: one.as_dict() for fold, one in self.folds.items()}
            found["across_folds"] = self.across_folds
        if self.seeds:
            found["seeds"] = {seed: one.as_dict() for seed, one in self.seeds.items()}
            found["across_seeds"] = self.across_seeds
        if self.by is not None:
            found["interval"] = {**(found["interval"] or {}), "by": self.by}
        return found


@takes_urls(reads=("path", "tracks"))
def evaluate(
    path: Path | str,
    metrics: Sequence[str] | None = None,
    *,
    part: str | None = None,
    threshold: float | None = None,
    intervals: bool = True,
    confusion: bool = False,
    by: str | None = None,
    tracks: Path | str | None = None,
) -> RunEvaluation:
    """Evaluate the predictions of a run folder, a cross-validation or a CSV.

    Parameters
    ----------
    path : path
        A folder made by `train` or `cross_validate`, or a CSV (see `mcls.tables.predictions`).
    metrics : sequence of str or None
        Names or specs of metrics; see `mcls.evaluation.evaluate`.
    part : str or None
        ``test``, ``valid`` or ``train``. None takes ``test``, or all tracks if there are no parts.
    threshold : float or None
        Score from which a label counts as predicted, for multi-label data. None takes the
        thresholds of the run, which may be one per label; of a cross-validation the common one.
    intervals : bool
        Compute 95 % confidence intervals.
    confusion : bool
        Compute the confusion matrix too.
    by : str or None
        Column of the tracks: intervals are over its groups, which are left out in turn, in place of
        tracks.
    tracks : path or None
        The store or manifest with that column; None takes the store of the run.

    Returns
    -------
    RunEvaluation
        With several folds: of all folds pooled, of each fold, and mean and standard deviation.

    Raises
    ------
    DataError
        If the path does not exist, or the part has no tracks.
    FormatError
        If the path is neither a run nor a CSV of predictions.
    ConfigError
        If a metric is unknown or unsuitable for the labels.
    """
    path = Path(path)
    seeds, about = open_seeds(path, part)
    chosen = next(iter(seeds.values()))
    if threshold is not None and not chosen.multi_label:
        raise ConfigError(
            f"{path}: each track has one label, so the label with the highest score is predicted; "
            "leave out --threshold"
        )
    options: dict[str, Any] = {
        "threshold": run_threshold(about) if threshold is None else threshold,
        "intervals": intervals,
        "confusion": confusion,
    }
    group_of: dict[str, str] = {}
    if by is not None:
        cells = column_of(by, chosen.track_ids, about, None if tracks is None else Path(tracks))
        group_of = dict(zip(chosen.track_ids, cells, strict=True))

    def measured(several: Sequence[Predictions], wanted: Sequence[str] | None) -> Evaluation:
        groups = [group_of[track] for track in several[0].track_ids] if group_of else None
        return measure(several, wanted, groups=groups, **options)

    overall = measured([*seeds.values()], metrics)
    names, folds, each = list(overall.metrics), {}, {}
    if len(chosen.fold_names()) > 1:
        folds = {
            fold: measured([one.only(fold=fold) for one in seeds.values()], names)
            for fold in chosen.fold_names()
        }
    timelines = {}
    has_events = path.is_dir() and (path / EVENTS_FILE).is_file()  # not of train tracks
    if not metrics and has_events and "train" not in chosen.parts:
        events = read_event_table(path / EVENTS_FILE)
        timelines = measure_events(events, set(chosen.parts), intervals=intervals)
    if len(seeds) > 1:
        each = {seed: measured([one], names) for seed, one in seeds.items()}
    return RunEvaluation(
        path,
        overall,
        folds,
        across_folds(folds) if folds else {},
        about.get("split_id"),
        about.get("split_name"),
        (*chosen.notes, *_often(chosen), *_notes(overall, folds, chosen.probabilities is not None)),
        timelines,
        each,
        across_folds(each) if each else {},
        by,
    )


def open_seeds(path: Path, part: str | None) -> tuple[dict[str, Predictions], dict[str, Any]]:
    """Return the predictions of a part by seed, and the ``about.json`` of the first run.

    Parameters
    ----------
    path : Path
        See `evaluate`.
    part : str or None
        None takes ``test``, or all tracks if there are no parts.

    Returns
    -------
    seeds : dict of str to Predictions
        Of each seed, with the same tracks in the same order. Without several seeds there is one
        entry, with an empty name if the seed is not known.
    about : dict

    Raises
    ------
    DataError
        If the part has no tracks, or the seeds scored different ones.
    """
    folders = seed_folders(path) or {"": path}
    found: dict[str, Predictions] = {}
    abouts = []
    for seed, folder in folders.items():
        one, about = open_part(folder, part)
        if found:
            first, known = next(iter(found.items()))
            one = aligned(folders[first], known, folder, one)
        name = seed or ("" if about.get("seed") is None else str(about["seed"]))
        found[name] = one
        abouts.append(about)
    ids = [about.get("split_id") for about in abouts]
    by_seed = dict(zip(found, ids, strict=True))
    split_id = ids[0] if len(set(ids)) == 1 else None
    return found, {**abouts[0], "split_id": split_id, "split_ids": by_seed}


def _notes(overall: Evaluation, folds: Mapping[str, Evaluation], calibrated: bool) -> list[str]:
    """Say what pooled scores of several models are, and where probabilities are too good."""
    known = entries("metrics")
    facts = {name: known[split_spec(name)[0]].facts for name in overall.metrics}
    found = []
    ranked = [name for name, about in facts.items() if about.get("ranks_tracks")]
    if folds and ranked:
        found.append(
            f"{' and '.join(ranked)} of all folds pooled compare scores of {len(folds)} models, "
            "which are not calibrated to each other; the mean over folds does not"
        )
    asked = [name for name, about in facts.items() if about.get("probabilities")]
    if asked and calibrated and "valid" in overall.part.split("+"):
        found.append(
            f"{' and '.join(asked)} of the valid part are too good: the probabilities were "
            "calibrated on it"
        )
    return found


def _often(chosen: Predictions) -> list[str]:
    """Say if tracks are scored in several folds, as those of the train part are."""
    n = len(set(chosen.track_ids))
    if n == len(chosen):
        return []
    if chosen.times is not None:
        return [
            f"these are the labels of {len(chosen)} events of {n} tracks, whose times were given"
        ]
    return [f"the {len(chosen)} are scores of {n} tracks, most of which are in several folds"]


def run_threshold(about: dict[str, Any]) -> float | list[float] | None:
    """Return the threshold of each label of a run, or the common one."""
    found: float | list[float] | None = about.get("thresholds") or about.get("threshold")
    return found


def open_part(path: Path, part: str | None = None) -> tuple[Predictions, dict[str, Any]]:
    """Return the predictions of a part, and the ``about.json`` of the run.

    Parameters
    ----------
    path : Path
        See `evaluate`.
    part : str or None
        None takes ``test``, or all tracks if there are no parts.

    Raises
    ------
    DataError
        If the part has no tracks.
    """
    predictions, about = open_predictions(path, part)
    chosen = ("test" if any(predictions.parts) else "") if part is None else part
    try:
        return predictions.only(chosen), about
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def open_predictions(
    path: Path, part: str | None = None, *, audited: bool = True
) -> tuple[Predictions, dict[str, Any]]:
    """Return the predictions of a path, and the ``about.json`` of its run.

    Of a cross-validation these are the test tracks of all folds; with the `part` ``train`` or
    ``valid`` they are the tracks of all parts, each in all folds in which it was scored.

    A split with findings of an audit across its parts is refused if they are not acknowledged,
    unless `audited` is false; those that are stand in the notes.
    """
    if not path.is_dir():
        read = read_predictions(path)
        return replace(read, parts=[usual_part(part) for part in read.parts]), {}
    predictions = path / "predictions.csv"
    refuse_seeds(path)
    if not predictions.is_file():
        raise FormatError(
            f"{path} has no predictions.csv; expected a folder made by `mcls train` or `mcls cv`, "
            "or a CSV"
        )
    check_sums(path)
    about: dict[str, Any] = {}
    if all((path / name).is_file() for name in run_files(path)):
        run = open_run(path)
        about = {**run.about, "thresholds": run.thresholds}
    else:
        runs = sorted(path.glob("fold-*/about.json"))
        if runs:
            about = {**open_run(runs[0].parent).about, "split_id": _own_split(path)}
            about.pop("thresholds", None)  # each fold has its own
    read = read_predictions(predictions)
    folds = sorted(path.glob("fold-*/predictions.csv"))
    if folds and part in ("train", "valid"):
        read = join_predictions([read_predictions(fold) for fold in folds])
    if about.get("multi_label") and not read.multi_label:
        read = replace(read, multi_label=True)
    if audited:
        read = replace(read, notes=(*read.notes, *audit_notes(path)))
    return _with_probabilities(path, read), about


def _with_probabilities(path: Path, read: Predictions) -> Predictions:
    """Add the probabilities that the calibration of each run gives, if all have one."""
    is_run = (path / "run.toml").is_file()
    folders = {
        fold: path if is_run else path / fold_folder(fold or None)
        for fold in dict.fromkeys(read.folds)
    }
    probabilities = np.empty(read.scores.shape)
    for fold, folder in folders.items():
        if not (folder / "about.json").is_file():
            return replace(read, no_probability=f"{folder} is not a run")
        run = open_run(folder)
        calibration = read_calibration(run)
        if calibration is None or run.labels != read.names:
            return replace(read, no_probability=why_not(run))
        lines = [i for i, name in enumerate(read.folds) if name == fold]
        probabilities[lines] = calibration(read.scores[lines])
    return replace(read, probabilities=probabilities)


def _own_split(path: Path) -> str | None:
    """Return the split id of a cross-validation."""
    file = path / "metrics.json"
    if not file.is_file():
        return None
    said = read_json(file).get("split_id")
    return said if isinstance(said, str) else None
