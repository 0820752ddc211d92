"""``mcls train``: rows to a run folder."""

import json
import time
from pathlib import Path
from typing import Any

import click

from mcls.cli.messages import say
from mcls.cli.options import (
    FILE,
    Name,
    json_option,
    origins,
    overwrite_option,
    settings_option,
    split_options,
    training_options,
)
from mcls.cli.progress import EpochTable, done_line, progress_bar
from mcls.cli.tables import show_table


@click.command()
@click.argument("store", type=FILE)
@click.argument("run", type=FILE)
@click.option("--model", type=Name("classifiers", "nets"), default="svm", help="Classifier or net.")
@click.option("--feature", help="Which feature, if the store has several.")
@click.option(
    "--dict", "dicts", type=FILE, multiple=True, help="Encode with it, or with a run; repeatable."
)
@click.option("--encoder", type=Name("encoders", spec=True), help="How rows become codes.")
@click.option(
    "--pool", type=Name("poolers", spec=True), multiple=True, help="Pool rows; repeatable."
)
@settings_option("model")
@click.option(
    "--aggregate",
    type=click.Choice(["mean", "vote", "max"]),
    default="mean",
    help="From rows to a track's score.",
)
@split_options
@training_options
@overwrite_option
@json_option
@click.pass_context
def command(ctx: click.Context, store: Path, run: Path, as_json: bool, **options: Any) -> None:
    """Train a classifier or a net; score valid and test.

    The run folder holds all that `mcls predict` needs. Every row of a
    track is an example; the track's score is the mean over its rows.
    The same command again leaves the run as it is. --model average takes
    the mean of what the runs named by --dict say.

    Options from --segment on are for nets. A net learns from segments
    of tracks, and the epoch that is best on valid is kept. A training
    that was cut off goes on when the command is given again.

    \b
    Example:
      mcls train mfcc.h5 runs/stats --pool meanstd --model svm
      mcls train mfcc.h5 runs/vq --dict vq.h5 --pool histogram -p kernel=chi2
      mcls train mfcc.h5 runs/gmm --model gmm --split fold --fold 1
      mcls train mel.h5 runs/mlp --model mlp --epochs 30 --optimizer adam:lr=1e-4
      mcls train mel.h5 runs/fcn --model fcn4 -p width=0.1 --segment 3 --patience 10
      mcls train all.h5 runs/both --model average --dict runs/vq --dict runs/fcn
    """
    from mcls.stages.train import train

    started = time.monotonic()
    watch = EpochTable()
    with progress_bar("train", unit="") as progress:
        trained = train(
            store, run, progress=progress, on_epoch=watch, origins=origins(ctx), **options
        )
    if as_json:
        said = {"run": str(trained.path), "computed": trained.computed, **trained.summary}
        click.echo(json.dumps(said, indent=2, ensure_ascii=False))
    else:
        show_summary(trained.path, trained.summary)
    if trained.computed:
        done_line(f"wrote {trained.path}", started)
    else:
        say(f"{trained.path} was made by this command already")


def show_summary(path: Path, summary: dict[str, Any]) -> None:
    """Print what was trained on what, and the figures of valid and test."""
    kind = "labels, any number per track" if summary["multi_label"] else "labels"
    click.echo(
        f"{path}: {summary['model']} on {summary['rows']} rows, {summary['n_labels']} {kind}"
    )
    click.echo(summary["split"])
    if "training" in summary:
        about = summary["training"]
        click.echo(
            f"epoch {about['kept_epoch']} of {about['epochs']} is kept; "
            f"segments of {about['segment_rows']} rows, {about['parameters']} parameters"
        )
        found = {"batch_size": "--find-batch-size", "lr": "--find-lr"}
        for key, option in found.items():
            if key in about:
                click.echo(f"{option} found {about[key]:.4g}")
    for note in summary["notes"]:
        click.echo(f"note: {note}")
    if not summary["metrics"]:
        click.echo("no valid or test part: nothing is measured")
        return
    names = list(
        dict.fromkeys(n for report in summary["metrics"].values() for n in report["metrics"])
    )
    rows = []
    for part, report in summary["metrics"].items():
        row = [part, str(report["n_tracks"])]
        for name in names:
            row += figure(report["metrics"].get(name))
        rows.append(row)
    columns = ["part", "tracks"]
    for name in names:
        columns += [name, "95 %"]
    show_table(columns, rows)


def figure(metric: dict[str, Any] | None) -> list[str]:
    """Return a metric's headline figure and its interval as text."""
    found = metric[metric["headline"]] if metric else None
    if found is None:
        return ["n/a", ""]
    ends = "" if found["low"] is None else f"{found['low']:.3f} to {found['high']:.3f}"
    return [f"{found['value']:.3f}", ends]
