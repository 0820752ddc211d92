"""Thresholds per label, learnt on the valid part."""

import json
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from sklearn.metrics import f1_score, precision_recall_curve

import mcls
from mcls.cli.main import cli
from mcls.disk.run import open_run
from mcls.errors import FormatError
from mcls.evaluation.thresholds import MIN_POSITIVES, best_thresholds
from mcls.tables.predictions import read_predictions


@pytest.mark.parametrize("decimals", [1, 12])  # with and without ties
def test_the_highest_f1_is_that_of_scikit_learn(decimals):
    rng = np.random.default_rng(decimals)
    truth = rng.random((60, 8)) < np.linspace(0.15, 0.9, 8)
    scores = np.round(rng.normal(size=(60, 8)) + truth, decimals)
    found = best_thresholds(truth, scores, default=0.0)
    predicted = scores >= found
    for label in range(8):
        precision, recall, _ = precision_recall_curve(truth[:, label], scores[:, label])
        best = (2 * precision * recall / np.maximum(precision + recall, 1e-12)).max()
        reached = f1_score(truth[:, label], predicted[:, label])
        assert reached == pytest.approx(best, abs=1e-12)


def test_rare_labels_keep_the_common_threshold():
    rng = np.random.default_rng(0)
    scores = rng.random((30, 4))
    truth = np.zeros((30, 4), dtype=bool)
    truth[: MIN_POSITIVES - 1, 1] = True
    truth[:, 2] = True
    truth[:MIN_POSITIVES, 3] = True
    found = best_thresholds(truth, scores, default=0.25)
    assert found[:3].tolist() == [0.25] * 3
    assert found[3] != 0.25


def test_thresholds_are_between_scores():
    truth = np.repeat([[True], [False]], 6, axis=0)
    scores = np.repeat([[3.0], [1.0]], 6, axis=0)
    assert best_thresholds(truth, scores, default=0.0).tolist() == [2.0]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Train on tracks with several labels; return the store and the run."""
    root = tmp_path_factory.mktemp("several")
    made = CliRunner().invoke(cli, ["data", "synth", str(root), "--tracks", "60", "--seconds", "1"])
    assert made.exit_code == 0, made.output
    mcls.extract(root / "manifest.csv", root / "s.h5", features=["mfcc"], labels="tags")
    mcls.train(root / "s.h5", root / "run", labels="tags", pool=["mean"], model="knn")
    return root / "s.h5", root / "run"


def test_a_run_learns_its_thresholds_on_valid(run):
    store, folder = run
    about = json.loads((folder / "about.json").read_text())
    predictions = read_predictions(folder / "predictions.csv")
    valid, test = predictions.only("valid"), predictions.only("test")
    learnt = best_thresholds(valid.truth, valid.scores, default=about["threshold"])
    assert about["thresholds"] == learnt.tolist()
    assert len(set(about["thresholds"])) > 1
    found = mcls.predict(folder, [store])
    place = {one.name: one for one in found.tracks}
    for i, name in enumerate(test.track_ids):
        wanted = [found.labels[j] for j in np.flatnonzero(test.scores[i] >= learnt)]
        assert found.predicted(place[name].scores) == wanted
    f1 = mcls.evaluate(folder, ["f1"])["f1"]
    expected = f1_score(test.truth, test.scores >= learnt, average="micro")
    assert f1.micro.value == pytest.approx(expected, abs=1e-12)
    common = mcls.evaluate(folder, ["f1"], threshold=about["threshold"])["f1"]
    expected = f1_score(test.truth, test.scores >= about["threshold"], average="micro")
    assert common.micro.value == pytest.approx(expected, abs=1e-12)


def test_a_run_of_one_label_per_track_has_none(run, tmp_path):
    store, _ = run
    mcls.train(store, tmp_path / "run", pool=["mean"], model="knn")
    assert "thresholds" not in json.loads((tmp_path / "run" / "about.json").read_text())


def test_wrong_thresholds_are_refused(run):
    opened = open_run(run[1])
    for wrong in ([0.5], "0.5", [None] * len(opened.labels)):
        with pytest.raises(FormatError, match="thresholds are not a number per label"):
            assert replace(opened, about={**opened.about, "thresholds": wrong}).thresholds
