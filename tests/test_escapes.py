"""Names and labels from strangers: terminals show them, spreadsheets do not compute them."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from mcls.cli import messages
from mcls.cli.main import cli
from mcls.cli.messages import printable
from mcls.tables.csv_cells import read_cell, safe_cell
from mcls.tables.manifest import read_manifest, write_manifest
from mcls.tables.predictions import Predictions, read_predictions, write_predictions

TITLE = "\x1b]0;pwned\x07"
BAD = [TITLE, "a\nfake 1.000", "\x9b2J", "a\rb", "a\u202eb", "a\x7fb", "a\u2028b"]
FORMULAS = [
    "=1+1",
    "@SUM(A1)",
    "+cmd|' /C calc'!A0",
    "-2+3",
    "'=1",
    "''=1",
    "'tis",
    " =1",
    "-",
    "'-1",
]


def run(*words: object) -> Result:
    return CliRunner().invoke(cli, list(map(str, words)), prog_name="mcls")


def predictions(names: list[str], ids: list[str]) -> Predictions:
    truth = np.eye(len(names), dtype=bool)[np.arange(len(ids)) % len(names)]
    blank = [""] * len(ids)
    return Predictions(ids, ["test"] * len(ids), blank, names, truth, truth - 0.25, False)


@pytest.mark.parametrize("name", BAD)
def test_eval_escapes_labels_in_tables_messages_and_json(tmp_path: Path, name: str) -> None:
    path = tmp_path / "scores.csv"
    write_predictions(path, predictions([name, "rock"], [f"t{i}" for i in range(8)]))
    for options in (["--per-label", "--confusion"], ["--json"]):
        result = run("eval", path, "--no-intervals", *options)
        assert result.exit_code == 0, result.output
        shown = result.output.replace("\n", "")
        assert printable(shown) == shown
        if "--json" in options:
            assert list(json.loads(result.stdout)["metrics"]["auc"]["per_label"]) == [name, "rock"]
        else:
            assert printable(name) in result.stdout
            assert not any(line.startswith("fake") for line in result.stdout.splitlines())


def test_errors_escape_names(tmp_path: Path) -> None:
    for words in (["eval", tmp_path / f"{TITLE}.csv"], ["list", TITLE], [TITLE]):
        result = run(*words)
        assert result.exit_code != 0
        assert "\x1b" not in result.output
        assert "\\x1b]0;pwned" in result.stderr


def test_check_escapes_labels_and_problems(tmp_path: Path) -> None:
    file = tmp_path / "tracks.csv"
    file.write_text(f'path,labels,split\n{TITLE}.wav,"{TITLE}",train\nb.wav,b,train\n')
    result = run("data", "check", file)
    assert "\x1b" not in result.output
    assert "\\x1b]0;pwned" in result.stdout
    assert "\\x1b]0;pwned" in result.stderr


def test_names_that_are_not_utf8_are_shown() -> None:
    code = r"from mcls.cli.messages import echo; echo('a\udcffb')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "a\\udcffb\n"


def test_commands_print_through_one_place() -> None:
    folder = Path(messages.__file__).parent
    users = {path.name for path in folder.glob("*.py") if "click.echo(" in path.read_text()}
    assert users == {"messages.py", "tables.py"}


@pytest.mark.parametrize("text", FORMULAS)
def test_a_cell_is_read_as_it_was_written(text: str) -> None:
    assert read_cell(safe_cell(text)) == text
    assert safe_cell(text)[0] not in "=+@" or len(text) == 1


def test_predictions_are_safe_and_read_back(tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    names = [text.strip().replace("|", "!") for text in FORMULAS]
    names = list(dict.fromkeys(names))
    some = predictions(names, names)
    write_predictions(path, some)
    again = read_predictions(path)
    assert (again.names, again.track_ids) == (some.names, some.track_ids)
    np.testing.assert_array_equal(again.truth, some.truth)
    np.testing.assert_array_equal(again.scores, some.scores)
    check_cells(path)


def test_manifests_are_safe_and_read_back(tmp_path: Path) -> None:
    file = tmp_path / "tracks.csv"
    with file.open("w", newline="") as out:
        csv.writer(out).writerows([["path", "=x"], ["-a.wav", "=1+1"], ["@b.wav", "-2"]])
    first = read_manifest(file)
    write_manifest(first, file)
    again = read_manifest(file)
    assert again.columns == first.columns
    assert again.columns["path"] == ["-a.wav", "@b.wav"]
    assert file.read_text() == "path,'=x\n'-a.wav,'=1+1\n'@b.wav,-2\n"


def check_cells(path: Path) -> None:
    """Every cell is a number or begins with none of the signs that begin a formula."""
    with path.open(newline="") as file:
        for row in csv.reader(file):
            for cell in row:
                assert len(cell) < 2 or cell[0] not in "=+@"
                if len(cell) > 1 and cell[0] == "-":
                    float(cell)
