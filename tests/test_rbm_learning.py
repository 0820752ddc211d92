"""RBMs learn: no worse than scikit-learn's, as sparse as they are told, and as well on a GPU."""

import itertools

import numpy as np
import pytest
import torch
from scipy.special import expit, logsumexp
from sklearn.datasets import load_digits
from sklearn.neural_network import BernoulliRBM

from mcls.dictionaries.rbm import RBM, SparseRBM
from mcls.dictionaries.rbm_units import free_energy


def states_of(n):
    return np.array(list(itertools.product([0.0, 1.0], repeat=n)))


def bars_and_stripes(side=3):
    lines = states_of(side)
    bars = [np.tile(line, (side, 1)) for line in lines]
    images = [image.ravel() for bar in bars for image in (bar, bar.T)]
    return np.unique(np.array(images), axis=0).astype(np.float32)


def mean_log_likelihood(rows, weights, biases, visible_biases):
    everything = free_energy(
        states_of(rows.shape[1]), weights, biases, visible_biases, visible="binary"
    )
    return -free_energy(rows, weights, biases, visible_biases, visible="binary").mean() - logsumexp(
        -everything
    )


def test_learns_bars_and_stripes_no_worse_than_scikit_learn():
    rows = bars_and_stripes()
    independent = mean_log_likelihood(rows, np.zeros((1, 9)), np.zeros(1), np.zeros(9))
    plain = {"rate_decay": 1.0, "momentum": 0.0, "final_momentum": 0.0, "weight_cost": 0.0}
    reached, other = [], []
    for seed in (0, 1):
        common = {"batch_size": 20, "learning_rate": 0.05, "random_state": seed}
        ours = RBM(
            n_atoms=16, visible="binary", algorithm="pcd", n_epochs=250, **plain, **common
        ).fit(np.tile(rows, (20, 1)))
        theirs = BernoulliRBM(16, n_iter=250, **common).fit(np.tile(rows, (20, 1)))
        reached.append(mean_log_likelihood(rows, *ours._parameters))
        found = theirs.components_, theirs.intercept_hidden_, theirs.intercept_visible_
        other.append(mean_log_likelihood(rows, *found))
        errors = [entry["reconstruction"] for entry in ours.history_]
        assert errors[-1] < 0.1 * errors[0]
    assert independent < -6 < -4.5 < min(reached)
    assert max(reached) <= -np.log(len(rows))  # the best there is: -2.64
    assert np.mean(reached) > np.mean(other) - 0.5  # seeds differ by about 0.3


def test_pseudo_likelihood_of_digits_is_no_worse_than_scikit_learns():
    rows = (load_digits().data / 16 > 0.5).astype(np.float32)
    train, valid = rows[:1500], rows[1500:]
    common = {"batch_size": 50, "learning_rate": 0.05, "random_state": 0}
    ours = RBM(n_atoms=64, visible="binary", n_epochs=15, rate_decay=1.0, **common)
    ours.fit_batches(lambda: [train], valid=lambda: [valid])
    theirs = BernoulliRBM(64, n_iter=15, **common).fit(train)
    rng = np.random.default_rng(0)
    which = np.arange(len(valid)), rng.integers(0, 64, len(valid))
    flipped = valid.copy()
    flipped[which] = 1 - flipped[which]
    gap = ours.free_energy(flipped) - ours.free_energy(valid)
    assert -64 * np.logaddexp(0, -gap).mean() > theirs.score_samples(valid).mean() - 0.5
    last = ours.history_[-1]
    assert last["valid_free_energy"] == pytest.approx(ours.free_energy(valid).mean(), rel=1e-4)
    back = expit(ours.transform(valid) @ ours.components_ + ours.visible_biases_)
    assert last["valid_reconstruction"] == pytest.approx(((back - valid) ** 2).mean(), rel=1e-4)
    assert last["valid_reconstruction"] < ours.history_[0]["valid_reconstruction"]


@pytest.fixture(scope="module")
def patches():
    """Whitened rows, each a few of many sources."""
    rng = np.random.default_rng(0)
    codes = rng.exponential(size=(4000, 60)) * (rng.random((4000, 60)) < 0.06)
    rows = codes @ rng.normal(size=(60, 20))
    return ((rows - rows.mean(axis=0)) / rows.std(axis=0)).astype(np.float32)


def model(**changed):
    return SparseRBM(**{"n_atoms": 32, "n_epochs": 6, "random_state": 0, **changed})


@pytest.mark.parametrize("hidden", ["binary", "relu"])
@pytest.mark.parametrize(("rule", "cost"), [("bias", 10.0), ("lee", 100.0)])
def test_sparsity_reaches_its_target(patches, rule, cost, hidden):
    reached = {}
    for target in (0.05, 0.15):
        learnt = model(
            sparsity=rule,
            sparsity_cost=cost,
            target=target,
            hidden=hidden,
            n_epochs=40,
            learning_rate=0.01,
            final_momentum=0.5,
        ).fit(patches)
        assert learnt.usage_.mean() == pytest.approx(target, rel=0.25)
        reached[target] = learnt.usage_.mean()
    free = model(sparsity="none", hidden=hidden, n_epochs=25, learning_rate=0.01).fit(patches)
    assert free.usage_.mean() > 1.5 * reached[0.15]


@pytest.mark.gpu
def test_cuda_learns_as_well(patches):
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    for changed in ({}, {"algorithm": "pcd"}, {"hidden": "relu"}):
        ours = model(n_epochs=8, **changed).fit(patches).history_[-1]
        theirs = model(n_epochs=8, device="cuda", **changed).fit(patches)
        assert theirs.components_.dtype == np.float32
        for name in ("reconstruction", "activation"):
            assert theirs.history_[-1][name] == pytest.approx(ours[name], rel=0.1), name
