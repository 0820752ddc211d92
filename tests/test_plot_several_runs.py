"""mcls plot RUN RUN: the learning curves of several trainings in one picture."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from mcls.cli.main import cli
from mcls.errors import ConfigError, DataError
from mcls.inspection.plot import plot
from mcls.plots.training_curves import draw_training_curves


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    made = []
    for name, slope in (("relu", 0.5), ("sigmoid", 0.001)):
        run = tmp_path / name
        run.mkdir()
        (run / "predictions.csv").write_text("")
        (run / "about.json").write_text('{"kept_epoch": 2}')
        lines = ["epoch,train_loss,valid_loss,lr,grad_conv1,grad_conv2,dead_conv1"]
        lines += [f"{i},{1 - slope * i},{2 - slope * i},0.01,{slope},1.0,0" for i in (1, 2, 3)]
        (run / "history.csv").write_text("\n".join(lines) + "\n")
        made.append(run)
    return made


def test_curves_of_several_runs(runs: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "curves.png"
    done = CliRunner().invoke(cli, ["plot", *map(str, runs), "-o", str(out)])
    assert done.exit_code == 0, done.output
    assert "the curves of 2 runs" in done.stderr and out.stat().st_size > 10_000


def test_panels_and_their_curves() -> None:
    histories = {
        name: [
            {"epoch": i, "train_loss": value / i, "lr": 0.1, "grad_a": value, "grad_b": 1.0}
            for i in (1, 2)
        ]
        for name, value in (("one", 1.0), ("two", 2.0))
    }
    page = draw_training_curves(histories, {"one": 1, "two": None}, title="both")
    titles = [ax.get_title(loc="left") or ax.get_title() for ax in page.axes]
    assert titles == ["train loss", "gradient norm of each layer, last epoch"]
    assert page.get_suptitle() == "both\nconstant: lr 0.1"
    loss, gradients = page.axes
    assert [line.get_ydata().tolist() for line in loss.lines] == [[1.0, 0.5], [1.0], [2.0, 1.0]]
    assert [list(line.get_ydata()) for line in gradients.lines] == [[1.0, 1.0], [2.0, 1.0]]
    assert [text.get_text() for text in loss.texts] == ["one", "two"]  # from the lowest end


def test_what_has_no_curves_is_refused(runs: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "a.png"
    (runs[1] / "history.csv").unlink()
    with pytest.raises(DataError, match="no learning curves"):
        plot(runs, out)
    with pytest.raises(ConfigError, match="given twice"):
        plot([runs[0], runs[0]], out)
    with pytest.raises(ConfigError, match="--top is for one run at a time"):
        plot(runs, out, top=3)
    assert not out.exists()
