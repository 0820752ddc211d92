"""Messages on stderr; ``--quiet`` and ``--verbose`` decide how many are shown."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from mcls.errors import ConfigError, MclsError
from mcls.remote.places import spelled

if TYPE_CHECKING:
    from rich.console import Console

_LEVEL = "mcls.messages.level"
_CONSOLE = "mcls.messages.console"

QUIET, NORMAL, VERBOSE = -1, 0, 1

#: Characters that a terminal obeys instead of showing them, that break a line or turn its
#: direction, and the bytes of a file name that are not UTF-8.
_CONTROL = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def printable(text: str) -> str:
    r"""Return text with its control characters escaped, so that it is one line and only shown.

    Local copies of files at a URL are named by the URL.

    Names and labels come from strangers: without this they could colour or clear the terminal, set
    its title, or fake rows of a table.

    Examples
    --------
    >>> print(printable("a\x1b[2Jb\nc"))
    a\x1b[2Jb\nc
    """
    return _CONTROL.sub(lambda found: ascii(found[0])[1:-1], spelled(text))


def echo(*lines: str, err: bool = False, bold: bool = False, nl: bool = True) -> None:
    """Print lines on stdout or stderr, an empty one without any; see `printable`."""
    for line in lines or ("",):
        shown = printable(line)
        click.echo(click.style(shown, bold=True) if bold else shown, err=err, nl=nl)


def echo_json(value: Any, indent: int | None = 2) -> None:
    """Print JSON on stdout; what JSON leaves of control characters is escaped, too."""
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    escape = lambda found: found[0] if found[0] == "\n" else f"\\u{ord(found[0]):04x}"  # noqa: E731
    click.echo(_CONTROL.sub(escape, spelled(text)))


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
        echo(text, err=True)
    else:
        console.print(printable(text), markup=False, highlight=False, soft_wrap=True)


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
        echo(f"error: {self.message}", err=True)


def failure_of(error: MclsError) -> Failure:
    """Return what an error of mcls is to the command line; wrong settings are wrong usage."""
    return Failure(str(error), 2 if isinstance(error, ConfigError) else 1)
