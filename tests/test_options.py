"""Shared options, progress and where a value came from."""

import sys
import time

import click
import pytest
from click.testing import CliRunner

from mcls.cli.options import (
    Name,
    json_option,
    origins,
    overwrite_option,
    settings_option,
    split_options,
)
from mcls.cli.progress import done_line, progress_bar, spell_seconds


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
    @split_options
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
        "split": "default",
        "group": "default",
        "valid": "default",
        "overwrite": "default",
        "as_json": "default",
    }
    assert (options["settings"], options["labels"], options["valid"]) == (("C=1",), "tags", 0.1)


def test_there_is_no_bar_where_there_is_no_terminal(capsys) -> None:
    with progress_bar("work") as progress:
        progress(1, 2, 30.0)
        progress(2, 2, 60.0)
    assert capsys.readouterr() == ("", "")


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
