"""Choose the values that a recipe leaves open: trials, each judged on tracks it did not learn from.

``OUT`` holds, and keeps up to date after each trial:

============== =====================================================================
best.toml      the recipe with the best values, without a table ``[tune]``
trials.csv     every trial: its state, score, seconds and values
about.json     what was searched on which tracks, the best values, notes
history.png    the scores in the order of the trials
importance.png which share of the scores' variance each value explains
study.db       the trials, in SQLite
features/      stores of the train and the valid part, and dictionaries that trials share
============== =====================================================================

The test part is never read: a trial has a store without it (see `mcls.tuning.inner_store`).
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from mcls.disk.recipe import Recipe, read_recipe, refuse_unknown_tables
from mcls.disk.workspace import is_workspace
from mcls.errors import ConfigError, DataError
from mcls.options import takes_options
from mcls.parallel.pool import Pool, Task
from mcls.remote.functions import takes_urls
from mcls.tuning.options import Search
from mcls.tuning.results import write_plots
from mcls.tuning.study import need_optuna
from mcls.tuning.task import TuningTask
from mcls.tuning.trial_result import TrialResult


@dataclass(frozen=True)
class Tuned:
    """The result of `tune`.

    Parameters
    ----------
    path : Path
        The folder.
    recipe : mapping
        The recipe with the best values, without a table ``[tune]``.
    summary : dict
        JSON-like: the metric, the best values and their score, the score of the recipe as it was,
        the number of trials, on what they were judged, and notes.
    trials : list of TrialResult
        Every trial.
    """

    path: Path
    recipe: Recipe
    summary: dict[str, Any]
    trials: list[TrialResult] = field(default_factory=list)


@takes_urls(reads=("recipe", "source"), writes=("out",))
@takes_options
def tune(
    recipe: Recipe | Path | str,
    source: Path | str,
    out: Path | str,
    *,
    search: Search,
    overwrite: bool = False,
    on_trial: Callable[[TrialResult], None] | None = None,
) -> Tuned:
    """Search the values that a recipe leaves open, and write the recipe with the best ones.

    Parameters
    ----------
    recipe : mapping or path
        A recipe; what its table ``[tune]`` or ``space`` names is searched, see `mcls.tuning.space`.
        Options of the command in that table are for the command line and for `tune_fold`.
    source : path
        A store. Where settings of ``[extract]`` are searched it is a manifest or a folder of class
        folders, of which each setting's features are extracted once.
    out : path
        The folder to make. The same command again, also of another process at the same time, adds
        the trials that are missing.
    search : Search
        As keywords: ``space``, ``trials``, ``split``, ``seed`` and others.
    overwrite : bool
        Replace another search.
    on_trial : callable or None
        Called with each trial that is done (of this process, with ``jobs=1``).

    Returns
    -------
    Tuned

    Raises
    ------
    ConfigError
        If the space or another option is wrong, optuna is not installed, or `out` is something
        else.
    DataError
        If labels or parts cannot be used, or every trial failed.
    """
    need_optuna()
    started = time.monotonic()
    until = None if search.timeout is None else started + 60 * search.timeout
    given = recipe if isinstance(recipe, Mapping) else read_recipe(recipe)
    refuse_unknown_tables(given)
    _refuse_other_files(Path(out))
    task = TuningTask(given, Path(source), Path(out), search)
    task.claim(overwrite=overwrite)
    if search.jobs == 1:
        task.run(until, on_trial)
    else:
        left = None if until is None else until - time.monotonic()
        with Pool(search.jobs) as pool:
            work = [Task([number]) for number in range(search.jobs)]
            for _ in pool.map(partial(_work, given, Path(source), Path(out), search, left), work):
                pass
    study = task.study
    trials, best = study.results(), study.best()
    if best is None:
        why = next((one.why for one in trials if one.why), "there was no time for one")
        raise DataError(f"no trial of {len(trials)} is complete: {why}")
    summary = task.write()
    metric, minimize = task.metric, task.minimize
    write_plots(task.out, trials, study.importances(), metric=metric, minimize=minimize)
    return Tuned(task.out, task.with_values(best.values), summary, trials)


def _work(
    recipe: Recipe, source: Path, out: Path, search: Search, left: float | None, task: Task
) -> None:
    """Run trials in a process of its own."""
    until = None if left is None else time.monotonic() + left
    for _ in task.each():
        TuningTask(recipe, source, out, search).run(until, None)


def _refuse_other_files(out: Path) -> None:
    """Refuse a folder that holds anything but a search, which is begun or not."""
    if out.exists() and not out.is_dir():
        raise ConfigError(f"{out} is a file; expected a folder for the search")
    inside = {path.name for path in out.iterdir()} if out.exists() else set()
    others = sorted(name for name in inside if not is_workspace(name) and name != "features")
    if others and "about.json" not in others:
        raise ConfigError(
            f"{out} holds other files ({', '.join(others[:3])}); choose another folder"
        )
