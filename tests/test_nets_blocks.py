"""Parts of nets: initial weights, nonlinearities, pools, and the first layers of single nets."""

import math

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy.special import expit
from torch import nn

from mcls.dictionaries.preprocessing import join_frames
from mcls.nets import build_net
from mcls.nets.blocks.layers import frames_needed, init_weights, nonlinear, pools_that_fit
from mcls.nets.cnn1d import MeanMaxNorm


def segments(n: int, n_frames: int, n_dims: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, 1, n_frames, n_dims, generator=generator)


def outputs(net: nn.Module, x: torch.Tensor) -> dict[str, torch.Tensor]:
    """What each hidden layer gives."""
    found: dict[str, torch.Tensor] = {}
    for name in net.hidden:
        layer = net.get_submodule(name)
        layer.register_forward_hook(lambda _, __, made, name=name: found.update({name: made}))
    with torch.no_grad():
        net(x)
    return found


def test_frames_needed_are_the_fewest_that_pass() -> None:
    rng = np.random.default_rng(440)
    for _ in range(20):
        filters, pools = rng.integers(1, 6, size=(2, 3)).tolist()

        def left(frames: int, filters: list = filters, pools: list = pools) -> int:
            for length, pool in zip(filters, pools, strict=True):
                frames = max(0, frames - length + 1) // pool
            return frames

        fewest = next(frames for frames in range(1000) if left(frames) >= 1)
        assert frames_needed(filters, pools) == fewest


def test_pools_are_no_larger_than_what_is_left() -> None:
    assert pools_that_fit([(4, 2), (5, 4), (8, 3)], 1366, 96)[0] == [(4, 2), (5, 4), (8, 3)]
    assert pools_that_fit([(4, 2), (5, 4)], 3, 1) == ([(3, 1), (1, 1)], (1, 1))


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("sigmoid", expit),
        ("tanh", np.tanh),
        ("relu", lambda x: np.maximum(x, 0)),
        ("leaky-relu", lambda x: np.where(x > 0, x, 0.01 * x)),
        ("prelu", lambda x: np.where(x > 0, x, 0.25 * x)),
        ("elu", lambda x: np.where(x > 0, x, np.expm1(x))),
        ("selu", lambda x: 1.05070099 * np.where(x > 0, x, 1.67326324 * np.expm1(x))),
        ("gelu", lambda x: x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))),
    ],
)
def test_nonlinearities(name: str, function) -> None:
    x = np.linspace(-4, 4, 41)
    with torch.no_grad():
        y = nonlinear(name).double()(torch.tensor(x))
    assert_allclose(y, function(x), rtol=1e-6, atol=1e-9)


def test_slopes_of_prelu_are_learnt_one_per_layer() -> None:
    net = build_net("mlp", {"layers": "9x8x7", "nonlinearity": "prelu"}, 1, 9, 2)
    slopes = [m.weight for m in net.modules() if isinstance(m, nn.PReLU)]
    assert [slope.numel() for slope in slopes] == [1, 1, 1]
    net(torch.randn(4, 1, 1, 9)).square().sum().backward()
    assert all(slope.grad is not None and slope.grad.any() for slope in slopes)


@pytest.mark.parametrize(
    ("init", "variance"), [("he", 2 / (9 * 64)), ("xavier", 2 / (9 * 64 + 9 * 128))]
)
def test_variance_of_first_weights(init: str, variance: float) -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(64, 128, 3)
    init_weights(layer, init)
    found = float(layer.weight.detach().var())
    assert found == pytest.approx(variance, rel=0.02)  # of 73728 draws
    assert not layer.bias.any()


def test_orthogonal_first_weights() -> None:
    torch.manual_seed(0)
    layer = nn.Linear(30, 10)
    init_weights(layer, "orthogonal")
    assert_allclose((layer.weight @ layer.weight.T).detach(), np.eye(10), atol=1e-5)


def test_recurrent_weights_are_orthogonal_per_gate() -> None:
    torch.manual_seed(0)
    gru = nn.GRU(12, 8)
    init_weights(gru, "he")
    for gate in gru.weight_hh_l0.detach().chunk(3):
        assert_allclose(gate @ gate.T, np.eye(8), atol=1e-5)
    assert not gru.bias_ih_l0.any()


def test_filters_of_cnn1d_span_all_dims_and_four_frames() -> None:
    net = build_net("cnn1d", {"width": 0.05}, 103, 16, 2, seed=1).eval()
    x = segments(2, 103, 16)
    conv = net.conv1.conv
    weight = conv.weight.permute(0, 2, 1).unsqueeze(1)  # (maps, 1, 4 frames, all dims)
    maps = nn.functional.conv2d(x, weight, conv.bias).squeeze(3).relu()
    pooled = nn.functional.max_pool1d(maps, 4).detach()
    assert_allclose(outputs(net, x)["conv1"], pooled, rtol=1e-4, atol=1e-5)


def test_mean_maximum_and_norm_over_time() -> None:
    x = np.random.default_rng(440).normal(size=(3, 5, 7))
    for norm, third in (("rms", np.sqrt((x**2).mean(axis=2))), ("l2", np.linalg.norm(x, axis=2))):
        expected = np.concatenate([x.mean(axis=2), x.max(axis=2), third], axis=1)
        assert_allclose(MeanMaxNorm(norm)(torch.tensor(x)), expected)


def test_cnn1d_has_the_published_norm_by_setting() -> None:
    assert build_net("cnn1d", {"width": 0.05, "norm": "l2"}, 103, 16, 2).summary.norm == "l2"


def test_the_norm_of_silent_maps_has_a_gradient() -> None:
    x = torch.zeros(1, 2, 3, requires_grad=True)
    MeanMaxNorm("rms")(x).sum().backward()
    assert torch.isfinite(x.grad).all()


def test_mlp_reads_a_segment_as_joined_frames() -> None:
    rows = np.random.default_rng(440).normal(size=(6, 5)).astype(np.float32)
    joined = join_frames(rows, 3)
    net = build_net("mlp", {"layers": "7"}, 3, 5, 2, seed=1).eval()
    cut = np.stack([rows[i : i + 3] for i in range(4)])[:, None]
    with torch.no_grad():
        linear = net.dense1.linear
        expected = np.maximum(joined @ linear.weight.numpy().T + linear.bias.numpy(), 0)
        assert_allclose(outputs(net, torch.tensor(cut))["dense1"], expected, atol=1e-5)


def test_crnn_puts_zeros_at_both_ends() -> None:
    net = build_net("crnn", {"width": 0.05}, 90, 12, 2, seed=1).eval()
    x = segments(2, 90, 12)
    ends = torch.zeros(2, 1, 3, 12)
    with torch.no_grad():
        assert_allclose(net(x), net(torch.cat([ends, x, ends], dim=2)), atol=1e-6)
