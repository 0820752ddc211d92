"""Nets of time and frequency: sizes by hand from the papers' layers, filters against scipy."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy.signal import correlate2d
from torch import nn

from mcls.errors import ConfigError
from mcls.nets import build_net, smallest_input
from mcls.nets.blocks.filters import parse_shapes
from mcls.nets.blocks.long_filters import LongFilters
from mcls.nets.describe import describe_net
from mcls.nets.local_cnn import pools_of


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def segments(n: int, n_frames: int, n_dims: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(440)
    return torch.randn(n, 1, n_frames, n_dims, generator=generator)


def layers(name: str, n_frames: int, n_dims: int, n_labels: int, **settings) -> dict:
    return {one.name: one for one in describe_net(name, settings, n_frames, n_dims, n_labels)}


def n_parameters(found: dict) -> int:
    return sum(layer.n_parameters for layer in found.values())


def kernel(n_in: int, n_out: int, size: int) -> int:
    return n_in * n_out * size + n_out


def filtered(conv: nn.Conv2d, x: torch.Tensor, map_: int = 0) -> np.ndarray:
    """One filter on one segment, by scipy: ``(frames, dims)``."""
    weight = conv.weight[map_, 0].detach().double().numpy()
    made = correlate2d(x[0, 0].double().numpy(), weight, mode="valid")
    return np.maximum(made + float(conv.bias[map_].detach()), 0)


# ------------------------------------------------------------- sizes, by hand


def test_pons_time_at_80_frames_and_40_bands() -> None:
    found = layers("pons-time", 80, 40, 8)
    assert found["time.conv"].output == (32, 21, 40)  # 80 - 60 + 1 frames
    assert found["time.pool"].output == (32, 21, 1)
    assert n_parameters(found) == kernel(1, 32, 60) + kernel(32 * 21, 8, 1)


def test_pons_time_with_the_long_filters() -> None:
    found = layers("pons-time", 250, 40, 8, length=200)
    assert found["time.pool"].output == (32, 51, 1)
    assert n_parameters(found) == kernel(1, 32, 200) + kernel(32 * 51, 8, 1)


def test_pons_frequency_at_80_frames_and_40_bands() -> None:
    found = layers("pons-frequency", 80, 40, 8)
    assert found["frequency.conv"].output == (32, 80, 9)  # 40 - 32 + 1 bands
    assert found["frequency.pool"].output == (32, 1, 9)
    assert n_parameters(found) == kernel(1, 32, 32) + kernel(32 * 9, 8, 1)


def test_pons_tf_reads_both() -> None:
    by_hand = kernel(1, 32, 60) + kernel(1, 32, 32)
    by_hand += kernel(32 * (21 + 9), 200, 1) + kernel(200, 8, 1)
    assert n_parameters(layers("pons-tf", 80, 40, 8)) == by_hand


def test_pons_blackbox_at_80_frames_and_40_bands() -> None:
    found = layers("pons-blackbox", 80, 40, 8)
    assert found["conv1.conv"].output == (32, 73, 29)
    assert found["conv1.pool"].output == (32, 73, 7)
    assert n_parameters(found) == (
        kernel(1, 32, 8 * 12) + kernel(32 * 73 * 7, 200, 1) + kernel(200, 8, 1)
    )


def test_pons_parallel_keeps_the_side_that_a_filter_is_long_in() -> None:
    found = layers("pons-parallel", 80, 40, 8)
    assert [found[f"branch{i}.pool"].output for i in (1, 2, 3)] == [
        (32, 72, 1),
        (32, 78, 1),
        (32, 1, 32),
    ]
    assert n_parameters(found) == (
        3 * kernel(1, 32, 9) + kernel(32 * (72 + 78 + 32), 200, 1) + kernel(200, 8, 1)
    )


def test_onet_has_five_filters_of_eight_lengths() -> None:
    by_hand = sum(kernel(1, 5, n) for n in (6, 11, 16, 21, 26, 31, 36, 41))
    found = layers("pons-onet", 250, 40, 8)
    assert n_parameters(found) == by_hand + kernel(8 * 5 * 10, 8, 1)
    assert found["output"].n_parameters == kernel(40 * 10, 8, 1)  # 40 bands, pooled by 4
    assert smallest_input("pons-onet", {}) == (41, 1)


def test_pnet_has_a_filter_of_thirty_five_lengths() -> None:
    by_hand = sum(kernel(1, 1, n) for n in range(46, 217, 5))
    found = layers("pons-pnet", 250, 40, 8)
    assert sum(name.endswith(".conv") for name in found) == 35
    assert n_parameters(found) == by_hand + kernel(35 * 10, 8, 1)
    assert smallest_input("pons-pnet", {}) == (216, 1)


@pytest.mark.parametrize("name", ["pons-onet", "pons-pnet"])
@pytest.mark.parametrize("width", [2, 4, 8])
def test_wider_nets_of_rhythm_have_so_many_times_the_filters(name: str, width: int) -> None:
    one, wide = (n_parameters(layers(name, 250, 40, 8, width=w)) for w in (1, width))
    assert wide - 8 == width * (one - 8)  # all but the biases of the output


def test_onet_and_pnet_together() -> None:
    apart = [n_parameters(layers(name, 250, 40, 8)) for name in ("pons-onet", "pons-pnet")]
    assert n_parameters(layers("pons-onet-pnet", 250, 40, 8)) == sum(apart) - 8


def test_pons_timbre_has_twelve_shapes() -> None:
    maps = {100: (10, 6, 3, 3), 75: (15, 10, 5, 5), 25: (15, 10, 5, 5)}
    by_hand = sum(
        kernel(1, n, frames * bands)
        for bands, counts in maps.items()
        for frames, n in zip((1, 3, 5, 7), counts, strict=True)
    )
    by_hand += kernel(92, 32, 8) + kernel(9 * 32, 100, 1) + kernel(100, 50, 1)
    found = layers("pons-timbre", 187, 128, 50)
    assert n_parameters(found) == by_hand == 74_526
    assert found["conv1.1"].output == (92, 46, 1)
    assert found["conv2.pool"].output == (32, 9)


def test_heights_of_timbre_are_shares_of_the_bands() -> None:
    found = layers("pons-timbre", 187, 64, 50)
    kinds = [layer.kind for name, layer in found.items() if name.endswith(".conv")]
    assert kinds[::4][:3] == ["convolution, 1x50", "convolution, 1x38", "convolution, 1x12"]


@pytest.mark.parametrize(
    ("n_frames", "pools"),
    [
        (18, (2, 3, 3)),
        (27, (3, 3, 3)),
        (54, (2, 3, 3, 3)),
        (108, (2, 2, 3, 3, 3)),
        (216, (2, 2, 2, 3, 3, 3)),
    ],
)
def test_a_local_net_pools_its_segment_to_one_frame(n_frames: int, pools: tuple) -> None:
    assert pools_of(n_frames) == pools
    found = layers("local-cnn", n_frames, 128, 50)
    last = f"conv{len(pools) + 1}"
    assert found[f"conv{len(pools)}.pool"].output == (128, 1)
    assert found[f"{last}.conv"].output == (256, 1)
    by_hand = len(pools) * (kernel(128, 128, 3) + 2 * 128)
    by_hand += kernel(128, 256, 1) + 2 * 256 + kernel(256, 50, 1)
    assert n_parameters(found) == by_hand
    net = build_net("local-cnn", {"width": 0.05}, n_frames, 12, 2, seed=1)
    assert net.hidden == tuple(f"conv{i}" for i in range(1, len(pools) + 2))


@pytest.mark.parametrize("n_frames", [1, 2, 3, 7, 100, 1000])
def test_pools_of_any_length_fit(n_frames: int) -> None:
    left = n_frames
    for pool in pools_of(n_frames):
        left //= pool
    assert left == 1


# -------------------------------------------------------- filters, against scipy


def test_time_is_along_frames_and_frequency_along_dims() -> None:
    net = build_net("pons-tf", {"width": 0.1}, 80, 40, 2, seed=1).eval()
    x = segments(1, 80, 40)
    with torch.no_grad():
        time, frequency = net.time(x), net.frequency(x)
    for i in range(3):
        over_bands = filtered(net.time.conv, x, i).max(axis=1)
        assert_allclose(time[0, i, :, 0], over_bands, rtol=1e-4, atol=1e-5)
        over_frames = filtered(net.frequency.conv, x, i).max(axis=0)
        assert_allclose(frequency[0, i, 0], over_frames, rtol=1e-4, atol=1e-5)


def test_the_order_of_frames_is_nothing_to_frequency_and_all_to_time() -> None:
    x = segments(2, 80, 40)
    mixed = x[:, :, torch.randperm(80, generator=torch.Generator().manual_seed(1))]
    net = build_net("pons-frequency", {}, 80, 40, 3, seed=1).eval()
    with torch.no_grad():
        assert_allclose(net(mixed), net(x), atol=1e-5)
        net = build_net("pons-time", {}, 80, 40, 3, seed=1).eval()
        assert (net(mixed) - net(x)).abs().max() > 0.1


def test_pons_tf_is_pons_parallel_of_two_shapes() -> None:
    one = build_net("pons-tf", {}, 80, 40, 3, seed=1).eval()
    two = build_net("pons-parallel", {"shapes": "60x1,1x32"}, 80, 40, 3, seed=2).eval()
    two.branch1.load_state_dict(one.time.state_dict())
    two.branch2.load_state_dict(one.frequency.state_dict())
    two.dense1.load_state_dict(one.dense1.state_dict())
    two.output.load_state_dict(one.output.state_dict())
    x = segments(2, 80, 40)
    with torch.no_grad():
        assert torch.equal(one(x), two(x))


def test_filters_of_timbre_read_frames_around_each_and_take_the_best_band() -> None:
    net = build_net("pons-timbre", {}, 44, 16, 2, seed=1).eval()
    x = segments(1, 44, 16)
    conv = net.conv1[0].layers[11].conv  # 7 frames x 3 of 16 bands
    assert conv.weight.shape[2:] == (7, 3)
    padded = nn.functional.pad(x, (0, 0, 3, 3))
    weight = conv.weight[0, 0].detach().double().numpy()
    made = correlate2d(padded[0, 0].double().numpy(), weight, mode="valid")
    by_hand = np.expm1(np.minimum(made, 0)) + np.maximum(made, 0)  # ELU, the bias being 0
    by_hand = by_hand.max(axis=1).reshape(11, 4).max(axis=1)
    with torch.no_grad():
        assert_allclose(net.conv1(x)[0, -5, :, 0], by_hand, rtol=1e-4, atol=1e-5)


def test_filters_of_rhythm_are_pooled_over_four_bands_and_all_frames() -> None:
    net = build_net("pons-onet", {}, 60, 10, 2, seed=1).eval()
    x = segments(1, 60, 10)
    conv = net.conv1.layers[3][0].conv
    assert conv.weight.shape == (5, 1, 21, 1)
    best = filtered(conv, x, 2).max(axis=0)
    by_hand = [best[:4].max(), best[4:8].max()]  # the last two bands are left out
    with torch.no_grad():
        found = net.conv1(x).reshape(8, 5, 2)[3, 2]
    assert_allclose(found, by_hand, rtol=1e-4, atol=1e-5)


def test_rhythm_may_be_pooled_otherwise() -> None:
    settings = {"pool": "mean+max"}
    net = build_net("pons-onet", settings, 60, 10, 2, seed=1).eval()
    assert net(segments(3, 60, 10)).shape == (3, 2)
    assert net.output.in_features == 2 * 8 * 5 * 2
    with pytest.raises(ConfigError, match="did you mean 'mean'"):
        build_net("pons-onet", {"pool": "maen"}, 60, 10, 2)


def test_a_local_net_of_own_pools() -> None:
    found = layers("local-cnn", 30, 12, 2, pools="5x6")
    assert [found[f"conv{i}.pool"].output[1] for i in (1, 2)] == [6, 1]
    assert smallest_input("local-cnn", {"pools": "5x6"}) == (30, 1)
    with pytest.raises(ConfigError, match="at least 30 frames x 1 dimensions"):
        build_net("local-cnn", {"pools": "5x6"}, 29, 12, 2)
    with pytest.raises(ConfigError, match="pools=5x0; expected 1 frame or more in each"):
        build_net("local-cnn", {"pools": "5x0"}, 30, 12, 2)


# ---------------------------------------------------------------------- settings


@pytest.mark.parametrize("text", ["", "3", "3x", "0x3", "3x3;9x1", "3x3,", "-1x3", "9999999x1"])
def test_shapes_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"pons-parallel: shapes=.*expected FRAMESxDIMENSIONS"):
        parse_shapes("pons-parallel", text)


@pytest.mark.parametrize(
    ("name", "setting"),
    [
        ("pons-time", "length"),
        ("pons-frequency", "height"),
        ("pons-tf", "units"),
        ("pons-blackbox", "height"),
    ],
)
def test_sizes_below_one_are_refused(name: str, setting: str) -> None:
    with pytest.raises(ConfigError, match=f"{name}: {setting}=0; expected 1 or more"):
        build_net(name, {setting: 0}, 80, 40, 2)


def test_a_filter_that_does_not_fit_says_what_does() -> None:
    with pytest.raises(ConfigError, match="at least 1 frames x 60 dimensions"):
        build_net("pons-parallel", {"shapes": "1x60"}, 80, 40, 2)


@pytest.mark.parametrize(("frames", "maps", "padding"), [(46, 1, 0), (216, 4, 0), (33, 2, 16)])
def test_long_filters_are_those_of_torch(frames, maps, padding):
    torch.manual_seed(0)
    ours = LongFilters(1, maps, (frames, 1), padding=(padding, 0))
    x = torch.randn(3, 1, 250, 7, requires_grad=True)
    expected = torch.nn.functional.conv2d(x, ours.weight, ours.bias, padding=(padding, 0))
    found = ours(x)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    toward = torch.randn_like(expected)
    inputs = (x, ours.weight, ours.bias)
    for mine, theirs in zip(
        torch.autograd.grad(found, inputs, toward),
        torch.autograd.grad(expected, inputs, toward),
        strict=True,
    ):
        torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-3)


def test_long_filters_are_used_where_they_are_faster():
    made = [m for m in build_net("pons-pnet", {}, 250, 40, 8, 0).modules() if hasattr(m, "weight")]
    assert sum(isinstance(module, LongFilters) for module in made) == 35
    made = build_net("pons-onet", {}, 250, 40, 8, 0).modules()
    assert not any(isinstance(module, LongFilters) for module in made)
