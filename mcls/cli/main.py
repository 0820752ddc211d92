"""The command ``mcls``: finds the commands, reads the recipe, turns errors into exit codes.

A command is a module of this folder with a click command named ``command``; ``learn_dict.py`` is
``mcls learn-dict``, and ``import_.py``, whose name Python keeps for itself, ``mcls import``. Exit
codes: 0 done, 1 failed, 2 wrong usage or settings, 130 interrupted by Ctrl-C, 143 terminated by
SIGTERM.
"""

import os
import re
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from keyword import iskeyword
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import click

from mcls import __version__
from mcls.cli.messages import (
    NORMAL,
    QUIET,
    VERBOSE,
    Failure,
    echo,
    failure_of,
    level,
    printable,
    set_level,
)
from mcls.cli.options import ORIGINS, RecipeFile
from mcls.cli.recipe_defaults import refuse_several_tables, refuse_tuned, use_recipe
from mcls.errors import MclsError, suggest

#: The order of ``mcls --help``. A command that is not named here comes last.
SECTIONS = {
    "Pipeline": [
        "data",
        "extract",
        "import",
        "store",
        "learn-dict",
        "encode",
        "train",
        "cv",
        "tune",
        "predict",
        "serve",
        "eval",
        "compare",
        "report",
        "export",
    ],
    "Inspect": ["info", "plot", "explain", "list", "recipe", "bench", "demo"],
}


#: Modules of this folder that are no commands.
_HELPERS = {
    *("--init", "chapter", "data-audit", "main", "messages", "options", "perturbed", "progress"),
    *("recipe-defaults", "errors-table", "pools", "tables", "timelines"),
}


#: What ends a command when memory is exhausted.
_OUT_OF_MEMORY = (
    "not enough memory; close other programs, raise the limit (ulimit -v), or use smaller "
    "settings: --batch-size, --crops or layers of a net, --size or --rows of a dictionary, --jobs"
)


class Terminated(KeyboardInterrupt):
    """SIGTERM, which ends a command as cleanly as Ctrl-C does."""


@contextmanager
def _sigterm_raises() -> Iterator[None]:
    """Raise `Terminated` in the main thread when SIGTERM arrives; forked children just end."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    process = os.getpid()

    def terminate(number: int, frame: FrameType | None) -> None:
        if os.getpid() != process:
            os._exit(128 + number)
        raise Terminated

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class Commands(click.Group):
    """A group whose commands are the modules of this folder."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order of the sections."""
        modules = Path(__file__).parent.glob("*.py")
        found = {path.stem.replace("_", "-").rstrip("-") for path in modules} - _HELPERS
        ordered = [name for names in SECTIONS.values() for name in names if name in found]
        return ordered + sorted(found - set(ordered))

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Import a command."""
        if name not in self.list_commands(ctx):
            return None
        module = name.replace("-", "_") + ("_" if iskeyword(name) else "")
        return import_module(f"mcls.cli.{module}").command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command of a command line; an unknown one is an error with a suggestion."""
        name = args[0]
        if name not in self.list_commands(ctx):
            hint = suggest(name, self.list_commands(ctx))
            raise click.UsageError(f"There is no command {name!r}; {hint}", ctx)
        refuse_several_tables(ctx, name)
        refuse_tuned(ctx, name)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands in sections."""
        left = self.list_commands(ctx)
        width = max(map(len, left), default=0)
        for section, names in {**SECTIONS, "More": left}.items():
            rows = []
            for name in [name for name in names if name in left]:
                command = self.get_command(ctx, name)
                left = [other for other in left if other != name]
                if command is not None:
                    rows.append((name.ljust(width), command.get_short_help_str(60)))
            if rows:
                with formatter.section(section):
                    formatter.write_dl(rows)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command and turn what can go wrong into a message and an exit code."""
        try:
            with _sigterm_raises():
                return super().invoke(ctx)
        except MclsError as error:
            if level() == VERBOSE:
                traceback.print_exc()
            raise failure_of(error) from error
        except click.BadParameter as error:
            raise _shown(_with_origin(error)) from error
        except click.ClickException as error:
            raise _shown(error) from error
        except BrokenPipeError:
            raise  # click knows: whoever read our output has gone, nobody wants to hear of it
        except OSError as error:
            what = error.strerror or str(error)
            raise Failure(f"{error.filename}: {what}" if error.filename else what) from error
        except (MemoryError, RuntimeError) as error:
            if not _is_out_of_memory(error):
                raise
            raise Failure(_OUT_OF_MEMORY) from error
        except KeyboardInterrupt as error:
            terminated = isinstance(error, Terminated)
            what = "terminated" if terminated else "interrupted"
            echo(f"{what}; run the same command again to continue where it stopped", err=True)
            ctx.exit(143 if terminated else 130)


def _is_out_of_memory(error: Exception) -> bool:
    """Return whether memory was exhausted; torch says so in a RuntimeError of many words."""
    return isinstance(error, MemoryError) or bool(
        re.search("can't allocate memory|out of memory|can't start new thread", str(error))
    )


def _shown(error: click.ClickException) -> click.ClickException:
    """Escape the control characters of a message of click, which may have several lines."""
    shown = "\n".join(map(printable, error.message.split("\n")))
    error.message = shown  # type: ignore[misc]  # click declares it final
    return error


def _with_origin(error: click.BadParameter) -> click.BadParameter:
    """Say where a bad value came from, if the user did not just type it."""
    if error.ctx is None or error.param is None or error.param.name is None:
        return error
    origin = ORIGINS.get(error.ctx.get_parameter_source(error.param.name), "")
    if origin not in ("recipe", "environment"):
        return error
    return click.BadParameter(f"{error.message} (from the {origin})", error.ctx, error.param)


@click.command(
    cls=Commands,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "auto_envvar_prefix": "MCLS",
        "max_content_width": 100,
        "show_default": True,
    },
)
@click.option(
    "-c",
    "--config",
    type=RecipeFile(),
    metavar="RECIPE",
    callback=use_recipe,
    is_eager=True,
    expose_value=False,
    help="Take the defaults of options from this recipe.",
)
@click.option("-v", "--verbose", is_flag=True, help="Show more progress and tracebacks of errors.")
@click.option("-q", "--quiet", is_flag=True, help="Show no progress and no messages but errors.")
@click.version_option(__version__, prog_name="mcls", help="Show the version and exit.")
@click.help_option("-h", "--help", help="Show this message and exit.")
@click.pass_context
def cli(ctx: click.Context, verbose: bool, quiet: bool) -> None:
    """Classify music, with K-means or with deep nets.

    Features of audio files are stored as rows, rows may be encoded with
    learnt dictionaries, and a classifier or a net turns rows into scores.

    \b
    Example:
      mcls extract FOLDER mfcc.h5 --feature mfcc --jobs 2
      mcls learn-dict mfcc.h5 vq.h5 --method kmeans --size 256
      mcls train mfcc.h5 runs/vq --dict vq.h5 --pool histogram
      mcls eval runs/vq --metric auc
    """
    if verbose and quiet:
        raise click.UsageError("--verbose and --quiet exclude each other; give one of them")
    set_level(ctx, VERBOSE if verbose else QUIET if quiet else NORMAL)


def main() -> NoReturn:
    """Run the command line."""
    sys.exit(cli(prog_name="mcls"))
