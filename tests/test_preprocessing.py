import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from mcls.dictionaries.preprocessing import Preprocessing, join_frames
from mcls.errors import ConfigError


@pytest.fixture
def rows(rng):
    return (rng.normal(size=(2000, 6)) @ rng.normal(size=(6, 6)) + 50).astype(np.float32)


def learnt(rows, **settings):
    batches = np.array_split(rows, 7)
    return Preprocessing(**settings).fit_batches(lambda: iter(batches))


def test_standardising_is_scikit_learns(rows):
    found = learnt(rows).transform(rows)
    np.testing.assert_allclose(found, StandardScaler().fit_transform(rows), atol=1e-3)


def test_whitening_is_scikit_learns_but_for_signs(rows):
    found = learnt(rows, standardize=False, whiten=0.95, eps=0.0).transform(rows)
    wanted = PCA(0.95, whiten=True, svd_solver="full").fit_transform(rows.astype(float))
    assert found.shape == wanted.shape
    np.testing.assert_allclose(np.abs(found), np.abs(wanted), atol=5e-3)
    np.testing.assert_allclose(np.cov(found.T, bias=True), np.eye(found.shape[1]), atol=1e-3)


def test_eps_damps_the_small_components(rows):
    found = learnt(rows, whiten=1.0, eps=1.0)
    variance = found.transform(rows).var(axis=0)
    np.testing.assert_allclose(variance, found._values / (found._values + 1), rtol=1e-2)


def test_the_inverse_brings_back(rows):
    for settings in ({}, {"whiten": 1.0, "eps": 0.1}, {"standardize": False, "whiten": 1.0}):
        made = learnt(rows, **settings)
        np.testing.assert_allclose(made.inverse(made.transform(rows)), rows, rtol=1e-3)
        kept = Preprocessing.from_arrays(made.arrays())
        np.testing.assert_array_equal(kept.transform(rows), made.transform(rows))


def test_a_dimension_that_does_not_vary_stays_finite(rows):
    rows[:, 2] = 7
    found = learnt(rows, whiten=0.99).transform(rows)
    assert np.isfinite(found).all()
    assert not learnt(rows).transform(rows)[:, 2].any()


def test_a_mean_far_from_zero_costs_nothing(rng):
    rows = (rng.normal(size=(5000, 2)) + 1e4).astype(np.float32)
    assert learnt(rows).transform(rows).std(axis=0) == pytest.approx(1, abs=0.01)


def test_frames_are_joined_within_a_track():
    rows = np.arange(8, dtype=np.float32).reshape(4, 2)
    assert join_frames(rows, 3).tolist() == [[0, 1, 2, 3, 4, 5], [2, 3, 4, 5, 6, 7]]
    assert join_frames(rows[:1], 3).tolist() == [[0, 1, 0, 1, 0, 1]]


@pytest.mark.parametrize("bad", [{"whiten": 0.0}, {"whiten": 1.5}, {"eps": -1.0}])
def test_settings_out_of_range(bad):
    with pytest.raises(ConfigError):
        Preprocessing(**bad)


def test_min_max_is_scikit_learns_and_clips(rows):
    made = learnt(rows[:1000], min_max=True)
    wanted = MinMaxScaler(clip=True).fit(rows[:1000]).transform(rows)
    np.testing.assert_allclose(made.transform(rows), wanted, atol=1e-5)
    assert made.transform(rows).min() == 0
    assert made.transform(rows).max() == 1
    np.testing.assert_allclose(made.inverse(made.transform(rows[:1000])), rows[:1000], rtol=1e-3)
    kept = Preprocessing.from_arrays(made.arrays())
    np.testing.assert_array_equal(kept.transform(rows), made.transform(rows))
    with pytest.raises(ConfigError, match="min_max and whiten"):
        Preprocessing(min_max=True, whiten=0.9)


def test_min_max_of_a_dimension_that_does_not_vary(rows):
    rows[:, 2] = 7
    assert not learnt(rows, min_max=True).transform(rows)[:, 2].any()
