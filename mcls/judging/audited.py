"""The guard of evaluation: findings of an audit that are across the parts of a run."""

from pathlib import Path

from mcls.disk.audit_file import across_notes, across_parts, refuse_across
from mcls.disk.run import Run, open_run
from mcls.tables.predictions import read_predictions


def audit_notes(path: Path) -> list[str]:
    """Return the findings across the parts of a run or cross-validation that are acknowledged.

    The parts are those of its tracks: those it learnt from, and those it scored.

    Parameters
    ----------
    path : Path
        A folder made by `train` or `cross_validate`.

    Raises
    ------
    DataError
        If findings of the audit file of its store are across parts and not acknowledged.
    """
    folders = [path] if (path / "run.toml").is_file() else sorted(path.glob("fold-*"))
    runs = [open_run(folder) for folder in folders if (folder / "run.toml").is_file()]
    return list(dict.fromkeys(note for run in runs for note in _notes(run)))


def _notes(run: Run) -> list[str]:
    if not run.about.get("store"):
        return []
    store = Path(str(run.about["store"]))
    part_of = dict.fromkeys(run.learnt_from(), "train")
    predictions = read_predictions(run.path / "predictions.csv")
    part_of |= dict(zip(predictions.track_ids, predictions.parts, strict=True))
    found = across_parts(store, part_of)
    refuse_across(store, found, part_of)
    return across_notes(store, found)
