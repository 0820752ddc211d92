import random

import numpy as np
import pytest
import soundfile

from mcls.errors import ConfigError, DataError
from mcls.features.augmentations import augment, parse_augmentations, threatens
from mcls.features.extractor import Extractor
from mcls.features.specs import parse_features
from mcls.registry import entries

SR = 22050


def tone(frequency: float, seconds: float = 3.0) -> np.ndarray:
    t = np.arange(int(seconds * SR)) / SR
    return (0.3 * np.sin(2 * np.pi * frequency * t)).astype(np.float32)


def peak_of(y: np.ndarray) -> float:
    """The loudest frequency in Hz."""
    spectrum = np.abs(np.fft.rfft(y * np.hanning(len(y))))
    return spectrum.argmax() * SR / len(y)


def test_a_pitch_shift_moves_a_tone_by_its_semitones():
    for semitones in (-2, 3):
        moved = augment(tone(440), SR, parse_augmentations([f"pitch-shift={semitones}"]), [0])
        assert peak_of(moved) == pytest.approx(440 * 2 ** (semitones / 12), rel=0.01)
        assert len(moved) == 3 * SR


def test_a_time_stretch_keeps_the_pitch_and_changes_the_length():
    faster = augment(tone(440), SR, parse_augmentations(["time-stretch=1.25"]), [0])
    assert len(faster) == pytest.approx(3 * SR / 1.25, rel=0.01)
    assert peak_of(faster) == pytest.approx(440, rel=0.01)


def test_noise_has_the_drawn_ratio(rng):
    y = rng.normal(0, 0.1, 5 * SR).astype(np.float32)
    added = augment(y, SR, parse_augmentations(["noise=20"]), [0]) - y
    assert 10 * np.log10(np.mean(y**2) / np.mean(added**2)) == pytest.approx(20, abs=0.2)


def test_gain_is_in_decibels():
    y = tone(440)
    louder = augment(y, SR, parse_augmentations(["gain=6"]), [0])
    np.testing.assert_allclose(louder, y * 10 ** (6 / 20), rtol=1e-5)


def test_an_equaliser_keeps_within_its_range_and_leaves_out_bands_it_cannot_have(rng):
    for sr in (8000, SR, 96000):
        y = rng.normal(0, 0.1, 2 * sr).astype(np.float32)
        changed = augment(y, sr, parse_augmentations(["equalise=-6..6"]), [3])
        assert changed.shape == y.shape
        assert np.isfinite(changed).all()
        assert not np.array_equal(changed, y)


def test_the_same_copy_is_the_same_audio_and_global_generators_are_left_alone(rng):
    y = rng.normal(0, 0.1, SR).astype(np.float32)
    asked = parse_augmentations(["noise", "gain", "pitch-shift", "time-stretch", "equalise"])
    random.seed(7)
    np.random.seed(7)
    before = random.getstate(), np.random.get_state()[1].copy()
    one, same, other = (augment(y, SR, asked, seed) for seed in ([0, 1], [0, 1], [0, 2]))
    assert np.array_equal(one, same)
    assert one.shape != other.shape or not np.array_equal(one, other)
    assert random.getstate() == before[0]
    assert np.array_equal(np.random.get_state()[1], before[1])


@pytest.mark.parametrize("name", sorted(entries("augmentations")))
@pytest.mark.parametrize("n", [1, 2, 300, 5000])
@pytest.mark.parametrize("value", [0.0, 0.5])
def test_silent_constant_and_short_audio_gives_finite_copies(name, n, value):
    changed = augment(np.full(n, value, np.float32), SR, parse_augmentations([name]), [0])
    assert len(changed) == (n if name != "time-stretch" else pytest.approx(n, rel=0.12, abs=1))
    assert np.isfinite(changed).all()


def test_a_copy_that_is_not_finite_is_a_reason(tmp_path):
    soundfile.write(tmp_path / "x.wav", tone(440), SR)
    extractor = Extractor(parse_features(["mel"]), sr=SR)
    with pytest.raises(DataError, match="the augmented audio has samples that are NaN"):
        extractor.track(tmp_path / "x.wav", lambda y, sr: y * np.float32(np.nan))


def test_the_order_is_not_that_of_the_words():
    asked = parse_augmentations(["gain", "time-stretch=0.8..1.2", "pitch-shift"])
    assert [str(one) for one in asked] == [
        "pitch-shift=-2..2",
        "time-stretch=0.8..1.2",
        "gain=-6..6",
    ]


def test_label_safe_leaves_out_what_threatens_labels():
    assert threatens("pitch-shift") == ["key", "pitch"]
    asked = parse_augmentations(["pitch-shift", "noise", "equalise"], label_safe=True)
    assert [one.name for one in asked] == ["equalise", "noise"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nois"], "did you mean 'noise'"),
        (["noise=3..1"], "lower bound 3 is above the upper bound 1"),
        (["noise=loud"], "NAME=LOW..HIGH"),
        (["gain", "gain"], "given twice"),
    ],
)
def test_errors_say_what_to_do(words, message):
    with pytest.raises(ConfigError, match=message):
        parse_augmentations(words)
