"""The waveform as a feature."""

from typing import ClassVar

import numpy as np

from mcls.features.feature import Feature
from mcls.features.signal import Signal
from mcls.registry import register


@register("features", "waveform")
class Waveform(Feature):
    """Waveform: one sample per row as a 16-bit integer, for nets that read the waveform.

    Samples beyond [-1, 1] are clipped; 1.0 is stored as 32767.
    """

    dtype: ClassVar[str | None] = "int16"
    unit: ClassVar[str] = "16-bit sample"

    def __init__(self, sr: int) -> None:
        self.sr = sr
        self.hop_length = 1
        self.margin = 0
        self.n_local = self.n_static = 1

    def local(self, signal: Signal) -> np.ndarray:
        """Return the samples, ``(n_samples, 1)``."""
        return signal.y[:, None]

    def finish(self, rows: np.ndarray, peak: float) -> np.ndarray:
        """Return integers between -32767 and 32767."""
        return np.rint(np.clip(rows, -1, 1) * np.float32(32767))

    def audio(self, rows: np.ndarray) -> np.ndarray:
        """Return the samples."""
        return np.clip(rows[:, 0] / np.float32(32767), -1, 1)
