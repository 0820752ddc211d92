"""Options that several commands share, and where a value came from."""

import os
from ast import literal_eval
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeVar

import click

from mcls.errors import MclsError
from mcls.options import Option, options_of
from mcls.registry import entries, find_in
from mcls.remote.outputs import destination
from mcls.remote.places import here
from mcls.remote.urls import plain, url_of

F = TypeVar("F", bound=Callable[..., Any])


class _Input(click.Path):
    """A file or folder to read; of a URL, a copy that stays until the command ends."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Return the local path."""
        held = ExitStack() if ctx is None else ctx.with_resource(ExitStack())
        return here(url_of(value) or Path(os.fsdecode(super().convert(value, param, ctx))), held)


class _Output(click.Path):
    """A file or folder to write; at a URL it is uploaded before the command ends."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Return the local path at which to make it."""
        url = url_of(value)
        if url is None or ctx is None:
            return plain(os.fsdecode(super().convert(value, param, ctx)))
        if int(os.environ.get("RANK", "0")) > 0:
            return Path(url)  # the first process of torchrun writes for all
        return ctx.with_resource(destination(url))


class _Audio(click.Path):
    """Audio, of which there may be any amount; that at a URL is copied when it is decoded."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Return the local path, or the URL as a path."""
        return plain(url_of(value) or value)


FILE = _Input(path_type=Path)
OUT = _Output(path_type=Path)
AUDIO = _Audio(path_type=Path)

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

    def __init__(self, *families: str, spec: bool = False) -> None:
        self.families = families
        self.spec = spec
        self.name = families[0]

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Check the name; what follows it is checked by the stage."""
        name = str(value)
        if self.spec:
            name = name.partition(":")[0].partition("=")[2] or name.partition(":")[0]
            name = name.partition("@")[0]
        try:
            find_in(self.families, name)
        except MclsError as error:
            self.fail(str(error), param, ctx)
        return str(value)

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        """Show the family in the singular."""
        shown = {
            "dictionaries": "METHOD",
            "losses": "LOSS",
            "segment-augmentations": "AUGMENTATION",
        }
        return "|".join(
            shown.get(family, family.upper().removesuffix("S")) for family in self.families
        )

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[Any]:
        """Complete from the registry."""
        from click.shell_completion import CompletionItem

        known = [name for family in self.families for name in entries(family)]
        names = [name for name in known if name.startswith(incomplete)]
        return [CompletionItem(name) for name in names]


class RecipeFile(click.ParamType):
    """A recipe: a TOML file, or the name of one that comes with mcls."""

    name = "recipe"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Return the path of the file."""
        from mcls.disk.installed_recipes import recipe_path

        try:
            return recipe_path(value)
        except MclsError as error:
            self.fail(str(error), param, ctx)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[Any]:
        """Complete names, or leave it to the shell to complete files."""
        from click.shell_completion import CompletionItem

        from mcls.disk.installed_recipes import recipe_names

        names = [name for name in recipe_names() if name.startswith(incomplete)]
        return [CompletionItem(name) for name in names] or [CompletionItem(incomplete, "file")]


#: What stands for a number in ``--help``.
_METAVARS = {"int": "N", "float": "NUMBER"}


class OrNone(click.ParamType):
    """A whole number, or the word that stands for None."""

    def __init__(self, word: str, name: str = "N") -> None:
        self.word = word
        self.name = name

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | None:
        """Check that the value is one of the two."""
        if value in (None, self.word):
            return None
        try:
            return int(value)
        except ValueError:
            self.fail(f"{value!r} is neither a whole number nor {self.word!r}", param, ctx)


class SectionedOption(click.Option):
    """An option that ``--help`` shows under a heading."""

    def __init__(self, *args: Any, section: str = "", **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.section = section


class SectionedCommand(click.Command):
    """A command whose options ``--help`` shows under their headings, the others under Output."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options section by section."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if isinstance(parameter, click.Option) and record is not None:
                section = getattr(parameter, "section", "") or "Output"
                sections.setdefault(section, []).append(record)
        for section in sorted(sections, key=lambda name: name == "Output"):
            with formatter.section(section):
                formatter.write_dl(sections[section])


def options_from(cls: type, *, short: Mapping[str, str] | None = None) -> Callable[[F], F]:
    """Add every option that a dataclass declares.

    Parameters
    ----------
    cls : type
        A dataclass of options; see `mcls.options`.
    short : mapping of str to str or None
        One-letter spellings of some options, by name.
    """
    letters = {"settings": "-p", **(short or {})}

    def add(function: F) -> F:
        for one in reversed(options_of(cls)):
            words = [f"--{one.word}"]
            if one.name in letters:
                words.insert(0, letters[one.name])
            yes_or_no = one.type.split(" | ")[0] == "bool"
            if yes_or_no and one.default is not False:
                words = [f"--{one.word}/--no-{one.word}"]
            facts: dict[str, Any] = {"type": _click_type(one), "help": one.help}
            if yes_or_no:
                facts |= {"is_flag": True, "type": None}
            elif one.several:
                facts["multiple"] = True
            if one.default != ():
                facts["default"] = one.default
            metavar = one.metavar or _METAVARS.get(one.type.split(" | ")[0])
            if metavar and not (one.none and not one.metavar):
                facts["metavar"] = metavar
            function = click.option(
                *words, one.name, cls=SectionedOption, section=one.section, **facts
            )(function)
        return function

    return add


def _click_type(one: Option) -> Any:
    """Return the type with which click checks and completes the values of an option."""
    if one.registry:
        return Name(*one.registry, spec=True)
    if one.path:
        return {"read": FILE, "audio": AUDIO, "written": OUT}[one.path]
    if one.none:
        return OrNone(one.none)
    kind = one.type.split(" | ")[0]
    if kind.startswith("Literal["):
        return click.Choice(list(literal_eval(kind.removeprefix("Literal"))))
    ends = {"min": one.min, "max": one.max, "min_open": one.min_open, "max_open": one.max_open}
    bounded = one.min is not None or one.max is not None
    if kind == "int":
        return click.IntRange(**ends) if bounded else int  # type: ignore[arg-type]
    if kind == "float":
        return click.FloatRange(**ends) if bounded else float  # type: ignore[arg-type]
    return str


def settings_option(of: str) -> Callable[[F], F]:
    """Add ``-p key=value``, the settings of the command's main thing."""
    return click.option(
        "-p",
        "--param",
        "settings",
        multiple=True,
        metavar="KEY=VALUE",
        help=f"Setting of the {of}; repeatable.",
    )


json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
overwrite_option = click.option(
    "--overwrite", is_flag=True, help="Replace an output made with other settings."
)
no_pack_option = click.option(
    "--no-pack", is_flag=True, help="Write a folder of shards instead of one file."
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
