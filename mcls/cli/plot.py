"""``mcls plot``: a dictionary, a store, a track, a run or a recipe to a picture."""

import time
from pathlib import Path
from typing import Any

import click

from mcls.cli.options import FILE, Name
from mcls.cli.progress import done_line


@click.command()
@click.argument("path", type=FILE)
@click.option(
    "-o", "--out", type=FILE, required=True, help="The picture: .png, .svg or .pdf; replaced."
)
@click.option(
    "--top",
    type=click.IntRange(min=1),
    help="Atoms, filters or labels shown, those of most use.",
    show_default=False,
)
@click.option(
    "--sort", type=click.Choice(["use", "frequency", "none"]), help="Order of atoms; else use."
)
@click.option(
    "--space",
    type=click.Choice(["raw", "standardized", "filter", "preprocessed"]),
    help="What atoms are brought back to.",
)
@click.option("--track", metavar="ID", help="Of a store: the track to show.")
@click.option("--feature", help="Of a store: the feature to show.")
@click.option("--dict", "dicts", type=FILE, multiple=True, help="Show the codes by it; repeatable.")
@click.option("--encoder", type=Name("encoders", spec=True), help="Default: the method's own.")
@click.option(
    "--pool", type=Name("poolers", spec=True), multiple=True, help="Pool so; repeatable, in order."
)
@click.option("--part", help="Of a run: the part; else test.")
@click.option("--filters", is_flag=True, help="Of a net: its first filters, in ms and Hz.")
@click.option("--saliency", metavar="TRACK", help="Of a net: what in a track a label is read from.")
@click.option("--taggram", metavar="TRACK", help="Of a run: labels over the time of a track.")
@click.option("--label", help="With --saliency: the label; else the likeliest.")
@click.option(
    "--how",
    type=click.Choice(["gradients", "grad-cam"]),
    help="With --saliency; else gradients.",
)
@click.option("--layer", metavar="NAME", help="With grad-cam: whose maps; else the last with any.")
@click.option(
    "--every",
    type=click.FloatRange(0, min_open=True),
    metavar="SECONDS",
    help="With --taggram: from score to score.",
)
@click.option("--store", type=FILE, help="Where TRACK is, if it is no audio file.")
def command(path: Path, out: Path, **options: Any) -> None:
    """Draw a dictionary, a store, a track, a run or a recipe.

    A dictionary: its atoms in the feature's own axes, their use, the
    learning curves. A store: labels, durations and features; with
    --track, its rows, codes and pooled vector. A run: the confusion
    matrix, or the AUC of each label; with --filters, --saliency or
    --taggram, what its model looks for: TRACK is an audio file or the
    id of a track of the store. A recipe: the learning rate over
    the epochs that its [train] will have.

    Atoms go back through whitening and scaling: to the feature's
    units (raw, where rows are frequencies), to standard deviations
    (standardized, elsewhere), to the weights put on a raw row (filter)
    or not at all (preprocessed).

    \b
    Examples:
      mcls plot atoms.h5 -o atoms.png --top 64 --sort frequency
      mcls plot mel.h5 -o x.pdf --track ID --dict d.h5 --pool max@1s --pool mean
      mcls plot runs/vq -o confusion.svg
      mcls plot runs/fcn4 -o filters.png --filters
      mcls plot runs/fcn4 -o why.png --saliency song.wav --label jazz
      mcls plot runs/fcn4 -o where.png --saliency song.wav --how grad-cam
      mcls plot runs/fcn4 -o when.png --taggram song.wav
      mcls plot fcn4.toml -o rate.png
    """
    from mcls.inspection.plot import plot

    started = time.monotonic()
    done = plot(path, out, **options)
    done_line(f"wrote {out}: {done.shows}", started)
