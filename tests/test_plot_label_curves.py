"""mcls plot --roc --pr --calibration: the right lines, names and refusals."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from sklearn.metrics import roc_auc_score, roc_curve

from mcls.cli.main import cli
from mcls.errors import ConfigError, DataError
from mcls.inspection.label_curves import plot_label_curves
from mcls.inspection.plot import plot
from mcls.plots.page import style
from mcls.tables.predictions import Predictions, write_predictions


def table(path: Path, rng: np.random.Generator, n_labels: int, *, multi: bool = True) -> Path:
    if multi:
        truth = rng.random((60, n_labels)) < 0.4
        truth[0], truth[1] = True, False
    else:
        truth = np.eye(n_labels, dtype=bool)[np.arange(60) % n_labels]
    scores = 1 / (1 + np.exp(-(rng.normal(size=truth.shape) + 2 * truth).round(1)))
    scores = scores if multi else scores / scores.sum(axis=1, keepdims=True)
    names = [f"label {j}" for j in range(n_labels)]
    ids = [f"t{i}" for i in range(60)]
    write_predictions(path, Predictions(ids, ["test"] * 60, [""] * 60, names, truth, scores, multi))
    return path


@pytest.fixture
def tags(tmp_path: Path, rng) -> Path:
    return table(tmp_path / "tags.csv", rng, 3)


def drawn(*args, **options):
    with style():
        return plot_label_curves(*args, **options)


def names_of(ax) -> list[str]:
    return [text.get_text() for text in ax.texts]


def test_a_roc_curve_is_that_of_scikit_learn_and_its_area_is_named(tags: Path) -> None:
    from mcls.tables.predictions import read_predictions

    page, shows = drawn([tags], kinds=["roc"])
    [ax] = page.axes
    read = read_predictions(tags)
    lines = [np.column_stack(line.get_data()) for line in ax.lines]
    for j in range(3):
        rate, recall, _ = roc_curve(read.truth[:, j], read.scores[:, j], drop_intermediate=False)
        expected = np.column_stack([rate, recall])
        assert any(np.shape(x) == expected.shape and np.allclose(x, expected) for x in lines)
    areas = [roc_auc_score(read.truth[:, j], read.scores[:, j]) for j in range(3)]
    best = int(np.argmax(areas))
    assert names_of(ax)[0].startswith(f"{np.mean(areas):.3f}  macro [")
    assert names_of(ax)[2].startswith(f"{areas[best]:.3f}  label {best} [")
    assert shows.startswith("ROC of ")
    assert shows.endswith("60 test tracks")


def test_of_many_labels_the_best_and_worst_are_named(tmp_path: Path, rng) -> None:
    page, _ = drawn([table(tmp_path / "many.csv", rng, 20)], kinds=["pr"])
    [ax] = page.axes
    names = names_of(ax)
    assert len(names) == 2 + 8 + 1
    assert "(12 others, grey)" in names
    values = [float(name[:5]) for name in names[2:] if name[0].isdigit()]
    assert values == sorted(values, reverse=True)


def test_runs_stand_side_by_side_with_one_colour_per_label(tags: Path, tmp_path, rng) -> None:
    other = table(tmp_path / "other.csv", rng, 3)
    page, _ = drawn([tags, other], kinds=["roc", "calibration"])
    assert [ax.get_title(loc="left").split(":")[0] for ax in page.axes] == [
        "tags.csv",
        "other.csv",
    ] * 2
    colours = [
        {text.get_text()[7:]: text.get_color() for text in ax.texts if "label " in text.get_text()}
        for ax in page.axes
    ]
    assert colours[0] == colours[1] == colours[2]


def test_the_calibration_of_predicted_labels_has_intervals(tmp_path: Path, rng) -> None:
    page, _ = drawn([table(tmp_path / "one.csv", rng, 4, multi=False)], kinds=["calibration"])
    [ax] = page.axes
    assert names_of(ax)[0].endswith("predicted labels")
    assert ax.collections


def test_what_has_no_curves_is_refused(tags: Path, tmp_path: Path, rng) -> None:
    out = tmp_path / "x.png"
    more = [table(tmp_path / f"{i}.csv", rng, 3) for i in range(3)]
    with pytest.raises(ConfigError, match="3 curves of 3 runs are 9 panels; plot at most 6"):
        plot(more, out, roc=True, pr=True, calibration=True)
    with pytest.raises(ConfigError, match="choose one of --roc, --filters"):
        plot(tags, out, roc=True, filters=True)
    with pytest.raises(ConfigError, match="--roc does not take --top; it takes --part"):
        plot(tags, out, roc=True, top=3)
    with pytest.raises(ConfigError, match="--filters is plotted of one run at a time"):
        plot(more, out, filters=True)
    with pytest.raises(DataError, match="no track in part 'valid'"):
        plot(tags, out, roc=True, part="valid")
    ids, nothing = ["a", "b"], np.zeros((2, 2), bool)
    alike = Predictions(ids, ["test"] * 2, [""] * 2, ["x", "y"], nothing, np.ones((2, 2)), True)
    write_predictions(tmp_path / "alike.csv", alike)
    with pytest.raises(DataError, match="no label is on some of the tracks"):
        plot(tmp_path / "alike.csv", out, pr=True)
    write_predictions(
        tmp_path / "margins.csv",
        Predictions(ids, ["test"] * 2, [""] * 2, ["x", "y"], ~nothing, 3 * np.ones((2, 2)), True),
    )
    with pytest.raises(ConfigError, match=r"margins\.csv: --calibration needs probabilities"):
        plot(tmp_path / "margins.csv", out, calibration=True)
    assert not out.exists()


def test_the_command_writes_all_three(tags: Path, tmp_path: Path) -> None:
    words = ["plot", tags, "-o", tmp_path / "x.png", "--roc", "--pr", "--calibration"]
    done = CliRunner().invoke(cli, list(map(str, words)))
    assert done.exit_code == 0, done.output
    assert "ROC and precision-recall and calibration of" in done.output
    assert (tmp_path / "x.png").stat().st_size > 10_000
