"""Variational auto-encoder: the bound, its gradients, PCA's subspace, samples, the command line."""

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.utils.estimator_checks import check_estimator
from torch.distributions import Normal, kl_divergence

from mcls.dictionaries.encoders import vae as encode
from mcls.dictionaries.vae import VAE
from mcls.errors import ConfigError, DataError
from mcls.parallel.threads import blocks_on


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    """Rows of 10 numbers near a plane."""
    rng = np.random.default_rng(0)
    plane = (
        rng.normal(size=(2000, 2))
        @ np.diag([3.0, 2.0])
        @ np.linalg.qr(rng.normal(size=(10, 2)))[0].T
    )
    return (plane + 0.1 * rng.normal(size=plane.shape)).astype(np.float32)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
def test_scikit_learns_contract() -> None:
    check_estimator(VAE(n_atoms=3, n_hidden=8, n_epochs=2, random_state=0))


@pytest.mark.parametrize("nonlinearity", ["tanh", "relu", "sigmoid"])
def test_objective_is_the_bound_of_torch_distributions(rng, nonlinearity: str) -> None:
    model = VAE(n_atoms=3, n_hidden=5, beta=0.7, nonlinearity=nonlinearity)
    arrays = model._begin(np.zeros((1, 4)), np.random.RandomState(0))
    p = {name: torch.tensor(array, dtype=torch.float64) for name, array in arrays.items()}
    x, noise = torch.tensor(rng.normal(size=(6, 4))), torch.tensor(rng.normal(size=(6, 3)))
    found = model._objective(p, x, noise)
    act = getattr(torch, nonlinearity)
    hidden = act(torch.nn.functional.linear(x, p["encoder_weights"], p["encoder_biases"]))
    mean = torch.nn.functional.linear(hidden, p["mean_weights"], p["mean_biases"])
    spread = torch.nn.functional.linear(hidden, p["variance_weights"], p["variance_biases"])
    latent = Normal(mean, (0.5 * spread).exp())
    z = mean + latent.scale * noise
    again = act(torch.nn.functional.linear(z, p["decoder_weights"], p["decoder_biases"]))
    y = torch.nn.functional.linear(again, p["output_weights"], p["output_biases"])
    likelihood = Normal(y, 1.0).log_prob(x).sum() + 0.5 * np.log(2 * np.pi) * x.numel()
    divergence = kl_divergence(latent, Normal(0.0, 1.0)).sum()
    assert float(found["objective"]) == pytest.approx(
        float(0.7 * divergence - likelihood), rel=1e-12
    )
    assert float(found["usage"].sum()) == pytest.approx(float(divergence), rel=1e-12)


def test_slopes_are_those_of_one_block_and_of_finite_differences(rng) -> None:
    model = VAE(n_atoms=2, n_hidden=3)
    arrays = model._begin(np.zeros((1, 4)), np.random.RandomState(0))
    p = {name: torch.tensor(array, dtype=torch.float64) for name, array in arrays.items()}
    x = torch.tensor(rng.normal(size=(300, 4)))  # two blocks
    noise = np.random.RandomState(1).standard_normal((300, 2))
    model._rng = np.random.RandomState(1)
    with blocks_on("cpu") as blocks:
        gradients, measured = model._slopes(p, x, blocks, learn=True)
    for name, value in p.items():
        for i in list(np.ndindex(*value.shape))[:4]:
            ends = []
            for step in (1e-6, -1e-6):
                moved = {**p, name: value.clone()}
                moved[name][i] += step
                ends.append(float(model._objective(moved, x, torch.tensor(noise))["objective"]))
            slope = (ends[0] - ends[1]) / 2e-6
            assert float(gradients[name][i]) == pytest.approx(slope, rel=1e-5, abs=1e-4)
    assert float(measured["reconstruction"]) > 0


def test_it_finds_the_plane_that_pca_finds(rows: np.ndarray) -> None:
    model = VAE(n_atoms=4, n_hidden=32, n_epochs=40, learning_rate=3e-3, random_state=0).fit(rows)
    used = np.sort(model.usage_)
    assert used[1] < 0.1 and used[2] > 0.5  # two latent variables are used, two are not
    error = np.square(model.inverse_transform(model.transform(rows)) - rows).sum(axis=1).mean()
    pca = PCA(2).fit(rows)
    best = np.square(pca.inverse_transform(pca.transform(rows)) - rows).sum(axis=1).mean()
    assert error < best + 1.0 < np.square(rows - rows.mean(axis=0)).sum(axis=1).mean() / 5
    samples = model.sample(2000, random_state=0)
    inside = pca.inverse_transform(pca.transform(samples))
    assert np.square(samples - inside).sum() < 0.05 * np.square(samples).sum()
    assert model.history_[-1]["objective"] < model.history_[0]["objective"]


def test_threads_and_seeds(rows: np.ndarray) -> None:
    settings = {"n_atoms": 3, "n_hidden": 8, "n_epochs": 2, "random_state": 0}
    one, two = VAE(**settings).fit(rows), VAE(**settings).fit(rows)
    assert one.components_.tobytes() == two.components_.tobytes()
    codes = encode(rows, one.arrays(), **one.encoder_settings())
    np.testing.assert_allclose(codes, one.transform(rows), atol=1e-5)


def test_what_is_wrong_is_named(rows: np.ndarray) -> None:
    with pytest.raises(ConfigError, match=r"n_hidden=0 .* beta=-1"):
        VAE(n_hidden=0, beta=-1).fit(rows)
    with pytest.raises(ConfigError, match="no latent variables"):
        encode(rows, {"atoms": rows[:2]})
    with pytest.raises(DataError, match="diverged"):
        VAE(learning_rate=1e9, n_epochs=3, nonlinearity="relu", random_state=0).fit(rows)
