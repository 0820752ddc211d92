"""``mcls learn-dict``: learn a dictionary from the train part."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from mcls.cli.messages import echo, echo_json, say
from mcls.cli.options import (
    FILE,
    OUT,
    SectionedCommand,
    json_option,
    options_from,
    overwrite_option,
)
from mcls.cli.pools import first_of_processes
from mcls.cli.progress import done_line, progress_bar
from mcls.cli.recipe_defaults import check_features
from mcls.data.options import Split
from mcls.dictionaries.options import Learning


def _accuracy(history: Sequence[Mapping[str, float]]) -> str:
    """Return a line with the share of rows whose label a dictionary finds; empty without labels."""
    last = history[-1] if history else {}
    parts = {"train": "accuracy", "valid": "valid_accuracy"}
    shown = [
        f"{100 * last[name]:.1f} % of the {part} rows"
        for part, name in parts.items()
        if name in last
    ]
    said = "the label of the lowest free energy is right for"
    return f"{said} {' and '.join(shown)}" if shown else ""


@click.command(cls=SectionedCommand)
@click.argument("store", type=FILE)
@click.argument("out", type=OUT)
@options_from(Learning)
@options_from(Split)
@overwrite_option
@json_option
@click.pass_context
def command(ctx: click.Context, store: Path, out: Path, as_json: bool, **options: Any) -> None:
    """Learn a dictionary from rows of the train part.

    STORE holds the rows of the tracks. OUT is the dictionary to write: the
    atoms, the preprocessing, and how the rows were computed from the audio.
    Only rows of the train part are read. Under torchrun, several processes
    or machines share the work.

    \b
    Example:
      mcls learn-dict mfcc.h5 vq.h5 --feature mfcc --method kmeans --size 256
      mcls learn-dict mel.h5 d.h5 --size 1024 --context 8 --whiten 0.9
      mcls learn-dict mel.h5 d.h5 --feature mel --context 8 --sampling onset
      mcls learn-dict mfcc.h5 vq1.h5 --split fold --fold 1
      mcls learn-dict mel.h5 dbn.h5 --method dbn -p up_down=20 --labels labels
    """
    with first_of_processes(ctx):
        _learn(store, out, as_json, options)


def _learn(store: Path, out: Path, as_json: bool, options: dict[str, Any]) -> None:
    """Learn the dictionary, and show what it is."""
    from mcls.stages.learn import learn_dict

    started = time.monotonic()
    check_features(store)
    with progress_bar(f"learn {out.name}", unit="batches") as progress:
        learnt = learn_dict(store, out, progress=progress, **options)
    report = learnt.report
    if as_json:
        echo_json({"path": str(out), "computed": learnt.computed, **report}, indent=None)
    else:
        echo(f"{report['n_atoms']} atoms of {report['n_dims']} dimensions ", nl=False)
        echo(f"from {report['rows']} rows of {report['tracks']} train tracks")
        echo(report["split"])
        if "inertia" in report:
            echo(f"mean squared distance {report['inertia']:.4g}")
        if "perplexity" in report:
            share = 100 * report["utilisation"]
            echo(f"{share:.1f} % of the atoms in use, perplexity {report['perplexity']:.1f}")
        if accuracy := _accuracy(report.get("history", ())):
            echo(accuracy)
    if learnt.computed:
        done_line(f"wrote {out}", started)
    else:
        say(f"{out} is up to date; nothing to do")
    for note in report.get("notes", []):
        say(f"note: {note}")
