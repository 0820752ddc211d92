"""Write docs/cli.md from the help of every command, and the option table of docs/training.md.

`make docs` runs it, and a test compares the pages. Run it after changing an option or its help.
"""

from collections.abc import Iterator
from pathlib import Path

import click

from mcls.cli.main import cli
from mcls.options import Option, options_of
from mcls.training.options import Training

PAGE = Path(__file__).with_name("cli.md")
TRAINING_PAGE = Path(__file__).with_name("training.md")

#: The lines between which the table of docs/training.md stands.
_BEGIN, _END = "<!-- options: made by docs/make_cli_reference.py -->", "<!-- end of options -->"

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


def render_training() -> str:
    """Return docs/training.md with its table of options made anew."""
    before, _, rest = TRAINING_PAGE.read_text(encoding="utf-8").partition(_BEGIN)
    _, _, after = rest.partition(_END)
    lines = ["| option | meaning | default | range |", "|---|---|---|---|"]
    section = ""
    for one in options_of(Training):
        if one.section != section:
            section = one.section
            lines.append(f"| **{section}** | | | |")
        lines.append(f"| `--{one.word}` | {one.help} | {_default(one)} | {one.range()} |")
    return "\n".join([before + _BEGIN, "", *lines, "", _END + after])


def _default(one: Option) -> str:
    if one.default in (None, ()):
        return ""
    return "no" if one.default is False else f"`{one.default}`"


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
    TRAINING_PAGE.write_text(render_training(), encoding="utf-8")
