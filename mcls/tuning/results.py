"""The files of a search: the best recipe, the table of trials, and plots."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mcls.disk.recipe import Recipe, write_recipe
from mcls.disk.run import write_json
from mcls.disk.workspace import written_whole
from mcls.settings import canonical
from mcls.tables.csv_cells import safe_cell
from mcls.tuning.trial_result import TrialResult


def write_results(
    out: Path, recipe: Recipe | None, trials: Sequence[TrialResult], summary: Mapping[str, Any]
) -> None:
    """Write about.json, and best.toml and trials.csv once there is a trial."""
    if trials:
        with written_whole(out / "trials.csv") as path:
            _write_trials(path, trials)
    if recipe is not None:
        with written_whole(out / "best.toml") as path:
            write_recipe(path, recipe, _comment(summary))
    with written_whole(out / "about.json") as path:
        write_json(path, summary)


def write_plots(
    out: Path,
    trials: Sequence[TrialResult],
    importances: Mapping[str, float],
    *,
    metric: str,
    minimize: bool,
) -> None:
    """Plot the scores of the trials and, if it can be told, what they depend on."""
    from mcls.plots.page import save, style
    from mcls.plots.search import draw_history, draw_importances

    complete, pruned = (
        [(one.number, one.score) for one in trials if one.state == state and one.score is not None]
        for state in ("complete", "pruned")
    )
    with style():
        save(draw_history(complete, pruned, metric=metric, minimize=minimize), out / "history.png")
        if importances:
            save(draw_importances(importances, metric=metric), out / "importance.png")


def _write_trials(path: Path, trials: Sequence[TrialResult]) -> None:
    keys = list(trials[0].values)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["trial", "state", "score", "seconds", *keys, "why"])
        for one in trials:
            score = "" if one.score is None else f"{one.score:.6g}"
            seconds = "" if one.seconds is None else f"{one.seconds:.1f}"
            values = [as_text(one.values.get(key, "")) for key in keys]
            cells = map(safe_cell, [*values, one.why])
            writer.writerow([one.number, one.state, score, seconds, *cells])


def as_text(value: Any) -> str:
    """Write a value of a recipe in a table."""
    return value if isinstance(value, str) else canonical(value)


def _comment(summary: Mapping[str, Any]) -> str:
    """Say above the recipe where its values are from."""
    values = "\n".join(f"  {key} = {as_text(value)}" for key, value in summary["best"].items())
    n_trials = sum(summary["trials"].values())
    before = summary["score_as_it_stands"]
    said = "" if before is None else f"; the recipe as it stood had {before:.4f}"
    return (
        f"Trial {summary['trial']} of {n_trials} of mcls tune, {summary['metric']} "
        f"{summary['score']:.4f}{said}.\n{summary['tracks'][:1].upper()}{summary['tracks'][1:]}."
        f"\n{values}"
    )
