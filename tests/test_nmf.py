import numpy as np
import pytest
from sklearn import decomposition

from mcls.dictionaries.encoders import nmf
from mcls.dictionaries.nmf import NMF
from mcls.errors import ConfigError, DataError


@pytest.fixture
def parts(rng):
    """Ten parts of 40 bands, of norm 1, each loud in a few."""
    parts = rng.uniform(size=(10, 40)) * (rng.uniform(size=(10, 40)) < 0.15) + 1e-3
    return (parts / np.linalg.norm(parts, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def rows(rng, parts):
    """Sums of two or so parts, and a little noise."""
    codes = rng.exponential(size=(4000, 10)) * (rng.uniform(size=(4000, 10)) < 0.2)
    return (codes @ parts + 0.01 * rng.uniform(size=(4000, 40))).astype(np.float32)


def squared_error(rows, codes, atoms):
    return float(np.square(rows.astype(float) - codes.astype(float) @ atoms.astype(float)).sum())


@pytest.mark.parametrize("n_atoms", [10, 60])
def test_codes_are_scikit_learns_with_the_atoms_fixed(rng, n_atoms):
    """Squared errors within 1e-4 of each other; scikit-learn's after 5000 turns."""
    rows = rng.uniform(size=(60, 40)).astype(np.float32)
    atoms = (rng.uniform(size=(n_atoms, 40)) ** 4).astype(np.float32)
    codes = nmf(rows, {"atoms": atoms})
    theirs, _, _ = decomposition.non_negative_factorization(
        rows.astype(float),
        H=atoms.astype(float),
        n_components=n_atoms,
        init="custom",
        update_H=False,
        tol=1e-10,
        max_iter=5000,
    )
    wanted = squared_error(rows, theirs, atoms)
    assert squared_error(rows, codes, atoms) == pytest.approx(wanted, rel=1e-4)
    assert (codes >= 0).all()


def test_it_finds_the_parts(rows, parts):
    model = NMF(n_atoms=10, n_epochs=20, random_state=0).fit(rows)
    likeness = parts @ model.components_.T
    assert likeness.max(axis=1).min() > 0.95
    np.testing.assert_allclose(np.linalg.norm(model.components_, axis=1), 1, atol=1e-6)


def test_as_good_as_scikit_learns_whole_batches(rows):
    model = NMF(n_atoms=5, random_state=0).fit(rows)
    whole = decomposition.NMF(5, random_state=0, max_iter=500).fit(rows)
    theirs = whole.reconstruction_err_**2
    assert squared_error(rows, model.transform(rows), model.components_) <= 1.1 * theirs


def test_the_error_is_what_it_says_and_falls(rows):
    model = NMF(n_atoms=10, random_state=0, n_epochs=4).fit(rows[:900])
    errors = [epoch["error"] for epoch in model.history_]
    assert errors[-1] < errors[0]
    left = squared_error(rows[:900], model.transform(rows[:900]), model.components_)
    used = np.square(rows[:900].astype(float)).sum()
    assert errors[-1] == pytest.approx(left / used, rel=1e-3)
    usage = (model.transform(rows[:900]) > 0).mean(axis=0)
    np.testing.assert_allclose(model.usage_, usage, atol=2 / 900)  # rows of zeros are not counted


def test_silence_is_skipped(rows):
    rows = rows[rows.any(axis=1)][:2000]
    padded = np.concatenate([rows, 0 * rows])
    model = NMF(n_atoms=10, random_state=0, n_epochs=1).fit(padded)
    assert np.isfinite(model.components_).all()
    assert not model.transform(0 * rows).any()
    with pytest.raises(DataError, match="every row is zero"):
        NMF().fit_batches(lambda: [0 * rows])


def test_going_on_batch_by_batch(rows):
    model = NMF(n_atoms=10, random_state=0)
    for start in range(0, 4000, 500):
        model.partial_fit(rows[start : start + 500])
    left = squared_error(rows, model.transform(rows), model.components_)
    assert left < 0.05 * np.square(rows.astype(float)).sum()


def test_negative_rows_are_refused_with_a_way_out(rows):
    with pytest.raises(DataError, match=r"negative numbers \(-.*learn with --no-standardize"):
        NMF().fit_batches(lambda: [rows, -rows])
    with pytest.raises(ValueError, match="Negative values in data"):
        NMF().fit(-rows)
    with pytest.raises(ConfigError, match="forget=0 must be above 0 and at most 1; penalty=0"):
        NMF(forget=0, penalty=0).fit(rows)
