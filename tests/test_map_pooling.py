"""Pools over frames and dimensions: each kind against numpy, in each net that has the setting."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch import nn

from mcls.errors import ConfigError
from mcls.nets import build_net
from mcls.nets.blocks.map_pooling import map_pool, pool_the_rest
from mcls.registry import entries

FORMULAS = {
    "max": lambda x: x.max(axis=-1),
    "mean": lambda x: x.mean(axis=-1),
    "std": lambda x: x.std(axis=-1),
    "lp": lambda x: np.sqrt((x**2).mean(axis=-1)),
    "lp3": lambda x: (np.abs(x) ** 3).mean(axis=-1) ** (1 / 3),
}
NETS = [n for n, entry in entries("nets").items() if entry.settings.get("pool")]
POOLED = [
    *("compact-cnn", "crnn", "fcn3", "fcn4", "fcn5", "fcn6", "fcn7", "k1c2"),
    *("k2c1", "k2c2", "short-chunk", "tagging-transformer", "vgg-pons", "vgg16", "vgg19"),
]
each = pytest.mark.parametrize("name", FORMULAS)


@each
def test_rectangles_and_the_rest_against_numpy(name: str) -> None:
    x = np.random.default_rng(440).normal(size=(2, 3, 9, 7))
    expected = np.empty((2, 3, 2, 3))
    for i, j in np.ndindex(2, 3):
        part = x[:, :, 4 * i : 4 * i + 4, 2 * j : 2 * j + 2]
        expected[:, :, i, j] = FORMULAS[name](part.reshape(2, 3, 8))
    assert_allclose(map_pool(name, (4, 2))(torch.tensor(x)), expected, rtol=1e-12)
    whole = FORMULAS[name](x.reshape(2, 3, 63))[:, :, None, None]
    assert_allclose(pool_the_rest(name)(torch.tensor(x)), whole, rtol=1e-12)


@each
def test_rectangles_that_overlap_against_numpy(name: str) -> None:
    """Of 4 x 1, at every second frame and dimension, as in vgg-pons."""
    x = np.random.default_rng(440).normal(size=(2, 3, 9, 5))
    expected = np.empty((2, 3, 3, 3))
    for i, j in np.ndindex(3, 3):
        expected[:, :, i, j] = FORMULAS[name](x[:, :, 2 * i : 2 * i + 4, 2 * j])
    found = map_pool(name, (4, 1), (2, 2))(torch.tensor(x))
    assert_allclose(found, expected, rtol=1e-12)


@each
def test_gradients_are_finite_where_maps_are_constant(name: str) -> None:
    x = torch.zeros(1, 2, 4, 4, requires_grad=True)
    map_pool(name, (2, 2))(x).sum().backward()
    assert torch.isfinite(x.grad).all()


@pytest.mark.parametrize("net", POOLED)
def test_nets_pool_by_kind(net: str) -> None:
    assert net in NETS
    x = torch.randn(2, 1, 40, 40, generator=torch.Generator().manual_seed(0))
    made = {}
    for name in FORMULAS:
        module = build_net(net, {"width": 0.05, "pool": name}, 40, 40, 3, seed=1).eval()
        made[name] = module(x)
        assert made[name].shape == (2, 3)
        assert any(isinstance(m, nn.MaxPool2d) for m in module.modules()) == (name == "max")
    assert not any(torch.allclose(made["max"], made[name]) for name in FORMULAS if name != "max")


@pytest.mark.parametrize("name", ["sum", "max2", "lp0", "attention", "mean+max"])
def test_unknown_pools_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="pool"):
        build_net("fcn3", {"pool": name}, 40, 40, 3)
