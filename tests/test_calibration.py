"""Calibration: probabilities, their metrics, and runs that keep them or have none."""

import json
import shutil
import tomllib
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner
from sklearn import metrics as peer
from sklearn.calibration import _sigmoid_calibration

import mcls
from mcls.cli.main import cli
from mcls.disk.run import open_run
from mcls.disk.sums import SUMS
from mcls.errors import ConfigError, FormatError
from mcls.evaluation import evaluate
from mcls.evaluation.calibration import Calibration, calibrate, calibration_of
from mcls.registry import entries, find
from mcls.stages.calibrate import read_calibration
from mcls.tables.predictions import Predictions, read_predictions


def softmax(z: np.ndarray) -> np.ndarray:
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def draw(rng, n: int, z: np.ndarray) -> np.ndarray:
    """Draw a class per row with the probabilities of the softmax."""
    p = softmax(z).cumsum(axis=1)
    return np.eye(z.shape[1], dtype=bool)[(rng.random((n, 1)) > p).sum(axis=1)]


def predictions(truth: np.ndarray, p: np.ndarray, *, multi_label: bool) -> Predictions:
    n, n_labels = truth.shape
    names = [f"label {j}" for j in range(n_labels)]
    ids = [f"t{i}" for i in range(n)]
    return Predictions(ids, ["test"] * n, [""] * n, names, truth, p, multi_label)


def test_the_temperature_of_overconfident_scores_is_found(rng) -> None:
    z = rng.normal(0, 2, (4000, 5))
    truth = draw(rng, 4000, z)
    sharp = softmax(3 * z)  # three times too sure
    found = calibrate(sharp, truth, multi_label=False, are_probabilities=True)
    assert found.slope == pytest.approx(1 / 3, rel=0.05)
    before, after = (
        evaluate(predictions(truth, p, multi_label=False), ["log-loss", "ece"])
        for p in (sharp, found(sharp))
    )
    assert after["log-loss"].micro.value < before["log-loss"].micro.value
    assert after["ece"].micro.value < 0.03 < before["ece"].micro.value
    margins = calibrate(5 * z, truth, multi_label=False, are_probabilities=False)
    assert margins.slope == pytest.approx(1 / 5, rel=0.05)
    assert margins(5 * z).sum(axis=1) == pytest.approx(1)


def test_a_score_of_0_counts_as_half_of_the_smallest_above_it() -> None:
    scores = np.repeat([[0.0, 0.2, 0.8], [0.5, 0.5, 0.0]], 20, axis=0)
    truth = np.eye(3, dtype=bool)[np.arange(40) % 3]
    assert calibrate(scores, truth, multi_label=False, are_probabilities=True).floor == 0.1


def test_platt_scaling_equals_scikit_learn(rng) -> None:
    z = rng.normal(size=(300, 3))
    truth = rng.random((300, 3)) < 1 / (1 + np.exp(-(2 * z - 1)))
    found = calibrate(z, truth, multi_label=True, are_probabilities=False)
    for j in range(3):
        a, b = _sigmoid_calibration(z[:, j], truth[:, j])
        assert found.slope[j] == pytest.approx(-a, rel=1e-3)
        assert found.offset[j] == pytest.approx(-b, abs=1e-3)


def test_labels_of_few_tracks_share_a_slope_which_is_not_negative(rng) -> None:
    truth = np.zeros((200, 3), dtype=bool)
    truth[:5, 0] = truth[100:104, 1] = True
    truth[:, 2] = rng.random(200) < 0.5
    scores = rng.normal(size=(200, 3)) + [1, 1, -2] * truth
    found = calibrate(scores, truth, multi_label=True, are_probabilities=False)
    assert found.slope[0] == found.slope[1] > 0
    assert found.slope[2] == 0
    assert found(scores)[:, 2] == pytest.approx(truth[:, 2].mean(), abs=0.01)


def test_scores_without_an_error_do_not_give_certainty() -> None:
    truth = np.eye(4, dtype=bool)[np.arange(40) % 4]
    found = calibrate(truth * 1.0, truth, multi_label=False, are_probabilities=True)
    assert 0.9 < found(truth * 1.0).max() < 0.99


@pytest.mark.parametrize("multi_label", [True, False])
def test_metrics_of_probabilities_equal_scikit_learn(multi_label: bool, rng) -> None:
    z = rng.normal(size=(100, 4))
    truth = rng.random((100, 4)) < 0.4 if multi_label else draw(rng, 100, z)
    p = 1 / (1 + np.exp(-z)) if multi_label else softmax(z)
    report = evaluate(predictions(truth, p, multi_label=multi_label), ["log-loss", "brier"])
    columns = range(4)
    losses = [peer.log_loss(truth[:, j], p[:, j]) for j in columns]
    squares = [peer.brier_score_loss(truth[:, j], p[:, j]) for j in columns]
    assert report["log-loss"].macro.value == pytest.approx(np.mean(losses))
    assert report["brier"].macro.value == pytest.approx(np.mean(squares))
    whole = np.mean(losses) if multi_label else peer.log_loss(truth.argmax(axis=1), p)
    assert report["log-loss"].micro.value == pytest.approx(whole)
    total = np.mean(squares) if multi_label else np.sum(squares)
    assert report["brier"].micro.value == pytest.approx(total)
    for one in (report["log-loss"].micro, report["brier"].macro):
        assert 0 < one.low < one.value < one.high


def test_the_calibration_error_is_that_of_bins_by_hand(rng) -> None:
    p = softmax(rng.normal(size=(200, 3)))
    truth = draw(rng, 200, np.zeros((200, 3)))
    best, right = p.max(axis=1), truth[np.arange(200), p.argmax(axis=1)]
    expected = 0.0
    for low in np.arange(15) / 15:
        inside = (best >= low) & (best < low + 1 / 15)
        if inside.any():
            expected += abs(best[inside].mean() - right[inside].mean()) * inside.mean()
    found = evaluate(predictions(truth, p, multi_label=False), ["ece"])["ece"].micro.value
    assert found == pytest.approx(expected)


def test_scores_that_are_no_probabilities_are_refused(rng) -> None:
    truth = draw(rng, 30, np.zeros((30, 3)))
    for scores, said in (
        (rng.normal(size=(30, 3)), "scores are from"),
        (rng.random((30, 3)), "scores of a track add up to"),
    ):
        with pytest.raises(ConfigError, match=f"brier needs probabilities, but .*{said}|{said}"):
            evaluate(predictions(truth, scores, multi_label=False), ["brier"])


@pytest.mark.parametrize(
    "name",
    [
        name
        for name, one in entries("classifiers").items()
        if name != "average" and not one.facts.get("regression")
    ],
)
def test_every_classifier_has_probabilities(name: str, rng) -> None:
    y = np.repeat([0, 1, 2], 20)
    X = rng.normal(size=(60, 4)) + 2 * np.eye(4)[y]
    model = find("classifiers", name).load()().fit(X, y)
    p = model.predict_proba(X)
    assert p.sum(axis=1) == pytest.approx(1)
    np.testing.assert_array_equal(p.argmax(axis=1), model.scores(X).argmax(axis=1))
    Y = np.column_stack([y == 0, y > 0, np.ones(60, bool)])
    p = find("classifiers", name).load()().fit(X, Y).predict_proba(X)
    assert p.shape == (60, 3)
    assert p.min() >= 0
    assert p.max() <= 1


def test_a_damaged_calibration_is_an_error() -> None:
    good = Calibration(True, False, np.ones(2), np.zeros(2)).as_dict()
    assert calibration_of(good, 2, "c").slope.tolist() == [1, 1]
    for key, value in (
        ("slope", [1.0]),
        ("slope", [-1.0, 1.0]),
        ("offset", [float("nan"), 0.0]),
        ("offset", "ab"),
        ("multi_label", 1),
        ("floor", 0.0),
    ):
        with pytest.raises(FormatError, match=r"^c: "):
            calibration_of({**good, key: value}, 2, "c")


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A store of 120 tracks in three classes that overlap, and its split."""
    folder = tmp_path_factory.mktemp("calibration")
    rng = np.random.default_rng(5)
    lines = ["path,labels,split"]
    for i in range(120):
        t = np.arange(2000) / 8000
        f = [300, 400, 520][i % 3] * rng.uniform(0.75, 1.3)
        soundfile.write(folder / f"{i}.wav", 0.2 * np.sin(2 * np.pi * f * t), 8000)
        part = ["train", "train", "valid", "test"][i // 3 % 4]
        lines.append(f"{i}.wav,{'abc'[i % 3]},{part}")
    (folder / "m.csv").write_text("\n".join(lines) + "\n")
    mcls.extract(folder / "m.csv", folder / "s.h5", features=["mel:n_mels=20"], sr=8000)
    mcls.train(folder / "s.h5", folder / "svm", model="svm", pool=["mean"], split="split")
    return folder


def cli_run(*words: object, code: int = 0):
    result = CliRunner().invoke(cli, [*map(str, words)])
    assert result.exit_code == code, result.output
    return result


def test_predict_gives_label_score_and_probability(place) -> None:
    run = place / "svm"
    content = tomllib.loads((run / "calibration.toml").read_text())
    assert set(content) == {"multi_label", "are_probabilities", "slope", "offset", "floor"}
    assert open_run(run).about["calibration"] == {"on": "valid", "tracks": 30}
    calibration = read_calibration(open_run(run))
    kept = read_predictions(run / "predictions.csv")
    found = mcls.predict(run, [place / "0.wav", place / "9.wav"])
    for track in found.tracks:
        assert track.probabilities.sum() == pytest.approx(1)
        assert track.probabilities == pytest.approx(calibration(track.scores[None])[0])
    table = cli_run("predict", run, place / "9.wav").stdout.splitlines()
    assert table[0].split() == ["track", "label", "score", "probability"]
    said = json.loads(cli_run("predict", run, place / "9.wav", "--json").stdout)["tracks"][0]
    assert set(said) == {"track", "labels", "scores", "probabilities"}
    header = cli_run("predict", run, place / "9.wav", "--csv").stdout.splitlines()[0]
    assert header == (
        "track,label,score:a,score:b,score:c,probability:a,probability:b,probability:c"
    )
    assert kept.names == ["a", "b", "c"]


def test_eval_measures_the_probabilities_of_a_run(place) -> None:
    said = cli_run("eval", place / "svm", "-m", "log-loss", "-m", "balanced-accuracy", "--json")
    found = json.loads(said.stdout)
    run = open_run(place / "svm")
    test = read_predictions(run.path / "predictions.csv").only("test")
    p = read_calibration(run)(test.scores)
    expected = peer.log_loss(test.truth.argmax(axis=1), p)
    assert found["metrics"]["log-loss"]["micro"]["value"] == pytest.approx(expected)
    assert expected < np.log(3), "calibrated probabilities say more than chance does"
    right = peer.balanced_accuracy_score(test.truth.argmax(axis=1), test.scores.argmax(axis=1))
    assert found["metrics"]["balanced-accuracy"]["macro"]["value"] == pytest.approx(right)
    valid = cli_run("eval", place / "svm", "-m", "brier", "--part", "valid").stdout
    assert "brier of the valid part are too good" in valid


def test_a_run_without_a_calibration_predicts_and_says_so(place, tmp_path) -> None:
    old = tmp_path / "old"
    shutil.copytree(place / "svm", old)
    for name in ("calibration.toml", SUMS):  # earlier versions wrote neither
        (old / name).unlink()
    result = cli_run("predict", old, place / "9.wav")
    assert result.stdout.splitlines()[0].split() == ["track", "label", "score"]
    assert f"note: {old} gives no probabilities" in result.stderr
    refused = cli_run("eval", old, "-m", "log-loss", code=2)
    assert "log-loss needs probabilities" in refused.stderr
    assert "there is no calibration" in refused.stderr


def test_without_a_valid_part_inner_folds_calibrate(place, tmp_path) -> None:
    lines = (place / "m.csv").read_text().replace(",valid", ",train")
    manifest = place / "two-parts.csv"
    manifest.write_text(lines)
    mcls.extract(manifest, tmp_path / "s.h5", features=["mel:n_mels=20"], sr=8000)
    mcls.train(tmp_path / "s.h5", tmp_path / "run", model="svm", pool=["mean"], split="split")
    told = open_run(tmp_path / "run").about["calibration"]
    assert told == {"on": "inner folds of the train part", "tracks": 90}
    assert 0 < read_calibration(open_run(tmp_path / "run")).slope[0] < 100


def test_pooled_auc_of_folds_says_what_it_is(place, tmp_path) -> None:
    folder = tmp_path / "cv"
    folder.mkdir()
    rows = [f"t{i},test,{i % 2},{'ab'[i // 2 % 2]},{i / 40},{1 - i / 40}" for i in range(40)]
    header = "track_id,part,fold,labels,score:a,score:b"
    (folder / "predictions.csv").write_text("\n".join([header, *rows]) + "\n")
    text = cli_run("eval", folder, "-m", "auc", "-m", "accuracy").stdout
    assert "auc of all folds pooled compare scores of 2 models" in text
    assert "pooled compare" not in cli_run("eval", folder, "-m", "accuracy").stdout
