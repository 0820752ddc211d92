"""Tables on stdout, fitted to the terminal; without a terminal they are as wide as needed."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click

from mcls.cli.messages import echo, printable

#: Nothing is folded where there is no terminal to fit into.
_WIDE = 2000


def show_table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], *, title: str = "", left: int = 1
) -> None:
    """Print a table; the first `left` columns are text, the others are numbers."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for i, column in enumerate(columns):
        justify = "left" if i < left else "right"
        table.add_column(Text(printable(column)), justify=justify, overflow="fold")  # type: ignore[arg-type]
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    console = Console(width=None if sys.stdout.isatty() else _WIDE, highlight=False)
    with console.capture() as captured:
        console.print(table)
    if title:
        echo(title, bold=True)
    for line in captured.get().splitlines():
        click.echo(line.rstrip())  # the cells are escaped, the styles are not


def mean_and_sd(spread: Mapping[str, Any] | None) -> str:
    """Write the mean and the standard deviation over folds."""
    if spread is None:
        return "n/a"
    sd = "" if spread["sd"] is None else f" ± {spread['sd']:.3f}"
    return f"{spread['mean']:.3f}{sd}"
