"""Chroma, onset and tempogram against librosa; waveform; gain control; long tracks in chunks."""

import librosa
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from mcls.errors import ConfigError
from mcls.features import compute, extractor, make
from mcls.features.extractor import Extractor
from mcls.features.specs import parse_features

SR = 22050


@pytest.fixture
def y(rng):
    """Return four seconds of a decaying chord struck twice a second, in noise."""
    t = np.arange(4 * SR) / SR
    chord = sum(np.sin(2 * np.pi * f * t) for f in (220.0, 277.2, 329.6, 1318.5))
    return (0.1 * np.exp(-6 * (t % 0.5)) * chord + rng.normal(0, 0.005, len(t))).astype(np.float32)


def test_chroma_is_librosas(y):
    theirs = librosa.feature.chroma_stft(y=y, sr=SR, tuning=0).T
    np.testing.assert_allclose(compute("chroma", y, sr=SR), theirs, atol=1e-4)


@settings(max_examples=25, deadline=None)
@given(
    st.integers(64, 4096),
    st.integers(1, 48),
    st.floats(-0.5, 0.5),
    st.sampled_from([8000, 22050, 44100]),
)
def test_chroma_filters_are_librosas(n_fft, n_chroma, tuning, sr):
    theirs = librosa.filters.chroma(sr=sr, n_fft=n_fft, n_chroma=n_chroma, tuning=tuning)
    ours = make("chroma", sr, n_fft=n_fft, n_chroma=n_chroma, tuning=tuning).filters
    np.testing.assert_allclose(ours, theirs.T, atol=1e-6)


@pytest.mark.parametrize("changed", [{}, {"lag": 3}, {"hop_length": 256, "n_mels": 40}])
def test_onset_is_librosas(y, changed):
    theirs = librosa.onset.onset_strength(y=y, sr=SR, **changed)
    np.testing.assert_allclose(compute("onset", y, sr=SR, **changed)[:, 0], theirs, atol=1e-3)


def test_onset_peaks_where_notes_begin(y):
    novelty = compute("onset", y, sr=SR)[:, 0]
    times = librosa.frames_to_time(np.flatnonzero(novelty > 0.6 * novelty[30:].max()), sr=SR)
    assert all(abs((t + 0.25) % 0.5 - 0.25) < 0.08 for t in times)


@pytest.mark.parametrize("win_length", [384, 100, 51])
def test_tempogram_is_librosas(y, win_length):
    theirs = librosa.feature.tempogram(y=y, sr=SR, win_length=win_length).T
    ours = compute("tempogram", y, sr=SR, win_length=win_length)
    np.testing.assert_allclose(ours, theirs, atol=1e-3)


def test_waveform_is_the_audio(tmp_path, y):
    soundfile.write(tmp_path / "x.wav", y, SR, subtype="FLOAT")
    rows = Extractor(parse_features(["waveform"]), sr=SR).track(tmp_path / "x.wav").rows("waveform")
    assert (rows.dtype, rows.shape) == (np.int16, (len(y), 1))
    np.testing.assert_allclose(rows[:, 0] / 32767, y, atol=0.51 / 32767)
    loud = compute("waveform", np.array([2.0, -2.0], np.float32), sr=SR)
    assert loud.tolist() == [[32767.0], [-32767.0]]


def slow_agc(S, sr, hop, t_scale, f_scale, eps):
    """Return tf-AGC frame by frame, as Ellis describes it."""
    S = S + 1e-4 * S.max()
    n = int(max(10, 20 / f_scale))
    edges = librosa.mel_frequencies(n + 2, fmin=0, fmax=sr / 2)
    f = np.linspace(0, sr / 2, S.shape[1])
    W = np.zeros((n, S.shape[1]))
    for i in range(n):
        low, mid, high = edges[i : i + 3]
        left, right = (mid + f_scale * n / 10 * (edge - mid) for edge in (low, high))
        rise, fall = (f - left) / (mid - left), (right - f) / (right - mid)
        W[i] = np.maximum(0, np.minimum(rise, fall)) * 2 / (high - low)
    state, out = np.zeros(n), np.zeros_like(S)
    for t, row in enumerate(S):
        state = np.maximum(np.exp(-hop / (sr * t_scale)) * state, W @ row)
        out[t] = row / (W.T @ state / W.sum(axis=0) + eps)
    return out


@pytest.mark.parametrize(("t_scale", "f_scale"), [(0.5, 2.0), (0.1, 1.0)])
def test_gain_control_is_elliss(y, t_scale, f_scale):
    S = np.abs(librosa.stft(y)).T.astype(float)
    level = slow_agc(S, SR, 512, t_scale, f_scale, 0.01)
    wanted = np.log10(1 + 10 * level @ librosa.filters.mel(sr=SR, n_fft=2048).T)
    scales = {"t_scale": t_scale, "f_scale": f_scale}
    ours = compute("mel", y, sr=SR, agc=True, power=1.0, compress="log1p", **scales)
    np.testing.assert_allclose(ours, wanted, atol=1e-4)


def test_gain_control_makes_quiet_and_loud_alike(y):
    fading = y * np.linspace(1, 0.02, len(y)).astype(np.float32)
    asked = {"agc": True, "power": 1.0, "compress": "log1p"}
    plain = compute("mel", fading, sr=SR, power=1.0, compress="log1p").mean(axis=1)
    controlled = compute("mel", fading, sr=SR, eps=1e-6, **asked).mean(axis=1)
    assert plain[-40:].mean() < 0.3 * plain[:40].mean()
    assert controlled[-40:].mean() > 0.6 * controlled[:40].mean()


def test_gain_control_has_no_peak_to_measure_from():
    with pytest.raises(ConfigError, match="top_db must be none with agc"):
        make("mel", SR, agc=True)


@pytest.mark.parametrize(
    ("spec", "tolerance"),
    [
        ("mel:delta=1", 1e-3),
        ("mfcc:delta=2", 1e-3),
        ("cqt:compress=none", 1e-4),
        ("spectrogram:compress=none", 1e-5),
        ("chroma", 1e-4),
        ("onset:delta=1", 1e-3),
        ("tempogram:win_length=100", 1e-3),
        ("waveform", 1.0),
        ("mel:agc=true,power=1,compress=log1p,t_scale=0.05", 1e-4),
    ],
)
def test_a_track_in_chunks_is_the_track_as_a_whole(tmp_path, rng, monkeypatch, spec, tolerance):
    """Chunks of 3 s, rows finished 50 at a time and spilled to disk, for 10 s."""
    y = np.tile(rng.normal(0, 0.1, SR // 2), 20) * rng.uniform(0.2, 1, 20).repeat(SR // 2)
    soundfile.write(tmp_path / "x.wav", y, SR, subtype="FLOAT")
    specs = parse_features([spec])
    whole = Extractor(specs, sr=SR).track(tmp_path / "x.wav").rows(specs[0].name)
    monkeypatch.setattr(extractor, "CHUNK", 3 * SR)
    monkeypatch.setattr(extractor, "SPILL", 1)
    monkeypatch.setattr(extractor, "_ROWS", 50 if spec != "waveform" else 5000)
    cut = Extractor(specs, sr=SR).track(tmp_path / "x.wav").rows(specs[0].name)
    assert cut.shape == whole.shape
    scale = np.abs(whole).max() if "none" in spec else 1
    np.testing.assert_allclose(cut, whole, atol=tolerance * scale, rtol=0)
