"""Messages on stderr; ``--quiet`` and ``--verbose`` decide how many are shown."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from mcls.errors import ConfigError, MclsError

if TYPE_CHECKING:
    from rich.console import Console

_LEVEL = "mcls.messages.level"
_CONSOLE = "mcls.messages.console"

QUIET, NORMAL, VERBOSE = -1, 0, 1


def set_level(ctx: click.Context, level: int) -> None:
    """Keep how much a command says; a context shares this with the contexts below it."""
    ctx.meta[_LEVEL] = level


def level() -> int:
    """Return ``QUIET``, ``NORMAL`` or ``VERBOSE``; normal outside of a command."""
    ctx = click.get_current_context(silent=True)
    return NORMAL if ctx is None else int(ctx.meta.get(_LEVEL, NORMAL))


def say(text: str) -> None:
    """Print a line on stderr unless ``--quiet`` was given. Errors are always printed."""
    if level() == QUIET:
        return
    ctx = click.get_current_context(silent=True)
    console = None if ctx is None else ctx.meta.get(_CONSOLE)
    if console is None:
        click.echo(text, err=True)
    else:
        console.print(text, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def lines_above(console: "Console") -> Iterator[None]:
    """Print lines above the progress bar that a console shows, as long as it shows it."""
    ctx = click.get_current_context(silent=True)
    meta = {} if ctx is None else ctx.meta
    meta[_CONSOLE] = console
    try:
        yield
    finally:
        del meta[_CONSOLE]


class Failure(click.ClickException):
    """A command that failed: one message on stderr and the exit code."""

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code  # type: ignore[misc]  # click declares it on the class

    def show(self, file: Any = None) -> None:
        """Print ``error: message`` on stderr."""
        click.echo(f"error: {self.message}", err=True)


def failure_of(error: MclsError) -> Failure:
    """Return what an error of mcls is to the command line; wrong settings are wrong usage."""
    return Failure(str(error), 2 if isinstance(error, ConfigError) else 1)
