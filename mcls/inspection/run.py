"""Plot a run: its confusion matrix, AUC per label or numbers, and its learning curves."""

import csv
from pathlib import Path
from typing import Any

import numpy as np

from mcls.disk.text_files import read_json
from mcls.errors import DataError, FormatError
from mcls.evaluation import Estimate
from mcls.judging.evaluate import evaluate, open_part, open_predictions
from mcls.plots.numbers import MOST, Target
from mcls.plots.page import Figure
from mcls.plots.scores import draw_run


def plot_run(path: Path, *, part: str | None = None) -> tuple[Figure, str]:
    """Plot the results of a run and, if it has a history, the learning curves.

    Parameters
    ----------
    path : Path
        A run folder, a cross-validation, or a CSV of predictions.
    part : str or None
        See `mcls.judging.evaluate.evaluate`.

    Returns
    -------
    page : Figure
        A confusion matrix if a track has one label, true against predicted numbers of a regression,
        otherwise the AUC of each label.
    shows : str
    """
    history, kept = read_history(path) if path.is_dir() else ([], None)
    drawn: dict[str, Any] = {"history": history, "kept": kept}
    predictions, _ = open_predictions(path)
    if predictions.regression:
        return _regression(path, part, drawn)
    return (_multi_label if predictions.multi_label else _single_label)(path, part, drawn)


def _regression(path: Path, part: str | None, drawn: dict[str, Any]) -> tuple[Figure, str]:
    report = evaluate(path, ["r2"], part=part).overall
    found = report["r2"]
    if found.macro is None:
        raise DataError(f"{path}: every track has the same number, so there is no R² to show")
    lines = open_part(path, part)[0]
    targets = [
        Target(
            name,
            lines.truth[:, i],
            lines.scores[:, i],
            f"R² {found.per_label[name].value:.3f}{_ends(found.per_label[name])}"
            if name in found.per_label
            else "always the same",
        )
        for i, name in enumerate(lines.names)
    ]
    where = f"{report.n_tracks} {report.part} tracks"
    more = "" if len(targets) <= MOST else f", the first {MOST} of {len(targets)} targets"
    title = f"{path.name}: mean R² {found.macro.value:.3f}{_ends(found.macro)}, {where}{more}"
    page = draw_run(title=title, targets=targets, **drawn)
    return page, f"true and predicted numbers of {len(targets)} targets, {where}{more}"


def _single_label(path: Path, part: str | None, drawn: dict[str, Any]) -> tuple[Figure, str]:
    report = evaluate(path, ["accuracy"], part=part, confusion=True).overall
    figure = report["accuracy"].main
    assert figure is not None and report.confusion is not None
    where = f"{report.n_tracks} {report.part} tracks"
    title = f"{path.name}: accuracy {figure.value:.3f}{_ends(figure)}, "
    page = draw_run(
        title=title + where, names=report.names, confusion=np.array(report.confusion), **drawn
    )
    return page, f"confusion matrix of {len(report.names)} labels, {where}"


def _multi_label(path: Path, part: str | None, drawn: dict[str, Any]) -> tuple[Figure, str]:
    report = evaluate(path, ["auc"], part=part).overall
    figure = report["auc"].macro
    if figure is None:
        raise DataError(f"{path}: no label is on some of the tracks and absent from others")
    found = {
        name: (one.value, one.low, one.high, report.support[name])
        for name, one in report["auc"].per_label.items()
    }
    where = f"{report.n_tracks} {report.part} tracks"
    page = draw_run(
        title=f"{path.name}: macro AUC {figure.value:.3f}{_ends(figure)}, {where}",
        per_label=found,
        metric="ROC-AUC with 95 % interval (tracks with the label)",
        chance=0.5,
        mean=figure.value,
        **drawn,
    )
    return page, f"AUC of {len(found)} labels, {where}"


def read_history(run: Path) -> tuple[list[dict[str, float]], float | None]:
    """Read the history of a training.

    Parameters
    ----------
    run : Path
        A run folder.

    Returns
    -------
    history : list of dict
        The lines of history.csv; cells that are not numbers are left out. Empty without the file.
    kept : float or None
        ``kept_epoch`` (or ``best_epoch``) of about.json, if it is there.

    Raises
    ------
    FormatError
        If one of the files is corrupt.
    """
    file, about = run / "history.csv", run / "about.json"
    if not file.is_file():
        return [], None
    try:
        with file.open(encoding="utf-8", newline="") as lines:
            history = [
                {name: float(cell) for name, cell in line.items() if _is_number(cell)}
                for line in csv.DictReader(lines, strict=True)
            ]
        said = read_json(about) if about.is_file() else {}
        kept = next((said[key] for key in ("kept_epoch", "best_epoch") if key in said), None)
    except (FormatError, UnicodeDecodeError, ValueError, csv.Error, TypeError) as error:
        raise FormatError(f"{run}: history.csv or about.json is corrupt ({error})") from error
    return history, float(kept) if isinstance(kept, int | float) else None


def _is_number(cell: Any) -> bool:
    try:
        float(cell)
    except (TypeError, ValueError):
        return False
    return True


def _ends(figure: Estimate) -> str:
    return "" if figure.low is None else f" [{figure.low:.3f}, {figure.high:.3f}]"
