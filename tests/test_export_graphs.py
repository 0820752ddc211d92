"""The exported graphs against the layers and features they replace."""

import librosa
import numpy as np
import pytest
import torch
from torch import nn

from mcls.export.any_length import of_any_length
from mcls.export.graph import SegmentGraph
from mcls.export.mel_graph import MelGraph, Spectrum
from mcls.features.mel import Mel

SR, N_MELS = 8000, 24


@pytest.mark.parametrize("kind", [nn.GRU, nn.LSTM])
def test_a_recurrent_layer_as_a_loop_is_the_same(kind) -> None:
    torch.manual_seed(2)
    layer = nn.Sequential(kind(5, 4, num_layers=2, batch_first=True)).eval()
    for n_steps in (1, 2, 9):
        x = torch.randn(3, n_steps, 5)
        with torch.no_grad():
            expected = layer(x)[0]
            with of_any_length(layer):
                found = layer(x)[0]
        assert torch.allclose(found, expected, rtol=0, atol=1e-6), n_steps
    assert "forward" not in vars(layer[0])


@pytest.mark.parametrize("size", [1, 7, (2, 3)])
def test_means_of_parts_and_pools_of_any_length_are_the_same(size) -> None:
    parts, pool = nn.AdaptiveAvgPool2d(size), nn.MaxPool1d(3, stride=2, padding=1)
    for n in (1, 2, 6, 7, 8, 30):
        x = torch.randn(2, 4, n, 5)
        expected = parts(x), pool(x[..., 0])
        with of_any_length(nn.ModuleList([parts, pool])):
            found = parts(x), pool(x[..., 0])
        assert torch.allclose(found[0], expected[0], rtol=0, atol=1e-6), n
        assert torch.equal(found[1], expected[1]), n


@pytest.mark.parametrize("n_fft", [2, 7, 400, 441, 1024])
def test_the_spectrum_is_that_of_numpy(n_fft, rng) -> None:
    frames = rng.normal(size=(5, n_fft))
    expected = np.abs(np.fft.rfft(frames)) ** 2
    found = Spectrum(n_fft)(torch.from_numpy(frames)).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"win_length": 400, "fmin": 50.0, "fmax": 3000.0, "htk": True, "norm": "none"},
        {"power": 1.0, "compress": "none"},
        {"compress": "log1p", "gain": 10000.0},
        {"center": False, "top_db": None},
        {"power": 1.5, "top_db": 40.0, "window": "hamming"},
    ],
)
def test_mel_is_that_of_the_extractor_and_of_librosa(settings, rng) -> None:
    y = (rng.normal(0, 0.1, 9000) * np.hanning(9000)).astype(np.float32)
    feature = Mel(SR, n_fft=512, hop_length=200, n_mels=N_MELS, **settings)
    found = MelGraph(feature)(torch.from_numpy(y)).numpy()
    stored = feature.rows(y)
    assert found.dtype == np.float32
    assert np.abs(found - stored).max() <= 1e-4 * np.abs(stored).max()
    if settings.get("compress", "db") == "db" and "power" not in settings:
        power = librosa.feature.melspectrogram(
            y=y.astype(np.float64),
            sr=SR,
            n_fft=512,
            hop_length=200,
            n_mels=N_MELS,
            win_length=settings.get("win_length"),
            center=settings.get("center", True),
            fmin=settings.get("fmin", 0.0),
            fmax=settings.get("fmax"),
            htk=settings.get("htk", False),
            norm=None if settings.get("norm") == "none" else "slaney",
        )
        expected = librosa.power_to_db(power, top_db=settings.get("top_db", 80.0)).T
        assert np.abs(found - expected).max() < 1e-4  # dB


def test_rows_of_16_bits_are_rounded_as_the_store_rounds(rng) -> None:
    y = rng.normal(0, 0.1, 4000).astype(np.float32)
    feature = Mel(SR, n_fft=512, n_mels=N_MELS)
    found = MelGraph(feature, half=True)(torch.from_numpy(y)).numpy()
    assert np.array_equal(found, found.astype(np.float16).astype(np.float32))
    assert np.abs(found - feature.rows(y)).max() < 0.05


def test_a_label_the_net_never_saw_has_the_lowest_score() -> None:
    class Model:
        kind, lowest, highest = "margin", -1e6, 1e6
        net, standardise = torch.nn.Flatten(), torch.nn.Identity()

        class spec:  # noqa: N801
            outputs, always = (0, 3), (2,)
            target_scale = target_mean = ()

    x = torch.tensor([[[1.5, -2.0]]])
    logits, scores = SegmentGraph(Model, 4)(x)
    assert logits.tolist() == [[1.5, -2.0]]
    assert scores.tolist() == [[1.5, -1e6, 1e6, -2.0]]
