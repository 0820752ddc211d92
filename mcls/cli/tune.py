"""``mcls tune``: search the values that a recipe leaves open."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mcls.cli.messages import echo, echo_json, say
from mcls.cli.options import (
    FILE,
    OUT,
    RecipeFile,
    SectionedCommand,
    json_option,
    options_from,
    origins,
    overwrite_option,
)
from mcls.cli.progress import done_line, spell_seconds
from mcls.cli.recipe_defaults import checked_tables
from mcls.cli.tables import show_table
from mcls.tuning.options import Search

if TYPE_CHECKING:
    from mcls.tuning.trial_result import TrialResult
    from mcls.tuning.tune import Tuned

#: Trials that are shown; trials.csv has them all.
_SHOWN = 10


@click.command(cls=SectionedCommand)
@click.argument("recipe", type=RecipeFile())
@click.argument("store", type=FILE)
@click.argument("out", type=OUT)
@options_from(Search)
@overwrite_option
@json_option
@click.pass_context
def command(
    ctx: click.Context, recipe: Path, store: Path, out: Path, as_json: bool, **options: Any
) -> None:
    """Search the best values of a recipe.

    What is searched stands in the table [tune] of RECIPE, or in --space: a
    list of values, or a range such as "1e-5..1e-2 log", for any option or
    setting of [extract], [learn-dict], [encode] and [train]. Each trial
    learns on the train part and is judged on the valid part or, where there
    is none, on inner folds of the train part. The test part is not read.

    STORE is a store or, if settings of features are searched, a manifest or
    a folder of class folders. OUT/best.toml is the best recipe, for mcls cv;
    OUT/trials.csv has every trial. The same command again goes on where it
    was, or adds trials; several at once share the work. mcls cv of a recipe
    with [tune] searches anew inside the train part of every fold.

    \b
    Examples:
      mcls tune my.toml mfcc.h5 tuned --trials 40
      mcls tune my.toml mfcc.h5 tuned --space train.param.C=0.1..1000
      mcls tune my.toml mfcc.h5 tuned --split fold --fold 1 --timeout 60
      mcls tune my.toml tracks.csv tuned --space extract.feature.n_mels=40,80,128
    """
    from mcls.disk.recipe import read_recipe
    from mcls.tuning.nested import search_options
    from mcls.tuning.tune import tune

    started = time.monotonic()
    tables = read_recipe(recipe)
    checked_tables(ctx.find_root(), tables, recipe)
    given_by = origins(ctx)
    own = search_options(tables)
    options.update({key: own[key] for key in own if given_by.get(key) == "default"})
    tuned = tune(tables, store, out, on_trial=_say_trial, **options)
    if as_json:
        echo_json({"out": str(tuned.path), **tuned.summary})
    else:
        _show(tuned)
    for note in tuned.summary["notes"]:
        say(f"note: {note}")
    say(
        f"hint: the best of {len(tuned.trials)} trials looks too good on the tracks that chose it; "
        f"score test tracks with mcls cv {tuned.path / 'best.toml'}"
    )
    done_line(f"wrote {tuned.path / 'best.toml'}", started)


def _say_trial(trial: "TrialResult") -> None:
    """Print a line when a trial is done."""
    score = "" if trial.score is None else f" {trial.score:.4f}"
    why = f" ({trial.why})" if trial.why else ""
    seconds = "" if trial.seconds is None else f" in {spell_seconds(trial.seconds)}"
    say(f"trial {trial.number}: {trial.state}{why}{score}{seconds}  {_said(trial.values)}")


def _said(values: dict[str, Any]) -> str:
    return ", ".join(f"{key.split('.', 1)[1]}={value}" for key, value in values.items())


def _show(tuned: "Tuned") -> None:
    """Print the best trials, and what the best one changes."""
    from mcls.tuning.results import as_text

    summary = tuned.summary
    best = summary["score"]
    done = [one for one in tuned.trials if one.state == "complete" and one.score is not None]
    done.sort(key=lambda one: (abs((one.score or 0) - best), one.number))
    keys = list(summary["best"])
    rows = [
        [f"{one.score:.4f}", str(one.number), spell_seconds(one.seconds or 0.0)]
        + [as_text(one.values[key]) for key in keys]
        for one in done[:_SHOWN]
    ]
    show_table([summary["metric"], "trial", "time", *keys], rows, left=0)
    if len(done) > _SHOWN:
        echo(f"and {len(done) - _SHOWN} more in {tuned.path / 'trials.csv'}")
    echo(summary["tracks"])
    counts = ", ".join(f"{number} {state}" for state, number in summary["trials"].items())
    before = summary["score_as_it_stands"]
    stood = "" if before is None else f"; the recipe as it stands has {before:.4f}"
    echo(f"trials: {counts}; best {summary['metric']} {best:.4f}{stood}")
