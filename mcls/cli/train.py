"""``mcls train``: train a classifier or a net and write a run folder."""

import time
from pathlib import Path
from typing import Any

import click

from mcls.chain.options import Representation
from mcls.cli.messages import echo, echo_json, say
from mcls.cli.options import (
    FILE,
    OUT,
    SectionedCommand,
    json_option,
    options_from,
    origins,
    overwrite_option,
)
from mcls.cli.pools import first_of_processes
from mcls.cli.progress import EpochTable, done_line, progress_bar
from mcls.cli.recipe_defaults import check_features
from mcls.cli.tables import show_table
from mcls.cli.timelines import show_timelines
from mcls.data.options import Split
from mcls.errors import ConfigError
from mcls.stages.options import Model
from mcls.training.options import Training


@click.command(cls=SectionedCommand)
@click.argument("store", type=FILE)
@click.argument("run", type=OUT)
@options_from(Model)
@options_from(Split)
@options_from(Representation)
@options_from(Training)
@overwrite_option
@json_option
@click.pass_context
def command(ctx: click.Context, store: Path, run: Path, as_json: bool, **options: Any) -> None:
    """Train a classifier or a net and score valid and test.

    STORE holds the rows of the tracks. RUN becomes a folder with everything
    that `mcls predict` needs. A classifier learns from every row of a
    track, a net from segments of rows; the score of a track combines the
    scores of its rows or segments (--aggregate). A net keeps the epoch that
    is best on the valid part. --model average averages the scores of the
    runs named by --dict.

    The same command again leaves a finished run as it is, and continues a
    training that was interrupted. A net is trained on several devices with
    --devices, or under torchrun, also on several machines.

    \b
    Example:
      mcls train mfcc.h5 runs/stats --pool meanstd --model svm
      mcls train mfcc.h5 runs/vq --dict vq.h5 --pool histogram -p kernel=chi2
      mcls train mfcc.h5 runs/gmm --model gmm --split fold --fold 1
      mcls train mel.h5 runs/mlp --model mlp --epochs 30 --optimizer adam:lr=1e-4
      mcls train mel.h5 runs/fcn --model fcn4 -p width=0.1 --segment 3 --patience 10
      mcls train all.h5 runs/both --model average --dict runs/vq --dict runs/fcn
    """
    with first_of_processes(ctx) as n_processes:
        if n_processes > 1:
            if options["devices"] not in (1, n_processes):
                raise ConfigError(
                    f"--devices {options['devices']}: torchrun started {n_processes} processes; "
                    "leave --devices out"
                )
            options["devices"] = n_processes
        _train(ctx, store, run, as_json, options)


def _train(
    ctx: click.Context, store: Path, run: Path, as_json: bool, options: dict[str, Any]
) -> None:
    """Train, and show the epochs and the summary."""
    from mcls.stages.train import train

    started = time.monotonic()
    check_features(store)
    table = EpochTable()
    told: list[str] = []

    def tell(note: str) -> None:
        say(f"note: {note}")
        told.append(note)

    with progress_bar("train", unit="steps") as progress:
        trained = train(
            store,
            run,
            progress=progress,
            on_epoch=table,
            on_note=tell,
            origins=origins(ctx),
            **options,
        )
    if as_json:
        said = {"run": str(trained.path), "computed": trained.computed, **trained.summary}
        echo_json(said)
    else:
        show_summary(trained.path, trained.summary)
    if trained.computed:
        done_line(f"wrote {trained.path}", started)
    else:
        say(f"{trained.path} is up to date; nothing to do")
    for note in (one for one in trained.summary["notes"] if one not in told):
        say(note if note.startswith("hint: ") else f"note: {note}")


def show_summary(path: Path, summary: dict[str, Any]) -> None:
    """Print the model, the data, and the metrics of valid and test."""
    kind = "labels, several per track" if summary["multi_label"] else "labels"
    kind = "targets of a regression" if summary.get("regression") else kind
    echo(f"{path}: {summary['model']} on {summary['rows']} rows, {summary['n_labels']} {kind}")
    echo(summary["split"])
    if "training" in summary:
        about = summary["training"]
        echo(
            f"epoch {about['kept_epoch']} of {about['epochs']} is kept; "
            f"segments of {about['segment_rows']} rows, {about['parameters']} parameters"
        )
        found = {"batch_size": "--find-batch-size", "lr": "--find-lr"}
        for key, option in found.items():
            if key in about:
                echo(f"{option} found {about[key]:.4g}")
    if not summary["metrics"]:
        echo("there is no valid or test part, so no metrics were computed")
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
    timelines = {
        part: report["timelines"]
        for part, report in summary["metrics"].items()
        if "timelines" in report
    }
    if timelines:
        echo()
        show_timelines(timelines)


def figure(metric: dict[str, Any] | None) -> list[str]:
    """Return the main value of a metric and its interval as text."""
    found = metric[metric["headline"]] if metric else None
    if found is None:
        return ["n/a", ""]
    ends = "" if found["low"] is None else f"{found['low']:.3f} to {found['high']:.3f}"
    return [f"{found['value']:.3f}", ends]
