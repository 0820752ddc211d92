"""Predictions to figures: of a run, of a cross-validation, or of anybody's CSV of scores."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mcls.disk.predictions import Predictions, read_predictions
from mcls.disk.run import open_run, run_files
from mcls.errors import ConfigError, DataError, FormatError
from mcls.evaluation import Measured, Report, across_folds
from mcls.evaluation import evaluate as measure


@dataclass(frozen=True)
class Evaluated:
    """The figures of one path.

    Parameters
    ----------
    path : Path
        What was evaluated.
    report : Report
        Of all tracks of the part; with folds, of the tracks of all folds pooled.
    folds : dict of str to Report
        Per fold, if there are several.
    spread : dict
        Mean and standard deviation over the folds; empty without folds.
    split_id : str or None
        Which split the figures belong to, if a run says so.
    """

    path: Path
    report: Report
    folds: dict[str, Report] = field(default_factory=dict)
    spread: dict[str, Any] = field(default_factory=dict)
    split_id: str | None = None

    def __getitem__(self, metric: str) -> Measured:
        return self.report[metric]

    def as_dict(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        said = {"path": str(self.path), "split_id": self.split_id, **self.report.as_dict()}
        if self.folds:
            said["folds"] = {fold: report.as_dict() for fold, report in self.folds.items()}
            said["across_folds"] = self.spread
        return said


def evaluate(
    path: Path | str,
    metrics: Sequence[str] | None = None,
    *,
    part: str | None = None,
    threshold: float | None = None,
    n_bootstrap: int = 1000,
    seed: int = 0,
    confusion: bool = False,
) -> Evaluated:
    """Measure the predictions of a run folder, a cross-validation or a CSV.

    Parameters
    ----------
    path : path
        A folder that `train` or `cross_validate` made, or a CSV (see `mcls.disk.predictions`).
    metrics : sequence of str or None
        Names or specs; see `mcls.evaluation.evaluate`.
    part : str or None
        ``test``, ``valid`` or ``train``. None takes ``test``, or everything if the CSV has no
        parts.
    threshold : float or None
        From which score on a label counts as present, where a track has any number of labels.
        None takes the run's own.
    n_bootstrap, seed : int
        Of the 95 % intervals.
    confusion : bool
        Also count which label was taken for which.

    Returns
    -------
    Evaluated
        With several folds: pooled, per fold, and mean and deviation.

    Raises
    ------
    DataError
        If there is no such path, or no track in the part.
    FormatError
        If what is there is neither a run nor predictions.
    ConfigError
        If a metric is unknown or does not fit the labels.
    """
    path = Path(path)
    predictions, about = _open(path)
    if threshold is not None and not predictions.multi_label:
        raise ConfigError(
            f"{path}: one label per track is decided by the highest score; leave out --threshold"
        )
    if part is None:
        part = "test" if any(predictions.parts) else ""
    try:
        chosen = predictions.only(part)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    options: dict[str, Any] = {
        "threshold": about.get("threshold") if threshold is None else threshold,
        "n_bootstrap": n_bootstrap,
        "seed": seed,
        "confusion": confusion,
    }
    report = measure(chosen, metrics, **options)
    folds = {}
    if len(chosen.fold_names()) > 1:
        asked = list(report.metrics)
        folds = {
            fold: measure(chosen.only(fold=fold), asked, **options) for fold in chosen.fold_names()
        }
    spread = across_folds(folds) if folds else {}
    return Evaluated(path, report, folds, spread, about.get("split_id"))


def _open(path: Path) -> tuple[Predictions, dict[str, Any]]:
    """Return the predictions of a path, and what its run says about them."""
    if not path.is_dir():
        return read_predictions(path), {}
    predictions = path / "predictions.csv"
    if not predictions.is_file():
        raise FormatError(
            f"{path}: there is no predictions.csv in it; expected a folder that `mcls train` or "
            "`mcls cv` has made, or a CSV"
        )
    about: dict[str, Any] = {}
    if all((path / name).is_file() for name in run_files(path)):
        about = open_run(path).about
    else:
        runs = sorted(path.glob("fold-*/about.json"))
        if runs:
            about = {**open_run(runs[0].parent).about, "split_id": _own_split(path)}
    read = read_predictions(predictions)
    if about.get("multi_label") and not read.multi_label:
        read = Predictions(**{**vars(read), "multi_label": True})
    return read, about


def _own_split(path: Path) -> str | None:
    """Return the split id that a cross-validation states."""
    file = path / "metrics.json"
    if not file.is_file():
        return None
    try:
        said = json.loads(file.read_text(encoding="utf-8")).get("split_id")
    except (ValueError, AttributeError) as error:
        raise FormatError(f"{file}: not a JSON object ({error})") from error
    return said if isinstance(said, str) else None
