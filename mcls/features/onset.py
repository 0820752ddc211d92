"""Onset strength, and its autocorrelation over time (tempogram)."""

from typing import ClassVar, Literal

import numpy as np

from mcls.features.feature import check, compressed, over_largest
from mcls.features.mel import MelFeature
from mcls.features.signal import window_of
from mcls.registry import register


@register("features", "onset")
class Onset(MelFeature):
    """Onset strength: the mean increase of the mel bands, one number per frame.

    Parameters
    ----------
    lag : int
        Number of frames over which the increase is measured.
    compress : {'db', 'log1p'}
        Compression of the bands: decibels (db) or log10(1 + gain x) (log1p).

    References
    ----------
    Böck & Widmer (2013); equal to ``librosa.onset.onset_strength``. That of Nam et al. (2012) is
    ``onset:n_fft=1024,n_mels=40,compress=log1p,power=1`` at 22050 Hz.
    """

    def __init__(
        self,
        sr: int,
        *,
        lag: int = 1,
        n_fft: int = 2048,
        hop_length: int = 512,
        n_mels: int = 128,
        delta: int = 0,
        compress: Literal["db", "log1p"] = "db",
        power: float = 2.0,
        gain: float = 100.0,
    ) -> None:
        super().__init__(sr, n_fft, hop_length, None, "hann", True, delta)
        self.use_bands(n_mels, 0.0, None, False, "slaney", power)
        check(
            type(self).__name__.lower(),
            lag=(lag >= 1, f"must be 1 or more, not {lag}"),
            gain=(compress == "db" or gain > 0, f"must be above 0, not {gain}"),
        )
        self.lag = lag
        self.compress = compress
        self.gain = gain
        self.delay = onset_delay(n_fft, hop_length)
        self.reach = lag + self.delay
        self.n_local = n_mels
        self.n_static = 1

    def finish(self, rows: np.ndarray, peak: float) -> np.ndarray:
        """Return the onset strength, ``(n_frames, 1)``."""
        return self.strength(rows, peak)[:, None]

    def strength(self, rows: np.ndarray, peak: float) -> np.ndarray:
        """Return the onset strength, ``(n_frames,)``; 0 in frames without an earlier one."""
        loudness = compressed(
            rows, peak, compress=self.compress, power=self.power, gain=self.gain, top_db=80.0
        )
        rise = np.maximum(loudness[self.lag :] - loudness[: -self.lag], 0).mean(axis=1)
        return np.pad(rise, (self.lag + self.delay, 0))[: len(rows)].astype(np.float32)


def onset_delay(n_fft: int, hop_length: int) -> int:
    """Return by how many frames the onset strength is stored after the increase.

    A centred frame rises half its length before the onset reaches its centre.
    """
    return n_fft // (2 * hop_length)


@register("features", "tempogram")
class Tempogram(Onset):
    """Tempogram: autocorrelation of the onset strength around each frame.

    Parameters
    ----------
    win_length : int
        Number of frames to correlate; dimension k is a period of k frames.

    References
    ----------
    Grosche, Müller & Kurth (2010); equal to ``librosa.feature.tempogram``.
    """

    unit: ClassVar[str] = "autocorrelation"

    def __init__(
        self,
        sr: int,
        *,
        win_length: int = 384,
        lag: int = 1,
        n_fft: int = 2048,
        hop_length: int = 512,
        n_mels: int = 128,
    ) -> None:
        super().__init__(sr, lag=lag, n_fft=n_fft, hop_length=hop_length, n_mels=n_mels)
        check("tempogram", win_length=(win_length >= 2, f"must be 2 or more, not {win_length}"))
        self.length = win_length
        self.reach += win_length // 2
        self.n_static = win_length

    def finish(self, rows: np.ndarray, peak: float) -> np.ndarray:
        """Return the autocorrelations, ``(n_frames, win_length)``, each frame scaled to 1."""
        from scipy import fft

        side = self.length // 2
        # Beyond the track it decays to 0; within a track the caller drops the padded rows.
        strength = np.pad(self.strength(rows, peak), side, mode="linear_ramp", end_values=0)
        frames = np.lib.stride_tricks.sliding_window_view(strength, self.length)[: len(rows)]
        n_fft = fft.next_fast_len(2 * self.length - 1, real=True)
        window = window_of("hann", self.length).astype(np.float32)
        found = np.empty((len(rows), self.length), np.float32)
        for start in range(0, len(rows), 1024):
            spectrum = fft.rfft(frames[start : start + 1024] * window, n_fft, axis=1)
            power = spectrum.real**2 + spectrum.imag**2
            found[start : start + 1024] = fft.irfft(power, n_fft, axis=1)[:, : self.length]
        return over_largest(found)
