"""Learning within --memory: what is done with rows that do not fit, and what it really takes."""

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from mcls.classifiers.logistic import Logistic
from mcls.classifiers.regression import Ridge
from mcls.classifiers.rows import Rows
from mcls.classifiers.svm import SVM
from mcls.disk.chain import Step
from mcls.errors import ConfigError
from mcls.parallel.memory import bytes_of, memory_budget
from mcls.stages.train import train
from mcls.stores.store import NewRows, StoreContents, write_store

CHAIN = (Step("imported", "numbers", {"name": "numbers", "n_dims": 1}),)


def make_store(path: Path, *, rows: int, dims: int, tracks: int = 60, dtype="float32") -> Path:
    """Write a store of noise in which a direction tells each of four labels."""
    rng = np.random.default_rng(0)
    per_track = rows // tracks
    labels = np.arange(tracks) % 4
    names = [f"t{i}" for i in range(tracks)]
    centres = rng.normal(0, 0.5, (4, dims)).astype(np.float32)
    blocks = (
        rng.standard_normal((per_track, dims), np.float32) + centres[label] for label in labels
    )
    split = ["valid" if i % 10 == 8 else "test" if i % 10 == 9 else "train" for i in range(tracks)]
    contents = StoreContents(
        {
            "track_id": names,
            "path": names,
            "labels": [f"l{label}" for label in labels],
            "split": split,
        }
    )
    feature = NewRows("numbers", CHAIN, 10.0, dims, [per_track] * tracks, blocks, dtype)
    write_store(path, contents, [feature])
    return path


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Path:
    return make_store(tmp_path_factory.mktemp("memory") / "s.h5", rows=6000, dims=20)


def on_disk(X: np.ndarray, folder: Path, dtype=np.float32) -> Rows:
    """Return rows that lie between others in a file."""
    file = np.memmap(folder / "rows", dtype, "w+", shape=(2 * len(X), X.shape[1]))
    file[::2], file[1::2] = X, 1e4
    return Rows(file, np.arange(0, 2 * len(X), 2), memory=10**8)


@pytest.fixture
def classes(rng):
    y = np.repeat([0, 1, 2], 400)
    X = rng.normal(size=(1200, 6)) + 1.5 * np.eye(6)[y]
    return X.astype(np.float32), y


@pytest.mark.parametrize("weight", [None, "balanced"])
@pytest.mark.parametrize("kind", ["classes", "tags", "unknown tags"])
def test_logistic_scores_the_same_from_the_disk(kind, weight, classes, tmp_path, rng):
    """Probabilities within 1e-3, as scikit-learn's own solver stops at a tolerance."""
    X, y = classes
    if kind == "tags":
        y = y[:, None] == [0, 1]
    elif kind == "unknown tags":
        y = np.where(rng.uniform(size=(1200, 2)) < 0.2, np.nan, y[:, None] == [0, 1])
    expected = Logistic(class_weight=weight).fit(X, y).scores(X)
    found = Logistic(class_weight=weight).fit(on_disk(X, tmp_path), y).scores(X)
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_two_classes_have_one_machine(classes, tmp_path):
    X, y = classes
    X, y = X[:800], y[:800]
    expected = Logistic().fit(X, y).scores(X)
    found = Logistic().fit(on_disk(X, tmp_path), y).scores(X)
    np.testing.assert_allclose(found, expected, atol=1e-3)


@pytest.mark.parametrize("kernel", ["linear", "rbf"])
def test_svm_scores_the_same_from_the_disk(kernel, classes, tmp_path):
    X, y = classes
    valid = X[::7] + 0.1, y[::7]
    settings = {"kernel": kernel, "max_rows": 300, "n_landmarks": 100}
    expected = SVM(**settings).fit(X, y, valid=valid)
    found = SVM(**settings).fit(on_disk(X, tmp_path), y, valid=valid)
    assert pytest.approx(expected.C_, rel=1e-6) == found.C_
    assert len(found.choice_) == 4
    np.testing.assert_allclose(found.scores(X), expected.scores(X), atol=1e-3)


def test_halves_are_read_as_they_are(classes, tmp_path):
    """Chunks of float16 rows are converted; the result is that of the rounded rows."""
    X, y = classes
    rounded = X.astype(np.float16).astype(np.float32)
    expected = SVM(kernel="linear", C=0.1, max_rows=300).fit(rounded, y)
    found = SVM(kernel="linear", C=0.1, max_rows=300).fit(on_disk(X, tmp_path, np.float16), y)
    np.testing.assert_allclose(found.coef_, expected.coef_, atol=1e-5)


def test_ridge_is_that_of_scikit_learn(classes, tmp_path, rng):
    X, _ = classes
    y = np.column_stack([X @ rng.normal(size=6), X[:, 0] ** 2])
    expected = Ridge(alpha=3.0).fit(X, y).scores(X)
    found = Ridge(alpha=3.0).fit(on_disk(X, tmp_path), y).scores(X)
    np.testing.assert_allclose(found, expected, atol=1e-8)


@pytest.mark.parametrize("pool", [(), ("mean@1s",)])
@pytest.mark.parametrize("model", ["logistic", "svm"])
def test_runs_score_the_same_whether_or_not_rows_fit(model, pool, store, tmp_path):
    options = {"model": model, "pool": pool}
    if model == "svm":
        options["settings"] = ("kernel=linear", "C=0.01", "max_rows=100")
    whole = train(store, tmp_path / "whole", **options)
    small = train(store, tmp_path / "small", memory="100kB" if pool else "1.2MB", **options)
    scores = [
        (tmp_path / run / "predictions.csv").read_text().split() for run in ("whole", "small")
    ]
    numbers = [[float(line.split(",")[-1]) for line in some[1:]] for some in scores]
    np.testing.assert_allclose(*numbers, atol=2e-3)
    assert small.summary["rows"] == whole.summary["rows"]
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("model", ["random-forest", "knn", "gmm", "gmm-hmm"])
def test_others_learn_from_rows_of_every_track_and_say_so(model, store, tmp_path):
    settings = ("n_estimators=5",) if model == "random-forest" else ()
    run = train(store, tmp_path / "run", model=model, settings=settings, memory="1.2MB")
    [note] = [note for note in run.summary["notes"] if "drawn equally from every track" in note]
    assert f"{model} was trained on {run.summary['rows']} of 4800 train rows" in note
    assert "1.2MB (--memory)" in note
    assert 48 < run.summary["rows"] < 4800
    assert run.summary["metrics"]["test"]["metrics"]["accuracy"]["micro"]["value"] > 0.9


def test_too_little_memory_is_refused(store, tmp_path):
    with pytest.raises(ConfigError, match="pass --memory 908kB"):
        train(store, tmp_path / "run", model="logistic", memory="500kB")
    with pytest.raises(ConfigError, match="has room for 5 rows"):
        train(store, tmp_path / "run", model="knn", memory="3kB")
    with pytest.raises(ConfigError, match="'4 gigs' is not a size"):
        train(store, tmp_path / "run", model="knn", memory="4 gigs")


def test_memory_is_part_of_what_a_run_is(store, tmp_path):
    train(store, tmp_path / "run", model="knn", memory="1.2MB")
    with pytest.raises(ConfigError, match=r"memory is 1\.2MB there and 100MB here"):
        train(store, tmp_path / "run", model="knn", memory="100MB")


def test_sizes():
    assert bytes_of("500MB") == 500_000_000
    assert memory_budget("2kB") == 2000
    assert memory_budget(None) > 10**8
    for wrong in ("4", "GB", "-1GB", "0GB", "4 GiB"):
        with pytest.raises(ConfigError, match="is not a size"):
            bytes_of(wrong)


def peak(*words: str) -> float:
    """Run mcls; return the largest MB of memory that it had of its own, files left out."""
    process = subprocess.Popen(
        [sys.executable, "-m", "mcls", *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    most = 0
    while process.poll() is None:
        try:
            status = Path(f"/proc/{process.pid}/status").read_text()
        except OSError:
            break
        said = [line for line in status.splitlines() if line.startswith("RssAnon")]
        most = max([most, *(int(line.split()[1]) for line in said)])
        time.sleep(0.01)
    output = process.communicate()[0]
    assert process.returncode == 0, output.decode()
    return most / 1000


LEARNERS = {
    "logistic": ["train", "--model", "logistic"],
    "svm linear": ["train", "--model", "svm", "-p", "kernel=linear"],
    "svm rbf": ["train", "--model", "svm", "-p", "C=1", "-p", "n_landmarks=200"],
    "random-forest": ["train", "--model", "random-forest", "-p", "n_estimators=20"],
    "knn": ["train", "--model", "knn"],
    "gmm": ["train", "--model", "gmm", "-p", "n_components=2"],
    "kmeans": ["learn-dict", "--size", "16", "--rows", "all"],
    "sparse-coding": ["learn-dict", "--method", "sparse-coding", "--size", "16", "--rows", "all"],
    "rbm": ["learn-dict", "--method", "rbm", "--size", "16", "--rows", "all", "-p", "n_epochs=1"],
}


@pytest.mark.slow
@pytest.mark.parametrize("learner", LEARNERS)
def test_no_learner_takes_more_than_its_memory(learner, tmp_path):
    """Of a store of 300 MB: at most 100 MB more than for a store of a few rows."""
    command, *options = LEARNERS[learner]
    few = make_store(tmp_path / "few.h5", rows=1200, dims=300)
    many = make_store(tmp_path / "many.h5", rows=250_000, dims=300)
    start = peak(command, str(few), str(tmp_path / "few-out.h5"), *options)
    most = peak(command, str(many), str(tmp_path / "out.h5"), *options, "--memory", "100MB")
    print(json.dumps({"learner": learner, "MB": round(most - start), "start": round(start)}))
    assert most - start < 100
