"""The score of a recipe on the tracks of a search: what a trial measures."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mcls.data.options import Split
from mcls.disk.recipe import Recipe
from mcls.disk.workspace import Workspace
from mcls.errors import DataError
from mcls.judging.evaluate import evaluate
from mcls.recipes.graph import FIXED, nodes_of
from mcls.recipes.run import run_recipe
from mcls.registry import find
from mcls.settings import split_spec
from mcls.stages.train_net import OnEpoch
from mcls.stores.store import Store
from mcls.training.options import Training

#: Called with a step and the score until then; raises if the trial is to end.
Report = Callable[[int, float], None]


@dataclass(frozen=True)
class Judge:
    """Runs recipes and returns their scores.

    Parameters
    ----------
    split : Split
        Labels, group and seed; the column of parts is one of `folds`.
    folds : list of dict of float to str
        See `mcls.tuning.inner_store.InnerParts`.
    metric : str
        The metric.
    by_epoch : bool
        Whether the epochs of the (first) training are reported, as of a net; otherwise the shares
        of the train tracks are.
    """

    split: Split
    folds: Sequence[dict[float, str]]
    metric: str
    by_epoch: bool

    def score(self, recipe: Recipe, store: Path, folder: Path, report: Report) -> float:
        """Return the mean score over the folds; runs are made in `folder`.

        Parameters
        ----------
        recipe : mapping
            A recipe without anything to tune.
        store : Path
            A store with the columns of the folds; what other trials can use is kept beside it.
        folder : Path
            An empty folder.
        report : callable
            Called with the share in percent, below 100, and the score there or, with `by_epoch`,
            with the epoch and the score at the epoch that is best until then.
        """
        *before, last = nodes_of(recipe)
        nodes = [*before, last.without(FIXED)]
        monitor = last.arguments.get("monitor", Training.monitor)
        opened = Store(store)
        for share in self.folds[0]:
            scores = []
            for number, columns in enumerate(self.folds):
                split = replace(self.split, split=columns[share], fold=None, valid=0.0)
                out = folder / columns[share]
                first_net = self.by_epoch and number == 0
                on_epoch = self._kept_until(report, monitor) if first_net else None
                shared = store.parent / "made"
                with Workspace(out) as work:
                    run_recipe(opened, work, nodes, split, on_epoch=on_epoch, shared=shared)
                scores.append(self._measured(out))
            mean = sum(scores) / len(scores)
            if share < 1:
                report(round(100 * share), mean)
        return mean

    def _measured(self, run: Path) -> float:
        main = evaluate(run, [self.metric], part="valid", intervals=False)[self.metric].main
        if main is None:
            raise DataError(f"{self.metric} cannot be computed on the tracks trials are judged on")
        return main.value

    def _kept_until(self, report: Report, monitor: str) -> OnEpoch:
        """Report the score at the epoch that would be kept if the training ended now."""
        sign = 1 if monitor == "loss" or lower_is_better(monitor) else -1
        seen: list[tuple[float, int, float]] = []

        def on_epoch(row: Mapping[str, float]) -> None:
            epoch, score = int(row["epoch"]), row.get(f"valid_{self.metric}")
            if score is not None:
                seen.append((sign * row[f"valid_{monitor}"], epoch, score))
                report(epoch, min(seen)[2])

        return on_epoch


def lower_is_better(metric: str) -> bool:
    """Return whether lower values of a metric are better."""
    return bool(find("metrics", split_spec(metric)[0]).facts.get("lower_is_better"))
