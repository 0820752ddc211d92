"""mcls plot AUDIO: the features of a file, and MFCC whose level does not swamp the rest."""

from pathlib import Path

import librosa
import numpy as np
import pytest
import soundfile
from click.testing import CliRunner, Result

import mcls
from mcls.cli.main import cli
from mcls.errors import ConfigError, DataError
from mcls.inspection.audio import plot_audio
from mcls.inspection.plot import plot
from mcls.inspection.store import plot_overview, plot_track
from mcls.plots.page import style
from mcls.registry import entries

SR = 22050


@pytest.fixture(scope="module")
def tone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half a second of silence, then half a second of A4."""
    path = tmp_path_factory.mktemp("audio") / "tone.wav"
    y = 0.5 * np.sin(2 * np.pi * 440 * np.arange(SR) / SR)
    y[: SR // 2] = 0
    soundfile.write(path, y, SR)
    return path


def run(*words: object) -> Result:
    return CliRunner().invoke(cli, ["plot", *map(str, words)])


def by_title(page) -> dict:
    return {ax.get_title(loc="left"): ax for ax in page.axes if ax.get_title(loc="left")}


def test_every_feature_has_a_panel_on_one_time_axis(tone: Path) -> None:
    with style():
        page, shows = plot_audio(tone)
    panels = by_title(page)
    for name in (n for n, one in entries("features").items() if not one.facts.get("needs")):
        assert any(title.startswith(name) for title in panels), name
    assert {ax.get_xlim() for ax in panels.values()} == {(0.0, 1.0)}
    assert next(iter(panels)) == "waveform"
    assert shows.endswith("of tone.wav, 1 s at 22050 Hz")
    names = [text.get_text() for text in panels["chroma, 12 dimensions"].get_yticklabels()]
    assert names[9] == "A"
    image = panels["chroma, 12 dimensions"].images[0].get_array()
    assert image[:, -5].argmax() == 9


def test_the_level_of_mfcc_is_a_curve_of_its_own(tone: Path) -> None:
    with style():
        page, _ = plot_audio(tone, features=["mfcc:n_mfcc=13,delta=1"])
    panels = by_title(page)
    assert list(panels) == ["mfcc, dimension 0", "mfcc, dimensions 1 to 12", "delta 1 of mfcc"]
    y, _ = soundfile.read(tone, dtype="float32")
    expected = librosa.feature.mfcc(y=y, sr=SR, n_mfcc=13)
    [level] = panels["mfcc, dimension 0"].lines[:1]
    np.testing.assert_allclose(level.get_ydata(), expected[0], atol=1e-2)
    image = panels["mfcc, dimensions 1 to 12"].images[0]
    np.testing.assert_allclose(image.get_array(), expected[1:], atol=1e-2)
    assert panels["mfcc, dimensions 1 to 12"].get_yticklabels()[0].get_text() != "0"


def test_the_statistics_of_a_store_leave_the_level_out(tone: Path, tmp_path: Path) -> None:
    store = tmp_path / "s.h5"
    mcls.extract(tone.parent, store, features=["mfcc"], labels="none")
    with style():
        page, _ = plot_overview(store)
        track, _ = plot_track(store, track="tone")
    axes = next(ax for title, ax in by_title(page).items() if title.startswith("mfcc"))
    assert "dimension 0 apart (-" in axes.get_title(loc="left")
    assert len(axes.lines[0].get_ydata()) == 19
    assert list(by_title(track)) == ["mfcc, dimension 0", "mfcc, dimensions 1 to 19"]


def test_features_are_chosen_and_faults_are_refused(tone: Path, tmp_path: Path) -> None:
    out = tmp_path / "x.png"
    done = run(tone, "-o", out, "--feature", "mel:n_mels=40", "--feature", "onset")
    assert done.exit_code == 0, done.output
    assert f"wrote {out}: mel, onset of tone.wav, 1 s at 22050 Hz" in done.output
    with pytest.raises(ConfigError, match="did you mean 'mel'"):
        plot(tone, out, features=["mle"])
    with pytest.raises(ConfigError, match="is an audio file"):
        plot(tone, out, roc=True)
    (tmp_path / "bad.wav").write_bytes(b"RIFF no audio")
    with pytest.raises(DataError, match=r"bad\.wav: "):
        plot(tmp_path / "bad.wav", out)
    (tmp_path / "notes.txt").write_text("no audio")
    assert "cannot be plotted; expected" in run(tmp_path / "notes.txt", "-o", out).output
