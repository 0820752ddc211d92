"""What a report reads of a run: predictions, metrics, the run folders of the folds, the store."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mcls.chain.match import rows_for_run
from mcls.disk.run import Run, fold_folder, open_run, run_files, seed_folders
from mcls.errors import DataError, MclsError
from mcls.evaluation.suitable import default_metrics
from mcls.judging.evaluate import RunEvaluation, evaluate, open_part, run_threshold
from mcls.remote.places import kept
from mcls.stores.store import Store
from mcls.stores.stored_rows import StoredRows
from mcls.tables.predictions import Predictions

#: Metrics that the report shows beside those that `mcls eval` shows.
_MORE = ("auc", "ap")


@dataclass(frozen=True)
class ReportedRun:
    """A run, a cross-validation or a CSV of predictions, as a report reads it.

    Parameters
    ----------
    path : Path
    name : str
        The shortest name that tells it from the other runs.
    predictions : Predictions
        Of the tracks of the part.
    found : RunEvaluation
        The metrics of these predictions.
    whole : RunEvaluation
        The same, or the mean over seeds if there are several.
    seeds : list of str
        The seeds if there are several; the predictions are those of the first.
    threshold : float, list of float or None
        Score from which a label counts as predicted, of all labels or of each.
    folders : dict of str to Run
        The run that scored each fold, ``""`` without folds; empty for a CSV.
    """

    path: Path
    name: str
    predictions: Predictions
    found: RunEvaluation
    whole: RunEvaluation
    seeds: list[str]
    threshold: float | list[float] | None
    folders: dict[str, Run]

    def scored_by(self, i: int) -> Run | None:
        """Return the run that scored the track in line `i`, if its folder is known."""
        return self.folders.get(self.predictions.folds[i])

    @property
    def noun(self) -> str:
        """What a line of the predictions is, in the plural."""
        return "tracks" if self.predictions.times is None else "events"

    def title(self, i: int) -> str:
        """Return the track in line `i`, and of an event its start and end."""
        times = self.predictions.times
        track = self.predictions.track_ids[i]
        return track if times is None or not times[i] else f"{track}, {times[i]} s"

    @property
    def runs(self) -> list[Run]:
        """The run folders, each once."""
        return list({run.path: run for run in self.folders.values()}.values())


def read_runs(paths: Sequence[Path], part: str | None) -> list[ReportedRun]:
    """Read runs of which a report is made.

    Parameters
    ----------
    paths : sequence of Path
        Run folders, cross-validations or CSVs of predictions.
    part : str or None
        See `evaluate`.
    """
    paths = list(dict.fromkeys(paths))
    return [_read(path, name, part) for path, name in zip(paths, _names(paths), strict=True)]


def _read(path: Path, name: str, part: str | None) -> ReportedRun:
    seeds = seed_folders(path)
    shown = next(iter(seeds.values()), path)
    some, about = open_part(shown, part)
    one_label = not some.multi_label and not some.regression
    metrics = default_metrics(some)
    if not some.regression:
        metrics = list(dict.fromkeys([*metrics, *_MORE]))
    found = evaluate(shown, metrics, part=part, confusion=one_label)
    whole = evaluate(path, metrics, part=part) if seeds else found
    folders = _folders(shown, some)
    return ReportedRun(path, name, some, found, whole, [*seeds], run_threshold(about), folders)


def _names(paths: Sequence[Path]) -> list[str]:
    names = [path.stem if path.suffix == ".csv" else path.name or str(path) for path in paths]
    return names if len(set(names)) == len(names) else [str(path) for path in paths]


def _folders(path: Path, predictions: Predictions) -> dict[str, Run]:
    """Return the run of each fold; a fold whose folder is gone has none."""
    if not path.is_dir():
        return {}
    folds = list(dict.fromkeys(predictions.folds))
    if all((path / name).is_file() for name in run_files(path)):
        return dict.fromkeys(folds, open_run(path))
    folders = {fold: path / fold_folder(fold or None) for fold in folds}
    return {fold: open_run(at) for fold, at in folders.items() if (at / "run.toml").is_file()}


@dataclass(frozen=True)
class RunStore:
    """The store of a run, or the reason why there is none.

    Parameters
    ----------
    store : Store or None
    missing : str
        The reason; empty if there is a store.
    rows : dict of int to StoredRows
        The rows that the chain of the run starts from, by the index of the step.
    """

    store: Store | None = None
    missing: str = ""
    rows: dict[int, StoredRows] = field(default_factory=dict)


def store_of(run: Run | None, stores: Sequence[Path]) -> RunStore:
    """Find the store of a run: the first of `stores` that fits, else the one it names itself.

    Without a run, as of a CSV of predictions, it is the first of `stores`.
    """
    own = None if run is None else run.about.get("store")
    places = [*stores, *([Path(own)] if isinstance(own, str) and own else [])]
    reasons = []
    for place in places:
        try:
            if not kept(place).exists():
                raise DataError(f"there is no store at {place}; name it with --store")
            store = Store(place)
            return RunStore(store, "", {} if run is None else rows_for_run(store, run.chain()))
        except MclsError as error:
            reasons.append(str(error))
    return RunStore(None, reasons[-1] if reasons else "no store is known; name it with --store")
