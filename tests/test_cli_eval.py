"""mcls eval: what is printed, for CSVs, runs and folds."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from mcls.cli.main import cli
from mcls.errors import ConfigError, DataError, FormatError
from mcls.judging.evaluate import evaluate
from mcls.tables.predictions import Predictions, write_predictions

SINGLE = """\
track_id,part,labels,score:jazz,score:rock
one,valid,jazz,0.9,0.1
two,test,jazz,0.8,0.2
three,test,jazz,0.4,0.6
four,test,rock,0.3,0.7
five,test,rock,0.1,0.9
"""
TAGS = """\
track_id,labels,score:drums,score:fast,score:slow
one,drums|fast,0.9,0.8,0.1
two,drums,0.6,0.7,0.3
three,fast,0.7,0.9,0.2
four,,0.2,0.1,0.1
"""


def run(*words: object) -> Result:
    return CliRunner().invoke(cli, ["eval", *map(str, words)], prog_name="mcls")


def lines(result: Result) -> list[str]:
    assert result.exit_code == 0, result.output
    return result.stdout.splitlines()


@pytest.fixture
def single(tmp_path: Path) -> Path:
    path = tmp_path / "single.csv"
    path.write_text(SINGLE)
    return path


@pytest.fixture
def tags(tmp_path: Path) -> Path:
    path = tmp_path / "tags.csv"
    path.write_text(TAGS)
    return path


@pytest.fixture
def folds(tmp_path: Path, rng) -> Path:
    """A folder as `mcls cv` leaves it, as far as scores go."""
    folder = tmp_path / "cv"
    folder.mkdir()
    n = 30
    truth = np.eye(3, dtype=bool)[np.arange(n) % 3]
    scores = truth + rng.normal(0, 0.7, truth.shape)
    ids = [f"t{i}" for i in range(n)]
    made = [str(i // 10) for i in range(n)]
    names = ["a", "b", "c"]
    some = Predictions(ids, ["test"] * n, made, names, truth, scores, False)
    write_predictions(folder / "predictions.csv", some)
    return folder


def test_the_table(single: Path) -> None:
    found = lines(run(single, "--no-intervals"))
    assert found[0] == f"{single}: part test, 4 tracks, 2 labels"
    assert found[1].split() == [
        "metric",
        "macro",
        "95",
        "%",
        "micro",
        "95",
        "%",
        "labels",
        "tracks",
    ]
    assert [line.split() for line in found[3:]] == [
        ["accuracy", "0.750", "0.750", "2", "4"],
        ["auc", "1.000", "0.938", "2", "4"],
        ["f1", "0.733", "0.750", "2", "4"],
    ]


def test_every_figure_has_its_interval_and_n(single: Path) -> None:
    (row,) = lines(run(single, "--metric", "accuracy"))[3:]
    assert " ".join(row.split()) == "accuracy 0.750 0.000 to 1.000 0.750 0.040 to 0.995 2 4"


def test_labels_with_one_track_have_no_interval_and_are_named(tags: Path) -> None:
    tags.write_text(TAGS.replace("two,drums,", "two,drums|slow,"))
    found = lines(run(tags, "-m", "auc", "--per-label"))
    assert found[-1] == f"{tags}: no interval for 1 label with a single track: slow"
    (slow,) = [line.split() for line in found if line.startswith("slow")]
    assert slow == ["slow", "1", "1.000"]


def test_another_part(single: Path) -> None:
    found = lines(run(single, "--part", "valid", "-m", "accuracy", "--no-intervals"))
    assert "part valid, 1 tracks" in found[0]
    assert found[3].split() == ["accuracy", "n/a", "1.000", "1"]
    assert found[4].endswith(
        "left out of macro, 2 of 2 labels: jazz (every track has it), rock (no track has it)"
    )
    result = run(single, "--part", "train")
    assert result.exit_code == 1
    assert (
        result.stderr == f"error: {single}: no track in part 'train'; there are: 1 valid, 4 test\n"
    )


def test_tags_without_parts_are_all_measured_and_the_rest_is_named(tags: Path) -> None:
    found = lines(run(tags, "--no-intervals"))
    assert found[0] == f"{tags}: part all, 4 tracks, 3 labels"
    assert [line.split()[0] for line in found[3:5]] == ["ap", "auc"]
    assert [line.split()[-2:] for line in found[3:5]] == [["2", "4"]] * 2
    assert found[-1] == f"{tags}: left out of macro, 1 of 3 labels: slow (no track has it)"


def test_per_label(tags: Path) -> None:
    found = lines(run(tags, "-m", "auc", "-m", "f1", "--per-label", "--no-intervals"))
    start = next(i for i, line in enumerate(found) if line.startswith("label"))
    assert [line.split() for line in found[start + 2 : start + 5]] == [
        ["drums", "2", "0.750", "0.800"],
        ["fast", "2", "1.000", "0.800"],
        ["slow", "0", "n/a", "n/a"],
    ]


def test_confusion(single: Path) -> None:
    found = lines(run(single, "-m", "accuracy", "--confusion", "--no-intervals"))
    assert [line.split() for line in found[-2:]] == [["jazz", "1", "1"], ["rock", ".", "2"]]
    assert json.loads(run(single, "--confusion", "--json").stdout)["confusion"] == {
        "labels": ["jazz", "rock"],
        "counts": [[1, 1], [0, 2]],
    }


def test_several_paths_stand_in_one_table(single: Path, tags: Path) -> None:
    found = lines(run(single, tags, "-m", "auc", "--no-intervals"))
    assert found[0] == "parts all, test"
    assert [line.split()[:2] for line in found[3:5]] == [["auc", str(single)], ["auc", str(tags)]]


def test_json_is_an_object_or_a_list(single: Path) -> None:
    one = json.loads(run(single, "--json").stdout)
    assert one["path"] == str(single)
    assert one["metrics"]["auc"]["macro"]["value"] == 1.0
    several = json.loads(run(single, single, "--json").stdout)
    assert several == [one, one]


def test_threshold(tags: Path, single: Path) -> None:
    high = json.loads(run(tags, "-m", "recall", "--threshold", "0.85", "--json").stdout)
    assert high["threshold"] == 0.85
    assert high["metrics"]["recall"]["per_label"]["drums"]["value"] == 0.5
    result = run(single, "--threshold", "0.5")
    assert result.exit_code == 2
    assert "leave out --threshold" in result.stderr


def test_accuracy_of_tags_says_what_to_use(tags: Path) -> None:
    result = run(tags, "-m", "accuracy")
    assert result.exit_code == 2
    assert "use one of ap, auc, brier" in result.stderr


def test_an_error_in_a_csv_names_file_and_line(tags: Path) -> None:
    tags.write_text(TAGS.replace("0.9,0.2", "0.9,much"))
    result = run(tags)
    assert result.exit_code == 1
    assert result.stderr == f"error: {tags}:4: score of 'slow' is 'much', not a number\n"


def test_folds_are_shown_one_by_one_with_mean_and_deviation(folds: Path) -> None:
    found = lines(run(folds, "-m", "accuracy", "-m", "auc", "--no-intervals"))
    assert found[0] == f"{folds}: part test, 30 tracks, 3 labels (all folds pooled)"
    start = next(i for i, line in enumerate(found) if line.startswith("fold"))
    rows = [line.split() for line in found[start + 2 : start + 6]]
    assert [row[0] for row in rows] == ["0", "1", "2", "mean"]
    shown = [float(row[1]) for row in rows[:3]]
    assert float(rows[3][3]) == pytest.approx(np.mean(shown), abs=0.001)
    assert float(rows[3][5]) == pytest.approx(np.std(shown, ddof=1), abs=0.001)


def test_folds_as_json(folds: Path) -> None:
    said = json.loads(run(folds, "-m", "accuracy", "--json").stdout)
    assert said["n_tracks"] == 30
    assert {fold: report["n_tracks"] for fold, report in said["folds"].items()} == {
        "0": 10,
        "1": 10,
        "2": 10,
    }
    assert set(said["across_folds"]["accuracy"]["micro"]) == {"mean", "sd", "n_folds", "values"}


def test_the_stage_gives_the_same_figures(folds: Path) -> None:
    found = evaluate(folds, ["accuracy"])
    said = json.loads(run(folds, "-m", "accuracy", "--json").stdout)
    assert json.loads(json.dumps(found.as_dict())) == said
    assert found["accuracy"].main.value == said["metrics"]["accuracy"]["micro"]["value"]


def test_a_folder_without_predictions_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="expected a folder made by `mcls train`"):
        evaluate(tmp_path)
    with pytest.raises(DataError, match="there is no file"):
        evaluate(tmp_path / "nothing")


def test_an_unknown_metric_is_refused(single: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean 'auc'"):
        evaluate(single, ["acu"])


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    """Two runs on a store of tracks drawn from known distributions; labels and tags."""
    return make_runs(tmp_path_factory.mktemp("runs"))


def make_runs(folder: Path) -> Path:
    from mcls.disk.chain import Step
    from mcls.stages.train import train
    from mcls.stores.store import NewRows, StoreContents, write_store

    rng = np.random.default_rng(440)
    n = 90
    classes = np.arange(n) % 3
    rows = (np.eye(3)[classes] + rng.normal(0, 0.6, (n, 3))).astype(np.float32)
    tags = [
        "|".join([f"t{c}", *(["loud"] if x > 0.3 else [])])
        for c, x in zip(classes, rows[:, 2], strict=True)
    ]
    parts = [("train", "train", "valid", "test", "test")[i // 3 % 5] for i in range(n)]
    columns = {
        "track_id": [f"track{i}" for i in range(n)],
        "path": [f"track{i}.wav" for i in range(n)],
        "labels": [f"c{c}" for c in classes],
        "tags": tags,
        "split": parts,
    }
    chain = (Step("feature", "mfcc", {"sr": 22050}),)
    new = NewRows("mfcc", chain, None, 3, [1] * n, [rows])
    write_store(folder / "rows.h5", StoreContents(columns), [new])
    train(folder / "rows.h5", folder / "single", model="logistic")
    train(folder / "rows.h5", folder / "tags", model="logistic", labels="tags")
    return folder


def test_a_run_is_measured_on_its_test_part_and_names_its_split(runs: Path) -> None:
    found = lines(run(runs / "single"))
    about = json.loads((runs / "single" / "about.json").read_text())
    expected = f"{runs / 'single'}: part test, 36 tracks, 3 labels, split {about['split_id']}"
    assert found[0] == expected


def test_eval_repeats_the_figures_that_train_has_written(runs: Path) -> None:
    for name in ("single", "tags"):
        said = json.loads(run(runs / name, "--json").stdout)
        written = json.loads((runs / name / "metrics.json").read_text())
        assert said["metrics"] == written["test"]["metrics"]


def test_decisions_take_the_runs_thresholds(runs: Path) -> None:
    said = json.loads(run(runs / "tags", "-m", "f1", "--json").stdout)
    about = json.loads((runs / "tags" / "about.json").read_text())
    assert said["threshold"] == about["thresholds"]
    assert len(said["threshold"]) == len(about["labels"])


def test_a_run_of_tags_stays_one_though_its_test_tracks_have_one_tag_each(runs: Path) -> None:
    about = json.loads((runs / "tags" / "about.json").read_text())
    assert about["multi_label"]
    result = run(runs / "tags", "-m", "accuracy")
    assert "exactly one label per track" in result.stderr
