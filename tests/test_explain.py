"""mcls explain: back-propagation, optimizers and convolutions, step by step."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

import mcls
from mcls.cli.main import cli
from mcls.data.synthetic import make_synth
from mcls.errors import ConfigError
from mcls.explain.backprop import explain_backprop
from mcls.explain.loss_slice import directions, loss_slice
from mcls.explain.surfaces import SURFACES, interpolated
from mcls.explain.trajectories import trajectories
from mcls.nets.describe import describe_net
from mcls.nets.receptive_field import receptive_fields


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("explain")
    make_synth(folder / "synth", n_tracks=18, seconds=2.0)
    mcls.extract(folder / "synth" / "manifest.csv", folder / "mel.h5", features=["mel:n_mels=40"])
    return folder / "mel.h5"


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu"])
def test_gradients_by_hand_are_those_of_torch(activation: str, rng: np.random.Generator) -> None:
    found = explain_backprop(
        rng.normal(size=13), "b", ["a", "b", "c"], n_hidden=5, activation=activation
    )
    assert found.torch_error < 1e-14
    assert found.difference_error < 1e-8
    assert found.next_loss < found.loss
    assert [step.name for step in found.backward][:2] == ["dL/dz2", "dL/dW2"]


def test_backprop_on_a_stored_row(store: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    arguments = ["explain", "backprop", str(store), "--html", str(page), "--json"]
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert len(found["forward"][0]["value"]) == 40
    assert found["label"] in found["labels"]
    text = page.read_text("utf-8")
    assert "dL/dW1" in text and "http" not in text
    assert CliRunner().invoke(cli, arguments).exit_code == 0  # a page of mcls is replaced
    page.write_text("mine")
    refused = CliRunner().invoke(cli, arguments)
    assert refused.exit_code == 2 and page.read_text() == "mine"


def test_labels_are_escaped_in_the_page(tmp_path: Path) -> None:
    from mcls.explain.backprop_page import backprop_page

    found = explain_backprop(np.ones(2), "<b>", ["<b>", "&"], n_hidden=2)
    page = backprop_page(found, "<i>")
    assert "<i>" not in page and "&lt;b&gt;" in page and "<b>&lt;b&gt;</b>" in page


@pytest.mark.parametrize("name", sorted(SURFACES))
def test_gradients_of_surfaces(name: str, rng: np.random.Generator) -> None:
    surface = SURFACES[name]
    for point in rng.uniform(-1, 1, (5, 2)):
        for axis in (0, 1):
            step = np.eye(2)[axis] * 1e-6
            slope = (surface.value(point + step) - surface.value(point - step)) / 2e-6
            assert surface.gradient(point)[axis] == pytest.approx(slope, abs=1e-6)


def test_interpolated_surface_is_exact_for_a_cubic() -> None:
    axis = np.linspace(-1, 1, 9)
    x, y = np.meshgrid(axis, axis, indexing="ij")
    surface = interpolated("cubic", "x³ - xy", axis, x**3 - x * y)
    point = np.array([0.33, -0.41])
    assert float(surface.value(point)) == pytest.approx(0.33**3 + 0.33 * 0.41, abs=1e-12)
    np.testing.assert_allclose(surface.gradient(point), [3 * 0.33**2 + 0.41, -0.33], atol=1e-12)
    np.testing.assert_array_equal(surface.gradient(np.array([2.0, 2.0])), [0, 0])


def test_sgd_on_the_ravine_is_the_recurrence() -> None:
    [path] = trajectories(SURFACES["ravine"], ["sgd:lr=0.1"], n_steps=20, start=(-4.0, 0.9))
    steps = np.arange(21)
    np.testing.assert_allclose(path.points[:, 0], -4 * (1 - 0.1 / 10) ** steps, rtol=1e-12)
    np.testing.assert_allclose(path.points[:, 1], 0.9 * (1 - 0.1 * 5) ** steps, rtol=1e-12)
    with pytest.raises(ConfigError, match="n_steps"):
        trajectories(SURFACES["ravine"], ["sgd"], n_steps=0)


def test_every_optimizer_leaves_the_saddle() -> None:
    for path in trajectories(SURFACES["saddle"], n_steps=100):
        assert path.losses[-1] < -0.4, path.optimizer


@pytest.fixture(scope="module")
def run(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "fcn3"
    mcls.train(
        store, out, model="fcn3", settings=["width=0.05"], epochs=1, segment=1.0, device="cpu"
    )
    return out


def test_slice_through_a_net(run: Path) -> None:
    from mcls.chain.model_cache import fitted_model
    from mcls.disk.run import open_run

    model = fitted_model(open_run(run))
    before = {name: value.clone() for name, value in model.net.named_parameters()}
    segments = torch.randn(3, 1, model.spec.n_frames, model.spec.n_dims)
    along, _ = directions(model, 0)
    for name, direction in along.items():
        norms = [one.detach().flatten(1).norm(dim=1) for one in (direction, before[name])]
        torch.testing.assert_close(*norms)
    axis, losses = loss_slice(model, segments, lambda logits: logits.square().mean(1), n_points=5)
    with torch.no_grad():
        middle = model.net.eval()(segments).square().mean()
    assert axis[2] == 0 and losses[2, 2] == pytest.approx(float(middle), rel=1e-5)
    assert np.ptp(losses) > 0
    assert all(torch.equal(before[name], value) for name, value in model.net.named_parameters())


@pytest.mark.parametrize("suffix", [".png", ".gif", ".mp4"])
def test_plot_of_a_slice(run: Path, tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"slice{suffix}"
    arguments = ["explain", "optimizers", str(run), "-o", str(out), "--points", "4", "--steps", "3"]
    arguments += ["--optimizer", "sgd:lr=0.01", "--optimizer", "adam", "--starts", "2"]
    for _ in range(2):  # a plot of mcls is replaced
        done = CliRunner().invoke(cli, arguments)
        assert done.exit_code == 0, done.output
    assert "4 paths of 3 steps" in done.stderr
    out.write_bytes(b"other")
    assert CliRunner().invoke(cli, arguments).exit_code == 2 and out.read_bytes() == b"other"


def test_unknown_surface(tmp_path: Path) -> None:
    done = CliRunner().invoke(
        cli, ["explain", "optimizers", "sadle", "-o", str(tmp_path / "a.png")]
    )
    assert done.exit_code == 2 and "saddle" in done.stderr


def test_convolution_of_a_net_and_of_a_run(store: Path, run: Path, tmp_path: Path) -> None:
    out = tmp_path / "fields.png"
    arguments = [str(store), "-o", str(out), "--json"]
    net = ["explain", "convolution", "fcn3", *arguments, "--frames", "60", "-p", "width=0.05"]
    done = CliRunner().invoke(cli, net)
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    first = found["layers"][0]
    assert (first["stride"], first["padding"], first["groups"]) == ([1, 1], [1, 1], 1)
    expected = [one.frames for one in receptive_fields("fcn3", {}, 60, found["n_dims"])]
    assert [one["frames"] for one in found["fields"]] == expected
    assert CliRunner().invoke(cli, ["explain", "convolution", str(run), *arguments]).exit_code == 0
    wrong = ["explain", "convolution", str(run), *arguments, "-p", "width=1"]
    assert "has its own settings" in CliRunner().invoke(cli, wrong).stderr


def test_stride_and_padding_are_those_of_the_module() -> None:
    layers = {one.name: one for one in describe_net("alexnet", {}, 128, 128, 5)}
    convolutions = [one for one in layers.values() if one.kind.startswith("convolution")]
    assert all(len(one.stride) == len(one.padding) == 2 for one in convolutions)
    dense = [one for one in layers.values() if one.kind == "dense"]
    assert all(one.stride == () and one.groups == 1 for one in dense)
