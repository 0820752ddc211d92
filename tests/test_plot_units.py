"""mcls plot RUN --track, --maximise, --exciting: the hidden units of a net."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from click.testing import CliRunner

import mcls
from mcls.chain.model_cache import fitted_model
from mcls.cli.main import cli
from mcls.data.synthetic import make_synth
from mcls.disk.run import open_run
from mcls.errors import ConfigError, DataError
from mcls.inspection.plot import plot
from mcls.training.units import excitations, feature_maps, layer_of, maximise


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a synthetic set, its mel spectrograms and a small trained net."""
    folder = tmp_path_factory.mktemp("units")
    make_synth(folder / "synth", n_tracks=18, seconds=2.0)
    mel = folder / "mel.h5"
    mcls.extract(folder / "synth" / "manifest.csv", mel, features=["mel:n_mels=40"])
    settings = ["width=0.1", "nonlinearity=elu"]
    mcls.train(mel, folder / "run", model="fcn3", settings=settings, epochs=1, segment=1.0)
    return folder


def test_maps_are_the_outputs_of_the_layer(folder: Path) -> None:
    model = fitted_model(open_run(folder / "run"))
    segments = torch.randn(2, 1, model.spec.n_frames, model.spec.n_dims)
    first = model.net.eval().get_submodule("conv1")
    with torch.no_grad():
        expected = first(segments).numpy()
    np.testing.assert_allclose(feature_maps(model, segments, "conv1"), expected, atol=1e-6)
    np.testing.assert_allclose(
        excitations(model, segments, "conv1"), expected.max(axis=(2, 3)), atol=1e-6
    )
    assert layer_of(model, None) == model.net.hidden[-1] and layer_of(model, "1") == "conv1"
    with pytest.raises(ConfigError, match="one hidden layer"):
        layer_of(model, "all")


def test_the_maximised_input_excites_its_unit_most(folder: Path) -> None:
    model = fitted_model(open_run(folder / "run"))
    found = maximise(model, "conv2", 3)
    segments = torch.from_numpy(found)[:, None]
    noise = torch.randn(3, 1, *found.shape[1:], generator=torch.Generator().manual_seed(0))
    sums = [feature_maps(model, x, "conv2").sum(axis=(2, 3)) for x in (segments, noise)]
    assert (np.diag(sums[0][:, :3]) > np.diag(sums[1][:, :3])).all()
    np.testing.assert_array_equal(found, maximise(model, "conv2", 3))


def test_plots_of_units(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "units.png"
    for options, shows in (
        (["--track", "waltz/waltz-01-1", "--layer", "conv1"], "maps of conv1"),
        (["--maximise", "--top", "2"], "the inputs of 2 units of conv3"),
        (["--exciting", "1", "--layer", "2", "--top", "3"], "3 segments for unit 1 of conv2"),
    ):
        done = CliRunner().invoke(cli, ["plot", str(folder / "run"), "-o", str(out), *options])
        assert done.exit_code == 0, done.output
        assert shows in done.stderr


def test_audio_of_exciting_segments(folder: Path, tmp_path: Path) -> None:
    plot(
        folder / "run",
        tmp_path / "loud.png",
        exciting=1,
        top=2,
        audio_root=folder / "synth",
    )
    written = sorted(path.name for path in tmp_path.iterdir())
    assert written == ["loud-1.wav", "loud-2.wav", "loud.png"]
    samples, rate = soundfile.read(tmp_path / "loud-1.wav")
    assert len(samples) / rate == pytest.approx(1.0, abs=0.05)


def test_what_is_not_there_is_named(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.png"
    with pytest.raises(DataError, match="there is no track"):
        plot(folder / "run", out, track="waltz/none")
    with pytest.raises(ConfigError, match="units 1 to"):
        plot(folder / "run", out, exciting=10_000)
    with pytest.raises(ConfigError, match="choose one of"):
        plot(folder / "run", out, exciting=1, maximise=True)
    assert not out.exists()
