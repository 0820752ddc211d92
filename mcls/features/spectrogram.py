"""The spectrogram, and the base class of features of short-time spectra."""

from typing import Any, Literal

import numpy as np

from mcls.features.feature import Feature, check, compressed, expanded
from mcls.features.inversion import griffin_lim
from mcls.features.signal import Signal
from mcls.registry import register


class FramedFeature(Feature):
    """A feature of the short-time Fourier transform.

    Parameters
    ----------
    n_fft : int
        Frame length in samples.
    hop_length : int
        Samples from frame to frame.
    win_length : int or None
        Window length in samples, zero-padded to n_fft; none: n_fft.
    window : str
        Window function, by its name in scipy.signal.
    center : bool
        Centre frame t on sample t x hop_length and pad the ends with zeros.
    """

    def __init__(
        self,
        sr: int,
        n_fft: int,
        hop_length: int,
        win_length: int | None,
        window: str,
        center: bool,
        delta: int,
    ) -> None:
        self.sr = sr
        self.n_fft = n_fft
        self.hop_length = hop_length
        self.win_length = n_fft if win_length is None else win_length
        self.window = window
        self.center = center
        self.delta = delta
        self.margin = n_fft
        check(
            type(self).__name__.lower(),
            n_fft=(n_fft >= 2, f"must be 2 or more, not {n_fft}"),
            hop_length=(hop_length >= 1, f"must be 1 or more, not {hop_length}"),
            win_length=(
                1 <= self.win_length <= n_fft,
                f"must be in 1..n_fft ({n_fft}), not {win_length}",
            ),
            delta=(delta in (0, 1, 2), f"must be 0, 1 or 2, not {delta}"),
        )

    def audio(self, rows: np.ndarray) -> np.ndarray:
        """Estimate the phases of the frames' magnitudes by Griffin & Lim's algorithm."""
        return griffin_lim(
            self.magnitudes(rows),
            n_fft=self.n_fft,
            hop_length=self.hop_length,
            win_length=self.win_length,
            window=self.window,
            center=self.center,
        )

    def magnitudes(self, rows: np.ndarray) -> np.ndarray:
        """Return the magnitudes of the bins, ``(n_frames, 1 + n_fft // 2)``, given rows."""
        return super().audio(rows)  # which refuses

    def power_spectrum(self, signal: Signal) -> np.ndarray:
        """Return the frames' power spectra, ``(n_frames, 1 + n_fft // 2)``."""
        return signal.power(
            n_fft=self.n_fft,
            hop_length=self.hop_length,
            win_length=self.win_length,
            window=self.window,
            center=self.center,
        )


def raised(power_spectrum: np.ndarray, power: float) -> np.ndarray:
    """Return magnitudes raised to `power`, given their squares."""
    if power == 2:
        return power_spectrum
    return np.sqrt(power_spectrum) if power == 1 else power_spectrum ** np.float32(power / 2)


@register("features", "spectrogram")
class Spectrogram(FramedFeature):
    """Magnitude of the short-time Fourier transform.

    Parameters
    ----------
    power : float
        Exponent of the magnitudes: 1 for magnitude, 2 for power.

    References
    ----------
    Equal to ``librosa.stft`` and ``librosa.amplitude_to_db``.
    """

    def __init__(
        self,
        sr: int,
        *,
        n_fft: int = 2048,
        hop_length: int = 512,
        win_length: int | None = None,
        window: str = "hann",
        center: bool = True,
        power: float = 1.0,
        compress: Literal["db", "log1p", "none"] = "db",
        gain: float = 10.0,
        top_db: float | None = 80.0,
        delta: int = 0,
    ) -> None:
        super().__init__(sr, n_fft, hop_length, win_length, window, center, delta)
        check("spectrogram", power=(power > 0, f"must be above 0, not {power}"))
        self.power = power
        self.compression: dict[str, Any] = {"compress": compress, "gain": gain, "top_db": top_db}
        self.n_local = self.n_static = 1 + n_fft // 2
        self.axis = np.fft.rfftfreq(n_fft, 1.0 / sr)

    def local(self, signal: Signal) -> np.ndarray:
        """Return the magnitudes raised to ``power``."""
        return raised(self.power_spectrum(signal), self.power)

    def magnitudes(self, rows: np.ndarray) -> np.ndarray:
        """Undo the compression."""
        kept = {key: self.compression[key] for key in ("compress", "gain")}
        return expanded(rows, power=self.power, **kept) ** (1 / self.power)

    def finish(self, rows: np.ndarray, peak: float) -> np.ndarray:
        """Compress the magnitudes."""
        return compressed(rows, peak, power=self.power, **self.compression)
