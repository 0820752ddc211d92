"""`mcls train --regression`: metrics against scikit-learn and scipy, models, what is refused."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.testing import assert_allclose
from scipy.stats import spearmanr
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_squared_error, r2_score
from sklearn.preprocessing import StandardScaler

import mcls
from mcls.cli.main import cli
from mcls.disk.chain import Step
from mcls.errors import ConfigError, DataError, FormatError
from mcls.evaluation import evaluate
from mcls.registry import find
from mcls.stores.store import NewRows, StoreContents, write_store
from mcls.tables.numbers import parse_numbers
from mcls.tables.predictions import Predictions, read_predictions, write_predictions

REFERENCES = {
    "mse": mean_squared_error,
    "r2": r2_score,
    "spearman": lambda truth, scores: spearmanr(truth, scores).statistic,
}


def metric(name: str, truth, scores, weights):
    return find("metrics", name).load()(truth, scores, weights).per_label


@pytest.mark.parametrize("name", REFERENCES)
@pytest.mark.parametrize("ties", [False, True])
def test_metrics_are_those_of_scikit_learn_and_scipy(name: str, ties: bool) -> None:
    """To 1e-10, of all tracks and of tracks drawn again and again."""
    rng = np.random.default_rng(440)
    truth = rng.normal(5, 2, (40, 3))
    scores = truth + rng.normal(0, 2, (40, 3))
    if ties:
        truth, scores = truth.round(), scores.round()
    weights = np.stack([np.ones(40, int), rng.integers(0, 3, 40), np.arange(40) % 2])
    found = metric(name, truth, scores, weights)
    for row, drawn in zip(found, weights, strict=True):
        again = np.repeat(np.arange(40), drawn)
        expected = [REFERENCES[name](truth[again, j], scores[again, j]) for j in range(3)]
        assert_allclose(row, expected, rtol=1e-10)


def test_what_is_constant_has_no_r2_and_no_correlation() -> None:
    truth, scores = np.full((5, 1), 0.1), np.arange(5.0)[:, None]
    once = np.ones((1, 5), int)
    for name in ("r2", "spearman"):
        assert metric(name, truth, scores, once).mask.all()
    assert metric("spearman", scores, truth, once).mask.all()


def numbers(truth: np.ndarray, scores: np.ndarray) -> Predictions:
    n = len(truth)
    names = [f"y{j}" for j in range(truth.shape[1])]
    ids = [f"t{i}" for i in range(n)]
    return Predictions(ids, ["test"] * n, [""] * n, names, truth, scores, False)


def test_intervals_contain_the_value_and_are_those_of_the_bootstrap() -> None:
    """Ends within a quarter of the width of the percentiles of 2000 bootstrap replicates."""
    rng = np.random.default_rng(440)
    truth = rng.normal(size=(200, 1))
    scores = truth + rng.normal(0, 0.8, (200, 1))
    report = evaluate(numbers(truth, scores))
    assert list(report.metrics) == ["mse", "r2", "spearman"]
    drawn = np.stack([np.bincount(rng.integers(0, 200, 200), minlength=200) for _ in range(2000)])
    for name, one in report.metrics.items():
        estimate = one.main
        assert estimate.low < estimate.value < estimate.high
        low, high = np.percentile(metric(name, truth, scores, drawn).data[:, 0], [2.5, 97.5])
        assert abs(estimate.low - low) < (high - low) / 4, name
        assert abs(estimate.high - high) < (high - low) / 4, name
    assert report.as_dict()["regression"] is True


def test_predictions_of_numbers_are_read_back_exactly(tmp_path) -> None:
    rng = np.random.default_rng(440)
    made = numbers(rng.normal(size=(4, 2)), rng.normal(size=(4, 2)))
    write_predictions(tmp_path / "p.csv", made)
    read = read_predictions(tmp_path / "p.csv")
    assert read.regression
    assert read.names == made.names
    assert np.array_equal(read.truth, made.truth)
    assert np.array_equal(read.scores, made.scores)
    text = (tmp_path / "p.csv").read_text(encoding="utf-8")
    assert text.startswith("track_id,part,fold,true:y0,true:y1,predicted:y0,predicted:y1\n")
    (tmp_path / "bad.csv").write_text(text.replace("true:y1", "other"), encoding="utf-8")
    with pytest.raises(FormatError, match="no column 'true:y1'"):
        read_predictions(tmp_path / "bad.csv")


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (["1", "rock"], "y: 'rock' is not a finite number; leave --regression out"),
        (["1", "a=0,83"], "y: 'a=0,83' has a decimal comma; write a=0.83"),
        (["1", ""], "y: '' is not a finite number"),
        (["1", "nan"], "y: 'nan' is not a finite number"),
        (["1|2", "3"], "y: numbers for c; expected c:1, c:2"),
        (["a=1", "a=1|a=2"], "'a' occurs twice"),
    ],
)
def test_cells_that_are_no_numbers_are_named(cells, said) -> None:
    with pytest.raises(DataError, match=said.replace("|", r"\|")):
        parse_numbers(cells, "c", ["x", "y"])


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """120 tracks whose first two dimensions tell two numbers of very different units."""
    rng = np.random.default_rng(440)
    means = rng.normal(size=(120, 4))
    targets = np.column_stack([1000 + 50 * means[:, 0], 0.01 * (means[:, 1] - means[:, 2])])
    cells = [f"loud={a!r}|mood={b!r}" for a, b in targets.tolist()]
    columns = {
        "track_id": [f"t{i:03d}" for i in range(120)],
        "path": [f"t{i:03d}.wav" for i in range(120)],
        "numbers": cells,
        "same": ["7"] * 120,
        "one": [repr(float(m)) for m in means[:, 3]],
        "labels": ["ab"[i % 2] for i in range(120)],
        "split": ["train"] * 70 + ["valid"] * 20 + ["test"] * 30,
        "fold": [str(i % 3) for i in range(120)],
    }
    rows = (np.repeat(m[None], 6, 0) + rng.normal(0, 0.1, (6, 4)) for m in means)
    new = NewRows(
        "mel",
        (Step("feature", "mel", {"n_mels": 4}),),
        10.0,
        4,
        [6] * 120,
        (r.astype(np.float32) for r in rows),
        "float32",
    )
    path = tmp_path_factory.mktemp("regression") / "store.h5"
    write_store(path, StoreContents(columns), [new])
    return path


NET = {"model": "mlp", "settings": ["layers=16"], "epochs": 40, "frames": 3, "device": "cpu"}
MODELS = {
    "ridge": {"model": "ridge"},
    "svr": {"model": "svr"},
    "net": NET,
    "net, mae": {**NET, "loss": "mae", "monitor": "r2"},
    "net, mse monitored": {**NET, "monitor": "mse", "augment": ["mixup"]},
}


@pytest.mark.parametrize("name", MODELS)
def test_models_predict_numbers_in_their_units(name: str, store, tmp_path) -> None:
    run = tmp_path / "run"
    trained = (
        mcls.train(
            store, run, labels="numbers", regression=True, optimizer="adam:lr=0.01", **MODELS[name]
        )
        if "net" in name
        else mcls.train(store, run, labels="numbers", regression=True, **MODELS[name])
    )
    assert trained.summary["regression"]
    report = mcls.evaluate(run)
    assert report.overall.names == ["loud", "mood"]
    assert min(e.value for e in report["r2"].per_label.values()) > 0.85
    told = read_predictions(run / "predictions.csv")
    found = {t.name: t.scores for t in mcls.predict(run, [store]).tracks}
    for track, expected in zip(told.track_ids, told.scores, strict=True):
        assert np.array_equal(found[track], expected)
    if name == "net, mse monitored":
        lines = (run / "history.csv").read_text(encoding="utf-8").splitlines()
        values = [
            float(line.split(",")[lines[0].split(",").index("valid_mse")]) for line in lines[1:]
        ]
        about = json.loads((run / "about.json").read_text(encoding="utf-8"))
        assert about["kept_epoch"] == 1 + int(np.argmin(values))


def test_ridge_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(440)
    X, Y = rng.normal(3, 2, (50, 4)), rng.normal(100, 7, (50, 2))
    ours = find("classifiers", "ridge").load()(alpha=2.0).fit(X, Y).predict(X)
    rows = StandardScaler().fit_transform(X)
    mean, scale = Y.mean(axis=0), Y.std(axis=0)
    theirs = Ridge(alpha=2.0).fit(rows, (Y - mean) / scale).predict(rows) * scale + mean
    assert_allclose(ours, theirs, rtol=1e-10)


def test_a_cross_validation_of_numbers(store, tmp_path) -> None:
    recipe = {"train": {"model": "ridge", "labels": "numbers", "regression": True}}
    mcls.cross_validate(recipe, store, tmp_path / "cv", split="fold")
    report = mcls.evaluate(tmp_path / "cv")
    assert report.overall.n_tracks == 120
    assert report["spearman"].main.value > 0.9
    assert report.across_folds["r2"]["macro"]["mean"] > 0.9


RIDGE = ("--model", "ridge", "--regression")


def test_the_command_line(store, tmp_path) -> None:
    def run(*words: str):
        return CliRunner().invoke(cli, [*map(str, words)], prog_name="mcls")

    done = run("train", store, tmp_path / "r", *RIDGE, "--labels", "numbers")
    assert done.exit_code == 0, done.output
    assert "2 targets of a regression" in done.output
    assert "spearman" in run("eval", tmp_path / "r", "--per-label").output
    assert "2 targets of a regression" in run("info", tmp_path / "r").output
    said = json.loads(run("predict", tmp_path / "r", store, "--json").stdout)
    assert set(said["tracks"][0]["numbers"]) == {"loud", "mood"}
    assert "threshold" not in said
    assert "predicted:loud" in run("predict", tmp_path / "r", store, "--csv").output
    assert "predicts numbers" in run("predict", tmp_path / "r", store, "--top", "1").output
    assert run("train", store, tmp_path / "s", *RIDGE, "--labels", "one").exit_code == 0
    said = json.loads(run("predict", tmp_path / "s", store, "--json").stdout)
    assert set(said["tracks"][0]["numbers"]) == {"one"}
    said = run("eval", tmp_path / "r", "--metric", "auc").output
    assert "auc does not fit predicted numbers; use one of mse, r2, spearman" in said


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({"model": "svm"}, ConfigError, "svm predicts labels; with --regression use ridge, svr"),
        ({"model": "ridge", "regression": False}, ConfigError, "pass --regression"),
        ({"model": "ridge", "aggregate": "vote"}, ConfigError, "--aggregate vote is for labels"),
        ({"model": "ridge", "labels": "labels"}, DataError, "'a' is not a finite number"),
        ({"model": "ridge", "labels": "same"}, DataError, "every train track has same = 7"),
        ({**NET, "loss": "bce"}, ConfigError, "bce is for labels; with --regression use mse"),
        ({**NET, "monitor": "auc"}, ConfigError, "auc is for labels"),
        ({**NET, "balance": True}, ConfigError, "--balance is for labels"),
        ({**NET, "loss": "mse", "regression": False}, ConfigError, "mse is for numbers"),
    ],
)
def test_refused(given, error, said, store, tmp_path) -> None:
    with pytest.raises(error, match=said):
        mcls.train(store, tmp_path / "run", **{"labels": "numbers", "regression": True, **given})


def test_metrics_of_labels_and_of_numbers_do_not_mix() -> None:
    truth = np.eye(2, dtype=bool)[[0, 1, 0]]
    labels = Predictions(
        ["a", "b", "c"], [""] * 3, [""] * 3, ["x", "y"], truth, np.eye(2)[[0, 1, 1]], False
    )
    with pytest.raises(ConfigError, match="r2 does not fit labels with scores"):
        evaluate(labels, ["r2"])
    with pytest.raises(ConfigError, match="threshold"):
        evaluate(numbers(np.eye(2), np.eye(2)), threshold=0.5)
