import numpy as np
import pytest
from sklearn.metrics import pairwise_distances

from mcls.errors import ConfigError
from mcls.registry import entries, find


@pytest.fixture
def rows(rng):
    return rng.normal(size=(200, 8)).astype(np.float32)


@pytest.fixture
def arrays(rng):
    atoms = rng.normal(size=(30, 8)).astype(np.float32)
    atoms /= np.linalg.norm(atoms, axis=1, keepdims=True)
    biases = rng.normal(size=30).astype(np.float32)
    arrays = {"atoms": atoms, "weights": 2 * atoms, "biases": biases}
    latent = {"encoder_weights": atoms, "encoder_biases": biases}
    latent |= {"mean_weights": atoms @ atoms.T, "mean_biases": biases}
    return {**arrays, **latent, "weights_1": 2 * atoms, "biases_1": biases}


def encode(name, rows, arrays, **settings):
    return find("encoders", name).load()(rows, arrays, **settings)


def test_hard_is_one_at_the_nearest(rows, arrays):
    codes = encode("hard", rows, arrays)
    near = pairwise_distances(rows, arrays["atoms"]).argmin(axis=1)
    np.testing.assert_array_equal(codes, np.eye(30)[near])


def test_triangle_is_coates(rows, arrays):
    z = pairwise_distances(rows.astype(float), arrays["atoms"].astype(float))
    wanted = np.maximum(0, z.mean(axis=1, keepdims=True) - z)
    np.testing.assert_allclose(encode("triangle", rows, arrays), wanted, atol=1e-4)


def test_soft_threshold_is_coates(rows, arrays):
    likeness = rows @ arrays["atoms"].T
    codes = encode("soft-threshold", rows, {"atoms": 3 * arrays["atoms"]}, alpha=0.3)
    np.testing.assert_allclose(codes, np.maximum(likeness - 0.3, 0), atol=1e-5)
    both = encode("soft-threshold", rows, arrays, alpha=0.3, split_signs=True)
    np.testing.assert_allclose(both[:, 30:], np.maximum(-likeness - 0.3, 0), atol=1e-5)


@pytest.mark.parametrize(
    ("nonlinearity", "f"),
    [
        ("sigmoid", lambda x: 1 / (1 + np.exp(-x))),
        ("relu", lambda x: np.maximum(x, 0)),
        ("tanh", np.tanh),
        ("linear", lambda x: x),
    ],
)
def test_feed_forward_is_f_of_weights_and_biases(nonlinearity, f, rows, arrays):
    gains = np.linspace(-1, 2, 30, dtype=np.float32)
    wanted = f(rows @ arrays["weights"].T.astype(float) + arrays["biases"]) * gains
    codes = encode("feed-forward", rows, {**arrays, "gains": gains}, nonlinearity=nonlinearity)
    np.testing.assert_allclose(codes, wanted, atol=1e-5)


def test_feed_forward_keeps_the_largest(rows, arrays):
    full = encode("feed-forward", rows, arrays, nonlinearity="tanh")
    few = encode("feed-forward", rows, arrays, nonlinearity="tanh", n_active=5)
    assert (np.count_nonzero(few, axis=1) == 5).all()
    least = np.sort(np.abs(full), axis=1)[:, -5]
    np.testing.assert_array_equal(few, np.where(np.abs(full) >= least[:, None], full, 0))


def test_feed_forward_needs_weights(rows, arrays):
    with pytest.raises(ConfigError, match="has no weights"):
        encode("feed-forward", rows, {"atoms": arrays["atoms"]})


@pytest.mark.parametrize("name", sorted(entries("encoders")))
def test_codes_are_finite_and_of_each_row_alone(name, rows, arrays):
    codes = encode(name, rows, arrays)
    assert codes.dtype == np.float32
    assert np.isfinite(codes).all()
    assert np.isfinite(encode(name, 0 * rows, arrays)).all()
    np.testing.assert_allclose(encode(name, rows[7:8], arrays)[0], codes[7], atol=1e-5)
