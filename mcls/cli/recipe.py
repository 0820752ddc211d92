"""``mcls recipe``: show and copy the recipes that come with mcls."""

import textwrap
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mcls.cli.messages import echo, echo_json
from mcls.cli.options import OUT, RecipeFile, json_option, overwrite_option
from mcls.cli.progress import done_line
from mcls.cli.tables import show_table

if TYPE_CHECKING:
    from mcls.disk.installed_recipes import AboutRecipe
    from mcls.recipes.dry_run import SizedTable
    from mcls.recipes.sizes import RowSize

#: Columns of the text of a table ``[about]``.
_WIDTH = 100


@click.group()
def command() -> None:
    """Show and copy the recipes that come with mcls.

    `mcls list recipes` lists them. A recipe holds the settings of a whole
    system; -c and mcls cv take its name.

    \b
    Example:
      mcls recipe show mfcc-vq-histogram
      mcls recipe copy mfcc-vq-histogram mine.toml
    """


@command.command()
@click.argument("recipe", type=RecipeFile())
@click.option("--toml", is_flag=True, help="Print the file of the recipe as it is.")
@click.option("--labels", type=click.IntRange(1), help="Number of labels (default: the paper's).")
@click.option(
    "--seconds",
    type=click.FloatRange(0, min_open=True),
    help="Length of a track in seconds (default: the paper's).",
)
@json_option
def show(
    recipe: Path, toml: bool, labels: int | None, seconds: float | None, as_json: bool
) -> None:
    """Say what a recipe is of, and size all of its tables.

    This is a dry run: every option is checked, and the rows, parameters and
    operations of each table are computed, without any audio. RECIPE may be a
    file of your own.

    \b
    Example:
      mcls recipe show fcn4-full
      mcls recipe show mine.toml --labels 15
      mcls recipe show fcn4 --toml
    """
    from mcls.disk.installed_recipes import about_recipe
    from mcls.disk.recipe import read_recipe, table_of
    from mcls.recipes.dry_run import dry_run

    if toml:
        echo(*recipe.read_text(encoding="utf-8").splitlines())
        return
    about, tables = about_recipe(recipe), read_recipe(recipe)
    n_labels, length = labels or about.labels or 10, seconds or about.seconds
    found = dry_run(tables, n_labels=n_labels, seconds=length)
    if as_json:
        echo_json({"about": asdict(about), "tables": [asdict(one) for one in found]})
        return
    _show_about(about)
    echo()
    columns = ["table", "what", "reads", "makes", "parameters", "MFLOP"]
    show_table(columns, map(_cells, found), left=4)
    excerpt = table_of(tables, "extract").get("excerpt")
    track = f"a track of {length:g} s" if excerpt is None else f"an excerpt of {excerpt} s"
    echo(
        "",
        f"Sizes are those of {track} and {n_labels} labels, MFLOP those of a segment.",
    )
    _show_training(found, about.tracks)


def _show_about(about: "AboutRecipe") -> None:
    """Print the table [about], a key per line."""
    echo(about.name, bold=True, nl=False)
    echo(f": {about.summary}" if about.summary else "")
    for key, value in asdict(about).items():
        if value and key not in ("name", "summary", "seconds"):
            head = f"{key}:".ljust(11)
            lines = textwrap.wrap(str(value), _WIDTH - len(head), break_on_hyphens=False)
            echo(head + lines[0], *(" " * len(head) + line for line in lines[1:]))


def _cells(table: "SizedTable") -> list[str]:
    """Return the line of a table of a recipe."""
    name = f"{table.command} {table.out}" if table.out else table.command
    reads = "audio" if table.command == "extract" else _spell(table.reads)
    if table.n_parameters is not None and table.reads is not None:
        reads = f"segments of {table.context} x {table.reads.n_dims}"
    elif table.context > 1:
        reads += f", {table.context} at once"
    counts = ["" if n is None else f"{n:,}" for n in (table.n_parameters,)]
    counts += ["" if table.flops is None else f"{table.flops / 1e6:,.1f}"]
    return [name, table.what, reads, _spell(table.makes), *counts]


def _spell(rows: "RowSize | None") -> str:
    """Write the rows of a track: ``1292 x 128, 43.1/s``."""
    if rows is None:
        return ""
    rate = "" if rows.rate is None else f", {rows.rate:.3g}/s"
    return f"{rows.n_rows} x {rows.n_dims}{rate}"


def _show_training(found: "list[SizedTable]", n_tracks: int) -> None:
    """Print the operations of the training of all nets."""
    spent = sum(one.training_flops for one in found)
    if spent:
        whole = (
            f", {spent * n_tracks / 1e15:,.3g} PFLOP for {n_tracks:,} tracks" if n_tracks else ""
        )
        echo(
            f"Training for all epochs takes {spent / 1e12:,.3g} TFLOP per train track{whole}, "
            "three times the pass forward."
        )


@command.command()
@click.argument("recipe", type=RecipeFile())
@click.argument("out", type=OUT, required=False)
@overwrite_option
def copy(recipe: Path, out: Path | None, overwrite: bool) -> None:
    """Copy a recipe to a file of your own, to change it.

    OUT is NAME.toml in this folder unless it is given.

    \b
    Example:
      mcls recipe copy fcn4
      mcls recipe copy fcn4 mine.toml
    """
    from mcls.disk.installed_recipes import copy_recipe

    started = time.monotonic()
    out = out or Path(recipe.name)
    copy_recipe(recipe, out, overwrite=overwrite)
    done_line(f"wrote {out}", started)
