"""mcls plot --errors: the right tracks in the right order, and what they are drawn from."""

from pathlib import Path

import librosa
import numpy as np
import pytest
import soundfile

import mcls
from mcls.errors import ConfigError, DataError
from mcls.inspection.errors import plot_errors
from mcls.inspection.plot import plot
from mcls.plots.page import style
from mcls.tables.predictions import Predictions, write_predictions

SR = 22050
SCORES = np.array([[0.6, 0.4], [0.9, 0.1], [0.2, 0.8], [0.3, 0.7]])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stores of four tones, and a table of predictions with three errors."""
    folder = tmp_path_factory.mktemp("errors")
    for i in range(4):
        tone = np.sin(2 * np.pi * 300 * (i + 1) * np.arange(SR // 2) / SR)
        soundfile.write(folder / f"t{i}.wav", 0.5 * tone, SR)
    mcls.extract(folder, folder / "two.h5", features=["mfcc", "mel:n_mels=40"], labels="none")
    mcls.extract(folder, folder / "waveform.h5", features=["waveform"], labels="none")
    write(folder / "one.csv", SCORES, [[0, 1], [0, 1], [0, 1], [1, 0]], multi=False)
    return folder


def write(path: Path, scores: np.ndarray, truth: list[list[int]], *, multi: bool) -> Path:
    ids = [f"t{i}" for i in range(len(scores))]
    what = Predictions(
        ids, ["test"] * 4, [""] * 4, ["low", "high"], np.array(truth, bool), scores, multi
    )
    write_predictions(path, what)
    return path


def drawn(path: Path, **options):
    with style():
        return plot_errors(path, **options)


def titles(page) -> list[str]:
    return [ax.get_title(loc="left") for ax in page.axes]


def test_the_most_confident_errors_come_first(folder: Path) -> None:
    page, shows = drawn(folder / "one.csv", store=folder / "two.h5")
    assert titles(page) == [
        "t1\nhigh, predicted low (0.90)",
        "t3\nlow, predicted high (0.70)",
        "t0\nhigh, predicted low (0.60)",
    ]
    assert shows.startswith("3 of 3 wrong, of 4 test tracks")
    [image] = page.axes[0].images
    assert image.get_array().shape[0] == 40  # mel, as mfcc has no frequencies
    page, shows = drawn(folder / "one.csv", store=folder / "two.h5", top=1)
    assert len(page.axes) == 1
    assert shows.startswith("1 of 3 wrong")


def test_with_several_labels_what_is_missed_or_wrongly_predicted_is_said(folder: Path) -> None:
    path = write(folder / "tags.csv", SCORES, [[1, 1], [1, 1], [0, 0], [0, 1]], multi=True)
    page, _ = drawn(path, store=folder / "two.h5")
    assert titles(page) == [
        "t1\nmissed: high (0.10)",
        "t2\nwrongly predicted: high (0.80)",
        "t0\nmissed: high (0.40)",
    ]


def test_audio_is_drawn_as_a_mel_spectrogram(folder: Path, tmp_path: Path) -> None:
    options = {"store": folder / "waveform.h5", "top": 1}
    page, _ = drawn(folder / "one.csv", audio_root=folder, **options)
    [image] = page.axes[0].images
    loudest = int(np.asarray(image.get_array()).mean(axis=1).argmax())
    bands = librosa.mel_frequencies(130, fmin=0, fmax=SR / 2)[1:-1]
    assert len(image.get_array()) == 128
    assert bands[loudest] == pytest.approx(600, abs=40)  # the tone of t1
    out = tmp_path / "x.png"
    plot(folder / "one.csv", out, errors=True, audio_root=folder, **options)
    assert out.exists()
    with pytest.raises(DataError, match=r"gone/t1\.wav: there is no such file"):
        drawn(folder / "one.csv", audio_root=tmp_path / "gone", **options)


def test_what_has_no_errors_to_draw_is_refused(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "x.png"
    with pytest.raises(DataError, match="does not say from which store it is; name it"):
        plot(folder / "one.csv", out, errors=True)
    with pytest.raises(DataError, match="no rows over time and frequency to draw; name the folder"):
        plot(folder / "one.csv", out, errors=True, store=folder / "waveform.h5")
    right = write(tmp_path / "right.csv", SCORES, [[1, 0], [1, 0], [0, 1], [0, 1]], multi=False)
    with pytest.raises(DataError, match="none of 4 tracks is wrong"):
        plot(right, out, errors=True)
    margins = write(tmp_path / "m.csv", 9 * SCORES, [[1, 1], [1, 0], [0, 1], [0, 1]], multi=True)
    with pytest.raises(ConfigError, match="not probabilities, and no threshold is known"):
        plot(margins, out, errors=True)
    with pytest.raises(ConfigError, match="--errors is plotted of one run at a time"):
        plot([right, margins], out, errors=True)
    assert not out.exists()
