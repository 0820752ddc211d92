"""Shared options, progress and where a value came from."""

import inspect
import sys
import time
from dataclasses import dataclass
from typing import Literal

import click
import pytest
from click.testing import CliRunner

from mcls.cli.messages import VERBOSE, set_level
from mcls.cli.options import (
    Name,
    SectionedCommand,
    json_option,
    options_from,
    origins,
    overwrite_option,
    settings_option,
)
from mcls.cli.progress import done_line, progress_bar, spell_seconds
from mcls.data.options import Split
from mcls.errors import ConfigError
from mcls.options import as_settings, build, option, options_of, takes_options


def invoke(command: click.Command, *words: str, **options):
    return CliRunner().invoke(command, list(words), **options)


def chooser(family: str, *, spec: bool = False) -> click.Command:
    @click.command()
    @click.option("--thing", type=Name(family, spec=spec))
    def command(thing: str | None) -> None:
        click.echo(thing)

    return command


def test_a_name_is_checked_against_the_registry() -> None:
    assert invoke(chooser("metrics"), "--thing", "auc").stdout == "auc\n"
    result = invoke(chooser("metrics"), "--thing", "acu")
    assert result.exit_code == 2
    assert "there is no 'acu' among the metrics; did you mean 'auc'?" in result.stderr


@pytest.mark.parametrize(
    ("family", "spec"),
    [
        ("features", "mfcc"),
        ("features", "mfcc:n_mfcc=13"),
        ("features", "fine=mel:n_fft=512"),
        ("poolers", "max@1s"),
        ("poolers", "max@5s/2.5s:norm=l2"),
    ],
)
def test_a_spec_may_carry_settings_windows_and_another_name(family: str, spec: str) -> None:
    assert invoke(chooser(family, spec=True), "--thing", spec).stdout == f"{spec}\n"


def test_the_name_in_a_spec_is_checked() -> None:
    assert invoke(chooser("features", spec=True), "--thing", "a=mfc:x=1").exit_code == 2


def test_names_are_completed() -> None:
    context = click.Context(chooser("metrics"))
    (option,) = context.command.params
    found = option.type.shell_complete(context, option, "prec")
    assert [item.value for item in found] == ["precision", "precision-at-k"]


def test_origins_say_where_each_value_came_from() -> None:
    found = {}

    @click.command()
    @click.argument("store")
    @options_from(Split)
    @settings_option("model")
    @overwrite_option
    @json_option
    @click.pass_context
    def command(ctx: click.Context, **options) -> None:
        found.update(origins(ctx), options=options)

    result = invoke(
        command, "a.h5", "--seed", "3", "-p", "C=1",
        env={"X_FOLD": "two"}, auto_envvar_prefix="X", default_map={"labels": "tags"},
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    options = found.pop("options")
    assert found == {
        "store": "command line",
        "seed": "command line",
        "settings": "command line",
        "fold": "environment",
        "labels": "recipe",
        "regression": "default",
        "split": "default",
        "group": "default",
        "valid": "default",
        "overwrite": "default",
        "as_json": "default",
    }
    assert (options["settings"], options["labels"], options["valid"]) == (("C=1",), "tags", 0.1)


@dataclass(frozen=True)
class Box:
    """Options of every kind."""

    width: int | None = option(3, "Width of the box.", section="Size", min=1, none="any")
    share: float = option(0.5, "Share that is full.", section="Size", min=0, max=1, max_open=True)
    kind: Literal["wood", "steel"] = option("wood", "Material of the box.", section="Kind")
    lid: bool = option(False, "Add a lid.")
    bottom: bool = option(True, "Add a bottom.")
    label: str | None = option(None, "Text on the box.", in_key=False)
    item: tuple[str, ...] = option((), "Item in the box; repeatable.", word="put")


@click.command(cls=SectionedCommand)
@click.argument("place")
@options_from(Box)
def pack(place: str, **given) -> None:
    """Pack a box."""
    click.echo(sorted(given.items()))


def test_the_command_line_is_made_from_the_declaration() -> None:
    words = "home --width any --share 0.25 --kind steel --lid --no-bottom --label none --put a"
    assert build(Box, {}) == Box()
    result = invoke(pack, *words.split())
    assert result.exit_code == 0, result.output
    assert result.stdout.strip() == str(
        [
            ("bottom", False),
            ("item", ("a",)),
            ("kind", "steel"),
            ("label", "none"),
            ("lid", True),
            ("share", 0.25),
            ("width", None),
        ]
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--width", "wide"], "'wide' is neither a whole number nor 'any'"),
        (["--share", "1"], "is not in the range"),
        (["--kind", "paper"], "is not one of"),
    ],
)
def test_the_command_line_refuses_what_the_declaration_does(words, message) -> None:
    result = invoke(pack, "home", *words)
    assert result.exit_code == 2
    assert message in result.stderr


def test_help_shows_the_sections_in_order_and_output_last() -> None:
    said = invoke(pack, "--help", show_default=True).stdout
    places = [said.index(f"\n{section}:\n") for section in ("Size", "Kind", "Output")]
    assert places == sorted(places)
    assert "Width of the box.  [default: 3]" in said
    assert said.index("Output:") < said.index("--lid") < said.index("--help")


def test_values_are_converted_and_all_that_is_wrong_is_named_at_once() -> None:
    made = build(Box, {"width": "4", "share": "0", "lid": "yes", "label": "none", "item": "a"})
    assert made == Box(4, 0.0, "wood", True, True, "none", ("a",))
    assert build(Box, {"width": "any"}).width is None
    with pytest.raises(ConfigError) as error:
        build(Box, {"width": 0, "share": float("nan"), "kind": "paper", "lit": True})
    assert str(error.value) == (
        "width=0; expected 1 or more; share=nan; expected 0 or more and below 1; "
        "kind=paper is not one of wood, steel; there is no option 'lit'; did you mean 'lid'?"
    )


def test_settings_are_named_as_in_a_recipe() -> None:
    settings = as_settings(Box(item=("a",)))
    assert settings["put"] == ["a"]
    assert list(as_settings(Box(), key_only=True)) == [k for k in settings if k != "label"]


def test_a_function_takes_the_options_as_keywords_or_as_they_are() -> None:
    @takes_options
    def pack_it(place: str, *, box: Box, overwrite: bool = False):
        return place, box, overwrite

    assert pack_it("home", width="4", overwrite=True) == ("home", Box(4), True)
    assert pack_it("home", box=Box(4)) == ("home", Box(4), False)
    names = ["place", "overwrite", *(one.name for one in options_of(Box))]
    assert list(inspect.signature(pack_it).parameters) == names
    with pytest.raises(ConfigError, match="pack_it has no option 'widths'; did you mean 'width'"):
        pack_it("home", widths=4)


def test_there_is_no_bar_where_there_is_no_terminal(capsys) -> None:
    with progress_bar("work") as progress:
        progress(1, 2, 30.0)
        progress(2, 2, 60.0)
    assert capsys.readouterr() == ("", "")


def test_verbose_progress_is_a_line_now_and_then(monkeypatch) -> None:
    monkeypatch.setattr("mcls.cli.progress._EVERY", 0.0)

    @click.command()
    @click.pass_context
    def command(ctx: click.Context) -> None:
        set_level(ctx, VERBOSE)
        with progress_bar("extract x.h5") as progress:
            progress(1, 2, 30.0)

    assert invoke(command).stderr == "extract x.h5: 1 of 2 tracks\n"


def test_on_a_terminal_a_bar_shows_rates_on_stderr(monkeypatch, capfd) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    with progress_bar("extract x.h5") as progress:
        for done in range(1, 5):
            progress(done, 4, 30.0 * done)
            time.sleep(0.15)
    out, err = capfd.readouterr()
    assert out == ""
    for word in ("extract x.h5", "4/4", "tracks/s", "x real time"):
        assert word in err


def test_the_last_line_says_what_and_how_long(capsys) -> None:
    done_line("wrote x.h5: 3 tracks", time.monotonic() - 75)
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "wrote x.h5: 3 tracks in 1 min 15 s\n"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.00 s"), (9.994, "9.99 s"), (59.94, "59.9 s"), (60, "1 min 00 s"),
     (3599.6, "1 h 00 min"), (3660, "1 h 01 min")],
)  # fmt: skip
def test_spell_seconds(seconds: float, text: str) -> None:
    assert spell_seconds(seconds) == text
