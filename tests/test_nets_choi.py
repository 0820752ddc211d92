"""The nets that Choi et al. (2017) compare at equal numbers of parameters, and the width for it."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from mcls.errors import ConfigError
from mcls.nets import build_net
from mcls.nets.budget import n_parameters, width_for
from mcls.nets.describe import describe_net

COMPARED = ("k1c2", "k2c1", "k2c2", "crnn")
SIZE = (1366, 96, 50)


def kernel(n_in: int, n_out: int, size: int) -> int:
    """Weights and biases of a layer, and the two numbers per map of its batch norm."""
    return n_in * n_out * size + n_out + 2 * n_out


def test_k1c2_by_hand() -> None:
    layers = {layer.name: layer.output for layer in describe_net("k1c2", {}, *SIZE)}
    pooled = [layers[f"conv{i}.pool"] for i in range(1, 5)]
    assert pooled == [(47, 341, 96), (47, 68, 96), (95, 8, 96), (95, 1, 96)]
    by_hand = sum(kernel(*pair, 4) for pair in pairwise([1, 47, 47, 95, 95]))
    by_hand += kernel(95 * 96, 95, 1) + kernel(95, 95, 1) + 95 * 50 + 50
    assert n_parameters("k1c2", {}, *SIZE) == by_hand


def test_k2c1_by_hand() -> None:
    layers = {layer.name: layer.output for layer in describe_net("k2c1", {}, *SIZE)}
    pooled = [layers[f"conv{i}.pool"] for i in range(1, 5)]
    assert pooled == [(152, 341, 1), (152, 85, 1), (304, 17, 1), (304, 2, 1)]
    by_hand = kernel(1, 152, 4 * 96)
    by_hand += sum(kernel(*pair, 4) for pair in pairwise([152, 152, 304, 304]))
    by_hand += kernel(2 * 304, 304, 1) + kernel(304, 304, 1) + 304 * 50 + 50
    assert n_parameters("k2c1", {}, *SIZE) == by_hand


def test_k2c2_by_hand() -> None:
    layers = {layer.name: layer.output for layer in describe_net("k2c2", {}, *SIZE)}
    assert layers["conv5.pool"] == (271, 1, 1)
    by_hand = sum(kernel(*pair, 9) for pair in pairwise([1, 67, 135, 135, 203, 271]))
    assert n_parameters("k2c2", {}, *SIZE) == by_hand + 271 * 50 + 50


@pytest.mark.parametrize("name", COMPARED[:3])
def test_width_1_has_about_a_million_parameters(name: str) -> None:
    assert n_parameters(name, {}, *SIZE) == pytest.approx(1e6, rel=0.1)


def test_a_filter_of_k1c2_moves_along_one_band_as_numpy_correlates() -> None:
    net = build_net("k1c2", {"width": 0.1, "batch_norm": False}, 40, 3, 2).eval()
    x = np.random.default_rng(440).normal(size=(40, 3))
    steps = dict(net.conv1.named_children())
    with torch.no_grad():
        found = steps["conv"](steps["pad"](torch.tensor(x, dtype=torch.float32)[None, None]))[0]
    weights = steps["conv"].weight.detach().numpy()[:, 0, :, 0]
    for taps, of_map in zip(weights, found.numpy(), strict=True):
        for band in range(3):
            padded = np.concatenate([[0], x[:, band], [0, 0]])
            expected = np.correlate(padded, taps, mode="valid")
            np.testing.assert_allclose(of_map[:, band], expected, atol=1e-6)


@pytest.mark.parametrize("name", COMPARED)
@pytest.mark.parametrize("parameters", [100_000, 250_000, 500_000, 1_000_000, 3_000_000])
def test_one_width_gives_equal_counts(name: str, parameters: int) -> None:
    """Within 3 %: a map more or less in each layer is up to a twentieth of a small net."""
    width = width_for(parameters, name, {}, *SIZE)
    net = build_net(name, {"width": width}, *SIZE) if parameters == 100_000 else None
    count = n_parameters(name, {"width": width}, *SIZE)
    assert count == pytest.approx(parameters, rel=0.03)
    assert net is None or count == sum(p.numel() for p in net.parameters())


@pytest.mark.parametrize("parameters", [10, 10**12])
def test_what_no_width_gives_is_refused(parameters: int) -> None:
    with pytest.raises(ConfigError, match="k2c2: no width gives"):
        width_for(parameters, "k2c2", {}, *SIZE)
