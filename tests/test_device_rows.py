"""Minibatches on a device are those of the CPU, and learning from them is the same learning.

The device ``cpu:0`` takes the way of a GPU: rows are copied once and gathered by their indices.
"""

import numpy as np
import pytest
import torch
from sklearn.base import clone

from mcls.dictionaries import device_rows
from mcls.dictionaries.autoencoder import AutoEncoder
from mcls.dictionaries.batches import shuffled, shuffled_order
from mcls.dictionaries.captured import captured
from mcls.dictionaries.device_rows import minibatches_on
from mcls.dictionaries.kmeans import KMeans, nearest
from mcls.dictionaries.kmeans_device import assigned_there
from mcls.dictionaries.options import Learning
from mcls.dictionaries.psd import PSD
from mcls.dictionaries.rbm import RBM
from mcls.dictionaries.sparse_coding import SparseCoding
from mcls.dictionaries.spherical_kmeans import SphericalKMeans
from mcls.dictionaries.vae import VAE
from mcls.errors import ConfigError
from mcls.registry import find
from mcls.stages import learn

ELSEWHERE = "cpu:0"


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    atoms = rng.normal(size=(20, 12))
    codes = rng.normal(size=(1050, 20)) * (rng.random((1050, 20)) < 0.15)
    return (codes @ atoms + 0.1 * rng.normal(size=(1050, 12))).astype(np.float32)


def minibatches(rows, size, seed=1):
    """Return what gives the minibatches of an epoch on the device, drawn by a seed."""
    rng = np.random.RandomState(seed)
    source = lambda: (rows[i : i + 130] for i in range(0, len(rows), 130))  # noqa: E731
    return minibatches_on(
        ELSEWHERE,
        source,
        size,
        lambda n: shuffled_order(n, size, rng),
        lambda: shuffled(source(), size, rng),
    )


@pytest.mark.parametrize("n_rows", [0, 1, 300, 9000])
@pytest.mark.parametrize("fits", [True, False])
def test_minibatches_are_those_of_the_cpu(monkeypatch, n_rows, fits):
    rows = np.random.default_rng(2).normal(size=(n_rows, 3)).astype(np.float32)
    if not fits:
        monkeypatch.setattr(device_rows, "rows_on", lambda device, source: None)
    epoch = minibatches(rows, 170)
    rng = np.random.RandomState(1)
    for _ in range(2):  # two epochs, each with an order of its own
        wanted = list(shuffled([rows] if n_rows else [], 170, rng))
        found = list(epoch())
        assert [len(one) for one in found] == [len(one) for one in wanted]
        for ours, theirs in zip(found, wanted, strict=True):
            np.testing.assert_array_equal(ours.numpy(), theirs)


def test_an_error_of_the_source_arrives(monkeypatch):
    def broken():
        yield np.zeros((3, 2), np.float32)
        raise OSError("the disk is gone")

    with pytest.raises(ConfigError, match=r"device=nowhere.*use cpu"):
        minibatches_on("nowhere", broken, 3, np.arange, broken)
    monkeypatch.setattr(device_rows, "rows_on", lambda device, source: None)
    with pytest.raises(OSError, match="the disk is gone"):
        list(minibatches_on(ELSEWHERE, broken, 3, np.arange, broken)())


LEARNERS = [
    RBM(n_atoms=16, batch_size=100, n_epochs=3, random_state=0),
    RBM(n_atoms=16, hidden="relu", batch_size=100, n_epochs=2, random_state=0),
    RBM(n_atoms=16, algorithm="pcd", sparsity="bias", batch_size=100, n_epochs=3, random_state=0),
    AutoEncoder(n_atoms=16, n_active=3, batch_size=100, n_epochs=3, random_state=0),
    PSD(n_atoms=16, batch_size=100, n_epochs=3, random_state=0),
]


@pytest.mark.parametrize("model", LEARNERS, ids=str)
@pytest.mark.parametrize("stream", [False, True])
def test_learning_there_is_learning_here(model, rows, stream):
    here, there = clone(model), clone(model).set_params(device=ELSEWHERE)
    if stream:
        source = lambda: (rows[i : i + 130] for i in range(0, len(rows), 130))  # noqa: E731
        parts = (source,) if isinstance(model, RBM) else (source, lambda: [rows[:250]])
        here.fit_batches(*parts), there.fit_batches(*parts)
    else:
        here.fit(rows), there.fit(rows)
    for name, array in here.arrays().items():
        assert there.arrays()[name].tobytes() == array.tobytes(), name
    for ours, theirs in zip(here.history_, there.history_, strict=True):
        assert theirs == pytest.approx(ours, rel=1e-5)


@pytest.mark.parametrize(
    "model",
    [
        VAE(n_atoms=4, n_hidden=16, n_epochs=10, random_state=0),
        AutoEncoder(n_atoms=16, n_active=3, noise=0.3, batch_size=50, n_epochs=10, random_state=0),
    ],
    ids=str,
)
def test_noise_of_the_device_is_as_good(model, rows):
    here = clone(model).fit(rows).history_[-1]["objective"]
    there = clone(model).set_params(device=ELSEWHERE).fit(rows)
    assert there.history_[-1]["objective"] == pytest.approx(here, rel=0.05)
    again = clone(there).fit(rows)
    assert again.components_.tobytes() == there.components_.tobytes()
    assert clone(there).set_params(random_state=1).fit(rows).components_.any()


@pytest.mark.parametrize("positive", [False, True])
def test_sparse_coding_there_learns_the_same_atoms(rows, positive):
    """Other solvers: codes differ within their tolerance, and atoms by what follows from that."""
    model = SparseCoding(
        n_atoms=20, penalty=0.3, tol=1e-5, batch_size=200, random_state=0, positive=positive
    )
    rows = np.concatenate([rows, np.zeros((3, 12), np.float32)])
    here, there = clone(model).fit(rows), clone(model).set_params(device=ELSEWHERE).fit(rows)
    np.testing.assert_allclose(there.components_, here.components_, atol=2e-3)
    np.testing.assert_allclose(
        [one["objective"] for one in there.history_],
        [one["objective"] for one in here.history_],
        rtol=1e-4,
    )
    np.testing.assert_allclose(there.usage_, here.usage_, atol=0.003)
    assert there.n_replaced_ == here.n_replaced_
    np.testing.assert_allclose(there.transform(rows), here.transform(rows), atol=0.02)
    parts = lambda: (rows[i : i + 130] for i in range(0, len(rows), 130))  # noqa: E731
    a, b = (clone(one).fit_batches(parts).components_ for one in (here, there))
    np.testing.assert_allclose(a, b, atol=2e-3)


@pytest.mark.parametrize("kind", [KMeans, SphericalKMeans])
@pytest.mark.parametrize("device", [ELSEWHERE, pytest.param("cuda", marks=pytest.mark.gpu)])
def test_kmeans_there_finds_the_same_clusters(kind, device):
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    rng = np.random.default_rng(4)
    centres = 5 * rng.normal(size=(12, 8))
    rows = (centres[rng.integers(0, 12, 3000)] + rng.normal(size=(3000, 8))).astype(np.float32)
    here = kind(n_atoms=12, random_state=0).fit(rows)
    there = kind(n_atoms=12, device=device, random_state=0).fit(rows)
    np.testing.assert_array_equal(there.labels_, here.labels_)
    assert there.labels_.dtype == here.labels_.dtype
    assert there.inertia_ == pytest.approx(here.inertia_, rel=1e-5)
    np.testing.assert_allclose(there.components_, here.components_, atol=1e-5)
    np.testing.assert_array_equal(there.counts_, here.counts_)
    assert there.n_iter_ == here.n_iter_
    many = kind(n_atoms=300, device=device, random_state=0).fit(rows)  # some atoms start anew
    assert (many.counts_ > 0).mean() > 0.99


def test_the_farthest_rows_are_found_there(rows):
    atoms = rows[:5]
    labels, distances = nearest(rows, atoms)
    found = assigned_there(torch.from_numpy(rows), atoms)
    worst = np.argsort(-distances)[:4]
    assert [i for _, i, _ in found.far] == worst.tolist()
    np.testing.assert_allclose([-one for one, _, _ in found.far], distances[worst], rtol=1e-5)
    np.testing.assert_array_equal(found.far[0][2], rows[worst[0]])
    sums = [rows[labels == k].sum(axis=0, dtype=np.float64) for k in range(5)]
    np.testing.assert_allclose(found.sums, sums, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(found.counts, np.bincount(labels, minlength=5))
    assert found.inertia == pytest.approx(distances.sum(dtype=np.float64), rel=1e-6)


def test_a_gpu_gets_the_minibatches_that_suit_it_and_says_so():
    """Sparse coding learns as well from 4096 rows a minibatch as from 512, and faster there."""
    entry = find("dictionaries", "sparse-coding")

    def size(**given):
        return learn._method_settings(entry, Learning(**given), seed=0)["batch_size"]

    assert size() == 512
    assert size(device="cuda") == size(device="cuda:1") == size(settings=("device=cuda",)) == 4096
    assert size(device="cuda", settings=("batch_size=100",)) == 100
    assert size(device="cuda", settings=("device=cpu",)) == 512
    psd = find("dictionaries", "psd")
    assert learn._method_settings(psd, Learning(device="cuda"), seed=0)["batch_size"] == 500


class Recording:
    """What torch.cuda has for graphs, on the CPU: a graph replays the step it was recorded from."""

    def __init__(self, monkeypatch):
        self.steps, self.replays = [], 0
        outer = self

        class Graph:
            def register_generator_state(self, generator):
                outer.generator = generator

            def replay(self):
                outer.replays += 1

        class Capture:
            def __init__(self, graph, stream, capture_error_mode):
                assert capture_error_mode == "thread_local"

            def __enter__(self):
                outer.steps.append("recorded")

            def __exit__(self, *error):
                pass

        monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
        monkeypatch.setattr(torch.cuda, "graph", Capture)
        monkeypatch.setattr(torch.cuda, "Stream", lambda device: None)


def test_a_step_is_recorded_once_and_short_minibatches_run(monkeypatch):
    seen = Recording(monkeypatch)
    generator = torch.Generator()
    given = []

    def step(x):
        seen.steps.append(len(x))
        given.append(x)

    take = captured(step, "cuda", [generator])
    for i, n in enumerate([4, 4, 4, 3, 4]):
        take(torch.full((n, 2), float(i)))
    assert seen.steps == [4, "recorded", 4, 3]  # the first and the short one run
    assert seen.replays == 3
    assert seen.generator is generator
    assert given[1].eq(4).all()  # the recorded step's memory holds the last minibatch
    assert captured(step, "cpu") is step


@pytest.mark.gpu
def test_a_recorded_step_computes_what_the_step_computes():
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    totals = [torch.zeros(3, device="cuda") for _ in range(2)]
    drawn = torch.zeros(5, device="cuda")
    generator = torch.Generator("cuda").manual_seed(1)

    def step(x, total=totals[0]):
        total.add_(x.sum(dim=0))
        drawn.uniform_(generator=generator)

    take, seen = captured(step, "cuda", [generator]), set()
    for i in range(6):
        x = torch.full((2 + (i == 5), 3), float(i), device="cuda")
        take(x)
        totals[1] += x.sum(dim=0)
        seen.add(tuple(drawn.tolist()))
    assert torch.equal(*totals)
    assert len(seen) == 6  # new random numbers at every replay
