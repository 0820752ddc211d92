import io
import json
import tomllib
import zipfile

import numpy as np
import pytest
import skops.io
from sklearn.ensemble import RandomForestClassifier
from sklearn.preprocessing import FunctionTransformer

from mcls.classifiers.logistic import Logistic
from mcls.classifiers.random_forest import RandomForest
from mcls.disk.chain import Step, chain_digest
from mcls.disk.model import read_model, write_model
from mcls.disk.run import FILES, open_run, toml_value, write_parts, written_folder
from mcls.disk.sums import SUMS
from mcls.errors import ConfigError, FormatError
from mcls.tables.predictions import Predictions, write_predictions

CHAIN = (
    Step("feature", "mfcc", {"n_mfcc": 20}),
    Step("pool", "mean", {"seconds": None}, inputs=(0,)),
)
ABOUT = {"labels": ["a", "b"], "multi_label": False, "aggregate": "mean", "threshold": 0.5}
SETTINGS = {"model": "logistic", "pool": ["mean"], "fold": None, "valid": 0.1, "seed": 0}


def fill(folder, model, **about):
    write_parts(
        folder,
        command="train",
        settings=SETTINGS,
        origins={"model": "command line"},
        chain=CHAIN,
        model=model,
        learnt_from=["t1", "t2"],
        metrics={"test": {}},
        about={**ABOUT, **about},
    )
    truth = np.eye(2, dtype=bool)
    predictions = Predictions(
        ["x", "y"], ["test"] * 2, [""] * 2, ["a", "b"], truth, truth * 1.0, False
    )
    write_predictions(folder / "predictions.csv", predictions)


@pytest.fixture
def model(rng):
    return Logistic().fit(rng.normal(size=(20, 3)), np.arange(20) % 2)


@pytest.fixture
def run(tmp_path, model):
    with written_folder(tmp_path / "run") as folder:
        fill(folder, model)
    return tmp_path / "run"


def test_written_and_read(run, model, rng):
    assert sorted(item.name for item in run.iterdir()) == sorted([*FILES, SUMS])
    opened = open_run(run)
    X = rng.normal(size=(5, 3))
    assert np.array_equal(opened.model().scores(X), model.scores(X))
    assert chain_digest(opened.chain()) == chain_digest(CHAIN)
    assert opened.learnt_from() == ("t1", "t2")
    assert opened.labels == ["a", "b"]
    assert not opened.multi_label
    assert opened.metrics() == {"test": {}}


def test_settings_are_a_recipe_that_says_where_they_came_from(run):
    text = (run / "run.toml").read_text()
    assert 'model = "logistic"  # command line' in text
    assert "# fold is not set  # default" in text
    table = tomllib.loads(text)["train"]
    assert table == {"model": "logistic", "pool": ["mean"], "valid": 0.1, "seed": 0}


@pytest.mark.parametrize("text", ['a"b', "a\\b", "line\nline", "ü", "\x7f", ""])
def test_toml_text_comes_back(text):
    assert tomllib.loads(f"x = {toml_value(text)}")["x"] == text


def test_a_run_appears_whole_or_not_at_all(tmp_path, model):
    with pytest.raises(RuntimeError), written_folder(tmp_path / "run") as folder:
        fill(folder, model)
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_an_older_run_stays_if_the_new_one_fails(run, model):
    before = (run / "run.toml").read_bytes()
    with pytest.raises(RuntimeError), written_folder(run, overwrite=True) as folder:
        (folder / "run.toml").write_text("new")
        raise RuntimeError
    assert (run / "run.toml").read_bytes() == before
    assert [item.name for item in run.parent.iterdir()] == ["run"]


def test_nothing_else_is_replaced(tmp_path, run):
    with pytest.raises(ConfigError, match="--overwrite"), written_folder(run):
        pass
    (tmp_path / "music").mkdir()
    (tmp_path / "music" / "song.wav").write_text("")
    with pytest.raises(ConfigError, match="other things"):
        written_folder(tmp_path / "music", overwrite=True).__enter__()
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="is a file"):
        written_folder(tmp_path / "file", overwrite=True).__enter__()


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(run, name):
    (run / name).unlink()
    with pytest.raises(FormatError, match=name):
        open_run(run)


def test_no_folder(tmp_path):
    with pytest.raises(FormatError, match="no such run folder"):
        open_run(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("key", "value"),
    [("labels", "ab"), ("labels", ["a"]), ("multi_label", 1), ("threshold", None), ("format", 2)],
)
def test_a_wrong_about_is_refused(run, key, value):
    about = json.loads((run / "about.json").read_text())
    (run / "about.json").write_text(json.dumps({**about, key: value}))
    (run / SUMS).unlink()
    with pytest.raises(FormatError, match=key):
        open_run(run)


@pytest.mark.parametrize(
    "name", ["run.toml", "about.json", "chain.h5", "model.skops", "metrics.json"]
)
def test_a_corrupt_file_is_named(run, name):
    (run / name).write_bytes(b"\x00\xff nonsense")
    (run / SUMS).unlink()
    with pytest.raises(FormatError, match=name):
        opened = open_run(run)
        opened.chain()
        opened.model()
        opened.metrics()


def test_a_model_of_another_kind_is_refused(tmp_path, rng):
    path = tmp_path / "model.skops"
    write_model(path, RandomForestClassifier(2).fit(rng.normal(size=(9, 2)), np.arange(9) % 3))
    with pytest.raises(FormatError, match="not a classifier of mcls"):
        read_model(path)


@pytest.mark.parametrize("function", [np.exp, io.open, json.loads])
def test_a_model_that_would_call_something_is_refused(tmp_path, model, function):
    model.scaler_ = FunctionTransformer(func=function)
    skops.io.dump(model, tmp_path / "model.skops")
    with pytest.raises(FormatError, match="refused"):
        read_model(tmp_path / "model.skops")


def test_a_model_cut_short_is_corrupt(run):
    whole = (run / "model.skops").read_bytes()
    (run / "model.skops").write_bytes(whole[: len(whole) // 2])
    (run / SUMS).unlink()
    with pytest.raises(FormatError, match="corrupt"):
        open_run(run).model()


def test_a_tree_that_points_outside_itself_is_refused(tmp_path, rng):
    """scikit-learn follows the nodes of a tree without looking: bad ones read foreign memory."""
    X = rng.normal(size=(50, 3))
    path = tmp_path / "model.skops"
    write_model(path, RandomForest(n_estimators=2).fit(X, (X[:, 0] > 0).astype(int)))
    read_model(path)
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    for name, content in files.items():
        if name.endswith(".npy"):
            array = np.load(io.BytesIO(content), allow_pickle=False)
            if array.dtype.names and "left_child" in array.dtype.names:
                array["left_child"][0] = 10**9
                changed = io.BytesIO()
                np.save(changed, array)
                files[name] = changed.getvalue()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    with pytest.raises(FormatError, match="outside itself"):
        read_model(path)
