"""RBMs: the slope is the likelihood's by enumeration, on both devices; learning is repeatable."""

import itertools
import pickle

import numpy as np
import pytest
from scipy.special import expit, logsumexp
from scipy.stats import chisquare, norm
from sklearn.datasets import load_digits
from sklearn.neural_network import BernoulliRBM
from sklearn.utils.estimator_checks import check_estimator

from mcls.dictionaries.encoders import feed_forward
from mcls.dictionaries.rbm import RBM, SparseRBM
from mcls.dictionaries.rbm_cpu import CPUSteps
from mcls.dictionaries.rbm_kernels import KINDS, activate
from mcls.dictionaries.rbm_steps import RBMState, StepSettings
from mcls.dictionaries.rbm_torch import TorchSteps
from mcls.dictionaries.rbm_units import free_energy, means
from mcls.errors import ConfigError, DataError
from mcls.registry import find

N = 20_000  # rows, and so chains: standard errors are near 0.005
BACKENDS = {"cpu": CPUSteps, "torch": lambda state, settings: TorchSteps(state, settings, "cpu")}
backends = pytest.mark.parametrize("backend", BACKENDS)


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
    return RBMState.start(*(array.copy() for array in parameters), n_chains=n_chains, seed=5)


def moved(backend, parameters, rows, *, rates=(1.0,), **changed):
    """Return what steps at some learning rates add to weights, biases and visible biases."""
    chosen = settings(**changed)
    after = state(parameters, chosen.batch_size if chosen.persistent else 0)
    with BACKENDS[backend](after, chosen) as steps:
        for rate in rates:
            steps.step(rows, rate, 0.0)
    arrays = after.weights, after.biases, after.visible_biases
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


@backends
@pytest.mark.parametrize("visible", ["binary", "gaussian"])
@pytest.mark.parametrize("persistent", [False, True])
def test_many_turns_of_sampling_give_the_likelihoods_slope(tiny, backend, visible, persistent):
    parameters, rows = tiny
    chains = {"sample_visible": True, "persistent": persistent, "visible": visible}
    # chains run at rest until they are samples of the model, then one step is made
    n = {"binary": 15, "gaussian": 40}[visible]
    turns = {"rates": [0.0] * n + [1.0]} if persistent else {"n_gibbs": n}
    got = moved(backend, parameters, rows, **chains, **turns)
    for found, true in zip(got, true_slope(parameters, rows, visible), strict=True):
        np.testing.assert_allclose(found, true, atol=0.035)  # five standard errors
    one = moved(backend, parameters, rows, sample_visible=True, visible=visible)
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


@backends
@pytest.mark.parametrize("sampled", [False, True])
@pytest.mark.parametrize(
    "kinds", list(itertools.product(["gaussian", "binary", "relu"], ["binary", "relu"]))
)
def test_one_step_is_contrastive_divergence_for_all_units(tiny, backend, kinds, sampled):
    parameters, rows = tiny
    parameters = [array / 2 for array in parameters]  # else two kinds of relu run away
    visible, hidden = kinds
    got = moved(backend, parameters, rows, visible=visible, hidden=hidden, sample_visible=sampled)
    expected = by_hand(parameters, rows.astype(float), kinds, sampled, np.random.default_rng(1))
    for found, true in zip(got, expected, strict=True):
        np.testing.assert_allclose(found, true, atol=0.08 if hidden == "relu" else 0.04)


@backends
def test_momentum_weight_cost_and_short_batches(tiny, backend):
    parameters, rows = tiny
    weights = parameters[0].astype(np.float32)
    cost = moved(backend, parameters, rows, weight_cost=0.1)[0]
    free = moved(backend, parameters, rows)[0]
    np.testing.assert_allclose(cost, free - 0.1 * weights, atol=1e-5)
    after = state(parameters)
    with BACKENDS[backend](after, settings()) as steps:
        steps.step(rows, 1.0, 0.0)
        once = after.velocities[0].copy() if backend == "cpu" else steps._velocities[0].clone()
        steps.step(rows, 0.0, 0.5)  # nothing but half of the step before
        assert steps.n_rows == 2 * N
    np.testing.assert_allclose(after.weights - weights, 1.5 * np.asarray(once), atol=1e-5)
    few = rows[: N // 4]
    short = moved(backend, parameters, few)[0]
    fitting = moved(backend, parameters, few, batch_size=N // 4)[0]
    np.testing.assert_allclose(short, fitting, atol=0.03)
    chains = moved(backend, parameters, few, persistent=True, sample_visible=True)
    assert all(np.isfinite(array).all() for array in chains)


@backends
def test_both_rules_of_sparsity_by_hand(tiny, backend):
    parameters, rows = tiny
    p = expit(rows @ parameters[0].T + parameters[1])
    q = p.mean(axis=0)
    free = moved(backend, parameters, rows)[1]
    lee = moved(backend, parameters, rows, sparsity="lee")[1]
    step = 1e-4  # the slope of 3 (target - mean activation)^2 along each bias
    up, down = (
        expit(rows @ parameters[0].T + parameters[1] + d).mean(axis=0) for d in (step, -step)
    )
    slope = (3 * (0.1 - up) ** 2 - 3 * (0.1 - down) ** 2) / (2 * step)
    np.testing.assert_allclose(lee - free, -slope, atol=1e-4)
    running = moved(backend, parameters, rows, sparsity="bias")[1]
    np.testing.assert_allclose(running - free, 3 * (0.1 - q), atol=1e-4)
    after = state(parameters)
    with BACKENDS[backend](after, settings(sparsity="bias", activation_rate=0.25)) as steps:
        steps.step(rows, 0.0, 0.0)
        steps.step(rows[:1], 0.0, 0.0)
    np.testing.assert_allclose(after.averages, 0.75 * q + 0.25 * p[0], atol=1e-5)


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


def sampled_states(kind, drive, n, key=9, units=64):
    inputs = np.full((units, n), drive, np.float32)
    states, sums = np.empty_like(inputs), np.empty((2, units), np.float32)
    zero = np.zeros(units, np.float32)
    one = np.float32(1)
    activate(inputs, states, zero, KINDS[kind], True, one, np.uint32(key), 0, units, 0, n, 0, sums)
    return states, inputs


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
    between_draws = [sampled_states("gaussian", 0.0, n, key)[0].ravel() for key in (9, 10)]
    assert abs(np.corrcoef(between_draws)[0, 1]) < 5 / np.sqrt(64 * n)
    neighbours = normal[:, 1:] * normal[:, :-1]
    assert abs(neighbours.mean()) < 5 / np.sqrt(64 * n)


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


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@pytest.mark.parametrize("method", [RBM, SparseRBM])
def test_scikit_learns_contract(method):
    check_estimator(method(n_atoms=8, n_epochs=2, random_state=0))


@pytest.mark.parametrize(("name", "method"), [("rbm", RBM), ("sparse-rbm", SparseRBM)])
@pytest.mark.parametrize("hidden", ["binary", "relu"])
def test_registered_with_its_natural_encoder(patches, name, method, hidden):
    entry = find("dictionaries", name)
    assert entry.load() is method
    assert entry.facts == {"encoder": "feed-forward", "watches_valid": True}
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


@pytest.mark.parametrize("changed", [{}, {"algorithm": "pcd"}, {"hidden": "relu", "n_gibbs": 2}])
def test_same_seed_same_bytes_by_any_number_of_threads(patches, monkeypatch, changed):
    learnt = []
    for threads in ("1", "2", "5"):
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
        learnt.append(model(n_atoms=600, n_epochs=1, **changed).fit(patches))  # three blocks
    assert len({pickle.dumps(each.arrays()) for each in learnt}) == 1
    assert len({pickle.dumps(each.history_) for each in learnt}) == 1
    other = model(n_atoms=600, n_epochs=1, random_state=1, **changed).fit(patches)
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


def test_the_torch_path_learns_as_well(patches):
    ours = model(n_epochs=8).fit(patches).history_[-1]
    theirs = model(n_epochs=8, device="cpu:0").fit(patches).history_[-1]
    for name in ("reconstruction", "free_energy", "activation"):
        assert theirs[name] == pytest.approx(ours[name], rel=0.1), name


@pytest.mark.gpu
def test_cuda_learns_as_well(patches):
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    for changed in ({}, {"algorithm": "pcd"}, {"hidden": "relu"}):
        ours = model(n_epochs=8, **changed).fit(patches).history_[-1]
        theirs = model(n_epochs=8, device="cuda", **changed).fit(patches)
        assert theirs.components_.dtype == np.float32
        for name in ("reconstruction", "activation"):
            assert theirs.history_[-1][name] == pytest.approx(ours[name], rel=0.1), name
