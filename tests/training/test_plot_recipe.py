"""`mcls plot RECIPE.toml`: the rate over the epochs, before anything is trained."""

import csv

import numpy as np
import pytest
from click.testing import CliRunner

from mcls.cli.main import cli
from mcls.errors import ConfigError
from mcls.inspection.recipe import plot_recipe
from mcls.plots.page import style


@pytest.fixture
def recipe(tmp_path):
    def write(*lines: str, model: str = "mlp"):
        path = tmp_path / "net.toml"
        path.write_text("\n".join(["[train]", f'model = "{model}"', *lines]), encoding="utf-8")
        return path

    return write


def drawn(path) -> tuple[np.ndarray, np.ndarray, object]:
    """Return where the rate changes, the rates in between, and the axes."""
    with style():
        page, _ = plot_recipe(path)
    (ax,) = page.axes
    (line,) = ax.patches
    values, edges, _ = line.get_data()
    return np.asarray(edges), np.asarray(values), ax


def test_the_curve_is_what_a_training_does(recipe, train, store):
    schedule, optimizer = "step:every=2,factor=0.25", "sgd:lr=0.08"
    path = recipe("epochs = 6", f'schedule = "{schedule}"', f'optimizer = "{optimizer}"')
    edges, values, ax = drawn(path)
    run = train("run", epochs=6, schedule=schedule, optimizer=optimizer)
    with (run / "history.csv").open(encoding="utf-8") as file:
        told = [float(row["lr"]) for row in csv.DictReader(file)]
    middles = (edges[:-1] + edges[1:]) / 2
    for epoch, rate in enumerate(told):  # the rate at the end of an epoch is that of all of it
        inside = (middles > epoch) & (middles < epoch + 1)
        np.testing.assert_allclose(values[inside], rate, rtol=1e-12)
    assert edges[-1] == ax.get_xlim()[1] == 6


def test_a_rate_that_changes_with_every_step_is_drawn_in_between(recipe):
    edges, values, ax = drawn(recipe("epochs = 20", 'schedule = "one-cycle"'))
    assert values.max() == pytest.approx(1e-3, rel=1e-4)  # of adam, unless said otherwise
    assert edges[values.argmax()] == pytest.approx(6, abs=0.01)  # 30 % of 20
    assert values[0] == pytest.approx(4e-5)
    assert values[-1] == pytest.approx(1e-7)
    assert ax.get_yscale() == "linear"


def test_schedules_that_wait_for_valid_are_drawn_as_if_it_stood_still(recipe):
    path = recipe("epochs = 20", 'schedule = "ladder:rungs=3,patience=3"', "find-lr = true")
    edges, values, ax = drawn(path)
    assert edges[-1] == 10  # one epoch is the best, then three times three without a gain
    np.testing.assert_allclose(sorted(set(values)), [0.04, 0.2, 1])
    assert "as if the validation metric never improved" in ax.figure.get_suptitle()
    assert "--find-lr" in ax.get_ylabel()
    assert ax.get_legend().get_texts()[0].get_text() == "ends after 10"
    assert ax.get_yscale() == "log"


def test_the_command_writes_a_picture_or_says_what_is_wrong(recipe, tmp_path):
    out = tmp_path / "rate.png"
    path = recipe('schedule = "cyclic"')
    done = CliRunner().invoke(cli, ["plot", str(path), "-o", str(out)])
    assert done.exit_code == 0, done.output
    assert "learning rate of mlp over 50 epochs, cyclic" in done.output
    assert out.read_bytes()[:4] == b"\x89PNG"
    done = CliRunner().invoke(cli, ["plot", str(path), "-o", str(out), "--part", "test"])
    assert "is a recipe, which takes no option --part; it applies to a run" in done.output
    for given, said in (
        ({"model": "svm"}, "'svm' in .train. has no learning rate"),
        ({"line": 'schedule = "cylcic"'}, "did you mean 'cyclic'"),
        ({"line": "epoch = 3"}, "did you mean 'epochs'"),
    ):
        with pytest.raises(ConfigError, match=said):
            plot_recipe(recipe(given.get("line", ""), model=given.get("model", "mlp")))
