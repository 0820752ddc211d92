"""Nets: the contract each keeps, and sizes against papers and sums by hand."""

import json
import math
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from click.testing import CliRunner
from numpy.testing import assert_allclose
from scipy.special import expit
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from mcls.cli.main import cli
from mcls.dictionaries.encoders import feed_forward
from mcls.dictionaries.preprocessing import join_frames
from mcls.errors import ConfigError
from mcls.nets import build_net, smallest_input
from mcls.nets.blocks.layers import frames_needed, init_weights, nonlinear, pools_that_fit
from mcls.nets.cnn1d import MeanMaxNorm
from mcls.nets.describe import Layer, describe_net
from mcls.registry import entries, find

NAMES = list(entries("nets"))
ANY_LENGTH = ["cnn1d", "crnn", "fcn3", "fcn4", "fcn5", "fcn6", "fcn7"]
ANY_LENGTH += ["musicnn", "pons-2018", "waveform-frontend", "samplecnn"]
ANY_LENGTH += ["alexnet", "vgg16", "resnet18", "resnet34", "googlenet", "compact-cnn"]
ANY_LENGTH += ["short-chunk", "short-chunk-res", "tagging-transformer"]
ANY_LENGTH += ["pons-frequency", "pons-onet", "pons-pnet", "pons-onet-pnet", "local-cnn"]

each = pytest.mark.parametrize("name", NAMES)


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Small products are quicker on one thread, where cores are shared."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def narrow(name: str, **settings) -> dict:
    """Settings that make a net small."""
    size = {"layers": (12, 8)} if name == "mlp" else {"width": 0.02}
    shallow = {"samplecnn": {"modules": 2}, "waveform-frontend": {"midend": "dense"}}
    return size | shallow.get(name, {}) | settings


def sizes(name: str) -> dict[str, tuple[int, int]]:
    """The smallest segment, and one that is longer and wider."""
    frames, dims = smallest_input(name, narrow(name))
    more = 97 if name == "crnn" else 37  # two steps of its recurrent layers
    return {"smallest": (frames, dims), "longer": (frames + more, dims + 21)}


def segments(n: int, n_frames: int, n_dims: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, 1, n_frames, n_dims, generator=generator)


def counts(name: str, n_labels: int, **settings) -> int:
    facts = find("nets", name).facts
    layers = describe_net(name, settings, facts["frames"], facts["dims"], n_labels)
    return sum(layer.n_parameters for layer in layers)


def outputs(net: nn.Module, x: torch.Tensor) -> dict[str, torch.Tensor]:
    """What each hidden layer gives."""
    found: dict[str, torch.Tensor] = {}
    for name in net.hidden:
        layer = net.get_submodule(name)
        layer.register_forward_hook(lambda _, __, made, name=name: found.update({name: made}))
    with torch.no_grad():
        net(x)
    return found


# ---------------------------------------------------------------- the contract


@each
@pytest.mark.parametrize("n_labels", [1, 2, 50])
@pytest.mark.parametrize("size", ["smallest", "longer"])
@pytest.mark.parametrize("batch", [1, 3])
def test_segments_in_logits_out(name: str, batch: int, size: str, n_labels: int) -> None:
    n_frames, n_dims = sizes(name)[size]
    net = build_net(name, narrow(name), n_frames, n_dims, n_labels, seed=1).eval()
    logits = net(segments(batch, n_frames, n_dims))
    assert logits.shape == (batch, n_labels)
    assert logits.dtype == torch.float32
    assert torch.isfinite(logits).all()


@each
def test_hidden_layers_are_named_in_order_and_come_before_dropout(name: str) -> None:
    n_frames, n_dims = sizes(name)["longer"]
    net = build_net(name, narrow(name, dropout=0.9), n_frames, n_dims, 2, seed=1)
    assert isinstance(net.hidden, tuple)
    x = segments(4, n_frames, n_dims)
    found = outputs(net.eval(), x)
    assert tuple(found) == net.hidden
    assert all(made.ndim in (2, 3, 4) and len(made) == 4 for made in found.values())
    first = found[net.hidden[0]].clone()
    norms = [m for m in net.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    net.train()
    for norm in norms:
        norm.eval()
    assert torch.equal(outputs(net, x)[net.hidden[0]], first)


@each
def test_the_gradient_reaches_every_parameter(name: str) -> None:
    n_frames, n_dims = sizes(name)["longer"]
    settings = narrow(name, nonlinearity="tanh", dropout=0.0)
    net = build_net(name, settings, n_frames, n_dims, 2, seed=1).eval()
    net(segments(4, n_frames, n_dims)).square().sum().backward()
    for path, parameter in net.named_parameters():
        assert parameter.grad is not None, path
        assert torch.isfinite(parameter.grad).all(), path
        assert parameter.grad.abs().max() > 0, path


@each
def test_a_batch_is_its_segments_one_by_one(name: str) -> None:
    n_frames, n_dims = sizes(name)["longer"]
    net = build_net(name, narrow(name), n_frames, n_dims, 3, seed=1).eval()
    x = segments(5, n_frames, n_dims)
    with torch.no_grad():
        alone = torch.cat([net(x[i : i + 1]) for i in range(5)])
        assert_allclose(net(x), alone, rtol=0, atol=1e-5)


@each
def test_weights_follow_from_the_seed_and_torchs_generator_is_left_alone(name: str) -> None:
    n_frames, n_dims = sizes(name)["smallest"]
    before = torch.get_rng_state()
    one, same, other = (
        build_net(name, narrow(name), n_frames, n_dims, 2, seed).state_dict() for seed in (3, 3, 4)
    )
    describe_net(name, narrow(name), n_frames, n_dims, 2)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(one[key], same[key]) for key in one)
    assert any(not torch.equal(one[key], other[key]) for key in one)


@each
def test_saved_and_loaded_it_gives_the_same(name: str, tmp_path) -> None:
    n_frames, n_dims = sizes(name)["longer"]
    net = build_net(name, narrow(name), n_frames, n_dims, 2, seed=1)
    x = segments(4, n_frames, n_dims)
    net(x)  # moves the statistics of batch norms
    safetensors.torch.save_file(net.state_dict(), tmp_path / "net.safetensors")
    again = build_net(name, narrow(name), n_frames, n_dims, 2, seed=2)
    again.load_state_dict(safetensors.torch.load_file(tmp_path / "net.safetensors"))
    with torch.no_grad():
        assert torch.equal(net.eval()(x), again.eval()(x))


@each
def test_too_small_a_segment_is_refused_with_the_smallest(name: str) -> None:
    frames, dims = smallest_input(name, {})
    for n_frames, n_dims in ((frames - 1, dims), (frames, dims - 1)):
        with pytest.raises(ConfigError, match=f"at least {frames} frames x {dims} dims"):
            build_net(name, {}, n_frames, n_dims, 2)
    with pytest.raises(ConfigError, match="0 labels; expected 1 or more"):
        build_net(name, narrow(name), frames, dims, 0)


@each
def test_bad_settings_are_all_named(name: str) -> None:
    frames, dims = smallest_input(name, {})
    size = {"layers": "0x5"} if name == "mlp" else {"width": -1}
    with pytest.raises(ConfigError, match=r"^" + name + r": dropout=1.0; .*(layers=0x5|width=-1)"):
        build_net(name, {"dropout": "1", **size}, frames, dims, 2)


@each
def test_it_learns_eight_random_segments_by_heart(name: str) -> None:
    n_frames, n_dims = (size + 12 for size in sizes(name)["smallest"])
    wider = {
        "compact-cnn": 0.25,
        "dieleman": 0.5,
        "crnn": 0.25,
        "samplecnn": 0.1,
        "pons-parallel": 0.1,
    }
    width = wider.get(name, 0.03)
    size = {"layers": (32,)} if name == "mlp" else {"width": width}
    settings = narrow(name, dropout=0.0, **size)
    net = build_net(name, settings, n_frames, n_dims, 2, seed=1)
    x = segments(8, n_frames, n_dims)
    y = torch.tensor([[i >> 1 & 1, i & 1] for i in range(8)], dtype=torch.float32)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    for step in range(200):
        net.train()
        optimizer.zero_grad()
        nn.functional.binary_cross_entropy_with_logits(net(x), y).backward()
        optimizer.step()
        if step % 10 == 9:
            with torch.no_grad():
                if torch.equal(net.eval()(x) > 0, y > 0):
                    return
    pytest.fail("training errors are left after 200 steps")


@each
@pytest.mark.parametrize("init", ["xavier", "he", "orthogonal", "default"])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_every_initialisation_with_and_without_batch_norm(
    name: str, batch_norm: bool, init: str
) -> None:
    n_frames, n_dims = sizes(name)["longer"]
    settings = narrow(name, init=init, batch_norm=batch_norm)
    net = build_net(name, settings, n_frames, n_dims, 2, seed=1)
    assert torch.isfinite(net(segments(4, n_frames, n_dims))).all()
    norms = [m for m in net.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    normed_inputs = ("dieleman", "crnn", "musicnn", "vgg-pons", "short-chunk", "short-chunk-res")
    published = int(name in (*normed_inputs, "tagging-transformer"))
    # of ten branches in one layer; of five, and of the vector over time
    inner = {"pons-2018": 9, "musicnn": 5}.get(name, 0)
    # of the filters of each length or shape
    inner += {"pons-onet": 7, "pons-pnet": 34, "pons-onet-pnet": 42, "pons-timbre": 11}.get(name, 0)
    # of two or three convolutions in a block, and six in an Inception module
    inner += {"resnet18": 11, "resnet34": 19, "googlenet": 45, "short-chunk-res": 14}.get(name, 0)
    # dense layers have none, nor have layers of attention, whose layer norms are always there
    inner += {"alexnet": -2, "vgg16": -2, "tagging-transformer": -1}.get(name, 0)
    convolutions = sum(layer.startswith("conv") for layer in net.hidden)
    normed = convolutions if name == "crnn" else len(net.hidden) + inner
    assert len(norms) == published + batch_norm * normed


@pytest.mark.parametrize("name", ANY_LENGTH)
def test_a_net_of_any_length_takes_longer_segments_than_it_was_built_for(name: str) -> None:
    frames, dims = sizes(name)["longer"]
    net = build_net(name, narrow(name), frames, dims, 2, seed=1).eval()
    assert net(segments(2, 3 * frames, dims)).shape == (2, 2)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@each
def test_a_cuda_device_gives_what_the_cpu_gives(name: str) -> None:
    n_frames, n_dims = sizes(name)["longer"]
    net = build_net(name, narrow(name), n_frames, n_dims, 2, seed=1).eval()
    x = segments(4, n_frames, n_dims)
    with torch.no_grad():
        expected = net(x)
        assert_allclose(net.cuda()(x.cuda()).cpu(), expected, rtol=0, atol=1e-2)  # TF32


# ------------------------------------------------- sizes, against papers and by hand


def kernel(n_in: int, n_out: int, size: int) -> int:
    return n_in * n_out * size + n_out


def test_dieleman_has_the_published_66_thousand_parameters() -> None:
    by_hand = 2 + kernel(96, 32, 8) + kernel(32, 32, 8) + kernel(9 * 32, 100, 1)
    assert counts("dieleman", 50) == by_hand + kernel(100, 50, 1) == 66_784


def test_crnn_has_the_published_396786_parameters_and_torchs_second_biases() -> None:
    second_biases = 2 * 3 * 32
    assert counts("crnn", 50, input_norm="frames") == 396_786 + second_biases
    # 1440 places in time were normalised, 96 bands are by default
    assert counts("crnn", 50) == 396_786 + second_biases - 2 * 1440 + 2 * 96


def test_crnn_reads_15_steps_of_96_frames() -> None:
    layers = {layer.name: layer for layer in describe_net("crnn", {}, 1366, 96, 50)}
    assert layers["input_norm"].output == (96, 1440, 1)  # 37 frames at each end
    assert layers["conv4.pool.1"].output == (128, 15, 1)
    assert layers["gru2.gru"].output == (32, 15)


@pytest.mark.parametrize(
    ("name", "maps", "sizes_1x1", "left"),
    [
        ("fcn3", [256, 768, 2048], [], [(273, 32), (17, 8), (1, 1)]),
        ("fcn4", [128, 384, 768, 2048], [], [(341, 48), (68, 12), (8, 4), (1, 1)]),
        (
            "fcn5",
            [128, 256, 512, 1024, 2048],
            [],
            [(341, 48), (85, 24), (21, 12), (4, 4), (1, 1)],
        ),
        ("fcn6", [128, 256, 512, 1024, 2048], [1024], None),
        ("fcn7", [128, 256, 512, 1024, 2048], [1024, 2048], None),
    ],
)
def test_fcn_by_hand(name: str, maps: list, sizes_1x1: list, left: list | None) -> None:
    by_hand = sum(kernel(*pair, 9) + 2 * pair[1] for pair in pairwise([1, *maps]))
    last = [maps[-1], *sizes_1x1]
    by_hand += sum(kernel(*pair, 1) + 2 * pair[1] for pair in pairwise(last))
    layers = describe_net(name, {}, 1366, 96, 50)
    assert sum(layer.n_parameters for layer in layers) == by_hand + kernel(last[-1], 50, 1)
    pools = [layer.output[1:] for layer in layers if layer.name.endswith("pool")]
    assert pools == (left or [(341, 48), (85, 24), (21, 12), (4, 4), (1, 1)])
    assert [layer.output[0] for layer in layers if ".conv" in layer.name] == maps + sizes_1x1


def test_fcn4_has_17_million_parameters() -> None:
    assert counts("fcn4", 50) == 17_365_938


def test_cnn1d_by_hand() -> None:
    by_hand = kernel(128, 256, 4) + 2 * kernel(256, 256, 4) + kernel(256, 512, 4)
    by_hand += kernel(3 * 512, 2048, 1) + kernel(2048, 2048, 1) + kernel(2048, 40, 1)
    assert counts("cnn1d", 40) == by_hand == 8_607_016
    layers = describe_net("cnn1d", {}, 599, 128, 40)
    frames = [layer.output[1] for layer in layers if layer.name.startswith("conv")]
    assert frames == [596, 149, 146, 73, 70, 35, 32]


def test_cnn1d_may_keep_the_number_of_frames() -> None:
    layers = describe_net("cnn1d", {"padding": "same"}, 16, 8, 2)
    frames = [layer.output[1] for layer in layers if layer.name.endswith(("pool", "conv4.conv"))]
    assert frames == [4, 2, 1, 1]
    assert smallest_input("cnn1d", {"padding": "same"}) == (16, 1)


def test_width_scales_every_hidden_layer() -> None:
    layers = describe_net("fcn4", {"width": 0.125}, 1366, 96, 50)
    assert [layer.output[0] for layer in layers if ".conv" in layer.name] == [16, 48, 96, 256]


def test_mlp_by_hand() -> None:
    assert counts("mlp", 10, layers="50x50x50") == (
        kernel(513, 50, 1) + 2 * kernel(50, 50, 1) + kernel(50, 10, 1)
    )


@each
def test_operations_are_what_torch_counts(name: str) -> None:
    n_frames, n_dims = sizes(name)["longer"]
    layers = describe_net(name, narrow(name), n_frames, n_dims, 3)
    net = build_net(name, narrow(name), n_frames, n_dims, 3, seed=1).eval()
    plain = sdpa_kernel(SDPBackend.MATH)  # what is fused for a CPU is not counted
    with FlopCounterMode(display=False) as counter, torch.no_grad(), plain:
        net(segments(1, n_frames, n_dims))
    assert sum(layer.flops for layer in layers) == counter.get_total_flops()
    n_parameters = sum(parameter.numel() for parameter in net.parameters())
    assert sum(layer.n_parameters for layer in layers) == n_parameters


def test_layers_that_neither_learn_nor_change_sizes_are_left_out() -> None:
    assert describe_net("mlp", {"layers": "7"}, 2, 5, 3) == [
        Layer("dense1.linear", "dense", (7,), 77, 140),
        Layer("output", "dense", (3,), 24, 42),
    ]


# ------------------------------------------------------------------- the parts


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
        ("elu", lambda x: np.where(x > 0, x, np.expm1(x))),
        ("selu", lambda x: 1.05070099 * np.where(x > 0, x, 1.67326324 * np.expm1(x))),
        ("gelu", lambda x: x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))),
    ],
)
def test_nonlinearities(name: str, function) -> None:
    x = np.linspace(-4, 4, 41)
    assert_allclose(nonlinear(name)(torch.tensor(x)), function(x), rtol=1e-6, atol=1e-9)


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
    expected = [x.mean(axis=2), x.max(axis=2), np.sqrt((x**2).mean(axis=2))]
    assert_allclose(MeanMaxNorm()(torch.tensor(x)), np.concatenate(expected, axis=1))


def test_the_norm_of_silent_maps_has_a_gradient() -> None:
    x = torch.zeros(1, 2, 3, requires_grad=True)
    MeanMaxNorm()(x).sum().backward()
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


# ----------------------------------------------------------------- layers of a DBN


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


# ------------------------------------------------------------------ what a user sees


def test_types_and_settings_come_from_shared_names_and_base_classes() -> None:
    settings = find("nets", "fcn7").settings
    assert list(settings) == ["width", "nonlinearity", "dropout", "batch_norm", "init"]
    assert settings["init"].type == "Literal['xavier', 'he', 'orthogonal', 'default']"
    assert all(setting.doc for setting in settings.values())


def test_list_shows_the_layers_of_a_net() -> None:
    result = CliRunner().invoke(cli, ["list", "nets", "fcn4"], prog_name="mcls")
    assert result.exit_code == 0
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert "layers, for a segment of 1366 x 96 (frames x dims) and 50 labels" in lines
    assert "conv2.conv convolution, 3x3 384 x 341 x 48 442,752 14,481.359" in lines
    assert any(line.startswith("17,365,938 parameters; 20,021.338 MFLOP") for line in lines)
    assert lines[-1] == "smallest segment: 3 x 3 (frames x dims)"


@each
def test_list_as_json(name: str) -> None:
    result = CliRunner().invoke(cli, ["list", "nets", name, "--json"], prog_name="mcls")
    said = json.loads(result.stdout)
    assert said["n_parameters"] == sum(layer["n_parameters"] for layer in said["layers"]) > 0
    assert said["smallest_input"] == list(smallest_input(name, {}))
    assert {"source", "frames", "dims", "labels"} <= set(said["facts"])


@each
def test_the_page_of_nets_says_how_large_it_is(name: str) -> None:
    page = (Path(__file__).parents[1] / "docs" / "nets.md").read_text(encoding="utf-8")
    row = next(
        line for line in page.splitlines() if line.startswith((f"| `{name}`", f"| [`{name}`"))
    )
    layers = describe_net(
        name, {}, *(find("nets", name).facts[k] for k in ("frames", "dims", "labels"))
    )
    assert f"| {sum(layer.n_parameters for layer in layers):,} |" in row
    mflop = sum(layer.flops for layer in layers) / 1e6
    assert f"| {mflop:,.1f} |" in row or f"| {mflop:,.0f} |" in row
    frames, dims = smallest_input(name, {})
    assert f"| {frames} x {dims}" in row
