"""mcls plot --filters, --saliency, --taggram: what is shown is what the net computes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

import mcls
from mcls.chain.model_cache import fitted_model
from mcls.cli.main import cli
from mcls.disk.chain import Step
from mcls.disk.run import open_run
from mcls.errors import ConfigError, DataError
from mcls.inspection.filters import plot_filters
from mcls.inspection.net import plot_saliency, plot_taggram
from mcls.inspection.plot import plot
from mcls.inspection.saliency import METHODS
from mcls.nets import build_net
from mcls.plots.axes import DimensionAxis
from mcls.plots.net import FilterBank, draw_filters, spell_height
from mcls.plots.page import style
from mcls.plots.track import Panel, draw_track
from mcls.stores.store import NewRows, Store, StoreContents, write_store
from mcls.training.grad_cam import Maps, chosen_maps, grad_cam
from mcls.training.interpret import attribution, first_filters, scores_over_time
from mcls.training.model import NetSpec, TrainedNet
from mcls.training.standardise import Standardise

N_MELS, N_FRAMES, RATE = 12, 20, 22050 / 512
LABELS = ("high", "low")


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)


def run(*words: object) -> Result:
    return CliRunner().invoke(cli, list(map(str, words)), prog_name="mcls")


def track_of(label: str, rng: np.random.Generator, n: int = 60) -> np.ndarray:
    """Noise, with one loud band: the third or the ninth."""
    rows = rng.normal(-50, 3, (n, N_MELS)).astype(np.float32)
    rows[:, 9 if label == "high" else 3] += 30
    return rows


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("nets") / "mel.h5"
    rng = np.random.default_rng(5)
    labels = [LABELS[i % 2] for i in range(24)]
    rows = [track_of(label, rng) for label in labels]
    rows[20][30:] = track_of("low", rng, 30)  # a track of "high" that turns low
    columns = {
        "track_id": [f"t{i:02d}" for i in range(24)],
        "path": [f"t{i:02d}.wav" for i in range(24)],
        "labels": labels,
        "split": ["train"] * 12 + ["valid"] * 6 + ["test"] * 6,
    }
    settings = {"sr": 22050, "excerpt": None, "dtype": "float32", "n_mels": N_MELS}
    chain = (Step("feature", "mel", {**settings, "hop_length": 512}),)
    new = NewRows("mel", chain, RATE, N_MELS, list(map(len, rows)), iter(rows), "float32")
    write_store(path, StoreContents(columns), [new])
    return path


@pytest.fixture(scope="module")
def net(store) -> Path:
    given = {"settings": ["width=0.05", "padding=same", "dropout=0"], "frames": N_FRAMES}
    folder = store.parent / "net"
    return mcls.train(
        store, folder, model="cnn1d", epochs=12, batch_size=8, device="cpu", **given
    ).path


@pytest.fixture(scope="module")
def classic(store) -> Path:
    return mcls.train(store, store.parent / "classic", model="logistic").path


def trained(name: str, settings: dict, n_frames=30, n_dims=10, **standardise) -> TrainedNet:
    given = standardise or {
        "mean": torch.full((n_dims,), -3.0),
        "scale": torch.full((n_dims,), 2.0),
    }
    before = Standardise(**given)
    made = build_net(name, settings, *before.shape(n_frames, n_dims), 3, seed=1)
    spec = NetSpec(
        name, settings, n_frames, n_dims, (0, 1, 2), (), False, "cross-entropy", "loop", ()
    )
    return TrainedNet(spec, made, before)


# ------------------------------------------------------------------ filters


def test_first_filters_are_those_that_read_the_segment() -> None:
    cnn = trained("cnn1d", {"width": 0.05, "padding": "same"})
    (found,) = first_filters(cnn)
    weights = cnn.net.conv1.conv.weight.detach().numpy()
    assert found.layer == "conv1.conv"
    assert np.array_equal(found.weights, weights.transpose(0, 2, 1))
    fcn = trained("fcn3", {"width": 0.05}, 60, 24)
    (found,) = first_filters(fcn)
    assert found.weights.shape == (len(fcn.net.conv1.conv.weight), 3, 3)


def test_filters_side_by_side_are_all_found_though_a_norm_comes_first() -> None:
    found = first_filters(trained("musicnn", {"width": 0.1}, 130, 40))
    sizes = sorted({filters.weights.shape[1:] for filters in found})
    assert sizes == [(7, 16), (7, 28), (32, 1), (64, 1), (128, 1)]


def test_filters_come_back_through_whitening() -> None:
    rng = np.random.default_rng(2)
    whitening = torch.from_numpy(rng.normal(size=(12, 5)).astype(np.float32))
    model = trained(
        "mlp",
        {"layers": (7,), "dropout": 0.0},
        3,
        4,
        mean=torch.zeros(12),
        scale=torch.ones(12),
        whitening=whitening,
        joined=True,
    )
    (found,) = first_filters(model)
    rows = rng.normal(size=(3, 4)).astype(np.float32)
    linear = model.net.dense1.linear
    with torch.no_grad():
        expected = linear(model.standardise(torch.from_numpy(rows)[None, None]).flatten(1))
    given = (found.weights * rows).sum(axis=(1, 2)) + linear.bias.detach().numpy()
    np.testing.assert_allclose(given, expected[0].numpy(), rtol=1e-4, atol=1e-4)


def test_filters_of_a_later_layer_are_drawn_on_their_strongest_maps(store, tmp_path) -> None:
    """The first line of the mosaic is the strongest filter, its first kernel the strongest."""
    given = {"settings": ["width=0.1"], "frames": 48, "epochs": 1, "device": "cpu"}
    folder = mcls.train(store, tmp_path / "fcn", model="fcn3", **given).path
    with style():
        page, shows = plot_filters(folder, layer="2", top=3)
    weights = fitted_model(open_run(folder)).net.conv2.conv.weight.detach().numpy()
    assert shows == "3 filters of conv2"
    best = np.square(weights).sum(axis=(1, 2, 3)).argsort()[::-1][:3]
    ax = page.subfigs[0].axes[0]
    assert [text.get_text() for text in ax.get_yticklabels()] == [str(1 + i) for i in best[::-1]]
    own = weights[best[0]]
    kernel = own[np.square(own).sum(axis=(1, 2)).argmax()] / np.abs(own).max()
    drawn = np.asarray(ax.images[0].get_array())
    np.testing.assert_allclose(drawn[-3:, :3], kernel.T, rtol=1e-5)
    with style():
        assert plot_filters(folder, layer="conv1")[1].endswith("filters of the first layer")


def test_filters_over_time_are_drawn_map_by_map(net) -> None:
    with style():
        page, shows = plot_filters(net, layer="conv2", top=2)
    weights = fitted_model(open_run(net)).net.conv2.conv.weight.detach().numpy()
    best = np.square(weights).sum(axis=(1, 2)).argmax()
    drawn = np.asarray(page.subfigs[0].axes[0].images[0].get_array())
    expected = weights[best] / np.abs(weights[best]).max()
    np.testing.assert_allclose(drawn[:, : weights.shape[2]], expected, rtol=1e-5)
    assert shows == "2 filters of conv2"


def test_layers_without_filters_are_refused(store, tmp_path) -> None:
    given = {"settings": ["layers=6x5"], "frames": 2, "epochs": 1, "device": "cpu"}
    folder = mcls.train(store, tmp_path / "mlp", model="mlp", **given).path
    with style():
        assert plot_filters(folder, layer="dense1")[1] == "6 filters of the first layer"
    with pytest.raises(ConfigError, match="dense2 has no convolution"):
        plot_filters(folder, layer="dense2")


def test_filters_that_learnt_one_band_are_drawn_at_its_frequency(net, tmp_path) -> None:
    with style():
        page, shows = plot_filters(net)
    model = fitted_model(open_run(net))
    n = len(model.net.conv1.conv.weight)
    assert shows == f"{n} filters of the first layer"
    ax = page.subfigs[0].axes[0]
    assert ax.get_ylabel() == "frequency (Hz)"
    assert ax.get_xlabel() == "time within a patch (4 frames = 93 ms between ticks)"
    assert f"{n} filters, 4 frames x 12 of 12 dimensions" in ax.get_title(loc="left")
    result = run("plot", net, "-o", tmp_path / "f.png", "--filters", "--top", 3)
    assert result.exit_code == 0, result.output
    assert "f.png: 3 filters of the first layer" in result.stderr


def test_the_height_of_a_filter_in_hz() -> None:
    axis = DimensionAxis("frequency (Hz)", 5, np.array([100.0, 200, 400, 800, 1600]))
    assert spell_height(axis, 3) == "300 Hz high at the bottom, 1.2 kHz at the top"
    assert spell_height(axis, 1) == ""


def test_filters_on_samples_are_shown_by_what_they_let_through() -> None:
    sr, n = 8000, 32
    times = np.arange(n) / sr
    taps = np.stack([np.cos(2 * np.pi * hz * times) * np.hanning(n) for hz in (3000, 500, 1500)])
    with style():
        page = draw_filters(
            [FilterBank("taps", taps[:, :, None])],
            DimensionAxis("waveform dimension", 1),
            frame_seconds=1 / sr,
            title="t",
        )
    image = page.subfigs[0].axes[0].images[0].get_array()  # (frequencies, filters)
    peaks = np.fft.rfftfreq(512, 1 / sr)[np.asarray(image).argmax(axis=0)]
    np.testing.assert_allclose(peaks, [500, 1500, 3000], atol=30)


# ------------------------------------------------------------------ saliency


def test_attributions_add_up_to_the_logit() -> None:
    model = trained("cnn1d", {"width": 0.1, "padding": "same", "nonlinearity": "tanh"})
    rows = np.random.default_rng(3).normal(-3, 2, (60, 10)).astype(np.float32)
    added = attribution(model, rows, 1, steps=256)
    logits = model.logits(rows)[:, 1].numpy()  # two segments side by side
    mean = model.logits(np.full((30, 10), -3, np.float32))[0, 1].item()
    for i in (0, 1):
        total = added[30 * i : 30 * (i + 1)].sum()
        assert total == pytest.approx(logits[i] - mean, abs=1e-3)


def test_of_a_linear_net_it_is_weight_times_distance_from_the_mean() -> None:
    class Linear(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.output = torch.nn.Linear(300, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.output(x.flatten(1))

    model = trained("mlp", {"layers": (4,)})
    model.net = Linear()
    rows = np.random.default_rng(4).normal(-3, 2, (30, 10)).astype(np.float32)
    weights = model.net.output.weight[2].detach().numpy().reshape(30, 10)
    found = attribution(model, rows, 2, steps=3)
    np.testing.assert_allclose(found, weights * (rows + 3) / 2, rtol=1e-4, atol=1e-6)
    assert not model.net.output.weight.grad


@pytest.mark.parametrize(("short", "n"), [("loop", 7), ("pad", 7), ("loop", 41)])
def test_every_row_has_its_share_in_tracks_of_any_length(short, n) -> None:
    model = trained("cnn1d", {"width": 0.1, "padding": "same"})
    object.__setattr__(model.spec, "short", short)
    rows = np.random.default_rng(5).normal(-3, 2, (n, 10)).astype(np.float32)
    found = attribution(model, rows, 0)
    assert found.shape == rows.shape
    assert np.isfinite(found).all()
    assert (found != 0).any(axis=1).all()


def test_it_points_at_the_band_that_makes_the_difference(net, store) -> None:
    model = fitted_model(open_run(net))
    for output, label in enumerate(model.spec.outputs):
        tracks = [Store(store).feature("mel").track(i) for i in range(label, 20, 2)]
        added = [np.abs(attribution(model, rows, output)).sum(axis=0) for rows in tracks]
        largest = int(np.sum(added, axis=0).argmax())
        assert largest in (3, 9), LABELS[label]


class OneConvolution(torch.nn.Module):
    """A convolution, the mean of each map, a dense layer."""

    hidden = ("conv",)

    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(1, 4, 3, padding=1)
        self.output = torch.nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.output(self.conv(x).mean((2, 3)))


@pytest.mark.parametrize("n", [30, 60])
def test_grad_cam_of_one_convolution_is_the_weighted_sum_of_its_maps(n) -> None:
    model = trained("mlp", {"layers": (4,)})
    torch.manual_seed(3)
    model.net = OneConvolution()
    rows = np.random.default_rng(4).normal(-3, 2, (n, 10)).astype(np.float32)
    weights = model.net.output.weight.detach().numpy()
    found = grad_cam(model, rows, 2, "conv")
    for first in range(0, n, 30):  # segments of 30 frames, side by side
        segment = torch.from_numpy((rows[first : first + 30] + 3) / 2)
        with torch.no_grad():
            maps = model.net.conv(segment[None, None])[0].numpy()
        expected = np.maximum(0, np.einsum("k,ktd->td", weights[2] / 300, maps))
        np.testing.assert_allclose(found[first : first + 30], expected, rtol=1e-4, atol=1e-7)
    assert (found == 0).any()
    assert (found > 0).any()
    assert not model.net.output.weight.grad


def test_the_slope_of_a_map_is_that_of_finite_differences() -> None:
    model = trained("fcn3", {"width": 0.03, "nonlinearity": "tanh"}, 60, 24)
    rows = np.random.default_rng(4).normal(-3, 2, (60, 24)).astype(np.float32)
    layer = model.net.conv1
    kept: list[torch.Tensor] = []
    hook = layer.register_forward_hook(lambda _, __, made: kept.append(made))
    before = model.logits(rows)[0, 2].item()
    hook.remove()
    (maps,) = kept
    slopes = []
    for i in range(maps.shape[1]):  # the mean slope of a map is the slope of adding to all of it
        change = torch.zeros_like(maps)
        change[:, i] = 1e-2
        hook = layer.register_forward_hook(lambda _, __, made, change=change: made + change)
        slopes.append((model.logits(rows)[0, 2].item() - before) / 1e-2 / maps[0, 0].numel())
        hook.remove()
    coarse = torch.einsum("k,ktd->td", torch.tensor(slopes), maps[0]).clamp(min=0)
    expected = torch.nn.functional.interpolate(coarse[None, None], (60, 24), mode="bilinear")
    found = grad_cam(model, rows, 2, "conv1")
    assert found.max() > 0
    np.testing.assert_allclose(found, expected[0, 0], atol=0.02 * found.max())


def test_grad_cam_takes_the_last_maps_over_time_and_dims_or_over_time() -> None:
    fcn = trained("fcn3", {"width": 0.03}, 200, 24)
    assert chosen_maps(fcn) == Maps("conv2", 2, 2)
    cnn = trained("cnn1d", {"width": 0.1, "padding": "same"}, 64, 10)
    assert chosen_maps(cnn) == Maps("conv4", 4, 1)
    rows = np.random.default_rng(5).normal(-3, 2, (64, 10)).astype(np.float32)
    over_time = grad_cam(cnn, rows, 0, "conv4")
    np.testing.assert_allclose(over_time, over_time[:, :1].repeat(10, axis=1), rtol=1e-5)
    with pytest.raises(
        ConfigError, match=r"--layer conv9: .* cnn1d with maps; it has conv1, conv2"
    ):
        chosen_maps(cnn, "conv9")
    with pytest.raises(ConfigError, match="mlp: no hidden layer has maps over time"):
        chosen_maps(trained("mlp", {"layers": (4,)}))


def test_the_picture_of_saliency(net, store, tmp_path) -> None:
    with style():
        page, shows = plot_saliency(net, track="t18", label="low")
    read, seen = page.axes[0], page.axes[2]  # colours beside each
    assert seen.get_title(loc="left") == "integrated gradients of the logit of low"
    assert seen.images[0].get_array().shape == read.images[0].get_array().shape == (N_MELS, 60)
    assert seen.get_ylabel() == "frequency (Hz)"
    assert seen.images[0].norm.vmin == -seen.images[0].norm.vmax
    assert shows.startswith("saliency of low (")
    result = run("plot", net, "-o", tmp_path / "s.svg", "--saliency", "t18", "--store", store)
    assert result.exit_code == 0, result.output
    assert "saliency of high (" in result.stderr


def test_maps_that_all_speak_against_a_label_are_said_to() -> None:
    model = trained("mlp", {"layers": (4,)})
    model.net = OneConvolution()
    with torch.no_grad():
        model.net.conv.weight.zero_()
        model.net.conv.bias.fill_(1)  # all maps are 1
        model.net.output.weight.fill_(-1)
    rows = np.full((30, 10), -3, np.float32)
    read = Panel("rows", rows, DimensionAxis("dim", 10), 1.0)
    seen = METHODS["grad-cam"](model, rows, 0, "low", None, read)
    assert not seen.rows.any()
    assert seen.title.endswith("30 x 10 cells per segment; no positive weights")


def test_the_picture_of_grad_cam(net, store, tmp_path) -> None:
    with style():
        page, _ = plot_saliency(net, track="t19", label="low", how="grad-cam", layer="conv1")
    seen = page.axes[2]
    assert seen.get_title(loc="left") == "Grad-CAM of low: conv1, 5 cells per segment"
    assert seen.images[0].get_array().shape == (N_MELS, 60)
    assert seen.images[0].norm.vmin == 0
    out = tmp_path / "g.png"
    result = run("plot", net, "-o", out, "--saliency", "t18", "--how", "grad-cam")
    assert result.exit_code == 0, result.output
    with pytest.raises(ConfigError, match="--layer selects the feature maps for --how grad-cam"):
        plot(net, out, saliency="t18", layer="conv1")
    with pytest.raises(ConfigError, match=r"--how grad-cma: did you mean 'grad-cam'\?"):
        plot(net, out, saliency="t18", how="grad-cma")


def test_samples_are_a_curve_and_stretches_of_them_add_to_the_logit() -> None:
    model = trained("samplecnn", {"width": 0.1, "modules": 2}, 729, 1)
    rows = np.random.default_rng(6).normal(-3, 2, (900, 1)).astype(np.float32)
    rows[700] = 40  # a click, not to be lost among the others
    read = Panel("samples", rows, DimensionAxis("sample", 1), 1e-3, start=0.0)
    seen = METHODS["gradients"](model, rows, 1, "low", None, read)
    added = attribution(model, rows, 1)
    assert seen.title == "integrated gradients of the logit of low, summed over 3 ms"
    assert len(seen.rows) == 300
    assert seen.rows[5] == pytest.approx(added[15:18].sum(), abs=1e-6)
    assert (seen.start, seen.hop) == (pytest.approx(1e-3), pytest.approx(3e-3))
    with style():
        page = draw_track([replace(read, rows=np.tile(rows, (2, 1))), seen], title="", seconds=0.9)
    top, below = page.axes
    assert top.collections[0].get_datalim(top.transData).y1 == 40
    assert len(below.lines[0].get_xdata()) == 300


def test_filters_on_samples_say_how_long_they_are(tmp_path) -> None:
    path = tmp_path / "wave.h5"
    rng = np.random.default_rng(8)
    rows = [rng.integers(-99, 99, (800, 1)).astype(np.int16) for _ in range(12)]
    columns = {
        "track_id": [f"t{i}" for i in range(12)],
        "path": [f"t{i}.wav" for i in range(12)],
        "labels": [LABELS[i % 2] for i in range(12)],
        "split": ["train"] * 6 + ["valid"] * 4 + ["test"] * 2,
    }
    step = Step("feature", "waveform", {"sr": 8000, "excerpt": None, "dtype": "int16"})
    new = NewRows("waveform", (step,), 8000.0, 1, [800] * 12, iter(rows), "int16")
    write_store(path, StoreContents(columns), [new])
    given = {"settings": ["width=0.05", "modules=2"], "frames": 729, "epochs": 1, "device": "cpu"}
    folder = mcls.train(path, tmp_path / "run", model="samplecnn", **given).path
    with style():
        page, _ = plot_filters(folder)
        saliency, _ = plot_saliency(folder, track="t3")
    ax = page.subfigs[0].axes[0]
    assert ax.get_title(loc="left").endswith("filters, 3 frames, 0.375 ms")
    assert ax.get_ylabel() == "frequency (Hz)"
    assert saliency.axes[1].get_xlabel() == "time (s)"
    assert saliency.axes[0].get_xlim() == (0, pytest.approx(0.1, rel=1e-2))


# ------------------------------------------------------------------ taggram


def test_a_taggram_shows_when_a_track_turns(net) -> None:
    with style():
        page, _ = plot_taggram(net, track="t20")
    ax = page.axes[2]
    names = [text.get_text() for text in ax.get_yticklabels()]
    image = dict(zip(names, np.asarray(ax.images[0].get_array()), strict=True))
    assert set(names) == set(LABELS)
    assert image["high"][0] > 0.5 > image["high"][-1]
    np.testing.assert_allclose(image["high"] + image["low"], 1, atol=1e-6)
    step = N_FRAMES // 4 / RATE
    first = (N_FRAMES - 1) / 2 / RATE
    left, right = ax.images[0].get_extent()[:2]
    assert left == pytest.approx(first - step / 2)
    assert right == pytest.approx(first - step / 2 + step * image["high"].size)


def test_its_scores_are_those_of_the_segments(net, store) -> None:
    model = fitted_model(open_run(net))
    rows = Store(store).feature("mel").track(3)
    found = scores_over_time(model, rows, 8)
    expected = [model.scores_of([rows[i : i + N_FRAMES]])[0][0] for i in range(0, 41, 8)]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert scores_over_time(model, rows[:5], 8).shape == (1, 2)


def test_a_classic_run_has_a_taggram_too(classic, store, tmp_path) -> None:
    out = tmp_path / "t.png"
    words = ["plot", classic, "-o", out, "--taggram", "t20", "--every", 0.2, "--top", 1]
    result = run(*words)
    assert result.exit_code == 0, result.output
    assert "1 labels at 7 times of t20" in result.stderr
    assert out.stat().st_size > 10_000


# ------------------------------------------------------------------ what is refused


def test_what_does_not_fit_is_refused(net, classic, store, tmp_path) -> None:
    out = tmp_path / "x.png"
    with pytest.raises(ConfigError, match="its model is not a net"):
        plot(classic, out, filters=True)
    with pytest.raises(ConfigError, match=r"--label lwo: .* did you mean 'low'\?"):
        plot(net, out, saliency="t18", label="lwo")
    with pytest.raises(ConfigError, match="does not take --label; it takes --layer, --top"):
        plot(net, out, filters=True, label="low")
    with pytest.raises(ConfigError, match="choose one of --filters, --taggram"):
        plot(net, out, filters=True, taggram="t18")
    with pytest.raises(ConfigError, match="--label goes with one of --embedding, --saliency"):
        plot(net, out, label="low")
    with pytest.raises(DataError, match="no audio file and no track 't99'"):
        plot(net, out, saliency="t99")
    with pytest.raises(DataError, match="name the store with --store"):
        plot(net, out, saliency="t18", store=tmp_path / "gone.h5")
    with pytest.raises(ConfigError, match="which takes no option --filters; it applies to a run"):
        plot(store, out, filters=True)
    assert not out.exists()
