"""Nets that came from images, and the small and short ones of music: sizes and parts."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch import nn

from mcls.errors import ConfigError
from mcls.nets import build_net, smallest_input
from mcls.nets.alexnet import response_norm
from mcls.nets.blocks.image import BottleneckBlock, ResidualBlock, SqueezeExcite
from mcls.nets.describe import describe_net
from mcls.registry import find

PAGES = Path(__file__).parents[1] / "docs" / "nets"


def counts(name: str, n_labels: int, **settings) -> int:
    facts = find("nets", name).facts
    layers = describe_net(name, settings, facts["frames"], facts["dims"], n_labels)
    return sum(layer.n_parameters for layer in layers)


def sizes(name: str, n_frames: int, n_dims: int, ends: str, **settings) -> list[tuple[int, ...]]:
    layers = describe_net(name, settings, n_frames, n_dims, 10)
    return [layer.output for layer in layers if layer.name.endswith(ends)]


def kernel(n_in: int, n_out: int, size: int) -> int:
    return n_in * n_out * size + n_out


def two_channels(n_maps: int, size: int) -> int:
    """Weights of a first convolution of three channels that one of one channel lacks."""
    return 2 * n_maps * size * size


# ----------------------------------------------------------------- published sizes


def test_alexnet_of_two_towers_is_that_of_caffe_and_of_one_tower_by_hand() -> None:
    assert counts("alexnet", 1000) == 60_965_224 - two_channels(96, 11)
    by_hand = kernel(1, 96, 121) + kernel(96, 256, 25) + kernel(256, 384, 9)
    by_hand += kernel(384, 384, 9) + kernel(384, 256, 9)
    by_hand += kernel(256 * 36, 4096, 1) + kernel(4096, 4096, 1) + kernel(4096, 1000, 1)
    assert counts("alexnet", 1000, towers=1) == by_hand


def test_alexnet_has_the_places_of_the_paper() -> None:
    assert sizes("alexnet", 224, 224, ".conv") == [
        (96, 55, 55),
        (256, 27, 27),
        (384, 13, 13),
        (384, 13, 13),
        (256, 13, 13),
    ]
    assert sizes("alexnet", 224, 224, "conv5.pool") == [(256, 6, 6)]
    assert smallest_input("alexnet", {}) == (63, 63)
    assert sizes("alexnet", 63, 63, "conv5.pool") == [(256, 1, 1)]


def test_vgg16_has_the_published_138_million_parameters() -> None:
    assert counts("vgg16", 1000, batch_norm=False) == 138_357_544 - two_channels(64, 3)
    assert counts("vgg16", 1000) == 138_365_992 - two_channels(64, 3)
    assert sizes("vgg16", 224, 224, ".pool") == [
        (64, 112, 112),
        (128, 56, 56),
        (256, 28, 28),
        (512, 14, 14),
        (512, 7, 7),
    ]


def test_vgg19_has_the_published_144_million_parameters() -> None:
    assert counts("vgg19", 1000, batch_norm=False) == 143_667_240 - two_channels(64, 3)
    assert counts("vgg19", 1000) == 143_678_248 - two_channels(64, 3)
    assert sizes("vgg19", 224, 224, ".pool") == sizes("vgg16", 224, 224, ".pool")
    assert len(sizes("vgg19", 224, 224, ".conv")) == 16


#: Parameters of torchvision's nets (its page "Models and pre-trained weights") and blocks a stage.
RESNETS = {
    "resnet18": (11_689_512, (2, 2, 2, 2)),
    "resnet34": (21_797_672, (3, 4, 6, 3)),
    "resnet50": (25_557_032, (3, 4, 6, 3)),
    "resnet101": (44_549_160, (3, 4, 23, 3)),
    "resnet152": (60_192_808, (3, 8, 36, 3)),
}
#: Operations that He et al. (2016) print in Table 1, in billions; a multiply-add is one there.
RESNET_OPERATIONS = {
    "resnet18": 1.8,
    "resnet34": 3.6,
    "resnet50": 3.8,
    "resnet101": 7.6,
    "resnet152": 11.3,
}


@pytest.mark.parametrize("name", RESNETS)
def test_resnets_have_the_published_sizes(name: str) -> None:
    published, blocks = RESNETS[name]
    assert counts(name, 1000) == published - two_channels(64, 7)
    places = {64: 56, 128: 28, 256: 14, 512: 7}
    expected = [(n, places[n]) for n, k in zip(places, blocks, strict=True) for _ in range(k)]
    assert sizes(name, 224, 224, ".second.conv") == [(n, p, p) for n, p in expected]
    if name not in ("resnet18", "resnet34"):
        assert sizes(name, 224, 224, ".third.conv") == [(4 * n, p, p) for n, p in expected]


@pytest.mark.parametrize("name", ["resnet18", "resnet34"])
def test_a_plain_net_has_no_shortcuts(name: str) -> None:
    """It lacks the three 1 x 1 convolutions, and a block gives its own output in place of a sum."""
    pairs = [(64, 128), (128, 256), (256, 512)]
    shortcuts = sum(n_in * n_out + 2 * n_out for n_in, n_out in pairs)
    assert counts(name, 10) - counts(name, 10, residual=False) == shortcuts
    net = build_net(name, {"width": 0.1, "residual": False}, 32, 24, 3, seed=0).eval()
    block = net.block3
    x = torch.randn(2, block.first.conv.in_channels, 9, 7)
    with torch.no_grad():
        assert torch.equal(block(x), block.second(block.first(x)).relu())


@pytest.mark.parametrize("name", RESNETS)
def test_resnets_have_the_operations_of_the_paper(name: str) -> None:
    """Within 8 %: our strides of bottlenecks cost more, and the input has one channel."""
    flops = sum(layer.flops for layer in describe_net(name, {}, 224, 224, 1000))
    assert flops / 2e9 == pytest.approx(RESNET_OPERATIONS[name], rel=0.08)


def test_a_bottleneck_against_torch_by_hand() -> None:
    torch.manual_seed(0)
    block = BottleneckBlock(4, 8, shortcut=1, stride=2, nonlinearity="relu", batch_norm=False)
    x = torch.randn(2, 4, 9, 6)
    convolve, of = nn.functional.conv2d, {n: p.detach() for n, p in block.named_parameters()}
    with torch.no_grad():
        y = convolve(x, of["first.conv.weight"], of["first.conv.bias"]).relu()
        y = convolve(y, of["second.conv.weight"], of["second.conv.bias"], 2, 1).relu()
        y = convolve(y, of["third.conv.weight"], of["third.conv.bias"])
        y = y + convolve(x, of["shortcut.conv.weight"], of["shortcut.conv.bias"], 2)
        assert_allclose(block(x), y.relu(), rtol=0, atol=1e-6)


def test_squeeze_and_excitation_adds_two_dense_layers_a_block() -> None:
    added = sum(kernel(n, n // 16, 1) + kernel(n // 16, n, 1) for n in (64, 128, 256, 512))
    assert counts("resnet18", 10, squeeze_excite=True) - counts("resnet18", 10) == 2 * added


def test_googlenet_is_that_of_caffe_without_its_auxiliary_outputs() -> None:
    assert counts("googlenet", 1000, batch_norm=False) == 6_998_552 - two_channels(64, 7)
    # torchvision has filters of 3 x 3 in place of those of 5 x 5
    before_and_of_5x5 = [(16, 32), (32, 96), (16, 48), (24, 64), (24, 64), (32, 64)]
    before_and_of_5x5 += [(32, 128), (32, 128), (48, 128)]
    smaller = sum((25 - 9) * n_in * n_out for n_in, n_out in before_and_of_5x5)
    assert counts("googlenet", 1000) - smaller == 6_624_904 - two_channels(64, 7)


def test_auxiliary_outputs_have_the_published_sizes_and_are_for_training_only() -> None:
    """torchvision's GoogLeNet has 13,004,888 parameters with its auxiliary outputs."""
    with torch.device("meta"):
        net = build_net("googlenet", {"auxiliary": 0.3}, 224, 224, 1000)
    size = sum(p.numel() for p in net.parameters()) - counts("googlenet", 1000)
    assert size == 13_004_888 - 6_624_904
    net = build_net("googlenet", {"auxiliary": 0.3, "width": 0.02}, 64, 70, 3)
    assert net.auxiliary_weight == 0.3
    x = torch.randn(4, 1, 64, 70, generator=torch.Generator().manual_seed(0))
    assert [logits.shape for logits in net(x)] == [(4, 3)] * 3
    alone = build_net("googlenet", {"width": 0.02}, 64, 70, 3)
    known = alone.state_dict().keys()
    alone.load_state_dict({k: v for k, v in net.state_dict().items() if k in known})
    with torch.no_grad():
        assert torch.equal(net.eval()(x), alone.eval()(x))
    with pytest.raises(ConfigError, match=r"auxiliary=-1.0; expected 0 or more"):
        build_net("googlenet", {"auxiliary": -1}, 64, 70, 3)


def test_googlenet_has_the_places_and_maps_of_the_paper() -> None:
    found = describe_net("googlenet", {}, 224, 224, 10)
    pools = {layer.name: layer.output for layer in found if layer.name.endswith(".pool")}
    assert pools == {
        "conv1.pool": (64, 56, 56),
        "conv3.pool": (192, 28, 28),
        "inception3b.pool": (480, 14, 14),
        "inception4e.pool": (832, 7, 7),
    }
    net = build_net("googlenet", {"width": 0.125}, 224, 224, 10).eval()
    maps = [net.get_submodule(f"inception{name}").n_out for name in ("3a", "4a", "4b", "5b")]
    assert maps == [256 // 8, 512 // 8, 512 // 8, 1024 // 8]


SMALLEST = ["alexnet", "vgg16", "vgg19", "resnet18", "resnet50", "googlenet", "short-chunk-res"]


@pytest.mark.parametrize("name", SMALLEST)
def test_the_smallest_segment_is_the_smallest_that_torch_passes(name: str) -> None:
    """What is claimed to be the smallest works; for nets without padding one less cannot."""
    frames, dims = smallest_input(name, {})
    net = build_net(name, {"width": 0.02}, frames, dims, 2).eval()
    assert net(torch.zeros(1, 1, frames, dims)).shape == (1, 2)
    if name in ("alexnet", "vgg16", "vgg19", "googlenet"):
        with pytest.raises(RuntimeError):
            net(torch.zeros(1, 1, frames - 1, dims))
    with pytest.raises(ConfigError, match="at least"):
        build_net(name, {"width": 0.02}, frames - 1, dims, 2)


def test_compact_cnn_has_five_times_32_maps() -> None:
    by_hand = kernel(1, 32, 9) + 4 * kernel(32, 32, 9) + 5 * 2 * 32 + kernel(32, 50, 1)
    assert counts("compact-cnn", 50) == by_hand == 39_282
    places = [(340, 48), (85, 16), (17, 8), (4, 4), (1, 1)]
    assert sizes("compact-cnn", 1360, 96, ".pool") == [(32, *place) for place in places]
    net = build_net("compact-cnn", {}, 1360, 96, 50)
    assert net.hidden == ("conv1", "conv2", "conv3", "conv4", "conv5")


def test_short_chunk_by_hand() -> None:
    maps = [1, 128, 128, 256, 256, 256, 256, 512]
    head = 2 + kernel(512, 512, 1) + 2 * 512 + kernel(512, 50, 1)
    one = sum(kernel(*pair, 9) + 2 * pair[1] for pair in pairwise(maps))
    assert counts("short-chunk", 50) == one + head
    two = sum(kernel(pair[1], pair[1], 9) + 2 * pair[1] for pair in pairwise(maps))
    assert counts("short-chunk-res", 50) == 2 * one + two + head
    halved = [(115, 64), (57, 32), (28, 16), (14, 8), (7, 4), (3, 2), (1, 1)]
    assert [s[1:] for s in sizes("short-chunk", 231, 128, ".pool")] == halved
    halved = [(116, 64), (58, 32), (29, 16), (15, 8), (8, 4), (4, 2), (2, 1)]
    assert [s[1:] for s in sizes("short-chunk-res", 231, 128, ".second.conv")] == halved


def test_tagging_transformer_by_hand() -> None:
    norm, units, maps = 2 * 128, 256, 128
    convolutions = 2 * (kernel(1, maps, 9) + norm) + 5 * (kernel(maps, maps, 9) + norm)
    steps = kernel(16 * maps, units, 1) + (1 + 512) * units + units
    attention = 2 * units + units * 3 * units + kernel(units, units, 1)
    forward = 2 * units + kernel(units, 4 * units, 1) + kernel(4 * units, units, 1)
    by_hand = 2 + convolutions + steps + 4 * (attention + forward)
    by_hand += 2 * units + kernel(units, 50, 1)
    assert counts("tagging-transformer", 50) == by_hand == 4_567_732
    assert sizes("tagging-transformer", 431, 128, "conv3.pool") == [(128, 107, 16)]
    assert sizes("tagging-transformer", 431, 128, "attention4.join") == [(256, 108)]


@pytest.mark.parametrize(
    ("page", "names"),
    [
        ("alexnet", ["alexnet"]),
        ("vgg", ["vgg16", "vgg19"]),
        ("googlenet", ["googlenet"]),
        ("resnet", list(RESNETS)),
        ("compact-cnn", ["compact-cnn"]),
        ("short-chunk", ["short-chunk", "short-chunk-res"]),
        ("tagging-transformer", ["tagging-transformer"]),
    ],
)
def test_pages_say_how_many_parameters_there_are(page: str, names: list[str]) -> None:
    text = (PAGES / f"{page}.md").read_text(encoding="utf-8")
    for name in names:
        assert f"{counts(name, find('nets', name).facts['labels']):,}" in text


# ----------------------------------------------------------------------- the parts


def test_responses_are_normalised_by_five_maps_as_in_the_paper() -> None:
    a = np.random.default_rng(440).normal(size=(2, 9, 3, 4)) * 50
    expected = np.empty_like(a)
    for i in range(9):
        around = a[:, max(0, i - 2) : min(8, i + 2) + 1]
        expected[:, i] = a[:, i] / (2 + 1e-4 * (around**2).sum(axis=1)) ** 0.75
    assert_allclose(response_norm()(torch.tensor(a)), expected, rtol=1e-12)


def test_towers_read_their_own_half() -> None:
    net = build_net("alexnet", {"width": 0.1}, 63, 63, 2, seed=1).eval()
    x = torch.randn(
        1, net.conv1.conv.out_channels, 7, 7, generator=torch.Generator().manual_seed(0)
    )
    changed = x.clone()
    changed[:, x.shape[1] // 2 :] += 1  # what the second tower reads
    before, after = net.conv2.conv(x), net.conv2.conv(changed)
    half = before.shape[1] // 2
    assert torch.equal(before[:, :half], after[:, :half])
    assert not torch.isclose(before[:, half:], after[:, half:]).any()


@pytest.mark.parametrize("shortcut", [None, 1, 3])
def test_a_residual_block_adds_its_input(shortcut: int | None) -> None:
    stride = 1 if shortcut is None else 2
    torch.manual_seed(0)
    block = ResidualBlock(
        4, 4, shortcut=shortcut, stride=stride, nonlinearity="relu", batch_norm=False
    )
    x = torch.randn(2, 4, 9, 6)
    with torch.no_grad():
        for parameter in (*block.second.parameters(),):
            parameter.zero_()  # nothing is added to the input
        expected = x
        if shortcut is not None:
            weight = block.shortcut.conv.weight
            expected = nn.functional.conv2d(
                x, weight, block.shortcut.conv.bias, stride=2, padding=shortcut // 2
            )
        assert_allclose(block(x), expected.relu(), rtol=0, atol=1e-6)


def test_squeeze_and_excitation_against_numpy() -> None:
    torch.manual_seed(0)
    scale = SqueezeExcite(32, "relu")
    x = np.random.default_rng(440).normal(size=(3, 32, 5, 4)).astype(np.float32)
    weights = [(p.detach().numpy()) for p in scale.parameters()]
    squeezed = np.maximum(x.mean(axis=(2, 3)) @ weights[0].T + weights[1], 0)
    excited = 1 / (1 + np.exp(-(squeezed @ weights[2].T + weights[3])))
    with torch.no_grad():
        assert_allclose(scale(torch.tensor(x)), x * excited[:, :, None, None], rtol=1e-5, atol=1e-6)


def test_layers_of_attention_are_torchs() -> None:
    """Against `nn.TransformerEncoderLayer`, given the same weights."""
    net = build_net("tagging-transformer", {"width": 0.25, "heads": 4}, 40, 16, 2, seed=1).eval()
    ours = net.attention1
    n_units = ours.norm.weight.numel()
    theirs = nn.TransformerEncoderLayer(
        n_units, 4, 4 * n_units, activation="gelu", batch_first=True, norm_first=True
    ).eval()
    weights = {
        "self_attn.in_proj_weight": ours.queries_keys_values.weight,
        "self_attn.in_proj_bias": torch.zeros(3 * n_units),
        "self_attn.out_proj.weight": ours.join.weight,
        "self_attn.out_proj.bias": ours.join.bias,
        "linear1.weight": ours.widen.weight,
        "linear1.bias": ours.widen.bias,
        "linear2.weight": ours.narrow.weight,
        "linear2.bias": ours.narrow.bias,
        "norm1.weight": ours.norm.weight,
        "norm1.bias": ours.norm.bias,
        "norm2.weight": ours.forward_norm.weight,
        "norm2.bias": ours.forward_norm.bias,
    }
    theirs.load_state_dict(weights)
    x = torch.randn(3, n_units, 11, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = theirs(x.transpose(1, 2)).transpose(1, 2)
        assert_allclose(ours(x), expected, rtol=0, atol=1e-5)


def test_places_are_drawn_out_where_they_are_too_few() -> None:
    net = build_net("tagging-transformer", {"width": 0.1, "places": 5}, 20, 8, 2, seed=1).eval()
    table = net.places.table.detach()
    with torch.no_grad():
        assert torch.equal(net.places.of(5), table)
        assert torch.equal(net.places.of(3), table[:4])
        longer = net.places.of(9)
        assert torch.equal(longer[0], table[0])
        at = np.linspace(0, 4, 9)
        for unit in range(table.shape[1]):
            expected = np.interp(at, np.arange(5), table[1:, unit])
            assert_allclose(longer[1:, unit], expected, rtol=0, atol=1e-5)
        assert net(torch.zeros(1, 1, 400, 8)).shape == (1, 2)


def test_the_order_of_steps_matters_to_the_transformer_by_places_alone() -> None:
    net = build_net("tagging-transformer", {"width": 0.1}, 40, 8, 2, seed=1).eval()
    x = torch.randn(1, 10, net.steps.out_features, generator=torch.Generator().manual_seed(0))

    def summary(x: torch.Tensor) -> torch.Tensor:
        made = net.places(x).transpose(1, 2)
        for i in range(1, 5):
            made = net.get_submodule(f"attention{i}")(made)
        return made[:, :, 0]

    with torch.no_grad():
        assert not torch.allclose(summary(x), summary(x.flip(1)), atol=1e-3)
        net.places.table[1:] = 0
        assert_allclose(summary(x), summary(x.flip(1)), rtol=0, atol=1e-5)


def test_the_transformer_is_traced_for_any_number_of_segments() -> None:
    """`len` of a tensor is a number to the tracer, which then holds for one batch size alone."""
    net = build_net("tagging-transformer", {"width": 0.05, "layers": 1}, 16, 8, 2, seed=1).eval()
    x = torch.randn(3, 1, 16, 8, generator=torch.Generator().manual_seed(0))
    batch = torch.export.Dim("batch", min=1, max=64)
    traced = torch.export.export(net, (x,), dynamic_shapes=({0: batch},)).module()
    longer = torch.cat([x, x + 1])
    with torch.no_grad():
        assert_allclose(traced(longer), net(longer), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("alexnet", {"towers": 3}, "towers=3; expected 1 to 2"),
        ("tagging-transformer", {"heads": 0}, "heads=0; expected 1 to 256"),
        ("tagging-transformer", {"layers": 0, "places": 0}, "layers=0.*; places=0"),
    ],
)
def test_settings_out_of_range_are_refused(name: str, settings: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_net(name, settings, 100, 100, 2)
