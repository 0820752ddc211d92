"""Audio with a cache of its spectra, so that features computed together share them."""

from collections.abc import Callable, Hashable
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np

from mcls.errors import ConfigError

T = TypeVar("T")

_BLOCK_BYTES = 1 << 19  # frames per transform, so that they and their spectra stay in the CPU cache


class Signal:
    """Mono audio with a cache.

    Parameters
    ----------
    y : np.ndarray, shape (n_samples,), float32
        Audio.
    sr : int
        Sampling rate in Hz.
    """

    def __init__(self, y: np.ndarray, sr: int) -> None:
        self.y = y
        self.sr = sr
        self._known: dict[Hashable, Any] = {}

    def once(self, key: Hashable, compute: Callable[[], T]) -> T:
        """Return the result of `compute`, which is called the first time only."""
        if key not in self._known:
            self._known[key] = compute()
        return self._known[key]

    def power(
        self, *, n_fft: int, hop_length: int, win_length: int, window: str, center: bool
    ) -> np.ndarray:
        """Return the power spectrum of every frame.

        Parameters
        ----------
        n_fft, hop_length, win_length : int
            Lengths in samples; a shorter window is centred in the frame.
        window : str
            Window function, by its name in scipy.signal.
        center : bool
            Centre frame t on sample ``t * hop_length`` and pad the ends with zeros, instead of
            starting it there.

        Returns
        -------
        np.ndarray, shape (n_frames, 1 + n_fft // 2), float32
            ``1 + n_samples // hop_length`` frames if centred.
        """
        key = ("power", n_fft, hop_length, win_length, window, center)
        return self.once(key, lambda: _power(self.y, n_fft, hop_length, win_length, window, center))


def frames_of(y: np.ndarray, n_fft: int, hop_length: int, center: bool) -> np.ndarray:
    """Return overlapping frames of a signal as a read-only view, ``(n_frames, n_fft)``."""
    if center:
        y = np.pad(y, n_fft // 2)
    if len(y) < n_fft:
        y = np.pad(y, (0, n_fft - len(y)))
    return np.lib.stride_tricks.sliding_window_view(y, n_fft)[::hop_length]


def _power(
    y: np.ndarray, n_fft: int, hop_length: int, win_length: int, window: str, center: bool
) -> np.ndarray:
    from scipy.fft import rfft  # six times as fast as numpy's; too slow to import for --help

    frames = frames_of(y, n_fft, hop_length, center)
    weights = centred_window(window, win_length, n_fft)
    power = np.empty((len(frames), 1 + n_fft // 2), np.float32)
    step = max(1, _BLOCK_BYTES // (4 * n_fft))
    windowed = np.empty((step, n_fft), np.float32)
    for start in range(0, len(frames), step):
        block = frames[start : start + step]
        spectrum = rfft(np.multiply(block, weights, out=windowed[: len(block)]), axis=1)
        parts = spectrum.view(np.float32).reshape(*spectrum.shape, 2)
        np.multiply(parts, parts, out=parts)
        np.add(parts[..., 0], parts[..., 1], out=power[start : start + step])
    return power


@lru_cache(maxsize=32)
def centred_window(window: str, win_length: int, n_fft: int) -> np.ndarray:
    """Return a periodic window padded with zeros to `n_fft` on both sides, float32."""
    weights = window_of(window, win_length)
    left = (n_fft - win_length) // 2
    return np.pad(weights, (left, n_fft - win_length - left)).astype(np.float32)


def window_of(name: str, n: int) -> np.ndarray:
    """Return a periodic window of `n` samples, float64, by its name in scipy.signal.

    Raises
    ------
    ConfigError
        If scipy has no such window.
    """
    if name == "hann":  # importing scipy.signal would take longer than extracting a clip
        return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n)
    from scipy.signal import get_window

    try:
        return get_window(name, n)
    except ValueError as error:
        raise ConfigError(f"window {name!r}: {error}") from error
