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
    help="Atoms shown, the most used; else 100.",
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
def command(path: Path, out: Path, **options: Any) -> None:
    """Draw a dictionary, a store, a track, a run or a recipe.

    A dictionary: its atoms in the feature's own axes, their use, the
    learning curves. A store: labels, durations and features; with
    --track, its rows, codes and pooled vector. A run: the confusion
    matrix, or the AUC of each label. A recipe: the learning rate over
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
      mcls plot fcn4.toml -o rate.png
    """
    from mcls.stages.plot import plot

    started = time.monotonic()
    done = plot(path, out, **options)
    done_line(f"wrote {out}: {done.shows}", started)
