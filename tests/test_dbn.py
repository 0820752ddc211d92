"""Deep belief networks: layers are RBMs of the layer below; the encoder gives any layer."""

import pickle

import numpy as np
import pytest
import soundfile
from scipy.special import expit
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.utils.estimator_checks import check_estimator

import mcls
from mcls.dictionaries.dbn import DBN
from mcls.dictionaries.encoders import dbn as encode
from mcls.dictionaries.rbm import RBM
from mcls.disk.dictionary import read_dictionary
from mcls.errors import ConfigError, DataError
from mcls.registry import find
from mcls.settings import resolve


@pytest.fixture(scope="module")
def digits():
    rows, labels = load_digits(return_X_y=True)
    return (rows / 16).astype(np.float32), labels


def model(**changed):
    return DBN(
        **{
            "layers": (30, 20, 10),
            "visible": "binary",
            "n_epochs": (3,),
            "learning_rate": (0.1,),
            "random_state": 0,
            **changed,
        }
    )


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
def test_scikit_learns_contract():
    check_estimator(DBN(layers=(8, 4), n_epochs=(2,), random_state=0))


def test_settings_are_written_as_lists():
    entry = find("dictionaries", "dbn")
    assert entry.load() is DBN
    facts = {"encoder": "dbn", "watches_valid": True, "resumes": True, "labels_if": "up_down"}
    assert entry.facts == facts | {"distributed": True}
    assert all(setting.doc for setting in entry.settings.values())
    said = resolve(entry, {"layers": "1024x512", "learning_rate": "0.01x0.4", "n_epochs": "7"})
    assert (said["layers"], said["learning_rate"], said["n_epochs"]) == (
        [1024, 512],
        [0.01, 0.4],
        [7],
    )
    published = {"layers": (50, 50, 50), "n_epochs": (5,), "learning_rate": (0.001,)}
    assert {name: entry.settings[name].default for name in published} == published


@pytest.mark.parametrize("hidden", ["binary", "relu"])
def test_every_layer_is_an_rbm_of_the_layer_below(digits, hidden):
    rows = digits[0]
    rates = {"learning_rate": (0.05, 0.02, 0.01), "n_epochs": (2, 1, 3), "hidden": hidden}
    learnt = model(**rates).fit_batches(lambda: [rows])
    assert [rbm.visible for rbm in learnt.rbms_] == ["binary", hidden, hidden]
    below = rows
    for i, rbm in enumerate(learnt.rbms_):
        alone = RBM(
            n_atoms=(30, 20, 10)[i],
            visible=("binary", hidden, hidden)[i],
            hidden=hidden,
            learning_rate=(0.05, 0.02, 0.01)[i],
            n_epochs=(2, 1, 3)[i],
            rate_decay=1.0,
            rate_floor=0.0,
            random_state=rbm.random_state,
        ).fit_batches(lambda below=below: [below])
        np.testing.assert_allclose(rbm.components_, alone.components_, atol=1e-4)
        np.testing.assert_allclose(rbm.biases_, alone.biases_, atol=1e-4)
        drive = below @ rbm.components_.T + rbm.biases_
        below = expit(drive) if hidden == "binary" else np.maximum(drive, 0)
    np.testing.assert_allclose(learnt.transform(rows), below, atol=1e-5)
    assert [entry["layer"] for entry in learnt.history_] == [1, 1, 2, 3, 3, 3]
    np.testing.assert_array_equal(learnt.usage_, learnt.rbms_[-1].usage_)


def test_encoder_gives_any_layer(digits):
    rows = digits[0][:100]
    learnt = model(n_epochs=(1,)).fit(digits[0])
    arrays = learnt.arrays()
    assert list(arrays)[:4] == ["atoms", "weights_1", "biases_1", "visible_biases_1"]
    product = arrays["weights_3"] @ arrays["weights_2"] @ arrays["weights_1"]
    np.testing.assert_allclose(arrays["atoms"], product, atol=1e-5)
    assert arrays["atoms"].shape == (10, 64)
    assert {array.dtype for array in arrays.values()} == {np.dtype(np.float32)}
    by_default = encode(rows, arrays, **learnt.encoder_settings())
    np.testing.assert_allclose(by_default, learnt.transform(rows), atol=1e-6)
    assert by_default.dtype == np.float32
    each = [encode(rows, arrays, layer=i) for i in (1, 2, 3)]
    assert [codes.shape for codes in each] == [(100, 30), (100, 20), (100, 10)]
    np.testing.assert_array_equal(np.concatenate(each, axis=1), encode(rows, arrays, layer="all"))
    np.testing.assert_array_equal(each[2], by_default)
    first = expit(rows @ arrays["weights_1"].T + arrays["biases_1"])
    np.testing.assert_allclose(each[0], first, atol=1e-6)
    np.testing.assert_allclose(
        encode(rows, arrays, layer=1, nonlinearity="relu"),
        np.maximum(rows @ arrays["weights_1"].T + arrays["biases_1"], 0),
        atol=1e-6,
    )
    entry = find("encoders", "dbn")
    assert [resolve(entry, {"layer": said})["layer"] for said in ("2", "all")] == [2, "all"]
    with pytest.raises(ConfigError, match="layer=4, and the dictionary has 3"):
        encode(rows, arrays, layer=4)
    with pytest.raises(ConfigError, match="no layers"):
        encode(rows, {"atoms": arrays["atoms"]})


def test_rows_are_streamed_and_cut_as_one_likes(digits):
    rows, calls = digits[0], []

    def source(size):
        calls.append(size)
        return (rows[i : i + size] for i in range(0, len(rows), size))

    learnt = [model().fit_batches(lambda s=s: source(s)) for s in (70, 1797)]
    assert pickle.dumps(learnt[0].arrays()) == pickle.dumps(learnt[1].arrays())
    assert calls == [70] * 12 + [1797] * 12  # three layers: a look, and three epochs
    watched = model().fit_batches(lambda: [rows[:1500]], valid=lambda: [rows[1500:]])
    assert all("valid_free_energy" in entry for entry in watched.history_)


def test_same_seed_same_bytes_by_any_number_of_threads(digits, monkeypatch):
    learnt = []
    for threads in ("1", "3"):
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
        learnt.append(model().fit(digits[0]))
    assert pickle.dumps(learnt[0].arrays()) == pickle.dumps(learnt[1].arrays())
    other = model(random_state=1).fit(digits[0])
    assert other.components_.tobytes() != learnt[0].components_.tobytes()


@pytest.mark.parametrize("hidden", ["binary", "relu"])
def test_what_the_last_layer_knows_of_digits(digits, hidden):
    rows, labels = digits
    rate = {"binary": (0.1,), "relu": (0.01,)}[hidden]
    learnt = model(layers=(100, 60), n_epochs=(15,), hidden=hidden, learning_rate=rate)
    codes = learnt.fit(rows[:1200]).transform(rows)
    for layer in (1, 2):
        errors = [e["reconstruction"] for e in learnt.history_ if e["layer"] == layer]
        assert errors[-1] < 0.8 * errors[0]
    known = LogisticRegression(max_iter=3000).fit(codes[:1200], labels[:1200])
    blind = model(layers=(100, 60), n_epochs=(1,), hidden=hidden, learning_rate=(1e-9,))
    blind_codes = blind.fit(rows[:1200]).transform(rows)
    guess = LogisticRegression(max_iter=3000).fit(blind_codes[:1200], labels[:1200])
    assert known.score(codes[1200:], labels[1200:]) > 0.85
    assert guess.score(blind_codes[1200:], labels[1200:]) < 0.85  # random layers: the codes tell


def test_partial_fit_goes_on(digits):
    learnt = model()
    for part in 6 * np.array_split(digits[0], 5):
        learnt.partial_fit(part)
    assert [entry["layer"] for entry in learnt.history_] == [1, 2, 3] * 30
    last = [entry["reconstruction"] for entry in learnt.history_ if entry["layer"] == 1]
    assert last[-1] < 0.8 * last[0]
    assert learnt.transform(digits[0]).shape == (1797, 10)


def test_what_is_wrong_is_said_with_its_layer(digits):
    with pytest.raises(ConfigError, match=r"n_epochs=.* must hold one value, or 3"):
        model(n_epochs=(1, 2)).fit(digits[0])
    with pytest.raises(ConfigError, match="layers is empty"):
        model(layers=()).fit(digits[0])
    with pytest.raises(ConfigError, match=r"layer 2: .*n_atoms=0"):
        model(layers=(5, 0)).fit(digits[0])
    with pytest.raises(DataError, match=r"layer 1: .*within \[0, 1\]"):
        model().fit(digits[0] - 1)
    with pytest.raises(DataError, match=r"layer 2: .*diverged"):
        model(hidden="relu", learning_rate=(0.01, 1e6, 0.01)).fit(digits[0])


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder, rng = tmp_path_factory.mktemp("noise"), np.random.default_rng(0)
    lines = ["path,labels,split"]
    for i, part in enumerate(["train", "train", "valid", "test"]):
        soundfile.write(folder / f"{i}.wav", 0.1 * rng.normal(size=8000), 8000)
        lines.append(f"{i}.wav,a,{part}")
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    mcls.extract(folder / "manifest.csv", folder / "store.h5", features=["mfcc"], sr=8000)
    return folder / "store.h5"


@pytest.mark.parametrize("method", ["dbn", "rbm", "sparse-rbm"])
def test_from_store_to_codes(store, tmp_path, method):
    settings = ["n_epochs=2", *(["layers=9x5"] if method == "dbn" else [])]
    options = {"method": method, "settings": settings, "split": "split"}
    learnt = mcls.learn_dict(store, tmp_path / "d.h5", size=7, **options)
    assert "valid_free_energy" in learnt.report["history"][-1]
    assert learnt.report["n_atoms"] == len(learnt.report["usage"])
    dictionary = read_dictionary(tmp_path / "d.h5").step
    codes = mcls.encode(store, tmp_path / "codes.h5", dicts=[tmp_path / "d.h5"]).path
    n_codes = mcls.Store(codes).feature(None).n_dims
    assert n_codes == (5 if method == "dbn" else 7)
    if method == "dbn":  # size says nothing to it
        assert "n_atoms" not in dictionary.settings["method"]
        every = {"dicts": [tmp_path / "d.h5"], "encoder": "dbn:layer=all"}
        codes = mcls.encode(store, tmp_path / "all.h5", **every).path
        assert mcls.Store(codes).feature(None).n_dims == 14
        assert not mcls.learn_dict(store, tmp_path / "d.h5", size=512, **options).computed
        with pytest.raises(ConfigError, match="unknown setting 'n_atoms'"):
            asked = {**options, "settings": ["n_atoms=3"]}
            mcls.learn_dict(store, tmp_path / "e.h5", **asked)
