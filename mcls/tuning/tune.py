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

from mcls.data.options import Split
from mcls.disk.recipe import Recipe, read_recipe, refuse_unknown_tables
from mcls.disk.text_files import read_json
from mcls.disk.workspace import Workspace, is_workspace
from mcls.errors import ConfigError, DataError
from mcls.options import takes_options
from mcls.parallel.pool import Pool, Task
from mcls.registry import entries, find, find_in
from mcls.settings import digest, resolve, split_spec
from mcls.stages.plan import MODELS
from mcls.stages.recipe_graph import nodes_of
from mcls.training.options import Training
from mcls.tuning.features import SearchStores, is_store
from mcls.tuning.inner_store import SHARES
from mcls.tuning.options import Search
from mcls.tuning.recipe_values import value_in, with_values
from mcls.tuning.results import write_plots, write_results
from mcls.tuning.score import Judge, Report, lower_is_better
from mcls.tuning.space import read_space
from mcls.tuning.study import Study, TrialResult


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
    started = time.monotonic()
    until = None if search.timeout is None else started + 60 * search.timeout
    given = recipe if isinstance(recipe, Mapping) else read_recipe(recipe)
    refuse_unknown_tables(given)
    _refuse_other_files(Path(out))
    task = _Search(given, Path(source), Path(out), search)
    task.claim(overwrite=overwrite)
    if search.jobs == 1:
        task.run(until, on_trial)
    else:
        left = None if until is None else until - time.monotonic()
        with Pool(search.jobs) as pool:
            work = [Task([number]) for number in range(search.jobs)]
            for _ in pool.map(partial(_work, given, Path(source), Path(out), search, left), work):
                pass
    return task.finish()


def _work(
    recipe: Recipe, source: Path, out: Path, search: Search, left: float | None, task: Task
) -> None:
    """Run trials in a process of its own."""
    until = None if left is None else time.monotonic() + left
    for _ in task.each():
        _Search(recipe, source, out, search).run(until, None)


class _Search:
    """A search: its space, its tracks and its study."""

    def __init__(self, recipe: Recipe, source: Path, out: Path, search: Search) -> None:
        self.recipe = {name: table for name, table in recipe.items() if name != "tune"}
        self.out, self.search = out, search
        self.parameters = read_space(recipe, search.space)
        given = nodes_of(self.recipe)[-1].arguments
        self.split = _split_of(search, given)
        net = find_in(MODELS, given.get("model", "svm")).family == "nets"
        self.pruner = ("epochs" if net else "shares") if search.pruning else "none"
        shares = tuple(SHARES) if self.pruner == "shares" else (1.0,)
        tuned = [one.key for one in self.parameters if one.place.command == "extract"]
        if tuned and is_store(source):
            raise ConfigError(
                f"{tuned[0]} cannot be tuned on {source}, as a store has its features; name a "
                "manifest or a folder of audio in its place"
            )
        self.stores = SearchStores(
            source, out / "features", self.recipe, self.split, search.inner, shares
        )
        self.metric = search.metric or self._usual_metric()
        resolve(find("metrics", split_spec(self.metric)[0]), split_spec(self.metric)[1])
        self.minimize = lower_is_better(self.metric)
        self.first, self.notes = self._own_values()
        self.notes = [*self.stores.notes, *self.notes]
        if self.pruner == "epochs" and self.metric not in (
            given.get("monitor"),
            *self._usual_metrics(),
        ):
            self.notes.append(
                f"no trial is ended early, as {self.metric} is not measured after each epoch; "
                f"monitor = {self.metric!r} in [train] measures it"
            )
        decides = [self.recipe, [repr(one) for one in self.parameters], vars(self.split)]
        self.key = digest([*decides, self.metric, self.pruner, self.stores.inner.id])
        self.n_epochs = int(given.get("epochs", Training.epochs))

    def study(self) -> Study:
        """Open the database of the trials."""
        url = self.search.storage or f"sqlite:///{self.out.absolute() / 'study.db'}"
        return Study(
            url,
            f"mcls-{self.key}",
            self.parameters,
            self.out / "trials",
            minimize=self.minimize,
            pruner=self.pruner,
            n_epochs=self.n_epochs,
            seed=self.split.seed,
        )

    def claim(self, *, overwrite: bool) -> None:
        """Make the folder, or check that the one that is there is of the same search."""
        mark = self.out / "about.json"
        with Workspace(self.out, wait=True) as work:
            if mark.is_file() and read_json(mark).get("key") != self.key:
                if not overwrite:
                    raise ConfigError(
                        f"{self.out} holds another search (of another recipe, space, metric or of "
                        "other tracks); choose another folder, or pass --overwrite to replace it"
                    )
                work.remove_output()
            self.out.mkdir(parents=True, exist_ok=True)
            if not mark.is_file():
                write_results(self.out, None, [], {"key": self.key})

    def run(self, until: float | None, on_trial: Callable[[TrialResult], None] | None) -> None:
        """Run trials until there are enough; the results are written after each."""
        judge = Judge(self.split, self.stores.inner.folds, self.metric, self.pruner == "epochs")
        study = self.study()

        def measure(values: Mapping[str, Any], folder: Path, report: Report) -> float:
            recipe = self.with_values(values)
            return judge.score(recipe, self.stores.of(recipe), folder, report)

        def done(trial: TrialResult) -> None:
            self.write(study)
            if on_trial is not None:
                on_trial(trial)

        study.run(measure, self.search.trials, first=self.first, until=until, on_trial=done)

    def finish(self) -> Tuned:
        """Write everything and return the result."""
        study = self.study()
        trials, best = study.results(), study.best()
        if best is None:
            why = next((one.why for one in trials if one.why), "there was no time for one")
            raise DataError(f"no trial of {len(trials)} is complete: {why}")
        summary = self.write(study)
        write_plots(
            self.out, trials, study.importances(), metric=self.metric, minimize=self.minimize
        )
        return Tuned(self.out, self.with_values(best.values), summary, trials)

    def write(self, study: Study) -> dict[str, Any]:
        """Write the trials until now and the best recipe; return the summary."""
        trials, best = study.results(), study.best()
        states = [one.state for one in trials]
        failed = [one for one in trials if one.state == "failed"]
        notes = [*self.notes]
        if failed:
            one = failed[0]
            notes.append(f"{len(failed)} trials failed, such as {one.number}: {one.why}")
        if best is not None and best.number == 0 and self.first is not None:
            notes.append("no trial is better than the recipe as it stands")
        own = next((one.score for one in trials if one.number == 0 and self.first), None)
        summary = {
            "key": self.key,
            "metric": self.metric,
            "best": {} if best is None else best.values,
            "score": None if best is None else best.score,
            "trial": None if best is None else best.number,
            "score_as_it_stands": own,
            "trials": {state: states.count(state) for state in sorted(set(states))},
            "tracks": self.stores.inner.description,
            "notes": notes,
        }
        recipe = None if best is None else self.with_values(best.values)
        with Workspace(self.out, wait=True):
            write_results(self.out, recipe, trials, summary)
        return summary

    def with_values(self, values: Mapping[str, Any]) -> Recipe:
        """Return the recipe with values of the space."""
        return with_values(self.recipe, [(one.place, values[one.key]) for one in self.parameters])

    def _own_values(self) -> tuple[dict[str, Any] | None, list[str]]:
        """Return what is drawn for the recipe as it stands; None, and why, if it is not there."""
        first = {}
        for one in self.parameters:
            value = value_in(self.recipe, one.place)
            first[one.key] = one.drawn(value)
            if first[one.key] is None:
                return None, [
                    f"the recipe as it stands is no trial: its {one.key} = {value} is not in the "
                    "space"
                ]
        return first, []

    def _usual_metrics(self) -> list[str]:
        kind = "multi-label" if self.stores.inner.multi_label else "single-label"
        kind = "regression" if self.split.regression else kind
        return [one.name for one in entries("metrics").values() if kind in one.facts["default_for"]]

    def _usual_metric(self) -> str:
        return self._usual_metrics()[0]


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


def _split_of(search: Search, given: Mapping[str, Any]) -> Split:
    """Return the split of a search; the last table [train] may name columns."""
    return Split(
        labels=search.labels or given.get("labels", "labels"),
        regression=given.get("regression", False),
        split=search.split,
        fold=search.fold,
        valid=search.valid,
        group=search.group or given.get("group", "group"),
        seed=search.seed,
    )
