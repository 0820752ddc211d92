"""Options that several commands share, and where a value came from."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from mcls.errors import MclsError
from mcls.registry import entries, find

F = TypeVar("F", bound=Callable[..., Any])

FILE = click.Path(path_type=Path)

#: What we call the places click takes values from; any other is a default.
ORIGINS: dict[click.core.ParameterSource | None, str] = {
    click.core.ParameterSource.COMMANDLINE: "command line",
    click.core.ParameterSource.ENVIRONMENT: "environment",
    click.core.ParameterSource.DEFAULT_MAP: "recipe",
}


class Name(click.ParamType):
    """The name of a registered thing, with its settings where `spec` is true.

    The registry is read when a value is checked, not when the command is defined.
    """

    def __init__(self, family: str, *, spec: bool = False) -> None:
        self.family = family
        self.spec = spec
        self.name = family

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Check the name; what follows it is checked by the stage."""
        name = str(value)
        if self.spec:
            name = name.partition(":")[0].partition("=")[2] or name.partition(":")[0]
            name = name.partition("@")[0]
        try:
            find(self.family, name)
        except MclsError as error:
            self.fail(str(error), param, ctx)
        return str(value)

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        """Show the family in the singular."""
        return self.family.upper().removesuffix("S") if self.family != "dictionaries" else "METHOD"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[Any]:
        """Complete from the registry."""
        from click.shell_completion import CompletionItem

        names = [name for name in entries(self.family) if name.startswith(incomplete)]
        return [CompletionItem(name) for name in names]


def split_options(function: F) -> F:
    """Add ``--labels --split --fold --valid --group --seed``."""
    for option in (
        click.option("--seed", type=int, default=0, help="Of everything drawn."),
        click.option("--group", default="group", help="Column of what must not straddle parts."),
        click.option("--valid", type=float, default=0.1, help="With --fold: share drawn as valid."),
        click.option("--fold", help="Hold this fold out as test."),
        click.option("--split", default="split", help="Column of parts, or of folds."),
        click.option("--labels", default="labels", help="Column of labels."),
    ):
        function = option(function)
    return function


def settings_option(of: str) -> Callable[[F], F]:
    """Add ``-p key=value``, the settings of the command's main thing."""
    return click.option(
        "-p",
        "--param",
        "settings",
        multiple=True,
        metavar="KEY=VALUE",
        help=f"A setting of the {of}; repeatable.",
    )


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
overwrite_option = click.option(
    "--overwrite", is_flag=True, help="Replace what was made otherwise."
)


def origins(ctx: click.Context) -> dict[str, str]:
    """Return for every parameter where its value came from.

    Returns
    -------
    dict
        Name to ``command line``, ``environment``, ``recipe`` or ``default``.
    """
    return {
        name: ORIGINS.get(source, "default")
        for name in ctx.params
        if (source := ctx.get_parameter_source(name)) is not None
    }
