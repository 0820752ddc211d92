"""``mcls recipe``: show and copy the recipes that come with mcls."""

import time
from pathlib import Path

import click

from mcls.cli.messages import echo
from mcls.cli.options import FILE, RecipeFile, overwrite_option
from mcls.cli.progress import done_line


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
def show(recipe: Path) -> None:
    """Print a recipe.

    \b
    Example:
      mcls recipe show fcn4
    """
    echo(*recipe.read_text(encoding="utf-8").splitlines())


@command.command()
@click.argument("recipe", type=RecipeFile())
@click.argument("out", type=FILE, required=False)
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
