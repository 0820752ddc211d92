"""Sparse coding: it finds planted atoms, streams, and gives the same bytes for the same seed."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.decomposition import MiniBatchDictionaryLearning
from sklearn.utils.estimator_checks import check_estimator

from mcls.dictionaries.atom_update import add_codes, update_atoms
from mcls.dictionaries.lasso import lasso, lasso_objective
from mcls.dictionaries.sparse_coding import SparseCoding
from mcls.errors import ConfigError, DataError
from mcls.registry import find


@pytest.fixture(scope="module")
def planted():
    rng = np.random.default_rng(0)
    atoms = rng.normal(size=(24, 16))
    atoms /= np.linalg.norm(atoms, axis=1, keepdims=True)
    codes = np.zeros((4000, 24))
    for code in codes:
        code[rng.choice(24, 2, replace=False)] = rng.uniform(1, 2, 2) * rng.choice([-1, 1], 2)
    return (codes @ atoms + 0.01 * rng.normal(size=(4000, 16))).astype(np.float32), atoms


def model(**settings):
    return SparseCoding(**{"n_atoms": 24, "batch_size": 200, "random_state": 0, **settings})


def objective(rows, atoms, penalty=0.2):
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return lasso_objective(rows, atoms, lasso(rows, atoms, penalty=penalty), penalty=penalty).mean()


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
def test_scikit_learns_contract():
    check_estimator(SparseCoding(n_atoms=8, n_epochs=2, random_state=0))


def test_registered_with_its_natural_encoder():
    entry = find("dictionaries", "sparse-coding")
    assert entry.load() is SparseCoding
    natural = find("encoders", entry.facts["encoder"]).load()
    learnt = SparseCoding(n_atoms=4, penalty=0.3, n_epochs=1).fit(np.eye(4))
    codes = natural(np.eye(4), learnt.arrays(), penalty=0.3)
    np.testing.assert_array_equal(codes, learnt.transform(np.eye(4)))
    assert all(setting.doc for setting in entry.settings.values())


def test_finds_planted_atoms(planted):
    rows, atoms = planted
    found = model(n_atoms=28, n_epochs=10).fit(rows).components_  # some to spare
    match = np.abs(atoms @ found.T).max(axis=1)
    assert (match > 0.98).mean() >= 0.9
    assert objective(rows, found) <= 1.02 * objective(rows, atoms)


def test_objective_falls_and_atoms_have_norm_one(planted):
    learnt = model().fit(planted[0])
    assert len(learnt.history_) == 5
    assert learnt.history_[-1]["objective"] < learnt.history_[0]["objective"]
    np.testing.assert_allclose(np.linalg.norm(learnt.components_, axis=1), 1, atol=1e-5)
    assert learnt.components_.dtype == np.float32
    used = (learnt.transform(planted[0]) != 0).mean(axis=0)
    np.testing.assert_allclose(learnt.usage_, used, atol=0.05)
    assert 12 < learnt.perplexity_ <= 24


def test_history_is_the_objective_of_the_rows(planted):
    learnt = model(n_epochs=1, batch_size=5000)
    learnt.fit(planted[0])
    first = clone(learnt).set_params(n_epochs=1)
    first._begin(np.empty((0, 16), np.float32), np.random.RandomState(0))
    atoms = first.components_.copy()
    measured = first._epoch([planted[0]])
    assert measured["objective"] == pytest.approx(objective(planted[0], atoms), rel=1e-5)


def test_no_worse_than_scikit_learns(planted):
    rows = planted[0] / np.linalg.norm(planted[0], axis=1, keepdims=True)
    theirs = MiniBatchDictionaryLearning(
        24,
        alpha=0.2,
        batch_size=200,
        max_iter=2,
        fit_algorithm="cd",
        transform_max_iter=1000,
        random_state=0,
    ).fit(rows.astype(np.float64))
    ours = model(n_epochs=2).fit(rows)
    assert objective(rows, ours.components_) <= 1.02 * objective(rows, theirs.components_)


def test_same_seed_same_bytes_by_any_number_of_threads(planted, monkeypatch):
    learnt = []
    for threads in (1, 2, 3):
        monkeypatch.setenv("OMP_NUM_THREADS", str(threads))
        learnt.append(model(n_epochs=2, batch_size=700).fit(planted[0]))
    assert len({each.components_.tobytes() for each in learnt}) == 1
    other = model(n_epochs=2, random_state=1).fit(planted[0])
    assert other.components_.tobytes() != learnt[0].components_.tobytes()


def test_batches_give_the_same_bytes_however_they_are_cut(planted):
    rows, calls = planted[0], []

    def source(size):
        calls.append(size)
        return (rows[i : i + size] for i in range(0, len(rows), size))

    learnt = [model(n_epochs=2).fit_batches(lambda s=s: source(s)) for s in (130, 4000)]
    assert learnt[0].components_.tobytes() == learnt[1].components_.tobytes()
    assert calls == [130] * 3 + [4000] * 3
    assert objective(rows, learnt[0].components_) < 1.1 * objective(
        rows, model(n_epochs=2).fit(rows).components_
    )
    assert learnt[0].transform(rows[:3]).shape == (3, 24)


def test_partial_fit_goes_on(planted):
    learnt = model()
    for part in np.split(planted[0], 8):
        learnt.partial_fit(part)
    assert learnt.n_steps_ == 8 * 3
    assert len(learnt.history_) == 8
    assert learnt.history_[-1]["objective"] < learnt.history_[0]["objective"]


def test_positive_codes(planted):
    codes = model(positive=True).fit(planted[0]).transform(planted[0][:200])
    assert codes.min() == 0
    assert codes.max() > 0


def test_atoms_without_use_start_again():
    rng = np.random.default_rng(0)
    rows = np.eye(8)[rng.integers(0, 2, size=2000)].astype(np.float32)
    later = np.eye(8)[rng.integers(2, 4, size=2000)].astype(np.float32)
    learnt = model(n_atoms=6, batch_size=50).partial_fit(rows).partial_fit(later)
    assert learnt.n_replaced_ > 0
    best = (learnt.components_ @ np.eye(8)).max(axis=0)
    assert (best[2:4] > 0.99).all()


def test_rows_of_zeros_and_too_few_rows():
    rows = np.zeros((5, 4), np.float32)
    rows[0] = 3
    learnt = model(n_atoms=10, n_epochs=2).fit(rows)
    assert np.isfinite(learnt.components_).all()
    assert not learnt.transform(rows)[1:].any()
    assert np.isfinite(model(n_atoms=3).fit(np.zeros((5, 4))).components_).all()


def test_bad_settings_are_named_at_once(planted):
    with pytest.raises(ConfigError, match=r"n_atoms=0.*penalty=2.*forget=-1"):
        model(n_atoms=0, penalty=2, forget=-1).fit(planted[0])
    with pytest.raises(DataError, match="no rows"):
        model().fit_batches(list)
    with pytest.raises(DataError, match="rows of 4 numbers, expected 3"):
        model().fit_batches(lambda: [np.ones((2, 3)), np.ones((2, 4))])


def test_one_pass_over_the_atoms_is_block_coordinate_descent():
    rng = np.random.default_rng(0)
    n_atoms, n_dims = 70, 12  # three groups
    rows = rng.normal(size=(300, n_dims)).astype(np.float32)
    codes = (rng.normal(size=(300, n_atoms)) * (rng.random((300, n_atoms)) < 0.1)).astype("f4")
    codes[:, 7] = 0
    atoms = rng.normal(size=(n_atoms, n_dims))
    atoms = (atoms / np.linalg.norm(atoms, axis=1, keepdims=True)).astype(np.float32)
    a, b = np.zeros((n_atoms, n_atoms), np.float32), np.zeros((n_atoms, n_dims), np.float32)
    total = add_codes(codes, rows, atoms, 0.3, a, b)
    np.testing.assert_allclose(a, codes.T @ codes, atol=1e-4)
    np.testing.assert_allclose(b, codes.T @ rows, atol=1e-4)
    expected = 0.5 * ((rows - codes @ atoms) ** 2).sum() + 0.3 * np.abs(codes).sum()
    assert total == pytest.approx(expected, rel=1e-5)
    by_hand = atoms.astype(np.float64)
    for j in range(n_atoms):
        if a[j, j] > 0:
            u = (b[j] - a[j] @ by_hand) / a[j, j] + by_hand[j]
            by_hand[j] = u / np.linalg.norm(u)
    update_atoms(atoms, a, b)
    np.testing.assert_allclose(atoms, by_hand, atol=2e-4)
