"""Features against librosa: on noise, tones and, where they are, real recordings.

Tolerances: 2e-6 of the value (float32) and mel 1e-3 dB, MFCC 1e-3, CQT 1e-4 and spectrogram 1e-5
of the maximum. (A single bin of a spectrum can cancel to nothing, where decibels magnify
the rounding of a float32 transform.)
"""

import warnings

import librosa
import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mcls.audio.files import MAX_SAMPLE, read_audio
from mcls.errors import ConfigError
from mcls.features import compute, make
from mcls.registry import entries, find

DB, CEPSTRAL, CQT = 1e-3, 1e-3, 1e-4
RATES = [8000, 16000, 22050, 44100]

pytestmark = pytest.mark.filterwarnings("ignore:Empty filters detected")


def check_all(y: np.ndarray, sr: int) -> None:
    """Compare every feature with librosa's, at its default settings."""
    power = librosa.feature.melspectrogram(y=y, sr=sr)
    near(compute("mel", y, sr=sr), librosa.power_to_db(power).T, DB)
    near(compute("mfcc", y, sr=sr), librosa.feature.mfcc(y=y, sr=sr).T, CEPSTRAL)
    magnitude = np.abs(librosa.stft(y))
    found = compute("spectrogram", y, sr=sr, compress="none")
    near(found, magnitude.T, 1e-5 * float(magnitude.max()))
    near(compute("spectrogram", y, sr=sr), librosa.amplitude_to_db(magnitude).T, 0.05)
    n_bins = 84 if sr > 10000 else 72
    wanted = np.abs(librosa.cqt(y, sr=sr, n_bins=n_bins, tuning=0)).T
    found = compute("cqt", y, sr=sr, n_bins=n_bins, compress="none")
    near(found, wanted, CQT * float(wanted.max()))


def near(found: np.ndarray, wanted: np.ndarray, tolerance: float) -> None:
    assert found.shape == wanted.shape
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, wanted, rtol=2e-6, atol=tolerance)


def sound(rng: np.random.Generator, sr: int, seconds: float = 1.5) -> np.ndarray:
    """Return a decaying chord in noise."""
    t = np.arange(int(seconds * sr)) / sr
    chord = sum(np.sin(2 * np.pi * f * t) for f in (220.0, 277.2, 329.6, 1318.5))
    return (0.1 * np.exp(-2 * t) * chord + rng.normal(0, 0.01, len(t))).astype(np.float32)


@pytest.mark.parametrize("sr", RATES)
def test_equal_to_librosas(rng, sr):
    check_all(sound(rng, sr), sr)


@pytest.mark.parametrize("sr", RATES)
def test_equal_to_librosas_on_real_recordings(real_data, tmp_path, sr):
    clips = [
        next((real_data / "esc10").rglob("*.ogg")),
        next((real_data / "philharmonia").rglob("*.mp3")),
        next((real_data / "mridangam").rglob("*.flac")),
    ]
    if sr == 8000:
        clips = sorted((real_data / "fsdd").rglob("*.flac"))[:2]
    for clip in clips:
        y, _ = read_audio(clip, sr=sr)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # librosa's, of short strokes
            check_all(y, sr)


#: The frame and the bands, drawn as widely as librosa takes them.
FRAMES = st.integers(32, 2048).flatmap(
    lambda n_fft: st.fixed_dictionaries(
        {
            "n_fft": st.just(n_fft),
            "hop_length": st.integers(20, 1024),
            "win_length": st.none() | st.integers(16, n_fft),
            "window": st.sampled_from(["hann", "hamming", "blackman"]),
            "center": st.booleans(),
        }
    )
)
BANDS = st.fixed_dictionaries(
    {
        "n_mels": st.integers(1, 128),
        "htk": st.booleans(),
        "fmin": st.floats(0, 1000),
        "fmax": st.none() | st.floats(1500, 4000),
        "norm": st.sampled_from(["slaney", None]),
    }
)
SEEDS = st.integers(0, 2**31)


def named(norm: str | None) -> str:
    """Return mcls' word for what librosa calls `norm`."""
    return norm or "none"


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    FRAMES,
    BANDS,
    st.sampled_from([1.0, 2.0]),
    st.none() | st.floats(20, 100),
    st.sampled_from([8000, 22050]),
    SEEDS,
)
def test_mel_equals_librosas_whatever_the_settings(frame, bands, power, top_db, sr, seed):
    y = sound(np.random.default_rng(seed), sr, 0.6)
    theirs = librosa.feature.melspectrogram(y=y, sr=sr, power=power, **frame, **bands)
    to_db = librosa.power_to_db if power == 2 else librosa.amplitude_to_db
    shared = {**frame, **bands, "norm": named(bands["norm"]), "power": power}
    ours, decibels = (
        compute("mel", y, sr=sr, top_db=top_db, **shared),
        to_db(theirs, top_db=top_db).T,
    )
    assert ours.shape == decibels.shape
    loud = decibels > decibels.max() - 60  # below, a band of one bin shows the float32 rounding
    near(ours[loud], decibels[loud], DB)
    near(ours, decibels, 0.1)
    plain = compute("mel", y, sr=sr, compress="none", **shared)
    near(plain, theirs.T, 1e-5 * float(theirs.max()))
    log1p = compute("mel", y, sr=sr, compress="log1p", gain=10.0, **shared)
    near(log1p, np.log10(1 + 10 * theirs.T), 1e-4)


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    FRAMES,
    BANDS,
    st.integers(1, 128),
    st.sampled_from([2, 3]),
    st.just(0) | st.integers(1, 40),
    st.sampled_from([8000, 22050]),
    SEEDS,
)
def test_mfcc_equals_librosas_whatever_the_settings(
    frame, bands, n_mfcc, dct_type, lifter, sr, seed
):
    y = sound(np.random.default_rng(seed), sr, 0.6)
    n_mfcc = min(n_mfcc, bands["n_mels"])
    mel = librosa.feature.melspectrogram(y=y, sr=sr, **frame, **bands)
    theirs = librosa.feature.mfcc(
        S=librosa.power_to_db(mel), n_mfcc=n_mfcc, dct_type=dct_type, lifter=lifter
    )
    shared = {**frame, **bands, "norm": named(bands["norm"])}
    ours = compute("mfcc", y, sr=sr, n_mfcc=n_mfcc, dct_type=dct_type, lifter=lifter, **shared)
    near(ours, theirs.T, CEPSTRAL * (1 + lifter / 2))


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(FRAMES, st.sampled_from([1.0, 2.0]), st.sampled_from([8000, 22050]), SEEDS)
def test_spectrogram_equals_librosas_whatever_the_settings(frame, power, sr, seed):
    y = sound(np.random.default_rng(seed), sr, 0.6)
    theirs = np.abs(librosa.stft(y, **frame)) ** power
    ours = compute("spectrogram", y, sr=sr, compress="none", power=power, **frame)
    near(ours, theirs.T, 1e-5 * float(theirs.max()))


@pytest.mark.filterwarnings("ignore:n_fft=.* is too large")
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.fixed_dictionaries(
        {
            "hop_length": st.sampled_from([64, 128, 256, 512, 1024]) | st.integers(100, 1000),
            "fmin": st.floats(40, 220),
            "bins_per_octave": st.integers(5, 24),
            "filter_scale": st.floats(0.4, 1.2),
            "sparsity": st.floats(0, 0.1),
            "norm": st.sampled_from([1, 2, np.inf, None]),
            "window": st.sampled_from(["hann", "hamming", "blackman"]),
            "scale": st.booleans(),
        }
    ),
    st.floats(0.02, 1),
    st.sampled_from([8000, 11025, 22050]),
    SEEDS,
)
def test_cqt_equals_librosas_whatever_the_settings(drawn, share, sr, seed):
    """`share` of the bins that librosa has room for below half the rate, two at least."""
    y = sound(np.random.default_rng(seed), sr, 0.6)
    ratio = 2 ** (2 / drawn["bins_per_octave"])
    q = drawn["filter_scale"] * (ratio + 1) / (ratio - 1)
    octaves = np.log2(sr / 2 / drawn["fmin"] / (1 + 1 / q))  # no window used is wider than 2 / q
    n_bins = max(2, int(share * octaves * drawn["bins_per_octave"]))
    theirs = np.abs(librosa.cqt(y, sr=sr, tuning=0, n_bins=n_bins, **drawn)).T
    ours = compute("cqt", y, sr=sr, compress="none", n_bins=n_bins, **drawn)
    near(ours, theirs, CQT * float(theirs.max()))


@pytest.mark.parametrize(
    "changed",
    [
        {"n_bins": 60, "bins_per_octave": 24},
        {"fmin": 55.0, "n_bins": 48},
        {"sparsity": 0.0},
        {"hop_length": 500, "n_bins": 24},
        {"hop_length": 441},
    ],
    ids=str,
)
def test_cqt_equals_librosas_at_settings_that_are_used(rng, changed):
    y = sound(rng, 22050)
    theirs = np.abs(librosa.cqt(y, sr=22050, tuning=0, **changed)).T
    ours = compute("cqt", y, sr=22050, compress="none", **changed)
    near(ours, theirs, CQT * float(theirs.max()))


@pytest.mark.parametrize("orders", [1, 2])
@pytest.mark.parametrize("name", ["mfcc", "mel", "spectrogram", "cqt"])
def test_deltas_are_librosas(rng, name, orders):
    y = sound(rng, 22050)
    static = compute(name, y, sr=22050)
    rows = compute(name, y, sr=22050, delta=orders)
    wanted = [static] + [
        librosa.feature.delta(static.T, order=order).T for order in range(1, orders + 1)
    ]
    near(rows, np.concatenate(wanted, axis=1), 1e-3)


def test_the_delta_of_a_line_is_its_slope():
    from mcls.features.feature import add_deltas

    line = np.outer(np.arange(30), [0.0, 1.0, -2.5]).astype(np.float32)
    np.testing.assert_allclose(add_deltas(line, 2)[:, 3:6], [[0, 1, -2.5]] * 30, atol=1e-5)
    np.testing.assert_allclose(add_deltas(line, 2)[:, 6:], 0, atol=1e-5)


@pytest.mark.parametrize("name", ["mel", "cqt", "spectrogram"])
@pytest.mark.parametrize("f", [110.0, 440.0, 1760.0])
def test_a_tone_is_loudest_in_its_band(name, f):
    y = np.sin(2 * np.pi * f * np.arange(2 * 22050) / 22050).astype(np.float32)
    feature = make(name, 22050)
    row = feature.rows(y)[40]
    axis = feature.axis
    assert axis is not None
    assert np.abs(np.log2(axis[row.argmax()] / f)) < 0.12


@pytest.mark.parametrize(
    "name", sorted(n for n, one in entries("features").items() if not one.facts.get("needs"))
)
@pytest.mark.parametrize("n", [1, 100, 1102, 22050])
@pytest.mark.parametrize("kind", ["silence", "constant", "clipped", "offset", "loud"])
def test_odd_audio_gives_finite_rows(name, n, kind, rng):
    y = {
        "silence": np.zeros(n),
        "constant": np.full(n, 0.5),
        "clipped": np.sign(rng.normal(size=n)),
        "offset": 0.9 + 1e-4 * rng.normal(size=n),
        "loud": MAX_SAMPLE * rng.normal(size=n).clip(-1, 1),
    }[kind].astype(np.float32)
    feature = make(
        name, 22050, **({"delta": 1} if "delta" in find("features", name).settings else {})
    )
    rows = feature.rows(y)
    assert rows.shape == ((n if name == "waveform" else 1 + n // 512), feature.n_dims)
    assert np.isfinite(rows).all()


@pytest.mark.parametrize(
    ("name", "bad", "said"),
    [
        ("mfcc", {"n_mfcc": 200}, "n_mfcc must be between 1 and n_mels"),
        ("mel", {"n_fft": 0}, "n_fft must be 2 or more"),
        ("mel", {"hop_length": 0}, "hop_length must be 1 or more"),
        ("mel", {"n_melz": 3}, "n_mels"),
        ("cqt", {"n_bins": 200}, "n_bins"),
        ("spectrogram", {"delta": 3}, "delta must be 0, 1 or 2"),
    ],
)
def test_settings_out_of_range_are_named(name, bad, said):
    with pytest.raises(ConfigError, match=said):
        make(name, 22050, **bad)


def test_one_file_at_its_own_rate(tmp_path, rng):
    soundfile.write(tmp_path / "x.wav", sound(rng, 48000), 48000)
    y, sr = read_audio(tmp_path / "x.wav", sr=None)
    check_all(y, sr)
