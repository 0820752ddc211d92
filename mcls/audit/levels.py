"""Faults of level that can be measured block by block: clipping, a constant offset, silence."""

import numpy as np

#: Samples in a row at the peak from which the peak is flat, and the seconds of them that matter.
_FLAT, _FLAT_SECONDS = 3, 0.001
#: A constant offset that matters, by the peak, and in full scale.
_OFFSET = 0.02
#: Below this level in full scale, frames of a track are silent: -60 dB.
_SILENT = 1e-3


class LevelMeter:
    """Measures the level of a track whose samples come in blocks.

    Parameters
    ----------
    sr : int
        Sampling rate in Hz.

    Examples
    --------
    >>> meter = LevelMeter(8000)
    >>> meter.add(np.clip(2 * np.sin(np.arange(8000) / 20), -1, 1).astype(np.float32))
    >>> sorted(meter.faults())
    ['clipping']
    """

    def __init__(self, sr: int) -> None:
        self.sr = sr
        self.n_samples = 0
        self._sum = 0.0
        self._loud = 0
        self._peak = 0.0
        self._flat = 0

    def add(self, y: np.ndarray) -> None:
        """Measure a block of mono samples."""
        self.n_samples += len(y)
        self._sum += float(y.sum(dtype=np.float64))
        level = np.abs(y)
        self._loud += int((level > _SILENT).sum())
        peak = float(level.max(initial=0.0))
        if peak > self._peak * 1.0005:
            self._peak, self._flat = peak, 0
        at_peak = np.flatnonzero(np.diff(np.pad(level >= 0.9995 * self._peak, 1).astype(np.int8)))
        lengths = at_peak[1::2] - at_peak[::2]
        self._flat += int(lengths[lengths >= _FLAT].sum())

    def faults(self) -> dict[str, str]:
        """Return what is wrong, by kind: clipping, offset, silence."""
        found: dict[str, str] = {}
        if not self.n_samples:
            return found
        if self._peak < _SILENT:
            return {"silence": f"no sample exceeds {20 * np.log10(_SILENT):.0f} dB"}
        offset = self._sum / self.n_samples
        if abs(offset) > max(_OFFSET * self._peak, _SILENT):
            found["offset"] = f"the mean of the samples is {offset:+.3f}"
        if self._flat > _FLAT_SECONDS * self.sr:
            found["clipping"] = f"{1000 * self._flat / self.sr:.1f} ms are flat at the peak"
        if self._loud < 0.01 * self.n_samples:
            found["silence"] = f"{100 - 100 * self._loud / self.n_samples:.1f} % is silent"
        return found
