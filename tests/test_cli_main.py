"""The command line's shell: finding commands, recipes, precedence, exit codes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from mcls import __version__
from mcls.cli.main import Commands, cli
from mcls.cli.progress import done_line
from mcls.errors import ConfigError, DataError

CSV = """\
track_id,part,labels,score:a,score:b
one,test,a,0.9,0.1
two,test,b,0.2,0.8
three,test,a,0.4,0.6
"""


def run(*words: str, **options) -> Result:
    return CliRunner().invoke(cli, list(words), prog_name="mcls", **options)


@pytest.fixture
def scores(tmp_path: Path) -> Path:
    path = tmp_path / "scores.csv"
    path.write_text(CSV)
    return path


@pytest.fixture
def recipe(tmp_path: Path):
    def write(text: str) -> str:
        path = tmp_path / "recipe.toml"
        path.write_text(text)
        return str(path)

    return write


def doing(monkeypatch, action) -> None:
    """Make `mcls list` do something else."""

    @click.command()
    def command() -> None:
        action()

    found = Commands.get_command
    monkeypatch.setattr(
        Commands, "get_command", lambda self, ctx, name: command if name == "list" else found(
            self, ctx, name
        ),
    )  # fmt: skip


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_has_the_commands_in_pipeline_order(flag: str) -> None:
    result = run(flag)
    assert result.exit_code == 0
    places = [result.stdout.index(f"\n  {name} ") for name in ("data", "extract", "train", "eval")]
    assert places == sorted(places)
    assert result.stdout.index("Pipeline:") < result.stdout.index("Inspect:")


def test_without_words_there_is_help() -> None:
    result = run()
    assert result.exit_code == 2
    assert "Pipeline:" in result.output


def test_version() -> None:
    assert run("--version").stdout == f"mcls, version {__version__}\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["evall"], "There is no command 'evall'; did you mean 'eval'?"),
        (["eval", "x.csv", "--metrik", "auc"], "No such option '--metrik'"),
        (["eval"], "Missing argument"),
        (["eval", "x.csv", "--metric", "acc"], "there is no 'acc' among the metrics"),
        (["-c", "nowhere.toml", "list"], "there is no recipe 'nowhere.toml'"),
    ],
)
def test_wrong_usage_exits_2(words: list[str], message: str) -> None:
    result = run(*words)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stdout == ""


def test_what_cannot_be_done_exits_1() -> None:
    result = run("eval", "nowhere.csv")
    assert result.exit_code == 1
    assert result.stderr == "error: there is no file nowhere.csv\n"
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (DataError("bad data"), "error: bad data\n"),
        (ConfigError("bad setting"), "error: bad setting\n"),
        (PermissionError(13, "Permission denied", "out.h5"), "error: out.h5: Permission denied\n"),
        (OSError(28, "No space left on device"), "error: No space left on device\n"),
    ],
)
def test_errors_are_one_line_without_a_traceback(monkeypatch, error, message: str) -> None:
    def fail() -> None:
        raise error

    doing(monkeypatch, fail)
    result = run("list")
    assert (result.exit_code, result.stderr) == (2 if type(error) is ConfigError else 1, message)


def test_a_bug_is_not_hidden(monkeypatch) -> None:
    doing(monkeypatch, lambda: 1 / 0)
    assert isinstance(run("list").exception, ZeroDivisionError)


def test_interrupted_exits_130_and_says_how_to_go_on(monkeypatch) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    doing(monkeypatch, interrupt)
    result = run("list")
    assert result.exit_code == 130
    hint = "run the same command again to continue where it stopped"
    assert result.stderr == f"interrupted; {hint}\n"


def test_sigterm_exits_143_says_how_to_go_on_and_restores_the_handler(monkeypatch) -> None:
    before = signal.getsignal(signal.SIGTERM)
    cleaned = []

    def wait() -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(60)
        finally:
            cleaned.append(True)

    doing(monkeypatch, wait)
    result = run("list")
    assert (result.exit_code, cleaned) == (143, [True])
    assert result.stderr.startswith("terminated; run the same command again")
    assert signal.getsignal(signal.SIGTERM) is before


def test_quiet_leaves_results_and_errors_alone(monkeypatch) -> None:
    def work() -> None:
        done_line("wrote x.h5", 0.0)
        click.echo("result")
        raise DataError("bad data")

    doing(monkeypatch, work)
    result = run("--quiet", "list")
    assert (result.exit_code, result.stdout, result.stderr) == (1, "result\n", "error: bad data\n")
    assert "wrote x.h5 in" in run("list").stderr


def test_verbose_shows_where_an_error_was_raised(monkeypatch) -> None:
    def fail() -> None:
        raise DataError("bad data")

    doing(monkeypatch, fail)
    result = run("-v", "list")
    assert "Traceback" in result.stderr
    assert result.stderr.endswith("error: bad data\n")
    assert run("-v", "-q", "list").exit_code == 2


def test_a_reader_that_goes_away_is_not_an_error() -> None:
    words = [sys.executable, "-m", "mcls", "list", "features"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    with process.stderr as errors:
        assert errors.read() == b""
    process.wait(timeout=60)


def test_command_line_beats_environment_beats_recipe_beats_default(scores, recipe) -> None:
    def metrics(
        *words: str, of: tuple[str, ...] = (), env: dict[str, str] | None = None
    ) -> list[str]:
        result = run(*of, "eval", str(scores), "--json", *words, env=env)
        assert result.exit_code == 0, result.output
        return list(json.loads(result.stdout)["metrics"])

    config = ("-c", recipe("[eval]\nmetric = 'f1'\n"))
    env = {"MCLS_EVAL_METRICS": "recall"}
    assert metrics() == ["accuracy", "auc", "f1"]
    assert metrics(of=config) == ["f1"]
    assert metrics(of=config, env=env) == ["recall"]
    assert metrics("--metric", "precision", of=config, env=env) == ["precision"]


def test_the_recipe_may_be_named_in_the_environment(scores, recipe) -> None:
    env = {"MCLS_CONFIG": recipe("[eval]\njson = true\nmetric = 'accuracy'\n")}
    said = json.loads(run("eval", str(scores), env=env).stdout)
    assert list(said["metrics"]) == ["accuracy"]


@pytest.mark.parametrize("table", ['[eval]\nmetric = ["auc", "f1"]', '[eval]\nm = ["auc", "f1"]'])
def test_a_list_sets_a_repeatable_option(scores, recipe, table: str) -> None:
    result = run("-c", recipe(table), "eval", str(scores), "--json")
    assert list(json.loads(result.stdout)["metrics"]) == ["auc", "f1"]


def test_dashes_and_underscores_are_the_same_in_a_recipe(scores, recipe) -> None:
    result = run("-c", recipe("[eval]\nper_label = true"), "eval", str(scores))
    assert result.exit_code == 0
    assert "label   tracks" in result.stdout


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[evil]\nx = 1", "there is no command 'evil'; did you mean 'eval'?"),
        ("[eval]\nmetrik = 'auc'", "[eval] has no option 'metrik'; did you mean 'metric'?"),
        ("[eval]\nthreshold = [1, 2]", "[eval] threshold is a list; expected one value"),
        ("[eval]\nthreshold = 'many'", "'many' is not a valid float. (from the recipe)"),
        ("[eval]\nmetric = 'acc'", "there is no 'acc' among the metrics"),
    ],
)
def test_a_wrong_recipe_is_wrong_usage(scores, recipe, text: str, message: str) -> None:
    result = run("-c", recipe(text), "eval", str(scores))
    assert result.exit_code == 2
    assert message in result.stderr.replace("\n", " ")


@pytest.mark.parametrize(
    ("text", "code"), [("[eval", 1), ("threshold = 3", 2), ("[eval]\nx = 2026-01-01", 2)]
)
def test_a_file_that_is_no_recipe_is_an_error(scores, recipe, text: str, code: int) -> None:
    result = run("-c", recipe(text), "eval", str(scores))
    assert result.exit_code == code
    assert result.stderr.startswith("error: ")


def test_a_bad_value_from_the_environment_says_so(scores) -> None:
    result = run("eval", str(scores), env={"MCLS_EVAL_THRESHOLD": "much"})
    assert result.exit_code == 2
    assert "(from the environment)" in result.stderr


def test_the_recipe_of_one_command_leaves_the_others_alone(scores, recipe) -> None:
    result = run("-c", recipe("[train]\nmodel = 'knn'"), "eval", str(scores))
    assert result.exit_code == 0


def test_python_m_mcls_is_the_same_command() -> None:
    env = {**os.environ, "COLUMNS": "100"}
    done = subprocess.run(
        [sys.executable, "-m", "mcls", "--version"], capture_output=True, text=True, env=env,
        check=True, timeout=60,
    )  # fmt: skip
    assert done.stdout == f"mcls, version {__version__}\n"
