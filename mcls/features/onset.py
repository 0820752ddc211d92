"""Onset novelty, and its autocorrelation over time."""

from typing import Literal

import numpy as np

from mcls.features.feature import check, compressed, over_largest
from mcls.features.mel import MelFeature
from mcls.features.signal import window_of
from mcls.registry import register


class Novelty(MelFeature):
    """What novelty features share: how much louder the mel bands have become."""

    def __init__(
        self,
        sr: int,
        lag: int,
        n_fft: int,
        hop_length: int,
        n_mels: int,
        delta: int = 0,
        compress: str = "db",
        power: float = 2.0,
        gain: float = 0.0,
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
        self.delay = frames_late(n_fft, hop_length)
        self.reach = lag + self.delay
        self.n_local = n_mels

    def novelty(self, rows: np.ndarray, peak: float) -> np.ndarray:
        """Return the bands' mean rise, compressed, ``(n_frames,)``; 0 where it cannot be known."""
        loudness = compressed(
            rows, peak, compress=self.compress, power=self.power, gain=self.gain, top_db=80.0
        )
        rise = np.maximum(loudness[self.lag :] - loudness[: -self.lag], 0).mean(axis=1)
        return np.pad(rise, (self.lag + self.delay, 0))[: len(rows)].astype(np.float32)


def frames_late(n_fft: int, hop_length: int) -> int:
    """Return by how many frames a novelty is stored after the frame in which the bands rise.

    Frames are centred, so one rises half its length before the onset is at its centre.
    """
    return n_fft // (2 * hop_length)


@register("features", "onset")
class Onset(Novelty):
    """Onset novelty: how much louder the mel bands have become, one number a frame.

    Parameters
    ----------
    sr : int
        Rate of the audio in Hz.
    lag : int
        Frames between which the rise is measured.
    n_fft : int
        Frame length in samples.
    hop_length : int
        Samples from frame to frame.
    n_mels : int
        Mel bands.
    delta : int
        Orders of delta appended: 0, 1 or 2.
    compress : {'db', 'log1p'}
        How loudness is measured: decibels, or log10(1 + gain x).
    power : float
        1: bands of magnitudes, 2: of powers.
    gain : float
        Gain of log1p.

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
        super().__init__(sr, lag, n_fft, hop_length, n_mels, delta, compress, power, gain)
        self.n_static = 1

    def finish(self, rows: np.ndarray, peak: float) -> np.ndarray:
        """Return the novelty, ``(n_frames, 1)``."""
        return self.novelty(rows, peak)[:, None]


@register("features", "tempogram")
class Tempogram(Novelty):
    """Autocorrelation of the onset novelty around each frame: how strong every period is.

    Parameters
    ----------
    sr : int
        Rate of the audio in Hz.
    win_length : int
        Frames that are correlated; dimension k is a period of k frames.
    lag : int
        Frames between which the rise is measured.
    n_fft : int
        Frame length in samples.
    hop_length : int
        Samples from frame to frame.
    n_mels : int
        Mel bands.

    References
    ----------
    Grosche, Müller & Kurth (2010); equal to ``librosa.feature.tempogram``.
    """

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
        super().__init__(sr, lag, n_fft, hop_length, n_mels)
        check("tempogram", win_length=(win_length >= 2, f"must be 2 or more, not {win_length}"))
        self.length = win_length
        self.reach += win_length // 2
        self.n_static = win_length

    def finish(self, rows: np.ndarray, peak: float) -> np.ndarray:
        """Return the autocorrelations over each frame's largest, ``(n_frames, win_length)``."""
        from scipy import fft

        novelty = self.novelty(rows, peak)
        side = self.length // 2
        # Beyond the track it dies away; inside a track what is added is cut off by the caller.
        novelty = np.pad(novelty, side, mode="linear_ramp", end_values=0)
        frames = np.lib.stride_tricks.sliding_window_view(novelty, self.length)[: len(rows)]
        n_fft = fft.next_fast_len(2 * self.length - 1, real=True)
        window = window_of("hann", self.length).astype(np.float32)
        found = np.empty((len(rows), self.length), np.float32)
        for start in range(0, len(rows), 1024):
            spectrum = fft.rfft(frames[start : start + 1024] * window, n_fft, axis=1)
            power = spectrum.real**2 + spectrum.imag**2
            found[start : start + 1024] = fft.irfft(power, n_fft, axis=1)[:, : self.length]
        return over_largest(found)
