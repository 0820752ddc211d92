"""The audio itself."""

from typing import ClassVar

import numpy as np

from mcls.features.feature import Feature
from mcls.features.signal import Signal
from mcls.registry import register


@register("features", "waveform")
class Waveform(Feature):
    """The samples, a row each, as 16-bit integers; for nets that read the waveform.

    Parameters
    ----------
    sr : int
        Rate of the audio in Hz.

    Differs from a wav file: what lies beyond [-1, 1] is cut off; 1.0 is 32767.
    """

    dtype: ClassVar[str | None] = "int16"

    def __init__(self, sr: int) -> None:
        self.sr = sr
        self.hop_length = 1
        self.margin = 0
        self.n_local = self.n_static = 1

    def local(self, signal: Signal) -> np.ndarray:
        """Return the samples, ``(n_samples, 1)``."""
        return signal.y[:, None]

    def finish(self, rows: np.ndarray, peak: float) -> np.ndarray:
        """Return whole numbers in -32767..32767."""
        return np.rint(np.clip(rows, -1, 1) * np.float32(32767))
