"""Write docs/cli.md from the help of every command. `make docs` runs it; a test compares.

Run it after changing a command's options or help.
"""

from collections.abc import Iterator
from pathlib import Path

import click

from mcls.cli.main import cli

PAGE = Path(__file__).with_name("cli.md")

_WIDTH = 88
_INTRO = """\
# Command line

Made from the commands' own help by `docs/make_cli_reference.py`.

Results go to stdout, progress and notes to stderr. Exit codes: 0 done, 1 failed, 2 wrong usage or
settings, 130 interrupted by Ctrl-C, 143 terminated by SIGTERM. An option's value comes from the
command line, else from the environment (`MCLS_TRAIN_MODEL=knn`), else from the recipe
(`mcls -c RECIPE train ...`), else it is the default.
"""


def commands(
    command: click.Command = cli, context: click.Context | None = None
) -> Iterator[tuple[click.Command, click.Context]]:
    """Yield every command with a context to ask it in, groups before their members."""
    name = "mcls" if context is None else command.name
    settings = {
        "help_option_names": ["-h", "--help"],
        "show_default": True,
        **command.context_settings,
        "terminal_width": _WIDTH,
        "max_content_width": _WIDTH,
    }
    inner = click.Context(command, info_name=name, parent=context, **settings)
    yield command, inner
    if isinstance(command, click.Group):
        for word in command.list_commands(inner):
            member = command.get_command(inner, word)
            assert member is not None
            member.name = word
            yield from commands(member, inner)


def render() -> str:
    """Return the page."""
    pieces = [_INTRO]
    for command, context in commands():
        pieces.append(f"## {context.command_path}\n\n```\n{command.get_help(context)}\n```\n")
    return "\n".join(pieces)


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
