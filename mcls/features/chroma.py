"""Chroma: the energy of each pitch class."""

from functools import lru_cache

import numpy as np

from mcls.features.feature import check, over_largest
from mcls.features.signal import Signal
from mcls.features.spectrogram import FramedFeature
from mcls.registry import register


@register("features", "chroma")
class Chroma(FramedFeature):
    """Energy of each pitch class, from the power spectrum.

    Parameters
    ----------
    sr : int
        Rate of the audio in Hz.
    n_chroma : int
        Pitch classes per octave.
    tuning : float
        Deviation from A = 440 Hz, in pitch classes.
    n_fft : int
        Frame length in samples.
    hop_length : int
        Samples from frame to frame.
    win_length : int or None
        Length of the window in samples, padded to n_fft; none: n_fft.
    window : str
        Window, by its name in scipy.signal.
    center : bool
        Centre frame t on sample t x hop_length, with zeros beyond the ends.
    delta : int
        Orders of delta appended: 0, 1 or 2.

    References
    ----------
    Ellis (2007), Chroma feature analysis and synthesis; equal to ``librosa.feature.chroma_stft``.

    Differs from librosa: the tuning is given, not estimated from the track.
    """

    def __init__(
        self,
        sr: int,
        *,
        n_chroma: int = 12,
        tuning: float = 0.0,
        n_fft: int = 2048,
        hop_length: int = 512,
        win_length: int | None = None,
        window: str = "hann",
        center: bool = True,
        delta: int = 0,
    ) -> None:
        super().__init__(sr, n_fft, hop_length, win_length, window, center, delta)
        check("chroma", n_chroma=(n_chroma >= 1, f"must be 1 or more, not {n_chroma}"))
        self.filters = _filters(sr, n_fft, n_chroma, tuning)
        self.n_local = self.n_static = n_chroma

    def local(self, signal: Signal) -> np.ndarray:
        """Return the pitch classes' energies over the frame's largest, ``(n_frames, n_chroma)``."""
        return over_largest(self.power_spectrum(signal) @ self.filters)


@lru_cache(maxsize=8)
def _filters(sr: int, n_fft: int, n_chroma: int, tuning: float) -> np.ndarray:
    from librosa import filters

    bank = filters.chroma(sr=sr, n_fft=n_fft, n_chroma=n_chroma, tuning=tuning)
    return np.ascontiguousarray(bank.T, np.float32)
