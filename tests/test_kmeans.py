import numpy as np
import pytest
from sklearn import cluster
from sklearn.datasets import make_blobs
from sklearn.utils.estimator_checks import parametrize_with_checks

from mcls.dictionaries.kmeans import KMeans, _plus_plus, nearest


@parametrize_with_checks([KMeans(n_atoms=8, random_state=0)])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
def test_scikit_learns_contract(estimator, check):
    check(estimator)


@pytest.fixture
def blobs():
    rows, _ = make_blobs(5000, 12, centers=40, cluster_std=2.0, random_state=0)
    return rows.astype(np.float32)


def test_the_nearest_atom_is_the_nearest(rng):
    rows = rng.normal(size=(3000, 7)).astype(np.float32)
    atoms = rng.normal(size=(50, 7)).astype(np.float32)
    labels, distances = nearest(rows, atoms)
    wanted = ((rows[:, None] - atoms[None]) ** 2).sum(2)
    np.testing.assert_array_equal(labels, wanted.argmin(1))
    np.testing.assert_allclose(distances, wanted.min(1), rtol=1e-3, atol=1e-5)


def test_inertia_falls_and_is_what_it_says(blobs):
    model = KMeans(n_atoms=40, random_state=0).fit(blobs)
    assert all(np.diff([turn["distance"] for turn in model.history_]) <= 1e-6)
    distances = ((blobs - model.components_[model.labels_]) ** 2).sum()
    assert model.inertia_ == pytest.approx(distances, rel=1e-3)


def test_as_good_as_scikit_learns(blobs):
    seeds = range(8)
    ours = [KMeans(n_atoms=40, random_state=s).fit(blobs).inertia_ for s in seeds]
    theirs = [cluster.KMeans(40, n_init=1, random_state=s).fit(blobs).inertia_ for s in seeds]
    assert np.median(ours) <= 1.02 * np.median(theirs)
    assert min(ours) <= 1.01 * min(theirs)


def test_at_rest_every_atom_is_the_mean_of_its_rows(blobs):
    model = KMeans(n_atoms=10, random_state=0, tol=0.0, max_iter=300).fit(blobs)
    means = [blobs[model.labels_ == k].mean(0) for k in range(10)]
    np.testing.assert_allclose(model.components_, means, atol=1e-4)


def test_batches_of_any_size_give_the_same(blobs):
    def batches(size):
        return lambda: (blobs[i : i + size] for i in range(0, len(blobs), size))

    one = KMeans(n_atoms=20, random_state=3).fit_batches(batches(5000))
    many = KMeans(n_atoms=20, random_state=3).fit_batches(batches(5000))
    np.testing.assert_array_equal(one.components_, many.components_)
    other = KMeans(n_atoms=20, random_state=3).fit_batches(batches(1000))
    assert other.inertia_ == pytest.approx(one.inertia_, rel=0.02)


def test_dead_atoms_start_anew(rng):
    # Two heaps of one point each and a few strays: most first atoms would be doubles.
    rows = np.repeat(np.array([[0.0, 0], [100, 0]], np.float32), 500, axis=0)
    strays = rng.uniform(200, 300, (20, 2)).astype(np.float32)
    model = KMeans(n_atoms=12, random_state=0).fit(np.concatenate([rows, strays]))
    assert (model.counts_ > 0).all()
    assert len(np.unique(model.components_, axis=0)) == 12


def test_usage_and_perplexity(blobs):
    model = KMeans(n_atoms=40, random_state=0).fit(blobs)
    assert model.usage_.sum() == pytest.approx(1)
    assert 1 <= model.perplexity_ <= 40
    even = KMeans(n_atoms=2, random_state=0).fit(np.array([[0.0], [0], [9], [9]], np.float32))
    assert even.perplexity_ == pytest.approx(2)


def test_fewer_rows_than_atoms_is_an_error(rng):
    with pytest.raises(ValueError, match="n_samples=3 should be >= n_atoms=4"):
        KMeans(n_atoms=4).fit(rng.normal(size=(3, 2)))


def test_same_seed_same_bytes(blobs):
    one, two = (KMeans(n_atoms=30, random_state=5).fit(blobs).components_ for _ in range(2))
    assert one.tobytes() == two.tobytes()


@pytest.mark.parametrize("n_rows", [1, 511, 20000])
def test_labels_do_not_depend_on_the_number_of_threads(n_rows, rng, monkeypatch):
    rows = rng.normal(size=(n_rows, 20)).astype(np.float32)
    atoms = rng.normal(size=(100, 20)).astype(np.float32)
    found = []
    for threads in ("1", "2", "5"):
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
        found.append(nearest(rows, atoms))
    for labels, distances in found[1:]:
        assert labels.tobytes() == found[0][0].tobytes()
        assert distances.tobytes() == found[0][1].tobytes()


def test_the_first_atoms_are_spread_out(blobs):
    """As well as scikit-learn's, from the same number of trials."""
    ours, theirs = [], []
    for seed in range(12):
        atoms = _plus_plus(blobs, 40, np.random.RandomState(seed))
        ours.append(nearest(blobs, atoms)[1].sum())
        atoms, _ = cluster.kmeans_plusplus(blobs, 40, random_state=seed)
        theirs.append(nearest(blobs, atoms)[1].sum())
    assert len(np.unique(atoms, axis=0)) == 40
    assert np.median(ours) <= 1.05 * np.median(theirs)
