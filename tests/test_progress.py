"""Progress on a terminal: lines of an epoch fit its width and stand above the bar."""

import io
import sys

import click
import pytest
from click.testing import CliRunner

from mcls.cli import progress
from mcls.cli.progress import EpochTable, progress_bar

ROW = {
    "epoch": 1,
    "train_loss": 2.5,
    "valid_loss": 2.25,
    "lr": 0.001,
    "valid_average-precision": 0.5,
    "valid_auc": 0.625,
    "valid_precision-at-k": 0.75,
    "grad_conv1": 3.0,
    "seconds": 12.3456,
}


class Terminal(io.StringIO):
    def isatty(self):
        return True


def table_lines(row) -> list[str]:
    @click.command()
    def command():
        table = EpochTable()
        table(row)
        table(row)

    return CliRunner().invoke(command).stderr.splitlines()


def test_elsewhere_all_metrics_are_shown():
    names, first, second = table_lines(ROW)
    assert names.split() == [
        *["epoch", "train", "loss", "valid", "loss"],
        *["average-precision", "auc", "precision-at-k", "lr", "seconds"],
    ]
    assert first == second
    assert first.split() == ["1", "2.5000", "2.2500", "0.5000", "0.6250", "0.7500", "0.001", "12.3"]
    assert len(names) == len(first)


@pytest.mark.parametrize("columns", [80, 60])
def test_on_a_terminal_a_line_is_no_wider_than_it(monkeypatch, columns):
    monkeypatch.setattr(progress.sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", str(columns))
    fitting = EpochTable()._fitting(ROW)
    assert list(fitting.values())[:3] == ["epoch", "train loss", "valid loss"]
    assert list(fitting.values())[-2:] == ["lr", "seconds"]
    assert sum(max(len(name), 7) + 2 for name in fitting.values()) - 2 <= columns
    assert len(fitting) == {80: 7, 60: 5}[columns]


def test_lines_stand_above_the_bar(monkeypatch):
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm")

    @click.command()
    def command():
        table = EpochTable()
        with progress_bar("train", unit="steps") as tell:
            tell(1, 4, 0.0)
            table(ROW)
            tell(4, 4, 0.0)

    command.main([], standalone_mode=False)
    text = screen.getvalue()
    rows = [line for line in text.split("\n") if "2.2500" in line]
    assert len(rows) == 1
    assert rows[0].rstrip("\r").endswith("12.3")
    assert rows[0].rpartition("\x1b[2K")[2].lstrip().startswith("1 ")
    assert "steps/s" in text
