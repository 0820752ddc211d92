"""Samples of RBMs and DBNs: against enumeration, and as a plot."""

from itertools import product

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.special import expit

import mcls
from mcls.cli.main import cli
from mcls.dictionaries.gibbs import gibbs_samples, layers_of
from mcls.disk.chain import Step
from mcls.stores.store import NewRows, StoreContents, write_store

FEATURE = {"sr": 22050, "excerpt": None, "dtype": "float32", "hop_length": 512}
STATES = [np.array([*product((0.0, 1.0), repeat=n)]) for n in range(5)]


def marginal(layer) -> np.ndarray:
    """Probability of each state of the visible units of a binary RBM, by enumeration."""
    weights, biases, visible = layer
    drive = STATES[weights.shape[1]] @ weights.T + biases
    logs = STATES[weights.shape[1]] @ visible + np.logaddexp(0, drive).sum(axis=1)
    p = np.exp(logs - logs.max())
    return p / p.sum()


@pytest.fixture
def layers():
    rng = np.random.default_rng(440)
    sizes = [(3, 4), (2, 3)]  # hidden, visible
    return [(rng.normal(0, 1.5, s), rng.normal(size=s[0]), rng.normal(size=s[1])) for s in sizes]


def test_means_of_an_rbm_are_those_by_enumeration(layers) -> None:
    """20,000 chains: means to within 0.02, five standard errors."""
    drawn = gibbs_samples(
        layers[:1],
        20_000,
        visible="binary",
        hidden="binary",
        n_steps=30,
        rng=np.random.default_rng(0),
    )
    assert np.allclose(drawn.mean(axis=0), marginal(layers[0]) @ STATES[4], atol=0.02)


def test_a_dbn_draws_its_upper_rbm_and_passes_down(layers) -> None:
    """The units between are distributed as the upper RBM's visible ones."""
    drawn = gibbs_samples(
        layers, 20_000, visible="binary", hidden="binary", n_steps=30, rng=np.random.default_rng(0)
    )
    weights, _, visible = layers[0]
    below = expit(STATES[3] @ weights + visible)  # given each state of the units between
    assert np.allclose(drawn.mean(axis=0), marginal(layers[1]) @ below, atol=0.02)


def test_gaussian_units_have_the_mean_of_the_mixture() -> None:
    """One hidden unit: P(h = 1) = sigmoid(b + w c + w w / 2), and E v = c + P w."""
    w, b, c = np.array([[1.5, -0.5]]), np.array([-0.3]), np.array([0.2, 1.0])
    drawn = gibbs_samples(
        [(w, b, c)],
        20_000,
        visible="gaussian",
        hidden="binary",
        n_steps=50,
        rng=np.random.default_rng(0),
    )
    share = expit(b + w @ c + 0.5 * (w**2).sum())
    assert np.allclose(drawn.mean(axis=0), c + share * w[0], atol=0.03)


def test_layers_are_read_from_the_arrays(layers) -> None:
    assert layers_of({"atoms": np.eye(2)}) == []
    names = ("weights", "biases", "visible_biases")
    one = dict(zip(names, layers[0], strict=True))
    assert len(layers_of(one)) == 1
    two = {f"{n}_{i + 1}": a for i in (0, 1) for n, a in zip(names, layers[i], strict=True)}
    assert [layer[0].shape for layer in layers_of(two)] == [(3, 4), (2, 3)]


def test_the_command(tmp_path) -> None:
    rng = np.random.default_rng(440)
    columns = {
        "track_id": [f"t{i}" for i in range(8)],
        "path": [f"t{i}.wav" for i in range(8)],
        "split": ["train"] * 8,
    }
    rows = (rng.normal(-40, 3, (30, 6)).astype(np.float32) for _ in range(8))
    chain = (Step("feature", "mel", {**FEATURE, "n_mels": 6}),)
    new = NewRows("mel", chain, 43.0, 6, [30] * 8, rows, "float32")
    store = tmp_path / "store.h5"
    write_store(store, StoreContents(columns), [new])
    given = {"context": 3, "rows": None}
    mcls.learn_dict(store, tmp_path / "dbn.h5", method="dbn", settings=["layers=8x6"], **given)
    mcls.learn_dict(store, tmp_path / "vq.h5", method="kmeans", size=4, **given)

    def run(*words: str):
        return CliRunner().invoke(cli, ["plot", *map(str, words)], prog_name="mcls")

    done = run(tmp_path / "dbn.h5", "-o", tmp_path / "a.png", "--samples", 5, "--steps", 10)
    assert done.exit_code == 0, done.output
    assert "5 samples after 10 Gibbs steps" in done.output
    assert (tmp_path / "a.png").stat().st_size > 1000
    refused = {
        "vq.h5 --samples 5": "kmeans in",
        "dbn.h5 --samples 5 --top 3": "--samples does not take --top",
        "dbn.h5 --steps 3": "--steps goes with --samples",
    }
    for words, said in refused.items():
        name, *more = words.split()
        failed = run(tmp_path / name, "-o", tmp_path / "b.png", *more)
        assert failed.exit_code == 2
        assert said in failed.output
