"""Chroma features."""

from functools import lru_cache
from typing import ClassVar

import numpy as np

from mcls.features.feature import check, over_largest
from mcls.features.signal import Signal
from mcls.features.spectrogram import FramedFeature
from mcls.registry import register

#: The names of twelve pitch classes.
PITCHES = ("C", "C♯", "D", "D♯", "E", "F", "F♯", "G", "G♯", "A", "A♯", "B")


@register("features", "chroma")
class Chroma(FramedFeature):
    """Chroma: energy of each pitch class, from the power spectrum.

    Parameters
    ----------
    n_chroma : int
        Number of pitch classes per octave.
    tuning : float
        Deviation from A = 440 Hz in pitch classes.

    References
    ----------
    Ellis (2007), Chroma feature analysis and synthesis; equal to ``librosa.feature.chroma_stft``.

    Differs from librosa: the tuning is given, not estimated from the track.
    """

    unit: ClassVar[str] = "share of the largest"

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
        if n_chroma == len(PITCHES):
            self.names = PITCHES

    def local(self, signal: Signal) -> np.ndarray:
        """Return the energies divided by the largest of the frame, ``(n_frames, n_chroma)``."""
        return over_largest(self.power_spectrum(signal) @ self.filters)


@lru_cache(maxsize=8)
def _filters(sr: int, n_fft: int, n_chroma: int, tuning: float) -> np.ndarray:
    """Return the weight of every bin in every pitch class, ``(1 + n_fft // 2, n_chroma)``.

    A bin is spread around its pitch by as much as it is wide; bins far from the middle octaves
    (440 Hz is the fifth A) count less.
    """
    octaves = np.log2(np.arange(1, n_fft) * sr / n_fft / (27.5 * 2 ** (tuning / n_chroma)))
    octaves = np.concatenate([[octaves[0] - 1.5], octaves])  # the bin of 0 Hz has no pitch
    widths = np.concatenate([np.maximum(np.diff(octaves) * n_chroma, 1), [1]])
    half = round(n_chroma / 2)
    apart = octaves[:, None] * n_chroma - np.arange(n_chroma)
    apart = (apart + half) % n_chroma - half
    weights = np.exp(-2 * (apart / widths[:, None]) ** 2)
    weights /= np.linalg.norm(weights, axis=1, keepdims=True)
    weights *= np.exp(-0.5 * ((octaves[:, None] - 5) / 2) ** 2)
    first = 3 * (n_chroma // 12)  # classes are counted from C, pitches from A
    return np.roll(weights, -first, axis=1)[: 1 + n_fft // 2].astype(np.float32)
