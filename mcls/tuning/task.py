"""One search: what it decides before the first trial, its trials, and what it writes."""

from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from mcls.data.options import Split
from mcls.disk.recipe import Recipe
from mcls.disk.text_files import read_json
from mcls.disk.workspace import Workspace
from mcls.errors import ConfigError
from mcls.recipes.graph import nodes_of
from mcls.registry import entries, find, find_in
from mcls.settings import digest, resolve, split_spec
from mcls.stages.plan import MODELS
from mcls.training.options import Training
from mcls.tuning.features import SearchStores, starts_from_store
from mcls.tuning.inner_store import SHARES
from mcls.tuning.options import Search
from mcls.tuning.recipe_values import value_in, with_values
from mcls.tuning.results import write_results
from mcls.tuning.score import Judge, Report, lower_is_better
from mcls.tuning.space import read_space, values_of
from mcls.tuning.study import Study
from mcls.tuning.trial_result import TrialResult


class TuningTask:
    """A search: its space, its tracks and its study.

    Parameters
    ----------
    recipe : mapping
        The recipe with its table ``[tune]``.
    source : Path
        A store, or a manifest or folder of audio.
    out : Path
        The folder of the search.
    search : Search
        The options.
    """

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
        if tuned and starts_from_store(source):
            raise ConfigError(
                f"{tuned[0]} cannot be tuned on {source}, as a store has its features; name a "
                "manifest or a folder of audio in its place"
            )
        self.stores = SearchStores(
            source, out / "features", self.recipe, self.split, search.inner, shares
        )
        usual = self._usual_metrics()
        self.metric = search.metric or usual[0]
        resolve(find("metrics", split_spec(self.metric)[0]), split_spec(self.metric)[1])
        self.minimize = lower_is_better(self.metric)
        self.first, self.notes = self._own_values()
        self.notes = [*self.stores.notes, *self.notes]
        if self.pruner == "epochs" and self.metric not in (given.get("monitor"), *usual):
            self.notes.append(
                f"no trial is ended early, as {self.metric} is not measured after each epoch; "
                f"monitor = {self.metric!r} in [train] measures it"
            )
        space = [one.decides() for one in self.parameters]
        decides = [self.recipe, space, vars(self.split), self.metric, self.pruner]
        self.key = digest([*decides, self.stores.inner.id])
        self.n_epochs = int(given.get("epochs", Training.epochs))

    @cached_property
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

        def measure(values: Mapping[str, Any], folder: Path, report: Report) -> float:
            recipe = self.with_values(values)
            return judge.score(recipe, self.stores.of(recipe), folder, report)

        def done(trial: TrialResult) -> None:
            self.write()
            if on_trial is not None:
                on_trial(trial)

        self.study.run(measure, self.search.trials, first=self.first, until=until, on_trial=done)

    def write(self) -> dict[str, Any]:
        """Write the trials until now and the best recipe; return the summary."""
        trials, best = self.study.results(), self.study.best()
        states = [one.state for one in trials]
        failed = [one for one in trials if one.state == "failed"]
        own = None if self.first is None else values_of(self.parameters, self.first)
        as_it_stands = next(
            (one for one in trials if one.state == "complete" and one.values == own), None
        )
        notes = [*self.notes]
        if failed:
            notes.append(
                f"{len(failed)} trials failed, such as {failed[0].number}: {failed[0].why}"
            )
        if best is not None and best == as_it_stands:
            notes.append("no trial is better than the recipe as it stands")
        summary = {
            "key": self.key,
            "metric": self.metric,
            "best": {} if best is None else best.values,
            "score": None if best is None else best.score,
            "trial": None if best is None else best.number,
            "score_as_it_stands": None if as_it_stands is None else as_it_stands.score,
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
        """Return the metrics that `mcls eval` shows, which are measured after each epoch, too."""
        kind = "multi-label" if self.stores.inner.multi_label else "single-label"
        kind = "regression" if self.split.regression else kind
        return [one.name for one in entries("metrics").values() if kind in one.facts["default_for"]]


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
