"""``mcls cv``: cross-validate a recipe, or run it once from train to test."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from mcls.cli.messages import echo, echo_json, say
from mcls.cli.options import (
    FILE,
    OUT,
    RecipeFile,
    json_option,
    options_from,
    origins,
    overwrite_option,
)
from mcls.cli.progress import done_line, progress_bar
from mcls.cli.recipe_defaults import checked_tables
from mcls.cli.tables import mean_and_sd, show_table
from mcls.cli.train import figure
from mcls.stages.options import Folds


@click.command()
@click.argument("recipe", type=RecipeFile())
@click.argument("store", type=FILE)
@click.argument("run", type=OUT)
@options_from(Folds)
@overwrite_option
@json_option
@click.pass_context
def command(
    ctx: click.Context, recipe: Path, store: Path, run: Path, as_json: bool, **options: Any
) -> None:
    """Cross-validate a recipe: run it once per fold.

    RECIPE is a TOML file, or the name of a recipe that comes with mcls (mcls
    list recipes); its tables [learn-dict], [encode] and [train] are run for
    every fold of STORE, with that fold as the test part. Nothing is learnt
    outside the fold's train part. RUN/fold-NAME become run folders,
    and RUN/predictions.csv has the scores of every track. The same command
    again runs the folds that are missing. With a column of parts (train,
    valid, test) the recipe is run once, into RUN/fold-test.

    A recipe with a table [tune] is tuned anew inside the train and valid
    part of each fold (see mcls tune); RUN/fold-NAME/tune says what this gave.

    With --seeds N each fold is trained with N seeds, into RUN/seed-0 and
    so on; mcls eval and compare then tell the spread between seeds from
    that between tracks.

    \b
    Example:
      mcls cv mfcc-triangle-svm mfcc.h5 runs/cv --split fold
      mcls cv my.toml mfcc.h5 runs/tonic --split tonic --labels stroke
      mcls cv my.toml mfcc.h5 runs/once --split split
      mcls cv cnn1d mel.h5 runs/cnn1d --split fold --seeds 5
    """
    from mcls.disk.recipe import read_recipe, space_of, table_of
    from mcls.recipes.cross_validate import cross_validate
    from mcls.tuning.nested import tune_fold

    started = time.monotonic()
    tables = read_recipe(recipe)
    checked_tables(ctx.find_root(), tables, recipe)
    said_by = origins(ctx)
    said_by |= _use_own_table(table_of(tables, "cv"), options, said_by, recipe)
    with progress_bar("cv") as progress:
        tuner = tune_fold if space_of(tables) else None
        made = cross_validate(
            tables, store, run, progress=progress, origins=said_by, tuner=tuner, **options
        )
    if as_json:
        echo_json(made.summary)
    else:
        _show(made.path, made.summary)
    for note in made.summary["notes"]:
        say(f"note: {note}")
    folds = "1 fold" if made.computed == 1 else f"{made.computed} folds"
    done_line(f"wrote {made.path}, {folds} computed", started)


def _use_own_table(
    table: Mapping[str, Any], options: dict[str, Any], said_by: dict[str, str], recipe: Path
) -> dict[str, str]:
    """Set options that were not given from the recipe's table [cv]; return those that were."""
    from mcls.disk.recipe import stage_arguments
    from mcls.recipes.cross_validate import cross_validate

    given = stage_arguments(table, cross_validate, where="cv")
    new = {key: value for key, value in given.items() if said_by.get(key) == "default"}
    options.update(new)
    return dict.fromkeys(new, f"recipe {recipe.name}")


def _show(path: Path, summary: dict[str, Any]) -> None:
    several = "seeds" if "seeds" in summary else "folds"
    parts, metrics = summary.get(several, {}), summary["metrics"]
    headline = {name: metrics[name]["headline"] for name in metrics}
    rows = []
    for name, report in parts.items():
        figures = [figure(report["metrics"][metric])[0] for metric in metrics]
        rows.append([name, str(report["n_tracks"]), *figures])
    if parts:
        across = summary[f"across_{several}"]
        spread = [mean_and_sd(across[metric][kind]) for metric, kind in headline.items()]
        rows.append(["mean ± sd", "", *spread])
    pooled = [" ".join(_pooled(figure(metrics[metric]))) for metric in metrics]
    last = {"seeds": "over tracks", "folds": "pooled" if parts else "test"}[several]
    rows.append([last, str(summary["n_tracks"]), *pooled])
    what = f"{len(parts)} {several}" if parts else "train to test"
    split = f", split id {summary['split_id']}" if summary["split_id"] else ""
    echo(f"{path}: {what}{split}")
    first = several.removesuffix("s") if parts else "part"
    show_table([first, "tracks", *(f"{name} ({kind})" for name, kind in headline.items())], rows)
    for fold, values in summary.get("tuned", {}).items():
        echo(f"{fold} tuned: " + ", ".join(f"{key} = {value}" for key, value in values.items()))


def _pooled(cells: list[str]) -> list[str]:
    return [cells[0], f"({cells[1]})"] if cells[1] else cells[:1]
