"""The estimators RBM and SparseRBM: their contract, seeds, schedules, and what they refuse."""

import _thread
import pickle
import signal
import threading
import time

import numpy as np
import pytest
from sklearn.utils.estimator_checks import check_estimator

from mcls.dictionaries.encoders import feed_forward
from mcls.dictionaries.rbm import RBM, SparseRBM
from mcls.errors import ConfigError, DataError
from mcls.registry import find


@pytest.fixture(scope="module")
def patches():
    """Whitened rows, each a few of many sources."""
    rng = np.random.default_rng(0)
    codes = rng.exponential(size=(4000, 60)) * (rng.random((4000, 60)) < 0.06)
    rows = codes @ rng.normal(size=(60, 20))
    return ((rows - rows.mean(axis=0)) / rows.std(axis=0)).astype(np.float32)


def model(**changed):
    return SparseRBM(**{"n_atoms": 32, "n_epochs": 6, "random_state": 0, **changed})


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@pytest.mark.parametrize("method", [RBM, SparseRBM])
def test_scikit_learns_contract(method):
    check_estimator(method(n_atoms=8, n_epochs=2, random_state=0))


@pytest.mark.parametrize(("name", "method"), [("rbm", RBM), ("sparse-rbm", SparseRBM)])
@pytest.mark.parametrize("hidden", ["binary", "relu"])
def test_registered_with_its_natural_encoder(patches, name, method, hidden):
    entry = find("dictionaries", name)
    assert entry.load() is method
    facts = {"encoder": "feed-forward", "watches_valid": True, "distributed": True}
    assert entry.facts == facts
    assert all(setting.doc for setting in entry.settings.values())
    learnt = method(n_atoms=16, n_epochs=1, hidden=hidden, random_state=0).fit(patches)
    codes = feed_forward(patches, learnt.arrays(), **learnt.encoder_settings())
    np.testing.assert_allclose(codes, learnt.transform(patches), atol=1e-5)
    shapes = {key: array.shape for key, array in learnt.arrays().items()}
    assert shapes == {
        "atoms": (16, 20),
        "weights": (16, 20),
        "biases": (16,),
        "visible_biases": (20,),
    }
    assert {array.dtype for array in learnt.arrays().values()} == {np.dtype(np.float32)}
    assert codes.dtype == learnt.transform(patches).dtype == np.float32
    recorded = {"learning_rate", "activation", "reconstruction"}
    assert set(learnt.history_[0]) - {"free_energy"} == recorded
    assert ("free_energy" in learnt.history_[0]) == (hidden == "binary")


def test_two_classes_differ_in_their_defaults_alone():
    one, other = find("dictionaries", "rbm").settings, find("dictionaries", "sparse-rbm").settings
    assert list(one) == list(other)
    assert all(one[name].type == other[name].type for name in one)
    published = {
        "n_atoms": 1024,
        "algorithm": "cd",
        "n_gibbs": 1,
        "batch_size": 100,
        "learning_rate": 0.007,
        "rate_decay": 0.99,
        "rate_floor": 0.003,
        "momentum": 0.5,
        "final_momentum": 0.9,
        "weight_cost": 0.001,
        "sparsity": "bias",
        "target": 0.02,
        "sparsity_cost": 3.0,
        "activation_rate": 0.01,
        "initial_bias": 0.0,
    }
    assert {name: other[name].default for name in published} == published


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"algorithm": "pcd"},
        {"hidden": "relu", "n_gibbs": 2},
        {"n_atoms": 1100, "batch_size": 1030},
    ],
)
def test_same_seed_same_bytes_by_any_number_of_threads(patches, monkeypatch, changed):
    learnt = []
    for threads in ("1", "2", "5"):
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
        learnt.append(model(**{"n_atoms": 600, "n_epochs": 1, **changed}).fit(patches))  # blocks
    assert len({pickle.dumps(each.arrays()) for each in learnt}) == 1
    assert len({pickle.dumps(each.history_) for each in learnt}) == 1
    other = model(**{"n_atoms": 600, "n_epochs": 1, **changed}, random_state=1).fit(patches)
    assert other.components_.tobytes() != learnt[0].components_.tobytes()


def test_batches_give_the_same_bytes_however_they_are_cut(patches):
    def source(size):
        return lambda: (patches[i : i + size] for i in range(0, len(patches), size))

    learnt = [model().fit_batches(source(size)) for size in (130, 4000)]
    assert pickle.dumps(learnt[0].arrays()) == pickle.dumps(learnt[1].arrays())
    watched = model().fit_batches(source(700), valid=lambda: [patches[:50]])
    assert watched.components_.shape == learnt[0].components_.shape
    assert {"valid_reconstruction", "valid_free_energy"} <= set(watched.history_[0])
    in_memory = model().fit(patches).history_[-1]["reconstruction"]
    assert learnt[0].history_[-1]["reconstruction"] == pytest.approx(in_memory, rel=0.1)


def test_rate_and_momentum_follow_their_schedules(patches):
    learnt = model(n_epochs=10, rate_decay=0.8, rate_floor=0.004, n_atoms=4).fit(patches[:100])
    rates = [entry["learning_rate"] for entry in learnt.history_]
    np.testing.assert_allclose(rates[:4], [0.007, 0.0056, 0.00448, 0.004])
    assert set(rates[3:]) == {0.004}
    low = model(learning_rate=0.001, n_epochs=2, n_atoms=4).fit(patches[:100])
    assert low.history_[0]["learning_rate"] == 0.001  # the floor raises nothing


def test_partial_fit_goes_on_and_survives_pickling(patches):
    learnt, whole = (model(sparsity="none", learning_rate=0.05) for _ in range(2))
    for part in np.split(patches, 8):
        learnt = pickle.loads(pickle.dumps(learnt.partial_fit(part)))
        whole.partial_fit(part)
    assert len(learnt.history_) == 8
    assert pickle.dumps(whole.arrays()) == pickle.dumps(learnt.arrays())
    assert learnt.history_[-1]["reconstruction"] < 0.9 * learnt.history_[0]["reconstruction"]


def test_visible_biases_begin_at_the_data():
    rng = np.random.default_rng(0)
    rows = (rng.random((500, 3)) < [0.2, 0.5, 1.0]).astype(np.float32)
    still = {"n_atoms": 2, "n_epochs": 1, "learning_rate": 1e-9, "random_state": 0}
    share = np.clip(rows.mean(axis=0), None, 0.999)
    binary = RBM(visible="binary", initial_bias=-2.0, **still).fit(rows)
    np.testing.assert_allclose(binary.visible_biases_, np.log(share / (1 - share)), rtol=1e-5)
    np.testing.assert_allclose(binary.biases_, -2, rtol=1e-6)
    for visible in ("gaussian", "relu"):
        learnt = RBM(visible=visible, **still).fit(rows)
        np.testing.assert_allclose(learnt.visible_biases_, rows.mean(axis=0), rtol=1e-5)
    weights = RBM(**{**still, "n_atoms": 2000}).fit(rows).components_
    assert weights.std() == pytest.approx(0.01, rel=0.05)


def test_what_cannot_be_learnt_is_said(patches):
    with pytest.raises(DataError, match=r"visible=binary needs rows within \[0, 1\].*gaussian"):
        model(visible="binary").fit(patches)
    with pytest.raises(DataError, match=r"visible=relu needs rows of 0 or more"):
        model(visible="relu").fit_batches(lambda: [patches])
    holed = patches.copy()
    holed[3, 4] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        model().fit(holed)
    with pytest.raises(DataError, match="NaN"):
        model().fit_batches(lambda: [holed])
    with pytest.raises(DataError, match="NaN"):
        model().fit_batches(lambda: [patches], valid=lambda: [holed])
    with pytest.raises(DataError, match="no rows"):
        model().fit_batches(list)
    with pytest.raises(DataError, match=r"diverged in epoch \d+.*lower learning_rate"):
        model(learning_rate=50.0, hidden="relu").fit(100 * patches)
    with pytest.raises(ConfigError, match=r"n_atoms=0.*momentum=1.*visible='grey'"):
        model(n_atoms=0, momentum=1, visible="grey").fit(patches)
    with pytest.raises(ConfigError, match="relu units have no free energy"):
        model(hidden="relu", n_epochs=1).fit(patches).free_energy(patches)
    silent = model(n_epochs=1).fit(np.zeros((5, 4)))
    assert np.isfinite(silent.components_).all()


def test_ctrl_c_stops_learning(patches, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    before = threading.active_count()
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    timer = threading.Timer(0.3, _thread.interrupt_main)
    try:
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            model(n_atoms=600, n_epochs=10**6).fit(patches)
    finally:
        timer.join()
        signal.signal(signal.SIGINT, handler)
    deadline = time.monotonic() + 10
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)  # Ctrl-C may have come while a thread that ends was waited for
    assert threading.active_count() == before
