"""Messages on stderr: how much of them is shown is what ``--quiet`` and ``--verbose`` decide."""

import click

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
