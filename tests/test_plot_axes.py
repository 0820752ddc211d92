"""The parts of plots: frequency ticks, learning curves and colours."""

import librosa
import numpy as np
import pytest

from mcls.chain.step import axes_of
from mcls.disk.chain import Step
from mcls.plots.axes import dim_ticks, feature_axis, frequency_ticks
from mcls.plots.colours import AMOUNT, ROWS, SIGNED, lab_to_rgb, scale_of
from mcls.plots.curves import by_quantity

EXTRACTION = {"sr": 22050, "excerpt": None, "dtype": "float32"}


def hz(label: str) -> float:
    return 1000 * float(label[:-1]) if label.endswith("k") else float(label)


@pytest.mark.parametrize("n_mels", [16, 40, 128])
@pytest.mark.parametrize("htk", [False, True])
def test_ticks_of_mel_stand_where_librosa_has_the_bands(n_mels: int, htk: bool) -> None:
    step = Step("feature", "mel", {**EXTRACTION, "n_mels": n_mels, "htk": htk})
    positions, labels = dim_ticks(axes_of((step,), n_dims=n_mels).dimensions, 8)
    centres = librosa.mel_frequencies(n_mels + 2, fmin=0, fmax=11025, htk=htk)[1:-1]
    there = np.interp(positions, np.arange(n_mels), centres)
    assert len(labels) >= 4
    np.testing.assert_allclose(there, [hz(label) for label in labels], rtol=1e-6)
    assert np.diff(positions).min() >= n_mels / 8.5
    assert "1k" in labels


def test_ticks_of_cqt_stand_where_librosa_has_the_bins() -> None:
    step = Step("feature", "cqt", {**EXTRACTION, "n_bins": 84, "fmin": 32.70319566257483})
    positions, labels = dim_ticks(axes_of((step,)).dimensions, 8)
    bins = librosa.cqt_frequencies(84, fmin=librosa.note_to_hz("C1"))
    for at, label in zip(positions, labels, strict=True):
        # A bin is 6 % wide; between two of them the axis is taken for linear, which is off by
        # an eighth of the square of that.
        assert 12 * np.log2(hz(label) / bins[0]) == pytest.approx(at, abs=0.02)
    assert labels == ["50", "100", "200", "500", "1k", "2k"]


def test_ticks_of_a_linear_axis_are_evenly_spaced() -> None:
    frequencies = librosa.fft_frequencies(sr=22050, n_fft=2048)
    positions, labels = frequency_ticks(frequencies, 6)
    assert labels == ["0", "2k", "4k", "6k", "8k", "10k"]
    np.testing.assert_allclose(frequencies[1] * np.array(positions), [hz(x) for x in labels])


@pytest.mark.parametrize("frequencies", [[440.0], [430.0, 450.0], [430.0, 440.0, 450.0, 490.0]])
def test_a_narrow_axis_has_ticks_too(frequencies: list[float]) -> None:
    positions, labels = frequency_ticks(np.array(frequencies), 3)
    assert len(positions) == len(labels) >= 1
    assert all(0 <= at <= len(frequencies) - 1 for at in positions)


def test_deltas_repeat_the_frequencies_and_other_dimensions_are_counted() -> None:
    axis = feature_axis("mel", 24, np.linspace(100, 1200, 12), delta=1)
    positions, labels = dim_ticks(axis, 8)
    there = np.interp(np.array(positions) % 12, np.arange(12), np.linspace(100, 1200, 12))
    np.testing.assert_allclose(there, [hz(label) for label in labels])
    assert positions[0] < 12 < positions[-1]
    assert np.diff(positions).min() >= 12 / 4.5
    assert dim_ticks(feature_axis("mfcc", 20, None), 4)[1] == ["0", "5", "10", "15"]


def test_parts_of_a_quantity_come_together() -> None:
    history = [
        {"epoch": 3, "train_loss": 2.0, "valid_loss": 3, "lr": 0.1, "energy_valid": float("nan")},
        {"epoch": 4, "train_loss": 1.0, "valid_loss": None, "lr": 0.1, "energy_train": -1.0},
    ]
    found = by_quantity(history)
    assert {name: list(parts) for name, parts in found.items()} == {
        "loss": ["train", "valid"],
        "lr": [""],
        "energy": ["train"],
    }
    assert [values.tolist() for values in found["loss"]["train"]] == [[3, 4], [2, 1]]
    assert [values.tolist() for values in found["loss"]["valid"]] == [[3], [3]]


def test_a_plain_series_is_that_of_train_and_many_alike_are_one_quantity() -> None:
    found = by_quantity(
        [
            {"objective": 2.0, "valid_objective": 3.0, "free_energy": 1.0, "learning_rate": 0.1},
            {"grad_a": 1.0, "grad_b": 2.0, "grad_c": 3.0},
        ]
    )
    assert {name: list(parts) for name, parts in found.items()} == {
        "objective": ["train", "valid"],
        "free_energy": [""],
        "learning_rate": [""],
        "grad": ["a", "b", "c"],
    }


def test_colours_are_the_published_ones_and_equal_steps_look_equal() -> None:
    # CIELAB of the sRGB primaries (D65), as in Lindbloom's calculator.
    lab = np.array([[53.24, 80.09, 67.20], [87.73, -86.18, 83.18], [32.30, 79.19, -107.86]])
    np.testing.assert_allclose(lab_to_rgb(lab), np.eye(3), atol=0.015)
    for colours, turns in ((AMOUNT, 1), (SIGNED, 2)):
        rgb = colours(range(colours.N))[:, :3]
        linear = np.where(rgb > 0.04045, ((rgb + 0.055) / 1.055) ** 2.4, rgb / 12.92)
        lightness = 116 * np.cbrt(linear @ [0.2126, 0.7152, 0.0722]) - 16
        steps = np.diff(lightness)
        np.testing.assert_allclose(np.abs(steps), np.abs(steps).mean(), rtol=0.05)
        assert np.count_nonzero(np.diff(np.sign(steps)) != 0) <= turns
    np.testing.assert_allclose(SIGNED(0.5)[:3], 1, atol=0.03)


def test_values_on_both_sides_of_zero_have_a_scale_that_is_symmetric() -> None:
    colours, ends, _ = scale_of(np.array([-1.0, 3.0, np.nan]))
    assert colours is SIGNED
    assert (ends.vmin, ends.vmax) == (-3, 3)
    colours, ends, _ = scale_of(np.array([1.0, 3.0]))
    assert colours is ROWS
    assert (ends.vmin, ends.vmax) == (1, 3)
    assert scale_of(np.array([0.0, 3.0]), sparse=True)[0] is AMOUNT
    for same in (0.0, 2.0, -2.0):
        ends = scale_of(np.full(3, same))[1]
        assert ends.vmax > ends.vmin
