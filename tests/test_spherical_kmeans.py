import numpy as np
import pytest
from sklearn import cluster
from sklearn.metrics.pairwise import cosine_similarity
from sklearn.preprocessing import normalize

from mcls.dictionaries.random_atoms import RandomAtoms
from mcls.dictionaries.spherical_kmeans import SphericalKMeans
from mcls.errors import ConfigError, DataError


@pytest.fixture
def rows(rng):
    """Thirty directions, with noise, of every loudness."""
    directions = rng.normal(size=(30, 16))
    rows = directions[rng.integers(0, 30, 3000)] + 0.7 * rng.normal(size=(3000, 16))
    return (rows * rng.uniform(0.1, 10, (3000, 1))).astype(np.float32)


def test_rows_belong_to_the_atom_of_the_largest_cosine(rows):
    model = SphericalKMeans(n_atoms=30, random_state=0).fit(rows)
    cosines = cosine_similarity(rows.astype(float), model.components_.astype(float))
    np.testing.assert_array_equal(model.labels_, cosines.argmax(axis=1))
    assert model.inertia_ == pytest.approx((2 - 2 * cosines.max(axis=1)).sum(), rel=1e-3)
    np.testing.assert_allclose(np.linalg.norm(model.components_, axis=1), 1, atol=1e-6)


def test_loudness_does_not_count(rows):
    one = SphericalKMeans(n_atoms=20, random_state=0).fit(rows)
    two = SphericalKMeans(n_atoms=20, random_state=0).fit(normalize(rows))
    np.testing.assert_allclose(one.components_, two.components_, atol=1e-5)


def test_at_rest_an_atom_points_where_its_rows_do(rows):
    """The damped update has the same fixed points as the mean direction (Dhillon & Modha)."""
    model = SphericalKMeans(n_atoms=10, random_state=0, tol=0.0, max_iter=500).fit(rows)
    unit = normalize(rows.astype(float))
    means = normalize([unit[model.labels_ == k].sum(axis=0) for k in range(10)])
    np.testing.assert_allclose(model.components_, means, atol=1e-3)


def test_as_good_as_scikit_learns_on_the_sphere(rows):
    """K-means of unit rows, its means scaled to norm 1: mean cosine, medians over seeds."""
    unit, ours, theirs = normalize(rows), [], []
    for seed in range(6):
        model = SphericalKMeans(n_atoms=30, random_state=seed).fit(rows)
        ours.append(cosine_similarity(unit, model.components_).max(axis=1).mean())
        means = cluster.KMeans(30, n_init=1, random_state=seed).fit(unit).cluster_centers_
        theirs.append(cosine_similarity(unit, means).max(axis=1).mean())
    assert np.median(ours) >= np.median(theirs) - 0.005


def test_going_on_batch_by_batch(rows):
    model = SphericalKMeans(n_atoms=30, random_state=0)
    for start in range(0, 3000, 500):
        model.partial_fit(rows[start : start + 500])
    assert model.counts_.sum() == 3000
    np.testing.assert_allclose(np.linalg.norm(model.components_, axis=1), 1, atol=1e-6)
    whole = SphericalKMeans(n_atoms=30, random_state=0).fit(rows)
    found = cosine_similarity(rows, model.components_).max(axis=1).mean()
    assert found >= cosine_similarity(rows, whole.components_).max(axis=1).mean() - 0.05


def test_random_atoms_are_rows(rows):
    rows[::3] = 0
    model = RandomAtoms(n_atoms=40, random_state=0).fit(rows)
    unit = normalize(rows)
    distances = ((model.components_[:, None] - unit[None]) ** 2).sum(axis=2)
    assert distances.min(axis=1).max() < 1e-9
    assert len(set(distances.argmin(axis=1))) == 40
    other = RandomAtoms(n_atoms=40, random_state=1).fit(rows)
    assert not np.array_equal(model.components_, other.components_)


def test_random_atoms_do_not_depend_on_batches(rows):
    def batches(size):
        return lambda: (rows[i : i + size] for i in range(0, len(rows), size))

    whole = RandomAtoms(n_atoms=40, random_state=0).fit_batches(batches(3000))
    parts = RandomAtoms(n_atoms=40, random_state=0).fit_batches(batches(7))
    np.testing.assert_array_equal(whole.components_, parts.components_)


def test_gaussian_atoms_are_directions_drawn_evenly(rows):
    atoms = RandomAtoms(n_atoms=4000, kind="gaussian", random_state=0).fit(rows).components_
    np.testing.assert_allclose(np.linalg.norm(atoms, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(atoms.T @ atoms / len(atoms), np.eye(16) / 16, atol=0.01)


def test_too_few_rows_are_made_up(rows):
    atoms = RandomAtoms(n_atoms=8, random_state=0).fit(rows[:3]).components_
    assert atoms.shape == (8, 16)
    with pytest.raises(ConfigError, match="n_atoms=0"):
        RandomAtoms(n_atoms=0).fit(rows)
    with pytest.raises(DataError, match="no rows"):
        RandomAtoms().fit_batches(lambda: [])
