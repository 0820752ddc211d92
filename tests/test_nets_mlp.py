"""The multi-layer perceptron that begins at the layers of a DBN."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch import nn

from mcls.dictionaries.encoders import feed_forward
from mcls.errors import ConfigError
from mcls.nets import build_net


def outputs(net: nn.Module, x: torch.Tensor) -> dict[str, torch.Tensor]:
    """What each hidden layer gives."""
    found: dict[str, torch.Tensor] = {}
    for name in net.hidden:
        layer = net.get_submodule(name)
        layer.register_forward_hook(lambda _, __, made, name=name: found.update({name: made}))
    with torch.no_grad():
        net(x)
    return found


def layers_of_a_dbn() -> tuple[list[np.ndarray], list[np.ndarray]]:
    rng = np.random.default_rng(440)
    weights = [rng.normal(size=(9, 6)), rng.normal(size=(4, 9))]
    return weights, [rng.normal(size=9), rng.normal(size=4)]


def test_given_layers_give_what_their_encoder_gives() -> None:
    weights, biases = layers_of_a_dbn()
    net = build_net("mlp", {"layers": "9x4", "nonlinearity": "sigmoid"}, 1, 6, 2, seed=1)
    net.load_layers(weights, biases)
    rows = np.random.default_rng(1).normal(size=(5, 6)).astype(np.float32)
    codes = rows
    for weight, bias in zip(weights, biases, strict=True):
        codes = feed_forward(codes, {"weights": weight, "biases": bias})
    found = outputs(net.eval(), torch.tensor(rows)[:, None, None])["dense2"]
    assert_allclose(found, codes, rtol=1e-5, atol=1e-6)


def test_fewer_layers_than_the_net_has_fill_the_first() -> None:
    weights, biases = layers_of_a_dbn()
    net = build_net("mlp", {"layers": "9x4x3"}, 1, 6, 2, seed=1)
    third = net.dense3.linear.weight.clone()
    net.load_layers(weights, biases)
    assert_allclose(net.dense2.linear.weight.detach(), weights[1].astype(np.float32))
    assert torch.equal(net.dense3.linear.weight, third)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ("9", "2 layers were given and the net has 1 hidden layers; set layers="),
        (
            "9x5",
            r"dense2 has weights \(5, 9\) and biases \(5,\), given are \(4, 9\) and \(4,\)",
        ),
        ("8x4", r"dense1 has weights \(8, 6\).*dense2 has weights \(4, 8\)"),
    ],
)
def test_layers_that_do_not_fit_are_refused_and_change_nothing(layers: str, message: str) -> None:
    net = build_net("mlp", {"layers": layers}, 1, 6, 2, seed=1)
    before = {key: value.clone() for key, value in net.state_dict().items()}
    with pytest.raises(ConfigError, match=message):
        net.load_layers(*layers_of_a_dbn())
    assert all(torch.equal(before[key], value) for key, value in net.state_dict().items())


def test_weights_without_biases_are_refused() -> None:
    net = build_net("mlp", {"layers": "9x4"}, 1, 6, 2, seed=1)
    with pytest.raises(ConfigError, match="2 layers of weights but 0 of biases"):
        net.load_layers(layers_of_a_dbn()[0], [])
