"""The tables of a recipe as defaults of the commands' options."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mcls.cli.messages import failure_of
from mcls.errors import MclsError, suggest

if TYPE_CHECKING:
    from mcls.disk.recipe import Recipe

#: Where the context keeps the commands of which the recipe has several tables.
_SEVERAL = "mcls.recipe.several"

#: Where the context keeps what the recipe leaves to be tuned.
_TUNED = "mcls.recipe.tuned"


def use_recipe(ctx: click.Context, _: click.Parameter, path: Path | None) -> Path | None:
    """Make a recipe's tables the defaults of the commands they are named after."""
    if path is not None:
        from mcls.disk.recipe import read_recipe, space_of

        try:
            recipe = read_recipe(path)
        except MclsError as error:
            raise failure_of(error) from error
        found = checked_tables(ctx, recipe, path)
        ctx.default_map = {name: one[0] for name, one in found.items() if len(one) == 1}
        ctx.meta[_TUNED] = list(space_of(recipe))
        ctx.meta[_SEVERAL] = {name: len(many) for name, many in found.items() if len(many) > 1}
    return path


def checked_tables(
    ctx: click.Context, recipe: "Recipe", path: Path
) -> dict[str, list[dict[str, Any]]]:
    """Return all tables of a recipe by command and click's parameter names; refuse wrong ones."""
    from mcls.disk.recipe import tables_of

    return {
        name: [defaults_of(ctx, name, table, path) for table in tables_of(recipe, name)]
        for name in recipe
    }


def defaults_of(
    ctx: click.Context, name: str, table: Mapping[str, Any], path: Path
) -> dict[str, Any]:
    """Return a table of a recipe by click's parameter names, without what is no option there."""
    from mcls.disk.recipe import NAMES, SEVERAL

    ignored = NAMES if name in SEVERAL else ()
    group = ctx.command
    assert isinstance(group, click.Group)
    command = group.get_command(ctx, name)
    if command is None:
        hint = suggest(name, group.list_commands(ctx))
        raise click.UsageError(f"{path}: there is no command {name!r}; {hint}", ctx)
    known: dict[str, click.Option] = {}
    for parameter in command.params:
        if isinstance(parameter, click.Option) and parameter.name:
            for text in (*parameter.opts, *parameter.secondary_opts):
                known[text.lstrip("-")] = parameter
    defaults = {}
    for key, value in table.items():
        word = key.replace("_", "-")
        if word in ignored or (name == "tune" and "." in key):
            continue
        if word not in known:
            hint = suggest(word, [text for text in known if len(text) > 1])
            raise click.UsageError(f"{path}: [{name}] has no option {key!r}; {hint}", ctx)
        option = known[word]
        assert option.name is not None
        if option.multiple and not isinstance(value, list):
            value = [value]
        if isinstance(value, list) and not option.multiple and option.nargs == 1:
            message = f"{path}: [{name}] {key} is a list; expected one value"
            raise click.UsageError(message, ctx)
        defaults[option.name] = value
    return defaults


def check_features(store: Path) -> None:
    """Refuse a store whose features are not those of the recipe given with ``--config``."""
    asked = (click.get_current_context().find_root().default_map or {}).get("extract")
    if asked:
        from mcls.recipes.features import refuse_other_features
        from mcls.stores.store import Store

        refuse_other_features(asked, Store(store))


def refuse_several_tables(ctx: click.Context, name: str) -> None:
    """Refuse a command of which the recipe has several tables; `mcls cv` runs them all."""
    several = ctx.meta.get(_SEVERAL, {}).get(name)
    if several:
        raise click.UsageError(
            f"the recipe has {several} tables [[{name}]], but `mcls {name}` takes the options of "
            "one; `mcls cv RECIPE STORE RUN` runs them all",
            ctx,
        )


def refuse_tuned(ctx: click.Context, name: str) -> None:
    """Refuse a command whose options the recipe leaves to be tuned."""
    keys = [key for key in ctx.meta.get(_TUNED, ()) if key.split(".")[0].replace("_", "-") == name]
    if keys:
        raise click.UsageError(
            f"the recipe leaves {', '.join(keys)} to be tuned; `mcls tune RECIPE STORE OUT` writes "
            "OUT/best.toml with a value for each, and `mcls cv` tunes inside every fold",
            ctx,
        )
