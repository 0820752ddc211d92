"""An RBM's steps and free energy: gradients are the likelihood's by enumeration."""

import itertools

import numpy as np
import pytest
import torch
from scipy.special import expit, logsumexp
from scipy.stats import chisquare, norm

from mcls.dictionaries.rbm_steps import RBMState, StepSettings, _activate, take_steps
from mcls.dictionaries.rbm_units import free_energy, means

N = 20_000  # rows, and so chains: standard errors are near 0.005


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request):
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    return request.param


def settings(**changed):
    return StepSettings(
        **{
            "visible": "binary",
            "hidden": "binary",
            "n_gibbs": 1,
            "persistent": False,
            "sample_visible": False,
            "batch_size": N,
            "weight_cost": 0.0,
            "sparsity": "none",
            "target": 0.1,
            "sparsity_cost": 3.0,
            "activation_rate": 0.01,
            **changed,
        }
    )


def state(parameters, n_chains=0):
    return RBMState.start(*parameters, n_chains=n_chains, seed=5)


def moved(device, parameters, rows, *, rates=(1.0,), **changed):
    """Return what steps at some learning rates add to weights, biases and visible biases."""
    chosen = settings(**changed)
    after = state(parameters, chosen.batch_size if chosen.persistent else 0)
    for rate in rates:
        take_steps(after, [rows], chosen, learning_rate=rate, momentum=0.0, device=device)
    arrays = (after.arrays[name] for name in ("weights", "biases", "visible_biases"))
    return [a - b.astype(np.float32) for a, b in zip(arrays, parameters, strict=True)]


@pytest.fixture(scope="module")
def tiny():
    """Three hidden units, four visible ones, and what a step may be tested on."""
    rng = np.random.default_rng(3)
    parameters = rng.normal(scale=0.7, size=(3, 4)), rng.normal(size=3), rng.normal(size=4)
    rows = np.array(list(itertools.product([0, 1], repeat=4)))[rng.integers(0, 11, N)]
    return parameters, rows.astype(np.float32)


def states_of(n):
    return np.array(list(itertools.product([0.0, 1.0], repeat=n)))


def energy(v, h, parameters, visible):
    weights, biases, visible_biases = parameters
    own = ((v - visible_biases) ** 2).sum() / 2 if visible == "gaussian" else -visible_biases @ v
    return own - biases @ h - h @ weights @ v


def true_slope(parameters, rows, visible):
    """Return the log-likelihood's slopes, the model's share by enumeration."""
    weights, biases, visible_biases = parameters
    driven = expit(rows @ weights.T + biases)
    data = driven.T @ rows / len(rows), driven.mean(axis=0), rows.mean(axis=0)
    hidden = states_of(len(biases))
    if visible == "binary":
        pairs = [(v, h) for v in states_of(len(visible_biases)) for h in hidden]
        log_p = np.array([-energy(v, h, parameters, visible) for v, h in pairs])
    else:  # v integrated out: exp(c h + b W h + |W h|^2 / 2); the mean of v is b + W h
        drive = hidden @ weights
        log_p = hidden @ biases + drive @ visible_biases + (drive**2).sum(axis=1) / 2
        pairs = [(visible_biases + d, h) for d, h in zip(drive, hidden, strict=True)]
    p = np.exp(log_p - logsumexp(log_p))
    model = (
        sum(q * np.outer(h, v) for q, (v, h) in zip(p, pairs, strict=True)),
        sum(q * h for q, (v, h) in zip(p, pairs, strict=True)),
        sum(q * v for q, (v, h) in zip(p, pairs, strict=True)),
    )
    return [a - b for a, b in zip(data, model, strict=True)]


@pytest.mark.parametrize("visible", ["binary", "gaussian"])
@pytest.mark.parametrize("persistent", [False, True])
def test_many_turns_of_sampling_give_the_likelihoods_slope(tiny, device, visible, persistent):
    parameters, rows = tiny
    chains = {"sample_visible": True, "persistent": persistent, "visible": visible}
    # chains run at rest until they are samples of the model, then one step is made
    n = {"binary": 15, "gaussian": 40}[visible]
    turns = {"rates": [0.0] * n + [1.0]} if persistent else {"n_gibbs": n}
    got = moved(device, parameters, rows, **chains, **turns)
    for found, true in zip(got, true_slope(parameters, rows, visible), strict=True):
        np.testing.assert_allclose(found, true, atol=0.035)  # five standard errors
    one = moved(device, parameters, rows, sample_visible=True, visible=visible)
    gap = max(
        np.abs(a - b).max() for a, b in zip(one, true_slope(parameters, rows, visible), strict=True)
    )
    assert gap > 0.04  # one turn is another estimate: the test can tell


def by_hand(parameters, rows, kinds, sampled, rng):
    """Return the slopes that one turn estimates, by numpy's own random numbers."""
    weights, biases, visible_biases = parameters

    def sample(drive, kind):
        if kind == "binary":
            return (rng.random(drive.shape) < expit(drive)).astype(float)
        noise = rng.normal(size=drive.shape)
        if kind == "gaussian":
            return drive + noise
        return np.maximum(0, drive + np.sqrt(expit(drive)) * noise)

    visible, hidden = kinds
    drive = rows @ weights.T + biases
    positive = means(drive, hidden)
    back = sample(drive, hidden) @ weights + visible_biases
    model = sample(back, visible) if sampled else means(back, visible)
    negative = means(model @ weights.T + biases, hidden)
    n = len(rows)
    return [
        (positive.T @ rows - negative.T @ model) / n,
        positive.mean(axis=0) - negative.mean(axis=0),
        rows.mean(axis=0) - model.mean(axis=0),
    ]


@pytest.mark.parametrize("sampled", [False, True])
@pytest.mark.parametrize(
    "kinds", list(itertools.product(["gaussian", "binary", "relu"], ["binary", "relu"]))
)
def test_one_step_is_contrastive_divergence_for_all_units(tiny, device, kinds, sampled):
    parameters, rows = tiny
    parameters = [array / 2 for array in parameters]  # else two kinds of relu run away
    visible, hidden = kinds
    got = moved(device, parameters, rows, visible=visible, hidden=hidden, sample_visible=sampled)
    expected = by_hand(parameters, rows.astype(float), kinds, sampled, np.random.default_rng(1))
    for found, true in zip(got, expected, strict=True):
        np.testing.assert_allclose(found, true, atol=0.08 if hidden == "relu" else 0.04)


def test_momentum_weight_cost_and_short_batches(tiny, device):
    parameters, rows = tiny
    weights = parameters[0].astype(np.float32)
    cost = moved(device, parameters, rows, weight_cost=0.1)[0]
    free = moved(device, parameters, rows)[0]
    np.testing.assert_allclose(cost, free - 0.1 * weights, atol=1e-5)
    after = state(parameters)
    take_steps(after, [rows], settings(), learning_rate=1.0, momentum=0.0, device=device)
    once = after.arrays["weights_change"].copy()
    np.testing.assert_allclose(once, free, atol=1e-5)
    # nothing but half of the step before
    usage = take_steps(after, [rows], settings(), learning_rate=0.0, momentum=0.5, device=device)
    np.testing.assert_allclose(after.arrays["weights"] - weights, 1.5 * once, atol=1e-5)
    assert after.n_steps == 2
    assert usage.shape == (3,)
    few = rows[: N // 4]
    short = moved(device, parameters, few)[0]
    fitting = moved(device, parameters, few, batch_size=N // 4)[0]
    np.testing.assert_allclose(short, fitting, atol=0.03)
    chains = moved(device, parameters, few, persistent=True, sample_visible=True)
    assert all(np.isfinite(array).all() for array in chains)


def test_both_rules_of_sparsity_by_hand(tiny, device):
    parameters, rows = tiny
    p = expit(rows @ parameters[0].T + parameters[1])
    q = p.mean(axis=0)
    free = moved(device, parameters, rows)[1]
    lee = moved(device, parameters, rows, sparsity="lee")[1]
    step = 1e-4  # the slope of 3 (target - mean activation)^2 along each bias
    up, down = (
        expit(rows @ parameters[0].T + parameters[1] + d).mean(axis=0) for d in (step, -step)
    )
    slope = (3 * (0.1 - up) ** 2 - 3 * (0.1 - down) ** 2) / (2 * step)
    np.testing.assert_allclose(lee - free, -slope, atol=1e-4)
    running = moved(device, parameters, rows, sparsity="bias")[1]
    np.testing.assert_allclose(running - free, 3 * (0.1 - q), atol=1e-4)
    after = state(parameters)
    chosen = settings(sparsity="bias", activation_rate=0.25)
    minibatches = [rows, rows[:1]]
    usage = take_steps(after, minibatches, chosen, learning_rate=0.0, momentum=0.0, device=device)
    np.testing.assert_allclose(usage, (N * q + p[0]) / (N + 1), atol=1e-5)
    np.testing.assert_allclose(after.arrays["averages"], 0.75 * q + 0.25 * p[0], atol=1e-5)


@pytest.mark.parametrize("visible", ["binary", "gaussian"])
def test_free_energy_by_enumeration_and_its_slope(tiny, visible):
    parameters, rows = tiny
    rng = np.random.default_rng(0)
    v = rows[:5].astype(float) if visible == "binary" else rng.normal(size=(5, 4))
    got = free_energy(v, *parameters, visible=visible)
    true = [-logsumexp([-energy(row, h, parameters, visible) for h in states_of(3)]) for row in v]
    np.testing.assert_allclose(got, true, rtol=1e-12)
    hidden = expit(v @ parameters[0].T + parameters[1])
    own = v - parameters[2] if visible == "gaussian" else v
    statistics = hidden.T @ v / 5, hidden.mean(axis=0), own.mean(axis=0)
    for which, statistic in enumerate(statistics):
        for at in np.ndindex(statistic.shape):
            sides = []
            for step in (1e-5, -1e-5):
                changed = [array.copy() for array in parameters]
                changed[which][at] += step
                sides.append(free_energy(v, *changed, visible=visible).mean())
            assert -(sides[0] - sides[1]) / 2e-5 == pytest.approx(statistic[at], abs=1e-8)


def sampled_states(kind, drive, n, seed=9, units=64):
    driven = torch.full((n, units), drive)
    states = torch.empty_like(driven)
    _activate(driven, kind, states, torch.Generator().manual_seed(seed))
    return states.numpy().T, driven.numpy().T


def test_random_numbers_are_as_they_should_be():
    n = 5000
    for drive in (-3.0, 0.0, 1.5):
        states, mean = sampled_states("binary", drive, n)
        np.testing.assert_allclose(mean, expit(drive), rtol=1e-6)
        assert states.mean() == pytest.approx(expit(drive), abs=0.005)
        on = states.sum(axis=1)  # units: a binomial each
        assert on.var() / (n * expit(drive) * expit(-drive)) == pytest.approx(1, abs=0.6)
        s = np.sqrt(expit(drive))
        relu = sampled_states("relu", drive, n)[0]
        true = drive * norm.cdf(drive / s) + s * norm.pdf(drive / s)
        assert relu.mean() == pytest.approx(true, abs=0.01)
    normal = sampled_states("gaussian", 0.0, n)[0]
    counts = np.histogram(norm.cdf(normal), bins=50, range=(0, 1))[0]
    assert chisquare(counts).pvalue > 1e-3
    between_units = np.corrcoef(normal)[~np.eye(64, dtype=bool)]
    assert np.abs(between_units).max() < 6 / np.sqrt(n)
    between_draws = [sampled_states("gaussian", 0.0, n, seed)[0].ravel() for seed in (9, 10)]
    assert abs(np.corrcoef(between_draws)[0, 1]) < 5 / np.sqrt(64 * n)
    neighbours = normal[:, 1:] * normal[:, :-1]
    assert abs(neighbours.mean()) < 5 / np.sqrt(64 * n)
