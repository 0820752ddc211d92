"""The contract of dictionaries (see `mcls.dictionaries`), checked for every registered method."""

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.utils.estimator_checks import check_estimator

from mcls.registry import defaults, entries, find
from mcls.settings import resolve

METHODS = sorted(entries("dictionaries"))

#: Methods by the facts that they are registered with; see `mcls.dictionaries`.
WATCHING = [name for name in METHODS if find("dictionaries", name).facts.get("watches_valid")]
RESUMING = [name for name in METHODS if find("dictionaries", name).facts.get("resumes")]

#: Methods whose own tests run scikit-learn's checks, some of them for several settings.
OWN_CHECKS = {"kmeans", "sparse-coding", "psd", "autoencoder", "rbm", "sparse-rbm", "dbn", "vae"}

#: Settings that make a method small, where `n_atoms` and `n_epochs` do not.
SMALL: dict[str, dict[str, Any]] = {"dbn": {"layers": (10, 16), "n_epochs": (2,)}}

#: The rows that a method needs, where it does not take any.
ROWS: dict[str, Callable[[np.ndarray], np.ndarray]] = {"nmf": np.abs}

N_ATOMS, N_DIMS = 16, 12


def small(method: str, seed: int = 0) -> Any:
    entry = find("dictionaries", method)
    settings = {"n_atoms": N_ATOMS, "n_epochs": 2, "n_active": 4, **SMALL.get(method, {})}
    known = {key: value for key, value in settings.items() if key in entry.settings}
    return entry.load()(**known, random_state=seed)


def rows_for(method: str, n: int = 900, seed: int = 3) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(n, N_DIMS)).astype(np.float32)
    return ROWS.get(method, lambda same: same)(rows)


def source_of(rows: np.ndarray, size: int) -> Callable[[], Any]:
    """Yield rows that nobody may write to, in batches, as often as asked."""
    rows = rows.copy()
    rows.setflags(write=False)
    return lambda: (rows[i : i + size] for i in range(0, len(rows), size))


@pytest.fixture(scope="module", params=METHODS)
def method(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def learnt(method) -> Any:
    return small(method).fit_batches(source_of(rows_for(method), 130))


def test_defaults_make_one(method):
    entry = find("dictionaries", method)
    made = entry.load()()
    assert made.get_params() == defaults(entry)
    assert clone(made).get_params() == made.get_params()


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@pytest.mark.parametrize("method", sorted(set(METHODS) - OWN_CHECKS))
def test_scikit_learns_contract(method):
    entry = find("dictionaries", method)
    check_estimator(entry.load()(n_atoms=8, random_state=0))


def test_facts_are_those_of_the_contract(method):
    facts = find("dictionaries", method).facts
    known = {"encoder", "watches_valid", "resumes", "labels_if", "distributed", "gpu_batch_size"}
    assert set(facts) <= known
    assert facts["encoder"] in entries("encoders")
    takes = inspect.signature(find("dictionaries", method).load().fit_batches).parameters
    assert method not in WATCHING or "valid" in takes
    assert method not in RESUMING or {"kept", "keep"} <= set(takes)


def test_arrays_are_what_encoders_need(method, learnt):
    arrays = learnt.arrays()
    assert arrays["atoms"].dtype == np.float32
    assert arrays["atoms"].shape == (N_ATOMS, N_DIMS)
    for name, array in arrays.items():
        assert isinstance(array, np.ndarray), name
        assert np.isfinite(array).all(), name
    assert learnt.n_features_in_ == N_DIMS


def test_transform_is_the_registered_encoder(method, learnt):
    rows = rows_for(method, n=50, seed=4)
    encoder = find("encoders", find("dictionaries", method).facts["encoder"])
    given = learnt.encoder_settings() if hasattr(learnt, "encoder_settings") else {}
    codes = encoder.load()(rows, learnt.arrays(), **resolve(encoder, given))
    assert codes.dtype == np.float32
    np.testing.assert_allclose(learnt.transform(rows), codes, atol=1e-5)
    assert codes.any()


def test_what_was_measured_is_numbers(method, learnt):
    """JSON can hold it; a method that goes over the rows says something of each pass."""
    assert isinstance(learnt.history_, list)
    assert learnt.history_ or method == "random"
    for epoch in learnt.history_:
        assert epoch
        assert all(isinstance(key, str) for key in epoch)
        assert all(isinstance(number, int | float) for number in epoch.values())
    if hasattr(learnt, "usage_"):
        assert np.shape(learnt.usage_) == (N_ATOMS,)
        assert (np.asarray(learnt.usage_) >= 0).all()


def test_the_seed_decides(method, learnt):
    again = small(method).fit_batches(source_of(rows_for(method), 130)).arrays()
    other = small(method, seed=1).fit_batches(source_of(rows_for(method), 130)).arrays()
    for name, array in learnt.arrays().items():
        assert array.tobytes() == again[name].tobytes(), name
    assert not np.array_equal(other["atoms"], again["atoms"])


def test_a_source_is_read_whole_and_from_the_start(method):
    """Learning from the first rows only would give other atoms, and so would another order."""
    rows, calls = rows_for(method), []
    batches = source_of(rows, 130)

    def source():
        calls.append(0)
        for batch in batches():
            yield batch
            calls[-1] += len(batch)

    small(method).fit_batches(source)
    assert calls
    assert set(calls) == {len(rows)}


@pytest.mark.parametrize("method", WATCHING)
def test_the_valid_part_is_only_watched(method):
    rows, valid = rows_for(method), source_of(rows_for(method, n=200, seed=5), 70)
    alone = small(method).fit_batches(source_of(rows, 130))
    watching = small(method).fit_batches(source_of(rows, 130), valid=valid)
    for name, array in alone.arrays().items():
        assert watching.arrays()[name].tobytes() == array.tobytes(), name
    assert len(watching.history_[-1]) > len(alone.history_[-1])


@pytest.mark.parametrize("method", RESUMING)
def test_layers_learnt_before_are_not_learnt_again(method):
    source, kept = source_of(rows_for(method), 130), []
    whole = small(method).fit_batches(source, keep=lambda i, snapshot: kept.append((i, snapshot)))
    assert [layer for layer, _ in kept] == list(range(1, len(kept) + 1))
    learnt: list[int] = []
    first = [kept[0][1]]
    again = small(method).fit_batches(source, kept=first, keep=lambda i, _: learnt.append(i))
    assert learnt == [layer for layer, _ in kept[1:]]
    for name, array in whole.arrays().items():
        assert again.arrays()[name].tobytes() == array.tobytes(), name


@pytest.mark.parametrize("odd", [np.nan, np.inf])
def test_what_is_not_finite_is_refused(method, learnt, odd):
    rows = rows_for(method, n=100)
    rows[50, 3] = odd
    with pytest.raises(ValueError, match=r"NaN|infinity"):
        small(method).fit(rows)
    with pytest.raises(ValueError, match=r"NaN|infinity"):
        learnt.transform(rows)
