"""What a table of runs says of a run: its recipe, feature, size, and how long it took."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from mcls.disk.run import Run, open_run, seed_folders


def run_facts(path: Path) -> dict[str, Any]:
    """Return what is known of a run, a cross-validation, or one with several seeds.

    Returns
    -------
    dict
        ``model``, ``feature``, ``recipe``, ``parameters`` (of a net), ``seconds`` in all,
        ``training_seconds``, both summed over the folds of one seed, and ``tracks_per_second``, the
        tracks that are scored per second from the rows of a store. None where it is not known:
        the seconds of a training that was interrupted, and those of runs of older versions. Empty
        for a CSV.
    """
    folders = [*seed_folders(path).values()] or [path]
    by_seed = [_runs(folder) for folder in folders]
    runs = [run for several in by_seed for run in several]
    if not runs:
        return {}
    steps = [step.name for step in runs[0].chain() if not step.inputs]
    rates = _all_known(runs, "tracks_per_second")
    return {
        "model": runs[0].settings.get("train", {}).get("model"),
        "feature": "+".join(dict.fromkeys(steps)),
        "recipe": _recipe(runs[0]),
        "parameters": runs[0].about.get("parameters"),
        "seconds": _seconds(runs, "seconds", len(by_seed)),
        "training_seconds": _seconds(runs, "training_seconds", len(by_seed)),
        "tracks_per_second": None
        if rates is None
        else _rounded(len(rates) / sum(1 / r for r in rates)),
    }


def _runs(folder: Path) -> list[Run]:
    """Return the run in a folder, or those of its folds."""
    folders = [folder] if (folder / "run.toml").is_file() else sorted(folder.glob("fold-*"))
    return [open_run(one) for one in folders if (one / "about.json").is_file()]


def _all_known(runs: Sequence[Run], key: str) -> list[float] | None:
    """Return a number of every run; None if it is not known of one."""
    found = [run.about.get(key) for run in runs]
    known = [float(one) for one in found if isinstance(one, int | float) and one > 0]
    return known if len(known) == len(found) else None


def _seconds(runs: Sequence[Run], key: str, n_seeds: int) -> float | None:
    known = _all_known(runs, key)
    return None if known is None else _rounded(sum(known) / n_seeds)


def _rounded(number: float) -> float:
    """Round to three digits, but never to tens."""
    return round(number) if number >= 100 else float(f"{number:.3g}")


def _recipe(run: Run) -> str | None:
    """Return the name of the recipe on the command line that made the run."""
    words = run.about.get("command")
    if not isinstance(words, list):
        return None
    words = [str(word) for word in words]
    named = [word for before, word in pairwise(words) if before in ("-c", "--config", "cv")]
    return next((Path(word).stem for word in named if not word.startswith("-")), None)
