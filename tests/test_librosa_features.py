"""Spectral shape, level and tonal features against librosa's own functions."""

import tomllib
from pathlib import Path

import librosa
import numpy as np
import pytest
import scipy.stats
import soundfile

import mcls
from mcls.disk.run import open_run
from mcls.errors import ConfigError
from mcls.features import compute, make
from mcls.features.pooling import parse_pool, pool_rows
from mcls.features.specs import parse_features

SR = 22050


@pytest.fixture
def y(rng):
    t = np.arange(3 * SR) / SR
    chord = sum(np.sin(2 * np.pi * f * t) for f in (220.0, 277.2, 329.6, 1318.5))
    return (0.1 * np.exp(-2 * (t % 1)) * chord + rng.normal(0, 0.01, len(t))).astype(np.float32)


FROM_SPECTRUM = {
    "spectral-centroid": (librosa.feature.spectral_centroid, {}, 0.1),
    "spectral-bandwidth": (librosa.feature.spectral_bandwidth, {}, 0.1),
    "spectral-rolloff": (librosa.feature.spectral_rolloff, {"roll_percent": 0.7}, 1e-3),
    "spectral-flatness": (librosa.feature.spectral_flatness, {}, 1e-5),
    "spectral-contrast": (librosa.feature.spectral_contrast, {"n_bands": 5}, 1e-2),
    "poly-features": (librosa.feature.poly_features, {"order": 2}, 1e-3),
    "zero-crossing-rate": (librosa.feature.zero_crossing_rate, {}, 1e-6),
}


@pytest.mark.parametrize("name", FROM_SPECTRUM)
def test_features_of_spectra_are_librosas(y, name):
    function, settings, tolerance = FROM_SPECTRUM[name]
    rate = {} if name in ("spectral-flatness", "zero-crossing-rate") else {"sr": SR}
    theirs = function(y=y, **rate, **settings).T
    ours = compute(name, y, sr=SR, **settings)
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=tolerance)


def test_rms_is_librosas(y):
    magnitudes = np.abs(librosa.stft(y, pad_mode="constant"))
    np.testing.assert_allclose(
        compute("rms", y, sr=SR), librosa.feature.rms(S=magnitudes).T, atol=1e-6
    )


def test_chroma_cqt_is_librosas(y):
    theirs = librosa.feature.chroma_cqt(y=y, sr=SR, tuning=0).T
    np.testing.assert_allclose(compute("chroma-cqt", y, sr=SR), theirs, atol=2e-3)


def test_chroma_cens_is_librosas(y):
    theirs = librosa.feature.chroma_cens(y=y, sr=SR, tuning=0).T
    ours = compute("chroma-cens", y, sr=SR)
    # a share on the edge of a step may fall to either side
    assert np.quantile(np.abs(ours - theirs), 0.98) < 1e-3


@pytest.mark.parametrize(
    ("chroma", "function", "settings"),
    [
        ("cqt", None, {}),
        ("cqt", None, {"bins_per_octave": 12}),
        ("cens", librosa.feature.chroma_cens, {}),
        ("cens", librosa.feature.chroma_cens, {"bins_per_octave": 12}),
        ("stft", librosa.feature.chroma_stft, {"n_fft": 1024}),
    ],
)
def test_tonnetz_is_librosas(chroma, function, settings):
    t = np.arange(3 * 44100) / 44100
    noise = np.random.default_rng(0).normal(0, 0.3, len(t))
    y = (sum(np.sin(2 * np.pi * f * t * (1 + 0.1 * t)) for f in (220, 277, 659)) + noise).astype(
        "f"
    )
    given = {} if function is None else {"chroma": function(y=y, sr=44100, tuning=0, **settings)}
    more = {"tuning": 0, **settings} if function is None else {}
    theirs = librosa.feature.tonnetz(y=y, sr=44100, **given, **more).T
    ours = compute("tonnetz", y, sr=44100, chroma=chroma, **settings)
    # a share on the edge of a step of CENS may fall to either side
    assert np.quantile(np.abs(ours - theirs), 0.99 if chroma == "cens" else 1) < 1e-5


@pytest.mark.parametrize("name", [*FROM_SPECTRUM, "rms", "chroma-cqt", "chroma-cens", "tonnetz"])
@pytest.mark.parametrize("n", [1, 100, 5000])
def test_silence_and_short_audio_give_finite_rows(name, n):
    rows = compute(name, np.zeros(n, np.float32), sr=SR)
    assert len(rows) >= 1
    assert np.isfinite(rows).all()


def test_what_cannot_be_is_refused():
    with pytest.raises(ConfigError, match="highest octave begin below 4000 Hz"):
        make("spectral-contrast", 8000)
    with pytest.raises(ConfigError, match="multiple of 12"):
        make("chroma-cqt", SR, bins_per_octave=40)
    with pytest.raises(ConfigError, match="odd"):
        make("chroma-cens", SR, smooth=4)


def test_statistics_are_scipys(rng):
    rows = rng.gamma(2, size=(50, 3)).astype(np.float32)
    rows[:, 1] = 0.1
    ours, rate = pool_rows(rows, 10.0, parse_pool("statistics"))
    assert rate is None
    x = rows[:, [0, 2]].astype(np.float64)
    theirs = [x.mean(0), x.std(0), scipy.stats.skew(x), scipy.stats.kurtosis(x)]
    theirs += [np.median(x, 0), x.min(0), x.max(0)]
    found = ours.reshape(7, 3)
    np.testing.assert_allclose(found[:, [0, 2]], theirs, rtol=1e-5)
    np.testing.assert_allclose(found[:, 1], [0.1, 0, 0, 0, 0.1, 0.1, 0.1], atol=1e-6)


def test_the_recipe_of_fma_has_its_518_numbers_in_its_order():
    """The sizes are those of features.py of the authors, in its order."""
    recipe = tomllib.loads((Path(__file__).parents[1] / "pipelines/fma-stats.toml").read_text())
    specs = parse_features(recipe["extract"]["feature"])
    sizes = [spec.make(recipe["extract"]["sr"]).n_dims for spec in specs]
    assert sizes == [12, 12, 12, 6, 20, 1, 1, 1, 1, 7, 1]
    assert 7 * sum(sizes) == 518
    names = [spec.name for spec in specs]
    assert recipe["train"]["feature"].split(",") == names
    assert recipe["train"]["pool"] == ["statistics"]


def test_several_features_are_pooled_side_by_side(tmp_path, rng):
    rows = ["path,labels,split"]
    for i in range(12):
        y = rng.uniform(-0.5, 0.5, 8000) * np.sin(np.arange(8000) * (0.05 + 0.3 * (i % 2)))
        soundfile.write(tmp_path / f"{i}.wav", y, 8000)
        rows.append(f"{i}.wav,{'ab'[i % 2]},{['train', 'train', 'test'][i % 3]}")
    (tmp_path / "tracks.csv").write_text("\n".join(rows))
    store, run = tmp_path / "s.h5", tmp_path / "run"
    mcls.extract(tmp_path / "tracks.csv", store, features=["rms", "mfcc"], sr=8000)
    mcls.train(store, run, feature="rms,mfcc", pool=["statistics"])
    assert open_run(run).model().n_features_in_ == 7 * 21
    [whole] = mcls.predict(run, [tmp_path / "2.wav"]).tracks
    stored = {one.name: one for one in mcls.predict(run, [store]).tracks}
    np.testing.assert_allclose(whole.scores, stored["2"].scores, atol=1e-5)
    with pytest.raises(ConfigError, match="no feature 'chroma'"):
        mcls.train(store, tmp_path / "other", feature="rms,chroma")
