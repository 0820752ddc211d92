"""Tables on stdout: boxes and colour on a terminal, plain text that fits no width elsewhere."""

import sys
from collections.abc import Iterable, Sequence

import click

#: Wide enough that nothing is folded where there is no terminal to fit into.
_WIDE = 200


def show_table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], *, title: str = "", left: int = 1
) -> None:
    """Print a table; the first `left` columns are text, the others figures."""
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    if title:
        click.echo(click.style(title, bold=True))
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for i, column in enumerate(columns):
        table.add_column(escape(column), justify="left" if i < left else "right", overflow="fold")
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    Console(width=None if sys.stdout.isatty() else _WIDE, highlight=False).print(table)
