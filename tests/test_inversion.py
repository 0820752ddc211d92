"""Features back to audio: against librosa, and by the features of the audio."""

import librosa
import numpy as np
import pytest
import soundfile

from mcls.audio.write import check_wav, write_wav
from mcls.errors import ConfigError, DataError
from mcls.features.feature import compressed, expanded
from mcls.features.filters import mel_filters
from mcls.features.inversion import bins_of_bands
from mcls.registry import find

SR = 22050


@pytest.fixture(scope="module")
def tune() -> np.ndarray:
    """Three notes with partials and decay over a little noise, 0.5 s each."""
    rng = np.random.default_rng(440)
    t = np.arange(SR // 2) / SR
    notes = [
        sum(np.sin(2 * np.pi * k * f * t) / k for k in range(1, 9)) * np.exp(-3 * t)
        for f in (220.0, 330.0, 440.0)
    ]
    noise = 0.003 * rng.standard_normal(3 * len(t))
    return (0.2 * np.concatenate(notes) + noise).astype(np.float32)


def made(name: str, **settings):
    return find("features", name).load()(SR, **settings)


@pytest.mark.parametrize("compress", ["db", "log1p", "none"])
@pytest.mark.parametrize("power", [1.0, 2.0])
def test_expansion_undoes_compression(rng, compress, power) -> None:
    """To a relative 2e-4, of float32 decibels, where nothing is at the floor."""
    rows = rng.uniform(1e-3, 10, (20, 5)).astype(np.float32)
    small = compressed(rows, 10.0, compress=compress, power=power, gain=10.0, top_db=None)
    back = expanded(small, compress=compress, power=power, gain=10.0)
    assert np.allclose(back, rows, rtol=2e-4)
    if compress == "db":
        theirs = librosa.db_to_power(small) if power == 2 else librosa.db_to_amplitude(small)
        assert np.allclose(back, theirs, rtol=1e-5)


def test_bins_have_the_energies_of_the_bands(rng) -> None:
    """Within 2 dB in a wild spectrum, 0.1 dB in the mean; librosa's least squares is farther."""
    filters = mel_filters(SR, 2048, 64, 0.0, SR / 2, False, "slaney")
    bins = 10 ** rng.uniform(-5, 2, (6, filters.shape[1]))
    wanted = bins @ filters.T
    got = bins_of_bands(wanted, filters, 2.0) ** 2 @ filters.T
    theirs = librosa.feature.inverse.mel_to_stft(wanted.T, sr=SR, n_fft=2048).T ** 2 @ filters.T
    ours, other = (np.abs(10 * np.log10(energies / wanted)) for energies in (got, theirs))
    assert ours.max() < 2
    assert ours.mean() < min(0.1, other.mean())


@pytest.mark.parametrize(
    ("name", "settings", "least"),
    [
        ("spectrogram", {}, 0.95),
        ("spectrogram", {"compress": "none", "power": 2.0}, 0.99),
        ("mel", {}, 0.95),
        ("mel", {"compress": "log1p", "power": 1.0, "gain": 100.0}, 0.98),
        ("mel", {"n_fft": 1024, "hop_length": 256, "win_length": 800, "center": False}, 0.95),
        ("mfcc", {}, 0.99),
        ("mfcc", {"dct_type": 3, "lifter": 22.0}, 0.99),
        ("cqt", {"hop_length": 256}, 0.85),
    ],
)
def test_features_of_the_audio(tune, name, settings, least) -> None:
    """The rows of the audio correlate with those that it was made of; its length is theirs."""
    feature = made(name, **settings)
    rows = feature.rows(tune)
    audio = feature.audio(rows)
    extra = 0 if getattr(feature, "center", True) else feature.n_fft
    assert len(audio) == feature.hop_length * (len(rows) - 1) + extra
    again = feature.rows(audio)
    n = min(len(rows), len(again))
    assert np.corrcoef(rows[:n].ravel(), again[:n].ravel())[0, 1] > least


def test_mfcc_to_mel_is_that_of_librosa(tune) -> None:
    """The smooth decibels behind the coefficients, to 0.01 dB."""
    feature = made("mfcc", n_mfcc=13)
    rows = feature.rows(tune).astype(np.float64)
    ours = rows @ np.linalg.pinv(feature.cosines.astype(np.float64))
    power = librosa.feature.inverse.mfcc_to_mel(rows.T)
    theirs = librosa.power_to_db(power, amin=1e-30, top_db=None)
    assert np.allclose(ours, theirs.T, atol=0.01)


def test_the_waveform_comes_back(tune) -> None:
    feature = made("waveform")
    assert np.allclose(feature.audio(feature.rows(tune)), tune, atol=1 / 32767)


@pytest.mark.parametrize(
    ("name", "settings", "said"),
    [
        ("chroma", {}, "rows of chroma"),
        ("onset", {}, "rows of onset"),
        ("tempogram", {}, "rows of tempogram"),
        ("mel", {"agc": True, "top_db": None}, "agc=true"),
    ],
)
def test_features_without_a_way_back_are_refused(name, settings, said) -> None:
    feature = made(name, **settings)
    with pytest.raises(ConfigError, match=said):
        feature.audio(np.zeros((3, feature.n_static)))


def test_a_wav_file_does_not_clip(tmp_path) -> None:
    loud = 4 * np.sin(np.arange(1000) / 10)
    assert write_wav(tmp_path / "a.wav", loud, 8000) == "quieter by 12.0 dB to avoid clipping"
    read, sr = soundfile.read(tmp_path / "a.wav")
    assert sr == 8000
    assert np.allclose(read, loud / np.abs(loud).max(), atol=1 / 30000)
    assert write_wav(tmp_path / "a.wav", loud / 8, 8000) == ""
    check_wav(tmp_path / "a.wav")  # its own may be replaced
    for bad in ([], [np.nan]):
        with pytest.raises(DataError, match="samples"):
            write_wav(tmp_path / "b.wav", np.array(bad), 8000)


def test_a_recording_is_not_replaced(tmp_path) -> None:
    soundfile.write(tmp_path / "mine.wav", np.zeros(10), 8000)
    with pytest.raises(ConfigError, match="not audio that mcls wrote"):
        check_wav(tmp_path / "mine.wav")
    with pytest.raises(ConfigError, match=r"ends in \.wav"):
        check_wav(tmp_path / "a.mp3")
