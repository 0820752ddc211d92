"""musicnn and Pons 2018: published sizes, sums by hand, and each part against plain numpy."""

import json
from collections.abc import Iterator

import numpy as np
import pytest
import soundfile
import torch
from numpy.testing import assert_allclose
from scipy.special import softmax
from torch import nn

import mcls
from mcls.errors import ConfigError
from mcls.nets import build_net, smallest_input
from mcls.nets.blocks.backends import Attention, Residual, positions
from mcls.nets.blocks.frontends import FRONTENDS
from mcls.nets.blocks.stacks import VGG
from mcls.nets.describe import describe_net
from mcls.registry import find
from mcls.stores.store import Store

BACKENDS = ["global-pool", "rnn", "mlp", "attention", "autopool"]
MIDENDS = ["dense", "residual", "pons-2018", "none"]


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Small products are quicker on one thread, where cores are shared."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def kernel(n_in: int, n_out: int, size: int = 1) -> int:
    return n_in * n_out * size + n_out


def norm(*maps: int) -> int:
    return 2 * sum(maps)


def counted(name: str, **settings) -> int:
    facts = find("nets", name).facts
    return sum(
        layer.n_parameters
        for layer in describe_net(name, settings, *(facts[k] for k in ("frames", "dims", "labels")))
    )


def sizes_of(name: str, **settings) -> dict[str, tuple[int, ...]]:
    facts = find("nets", name).facts
    layers = describe_net(name, settings, *(facts[k] for k in ("frames", "dims", "labels")))
    return {layer.name: layer.output for layer in layers}


def segments(n: int, n_frames: int, n_dims: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, 1, n_frames, n_dims, generator=generator)


# ------------------------------------------------- sizes, as published and by hand


def mid_end(n_in: int, maps: int) -> int:
    return kernel(n_in, maps, 7) + 2 * kernel(maps, maps, 7) + norm(maps, maps, maps)


def head(n_in: int, units: int, *, normed: bool = True) -> int:
    return norm(n_in) * normed + kernel(n_in, units) + norm(units) + kernel(units, 50)


def musicnn_frontend() -> int:
    # 7 frames x 67 bands (70 % of 96) and x 38 (40 %), 204 each; 51 each of 128, 64, 32 frames
    timbral = kernel(1, 204, 7 * 67) + kernel(1, 204, 7 * 38)
    return timbral + sum(kernel(1, 51, length) for length in (128, 64, 32)) + norm(561)


def test_musicnn_has_the_published_787_thousand_parameters() -> None:
    by_hand = norm(1) + musicnn_frontend() + mid_end(561, 64) + head(2 * (561 + 3 * 64), 200)
    assert counted("musicnn") == by_hand == 787_159


def test_as_coded_two_norms_of_the_mid_end_are_not_there() -> None:
    # the published code counts them, and no gradient ever reaches them
    assert counted("musicnn", residual_norm=False) == 787_159 - norm(64, 64) == 786_903


def test_musicnn_variants_have_their_published_parameters() -> None:
    # as the published code states: 508k, 2.4M, 636k, 3.8M
    assert counted("musicnn", midend="residual") == 508_803
    attention = counted("musicnn", frontend="timbral", backend="attention")
    timbral = norm(1) + kernel(1, 576, 7 * 38) + norm(576) + mid_end(576, 64)
    joined = 576 + 3 * 64
    assert attention == timbral + kernel(joined, joined, 3) + head(joined, 200) == 2_406_940
    autopool = counted("musicnn", frontend="timbral", backend="autopool")
    assert autopool == timbral + joined + head(joined, 200) == 636_700 + joined  # alpha per map
    lstm = [4 * (n_in * 512 + 512 * 512 + 2 * 512) for n_in in (64, 512)]
    rnn = norm(1) + musicnn_frontend() + mid_end(561, 64) + sum(lstm) + head(512, 200)
    assert counted("musicnn", midend="residual", backend="rnn") == rnn == 3_871_363


def test_the_large_musicnn_by_hand() -> None:
    by_hand = norm(1) + musicnn_frontend() + mid_end(561, 512) + head(2 * (561 + 3 * 512), 500)
    assert counted("musicnn", midend_maps=512, units=500) == by_hand


def test_vgg_baseline_has_the_published_605_and_40_thousand_parameters() -> None:
    def by_hand(maps: int) -> int:
        convolutions = kernel(1, maps, 9) + 4 * kernel(maps, maps, 9) + 5 * norm(maps)
        return norm(1) + convolutions + kernel(2 * maps, 50)

    assert counted("vgg-pons") == by_hand(128) == 605_748
    assert counted("vgg-pons", width=0.25) == by_hand(32) == 40_884


def test_vgg_baseline_sizes() -> None:
    sizes = sizes_of("vgg-pons")
    pools = [sizes[f"layers.conv{i}.pool"][1:] for i in range(1, 6)]
    assert pools == [(92, 48), (46, 24), (23, 12), (11, 6), (2, 1)]


def test_pons_2018_by_hand() -> None:
    timbral = [(7, 86, 16), (3, 86, 32), (1, 86, 64), (7, 38, 16), (3, 38, 32), (1, 38, 64)]
    temporal = [(165, 16), (128, 32), (64, 64), (32, 128)]
    front = sum(kernel(1, maps, length * bands) for length, bands, maps in timbral)
    front += sum(kernel(1, maps, length) for length, maps in temporal)
    back = mid_end(464, 512) + head(1024, 500, normed=False)
    assert counted("pons-2018") == front + norm(464) + back == 5_926_198


def test_pons_2018_sizes() -> None:
    sizes = sizes_of("pons-2018")
    branches = [size[0] for name, size in sizes.items() if name.startswith("frontend.branch")]
    assert sizes["midend.conv1.conv"] == (512, 937 - 6)
    assert sizes["midend.conv2.pool"] == (512, 465)
    assert sizes["midend.conv3.inner.conv"] == (512, 465)
    assert sizes["dense1.linear"] == (500,)
    assert set(branches) >= {16, 32, 64, 128}
    net = build_net("pons-2018", {}, 20, 96, 2)
    assert net.frontend.n_out == 464


def test_waveform_frontend_by_hand() -> None:
    maps = [1, 64, 64, 64, 128, 128, 128, 256]
    front = sum(kernel(maps[i], maps[i + 1], 3) for i in range(7)) + norm(*maps[1:])
    back = mid_end(256, 512) + head(1024, 500, normed=False)
    assert counted("waveform-frontend") == front + back == 5_379_126
    sizes = sizes_of("waveform-frontend")
    frames = [240_000 // 3]
    for _ in range(6):
        frames.append((frames[-1] - 2) // 3)
    assert sizes["frontend.conv1.conv"] == (64, 80_000)
    assert [sizes[f"frontend.conv{i}.pool"][1] for i in range(2, 8)] == frames[1:]


def test_samplecnn_by_hand() -> None:
    def by_hand(maps: list[int]) -> int:
        convolutions = kernel(1, maps[0], 3)
        convolutions += sum(kernel(maps[i], maps[i + 1], 3) for i in range(9))
        return convolutions + kernel(maps[9], maps[10]) + norm(*maps) + kernel(maps[10], 50)

    paper = [128] * 3 + [256] * 6 + [512] * 2
    msd = [128] * 3 + [256] * 8
    assert counted("samplecnn") == by_hand(paper) == 1_869_874
    assert counted("samplecnn", last_maps=256, dropout=0) == by_hand(msd) == 1_462_322


def test_samplecnn_makes_one_frame_of_3_to_the_10_samples() -> None:
    sizes = sizes_of("samplecnn")
    assert sizes["conv1.conv"] == (128, 19_683)
    frames = [sizes[f"conv{i}.pool"][1] for i in range(2, 11)]
    assert frames == [3**i for i in range(8, -1, -1)]
    assert smallest_input("samplecnn", {}) == (3**10, 1)


def test_samplecnn_of_filters_of_two_has_the_thirteen_modules_of_its_code() -> None:
    layers = describe_net("samplecnn", {"size": 2, "modules": 13}, 16_384, 1, 50)
    maps = [layer.output[0] for layer in layers if layer.kind.startswith("convolution")]
    assert maps == [128] * 3 + [256] * 10 + [512] * 2
    assert smallest_input("samplecnn", {"size": 2, "modules": 13}) == (16_384, 1)


# --------------------------------------------------------------- any with any other


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("frontend", list(FRONTENDS))
def test_any_front_end_fits_any_mid_end_and_back_end(frontend: str, backend: str) -> None:
    for midend in MIDENDS:
        settings = {"frontend": frontend, "midend": midend, "backend": backend, "width": 0.02}
        frames, dims = smallest_input("musicnn", settings)
        for more in (0, 5):
            net = build_net("musicnn", settings, frames + more, dims + more, 3, seed=1).eval()
            logits = net(segments(2, frames + more, dims + more))
            assert logits.shape == (2, 3)
            assert torch.isfinite(logits).all()
        if frames > 1:
            with pytest.raises(ConfigError, match=f"at least {frames} frames"):
                build_net("musicnn", settings, frames - 1, dims, 3)


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_gradient_reaches_every_parameter_of_a_back_end(backend: str) -> None:
    settings = {"backend": backend, "width": 0.03, "nonlinearity": "tanh", "dropout": 0}
    net = build_net("musicnn", settings, 30, 12, 2, seed=1).eval()
    net(segments(4, 30, 12)).square().sum().backward()
    for path, parameter in net.named_parameters():
        assert parameter.grad is not None, path
        assert parameter.grad.abs().max() > 0, path


@pytest.mark.parametrize("backend", [name for name in BACKENDS if name != "mlp"])
def test_back_ends_read_longer_segments(backend: str) -> None:
    net = build_net("musicnn", {"backend": backend, "width": 0.03}, 30, 12, 2, seed=1).eval()
    assert net(segments(2, 71, 12)).shape == (2, 2)


def test_the_layers_of_a_recurrent_back_end_and_of_other_front_ends_are_hidden_layers() -> None:
    settings = {"width": 0.02, "frontend": "vgg", "backend": "rnn", "midend": "none"}
    net = build_net("musicnn", settings, 30, 12, 2)
    front = [f"frontend.conv{i}" for i in range(1, 6)]
    assert net.hidden == (*front, "summary.lstm1", "summary.lstm2", "dense1")


def test_bad_counts_are_named() -> None:
    with pytest.raises(ConfigError, match=r"^musicnn: midend_maps=0; expected 1 or more; units=-1"):
        build_net("musicnn", {"midend_maps": 0, "units": -1}, 30, 12, 2)
    with pytest.raises(ConfigError, match=r"^samplecnn: size=1; expected 2 to 9; modules=0;"):
        build_net("samplecnn", {"size": 1, "modules": 0}, 30, 1, 2)


# ------------------------------------------------------------------- the parts


def branch(net: nn.Module, i: int) -> tuple[np.ndarray, np.ndarray]:
    conv = getattr(net.frontend, f"branch{i}").conv
    return conv.weight.detach().numpy(), conv.bias.detach().numpy()


def test_a_timbral_filter_gives_its_best_place_in_frequency() -> None:
    settings = {"width": 0.01, "batch_norm": False}
    net = build_net("musicnn", settings, 20, 10, 2, seed=1).eval()
    x = segments(1, 20, 10)
    weight, bias = branch(net, 1)  # 7 frames x 4 of 10 bands
    assert weight.shape[2:] == (7, 4)
    padded = np.pad(x[0, 0].numpy(), ((3, 3), (0, 0)))
    places = np.array(
        [
            [[(padded[t : t + 7, f : f + 4] * w[0]).sum() for f in range(7)] for t in range(20)]
            for w in weight
        ]
    )
    expected = np.maximum(places + bias[:, None, None], 0).max(axis=2)
    found = net.frontend.branch1(x)[0].detach()
    assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("envelope", ["max", "mean"])
def test_a_temporal_filter_reads_each_band_or_the_mean_of_all(envelope: str) -> None:
    settings = {"width": 0.05, "batch_norm": False, "envelope": envelope}
    net = build_net("musicnn", settings, 50, 6, 2, seed=1).eval()
    x = segments(1, 50, 6)
    weight, bias = branch(net, 5)  # 32 frames, 15 zeros before and 16 after
    padded = np.pad(x[0, 0].numpy(), ((15, 16), (0, 0)))
    if envelope == "mean":
        padded = padded.mean(axis=1, keepdims=True)
    filters = weight.reshape(len(weight), 32)
    made = np.array([[w @ padded[t : t + 32] for t in range(50)] for w in filters])
    expected = np.maximum(made + bias[:, None, None], 0).max(axis=2)
    assert_allclose(net.frontend.branch5(x)[0].detach(), expected, rtol=1e-4, atol=1e-5)


def test_norms_come_after_the_nonlinearity() -> None:
    net = build_net("musicnn", {"width": 0.05}, 40, 12, 2, seed=1)
    made = net.frontend(segments(8, 40, 12))
    assert made.min() < 0  # ReLU before, or nothing would be below 0


def test_the_dense_mid_end_is_the_front_end_and_three_residual_layers() -> None:
    settings = {"width": 0.1, "residual_norm": False, "batch_norm": False}
    net = build_net("musicnn", settings, 30, 12, 2, seed=1).eval()
    x = net.frontend(segments(2, 30, 12))

    def convolved(x: torch.Tensor, conv: nn.Conv1d) -> torch.Tensor:
        return nn.functional.conv1d(x, conv.weight, conv.bias, padding=3).relu()

    first = convolved(x, net.midend.conv1.conv)
    second = first + convolved(first, net.midend.conv2.inner.conv)
    third = second + convolved(second, net.midend.conv3.inner.conv)
    with torch.no_grad():
        expected = torch.cat([x, first, second, third], dim=1)
        assert_allclose(net.midend(x), expected, rtol=1e-5, atol=1e-5)


def test_as_coded_only_the_first_layer_of_the_mid_end_is_normalised() -> None:
    def norms(residual_norm: bool) -> list[str]:
        settings = {"width": 0.05, "residual_norm": residual_norm}
        midend = build_net("musicnn", settings, 30, 12, 2).midend
        return [name for name, m in midend.named_modules() if isinstance(m, nn.BatchNorm1d)]

    assert norms(False) == ["conv1.norm"]
    assert norms(True) == ["conv1.norm", "conv2.inner.norm", "conv3.inner.norm"]


@pytest.mark.parametrize(("name", "normed"), [("musicnn", True), ("pons-2018", False)])
def test_maximum_and_mean_over_time_and_a_dense_layer_make_the_logits(
    name: str, normed: bool
) -> None:
    net = build_net(name, {"width": 0.05}, 40, 12, 2, seed=1)
    x = segments(8, 40, 12)
    net(x)  # moves the statistics of norms
    net.eval()

    def norm_of(values: np.ndarray, layer: nn.BatchNorm1d) -> np.ndarray:
        return (values - layer.running_mean.numpy()) / np.sqrt(layer.running_var.numpy() + 1e-5)

    with torch.no_grad():
        given = net.input_norm(x) if normed else x
        maps = net.midend(net.frontend(given)).numpy()
        vector = np.concatenate([maps.max(axis=2), maps.mean(axis=2)], axis=1)
        if normed:
            vector = norm_of(vector, net.summary_norm)
        linear = net.dense1.linear
        units = np.maximum(vector @ linear.weight.numpy().T + linear.bias.numpy(), 0)
        units = norm_of(units, net.dense1.norm)
        expected = units @ net.output.weight.numpy().T + net.output.bias.numpy()
        assert_allclose(net(x), expected, rtol=1e-3, atol=1e-4)
    assert any(isinstance(m, nn.BatchNorm2d) for m in net.input_norm.modules()) == normed


def test_what_is_added_to_a_layer_is_pooled_afterwards() -> None:
    x = torch.arange(6.0).reshape(1, 1, 6)
    made = Residual(nn.ReLU(), pool=2)(x)
    assert made.tolist() == [[[2.0, 6.0, 10.0]]]


def test_attention_weighs_the_frames_of_each_map() -> None:
    torch.manual_seed(0)
    pool = Attention(5)
    rng = np.random.default_rng(440)
    x = rng.normal(size=(2, 5, 9)).astype(np.float32)
    i = np.arange(5) // 2 * 2 / 5
    angles = np.arange(9) / 10_000 ** i[:, None]
    x_placed = x + np.where(np.arange(5)[:, None] % 2 == 0, np.sin(angles), np.cos(angles))
    weight, bias = pool.weights.weight.detach().numpy(), pool.weights.bias.detach().numpy()
    padded = np.pad(x_placed, ((0, 0), (0, 0), (1, 1)))
    said = np.stack(
        [np.einsum("bmk,omk->bo", padded[:, :, t : t + 3], weight) for t in range(9)], axis=2
    )
    weights = softmax(said + bias[:, None], axis=2)
    expected = (weights * x_placed).sum(axis=2)
    assert_allclose(pool(torch.tensor(x)).detach(), expected, rtol=1e-4, atol=1e-5)


def test_a_sine_and_its_cosine_have_one_wave_length() -> None:
    places = positions(50, 8).double()
    assert_allclose(places[:, ::2] ** 2 + places[:, 1::2] ** 2, np.ones((50, 4)), rtol=1e-5)


def test_the_first_pool_of_vgg_takes_four_frames_of_every_second_dim() -> None:
    net = VGG(12, 10, width=0.02, nonlinearity="relu", batch_norm=False).eval()
    x = segments(1, 12, 10)
    with torch.no_grad():
        maps = net.conv1.conv(x).relu().numpy()[0]
        expected = [maps[:, 2 * t : 2 * t + 4, ::2].max(axis=1) for t in range(5)]
        assert_allclose(net.conv1(x)[0], np.stack(expected, axis=1))


def test_lstm_weights_are_orthogonal_per_gate() -> None:
    settings = {"backend": "rnn", "width": 0.02}
    net = build_net("musicnn", settings, 30, 12, 2, seed=1)
    for gate in net.summary.lstm2.lstm.weight_hh_l0.detach().chunk(4):
        assert_allclose(gate @ gate.T, np.eye(len(gate)), atol=1e-5)


# ------------------------------------------------------------------ samples


@pytest.mark.parametrize("name", ["samplecnn", "waveform-frontend"])
def test_rows_of_many_samples_are_joined(name: str) -> None:
    settings = {"width": 0.02} | {"samplecnn": {"modules": 4}}.get(name, {"midend": "dense"})
    x = segments(2, 4374, 1)
    alone = build_net(name, settings, 4374, 1, 2, seed=1).eval()
    joined = build_net(name, settings, 18, 243, 2, seed=1).eval()
    with torch.no_grad():
        assert torch.equal(alone(x), joined(x.reshape(2, 1, 18, 243)))


def test_the_smallest_waveform_gives_one_frame() -> None:
    settings = {"width": 0.02, "midend": "none", "backend": "mlp"}
    (samples, dims) = smallest_input("waveform-frontend", settings)
    assert (samples, dims) == (3 * 1457, 1)
    net = build_net("waveform-frontend", settings, samples, 1, 2)
    assert net.frontend(segments(1, samples, 1)).shape[2] == 1
    # two frames for each of the mid-end's that a pool of 2 makes one, and 6 before it
    fewest = smallest_input("waveform-frontend", {})
    assert fewest == (3 * (8 * 3**6 + 2 * (3**6 - 1) // 2), 1)


def test_too_few_samples_are_said_as_samples() -> None:
    with pytest.raises(
        ConfigError, match=r"30048 samples \(313 frames x 96 dimensions\).*waveform"
    ):
        build_net("samplecnn", {}, 313, 96, 2)


def test_samplecnn_takes_the_maximum_of_what_is_left() -> None:
    net = build_net("samplecnn", {"width": 0.05, "modules": 2}, 27, 1, 2, seed=1).eval()
    x = segments(1, 81, 1)
    with torch.no_grad():
        maps = x.flatten(2)
        for name in net.hidden:
            maps = getattr(net, name)(maps)
        assert maps.shape[2] == 3
        assert torch.equal(net(x), net.output(maps.amax(dim=2)))


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("samplecnn", ["modules=4", "width=0.1"]),
        ("waveform-frontend", ["midend=dense", "width=0.1"]),
    ],
)
def test_from_audio_to_a_run_and_its_hidden_layers(name: str, settings: list, tmp_path) -> None:
    rng = np.random.default_rng(440)
    time = np.arange(6000) / 4000
    for kind, hertz in (("low", 200), ("high", 900)):
        (tmp_path / "audio" / kind).mkdir(parents=True)
        for i in range(12):
            tone = 0.2 * np.sin(2 * np.pi * (hertz * rng.uniform(0.9, 1.1) * time + rng.random()))
            noisy = tone + rng.normal(0, 0.02, len(time))
            soundfile.write(tmp_path / "audio" / kind / f"{kind}{i}.wav", noisy, 4000)
    store, run = tmp_path / "wave.h5", tmp_path / "run"
    mcls.extract(tmp_path / "audio", store, features=["waveform"], sr=4000)
    options = {"epochs": 8, "batch_size": 8, "device": "cpu", "optimizer": "adam:lr=0.01"}
    mcls.train(store, run, model=name, settings=[*settings, "dropout=0"], segment=1.1, **options)
    assert mcls.evaluate(run, ["accuracy"], part="test")["accuracy"].micro.value == 1
    about = json.loads((run / "about.json").read_text(encoding="utf-8"))
    assert about["segment_rows"] == 4400
    mcls.encode(store, tmp_path / "codes.h5", dicts=[run], layers=["all"])
    rows = Store(tmp_path / "codes.h5").feature()
    layers = {
        "samplecnn": [13, 13, 13, 26, 51, 51],
        "waveform-frontend": [6, 6, 6, 13, 13, 13, 26, 51, 51, 51, 50],
    }
    assert rows.n_dims == sum(layers[name])
    assert rows.read(0, 2).std(axis=0).max() > 0
