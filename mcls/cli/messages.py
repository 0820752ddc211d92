"""Messages on stderr; ``--quiet`` and ``--verbose`` decide how many are shown."""

from typing import Any

import click

from mcls.errors import ConfigError, MclsError

_LEVEL = "mcls.messages.level"

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
    if level() > QUIET:
        click.echo(text, err=True)


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
