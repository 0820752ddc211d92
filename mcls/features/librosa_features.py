"""Features that librosa computes from the frames of mcls: spectral shape, level, tonal centroids.

librosa is given magnitudes, so that all features of a track share one Fourier transform. Every
class says which function of ``librosa.feature`` it is equal to.
"""

from abc import abstractmethod
from typing import ClassVar, Literal

import numpy as np

from mcls.features.chroma import PITCHES, Chroma
from mcls.features.cqt import CQT
from mcls.features.feature import Feature, check, over_largest
from mcls.features.signal import Signal, window_of
from mcls.features.spectrogram import FramedFeature
from mcls.registry import register


class SpectralShape(FramedFeature):
    """A few numbers per frame, from its magnitude spectrum."""

    def __init__(
        self,
        sr: int,
        *,
        n_fft: int = 2048,
        hop_length: int = 512,
        win_length: int | None = None,
        window: str = "hann",
        center: bool = True,
        delta: int = 0,
    ) -> None:
        super().__init__(sr, n_fft, hop_length, win_length, window, center, delta)
        self.n_local = self.n_static = 1

    def local(self, signal: Signal) -> np.ndarray:
        """Return the numbers of every frame, ``(n_frames, n_local)``."""
        magnitudes = np.sqrt(self.power_spectrum(signal)).T
        return np.ascontiguousarray(self.of(magnitudes).T, np.float32)

    @abstractmethod
    def of(self, magnitudes: np.ndarray) -> np.ndarray:
        """Return the numbers ``(n_local, n_frames)`` of magnitudes ``(n_bins, n_frames)``."""


@register("features", "spectral-centroid")
class SpectralCentroid(SpectralShape):
    """Spectral centroid in Hz.

    References
    ----------
    Equal to ``librosa.feature.spectral_centroid``.
    """

    unit: ClassVar[str] = "Hz"

    def of(self, magnitudes: np.ndarray) -> np.ndarray:
        """Return the mean frequency, weighted by magnitude."""
        from librosa import feature

        return feature.spectral_centroid(S=magnitudes, sr=self.sr, n_fft=self.n_fft)


@register("features", "spectral-bandwidth")
class SpectralBandwidth(SpectralShape):
    """Spectral bandwidth in Hz: the deviation from the spectral centroid.

    References
    ----------
    Equal to ``librosa.feature.spectral_bandwidth``.
    """

    unit: ClassVar[str] = "Hz"

    def of(self, magnitudes: np.ndarray) -> np.ndarray:
        """Return the root of the mean squared deviation, weighted by magnitude."""
        from librosa import feature

        return feature.spectral_bandwidth(S=magnitudes, sr=self.sr, n_fft=self.n_fft)


@register("features", "spectral-flatness")
class SpectralFlatness(SpectralShape):
    """Spectral flatness: geometric by arithmetic mean of the power spectrum, 1 for white noise.

    References
    ----------
    Dubnov (2004); equal to ``librosa.feature.spectral_flatness``.
    """

    unit: ClassVar[str] = "ratio"

    def of(self, magnitudes: np.ndarray) -> np.ndarray:
        """Return the ratio of the two means."""
        from librosa import feature

        return feature.spectral_flatness(S=magnitudes)


@register("features", "rms")
class Rms(SpectralShape):
    """Root mean square of each frame, the level.

    References
    ----------
    Equal to ``librosa.feature.rms(S=...)``, from magnitudes of windowed frames.
    """

    unit: ClassVar[str] = "amplitude"

    def of(self, magnitudes: np.ndarray) -> np.ndarray:
        """Return the level by Parseval's theorem."""
        from librosa import feature

        return feature.rms(S=magnitudes, frame_length=self.n_fft)


@register("features", "spectral-rolloff")
class SpectralRolloff(SpectralShape):
    """Spectral rolloff in Hz: the frequency below which most of the magnitude lies.

    Parameters
    ----------
    roll_percent : float
        Share of the magnitude, in (0, 1).

    References
    ----------
    Equal to ``librosa.feature.spectral_rolloff``.
    """

    unit: ClassVar[str] = "Hz"

    def __init__(
        self,
        sr: int,
        *,
        roll_percent: float = 0.85,
        n_fft: int = 2048,
        hop_length: int = 512,
        win_length: int | None = None,
        window: str = "hann",
        center: bool = True,
        delta: int = 0,
    ) -> None:
        super().__init__(
            sr,
            n_fft=n_fft,
            hop_length=hop_length,
            win_length=win_length,
            window=window,
            center=center,
            delta=delta,
        )
        inside = 0 < roll_percent < 1
        check("spectral-rolloff", roll_percent=(inside, f"must be in (0, 1), not {roll_percent}"))
        self.roll_percent = roll_percent

    def of(self, magnitudes: np.ndarray) -> np.ndarray:
        """Return the lowest frequency up to which that share lies."""
        from librosa import feature

        share = self.roll_percent
        return feature.spectral_rolloff(
            S=magnitudes, sr=self.sr, n_fft=self.n_fft, roll_percent=share
        )


@register("features", "spectral-contrast")
class SpectralContrast(SpectralShape):
    """Spectral contrast: peaks by valleys of each octave, in dB, and of what is below.

    Parameters
    ----------
    n_bands : int
        Number of octaves; there is one more dimension for the lowest band.
    fmin : float
        Upper edge of the lowest band in Hz.
    quantile : float
        Share of a band's bins that are its peaks, and its valleys, in (0, 1).

    References
    ----------
    Jiang et al. (2002), Music type classification by spectral contrast feature; equal to
    ``librosa.feature.spectral_contrast``.
    """

    unit: ClassVar[str] = "dB"

    def __init__(
        self,
        sr: int,
        *,
        n_bands: int = 6,
        fmin: float = 200.0,
        quantile: float = 0.02,
        n_fft: int = 2048,
        hop_length: int = 512,
        win_length: int | None = None,
        window: str = "hann",
        center: bool = True,
        delta: int = 0,
    ) -> None:
        super().__init__(
            sr,
            n_fft=n_fft,
            hop_length=hop_length,
            win_length=win_length,
            window=window,
            center=center,
            delta=delta,
        )
        top = fmin * 2 ** (n_bands - 1)
        check(
            "spectral-contrast",
            n_bands=(n_bands >= 1, f"must be 1 or more, not {n_bands}"),
            fmin=(
                0 < top < sr / 2,
                f"must be above 0 Hz, and its highest octave begin below {sr / 2:g} Hz (half the "
                f"sampling rate); it begins at {top:g} Hz",
            ),
            quantile=(0 < quantile < 1, f"must be in (0, 1), not {quantile}"),
        )
        self.n_bands, self.fmin, self.quantile = n_bands, fmin, quantile
        self.n_local = self.n_static = n_bands + 1

    def of(self, magnitudes: np.ndarray) -> np.ndarray:
        """Return the contrast of every band."""
        from librosa import feature

        return feature.spectral_contrast(
            S=magnitudes,
            sr=self.sr,
            n_fft=self.n_fft,
            fmin=self.fmin,
            n_bands=self.n_bands,
            quantile=self.quantile,
        )


@register("features", "poly-features")
class PolyFeatures(SpectralShape):
    """Coefficients of a polynomial fitted to the spectrum of each frame, highest order first.

    Parameters
    ----------
    order : int
        Degree of the polynomial.

    References
    ----------
    Equal to ``librosa.feature.poly_features``.
    """

    def __init__(
        self,
        sr: int,
        *,
        order: int = 1,
        n_fft: int = 2048,
        hop_length: int = 512,
        win_length: int | None = None,
        window: str = "hann",
        center: bool = True,
        delta: int = 0,
    ) -> None:
        super().__init__(
            sr,
            n_fft=n_fft,
            hop_length=hop_length,
            win_length=win_length,
            window=window,
            center=center,
            delta=delta,
        )
        check("poly-features", order=(order >= 0, f"must be 0 or more, not {order}"))
        self.order = order
        self.n_local = self.n_static = order + 1

    def of(self, magnitudes: np.ndarray) -> np.ndarray:
        """Return the coefficients."""
        from librosa import feature

        return feature.poly_features(S=magnitudes, sr=self.sr, n_fft=self.n_fft, order=self.order)


@register("features", "zero-crossing-rate")
class ZeroCrossingRate(FramedFeature):
    """Share of the samples of each frame at which the signal changes its sign.

    Parameters
    ----------
    n_fft : int
        Frame length in samples.

    References
    ----------
    Equal to ``librosa.feature.zero_crossing_rate``.
    """

    unit: ClassVar[str] = "crossings per sample"

    def __init__(
        self, sr: int, *, n_fft: int = 2048, hop_length: int = 512, delta: int = 0
    ) -> None:
        super().__init__(sr, n_fft, hop_length, None, "hann", True, delta)
        self.n_local = self.n_static = 1

    def local(self, signal: Signal) -> np.ndarray:
        """Return the rate of every frame, ``(n_frames, 1)``."""
        from librosa import feature

        found = feature.zero_crossing_rate(
            signal.y, frame_length=self.n_fft, hop_length=self.hop_length
        )
        return np.ascontiguousarray(found.T, np.float32)


@register("features", "chroma-cqt")
class ChromaCqt(CQT):
    """Chroma from the constant-Q transform.

    Parameters
    ----------
    hop_length : int
        Samples from frame to frame.
    n_octaves : int
        Number of octaves from C1 up.
    bins_per_octave : int
        Bins of the transform per octave; a multiple of 12.

    References
    ----------
    Equal to ``librosa.feature.chroma_cqt`` with ``tuning=0``.

    Differs from librosa: the tuning is not estimated from the track.
    """

    unit: ClassVar[str] = "share of the largest"

    def __init__(
        self,
        sr: int,
        *,
        hop_length: int = 512,
        n_octaves: int = 7,
        bins_per_octave: int = 36,
        delta: int = 0,
    ) -> None:
        check(
            "chroma-cqt",
            bins_per_octave=(
                bins_per_octave >= 12 and bins_per_octave % 12 == 0,
                f"must be a multiple of 12, not {bins_per_octave}",
            ),
            n_octaves=(n_octaves >= 1, f"must be 1 or more, not {n_octaves}"),
        )
        super().__init__(
            sr,
            hop_length=hop_length,
            n_bins=n_octaves * bins_per_octave,
            bins_per_octave=bins_per_octave,
            compress="none",
            delta=delta,
        )
        self.n_local = self.n_static = len(PITCHES)
        self.names, self.axis = PITCHES, None

    def local(self, signal: Signal) -> np.ndarray:
        """Return the magnitudes of each pitch class, ``(n_frames, 12)``."""
        from librosa.filters import cq_to_chroma

        per_octave = self.filters["bins_per_octave"]
        folding = cq_to_chroma(self.n_bins, bins_per_octave=per_octave, dtype=np.float32)
        return super().local(signal) @ folding.T

    def finish(self, rows: np.ndarray, peak: float) -> np.ndarray:
        """Divide each frame by its largest value."""
        return over_largest(rows)


@register("features", "chroma-cens")
class ChromaCens(ChromaCqt):
    """Chroma energy normalised statistics: chroma that is quantised and smoothed over time.

    Parameters
    ----------
    smooth : int
        Frames over which it is smoothed.

    References
    ----------
    Müller & Ewert (2011), Chroma toolbox; equal to ``librosa.feature.chroma_cens`` with
    ``tuning=0``.
    """

    unit: ClassVar[str] = "share of the norm"

    def __init__(
        self,
        sr: int,
        *,
        smooth: int = 41,
        hop_length: int = 512,
        n_octaves: int = 7,
        bins_per_octave: int = 36,
        delta: int = 0,
    ) -> None:
        super().__init__(
            sr,
            hop_length=hop_length,
            n_octaves=n_octaves,
            bins_per_octave=bins_per_octave,
            delta=delta,
        )
        odd = smooth >= 1 and smooth % 2 == 1
        check("chroma-cens", smooth=(odd, f"must be odd, not {smooth}"))
        self.smooth = smooth
        self.reach = smooth // 2

    def finish(self, rows: np.ndarray, peak: float) -> np.ndarray:
        """Quantise the shares of the pitch classes, smooth and normalise them."""
        from scipy.ndimage import convolve1d

        shares = rows / np.maximum(rows.sum(axis=1, keepdims=True), np.finfo(np.float32).tiny)
        quantised = 0.25 * sum((shares > step).astype(np.float64) for step in _STEPS)
        weights = window_of("hann", self.smooth + 1)[1:]
        smoothed = convolve1d(quantised, weights / weights.sum(), axis=0, mode="constant")
        norms = np.linalg.norm(smoothed, axis=1, keepdims=True)
        return (smoothed / np.where(norms > 0, norms, 1)).astype(np.float32)


#: The shares of a pitch class from which it counts one step more.
_STEPS = (0.4, 0.2, 0.1, 0.05)


@register("features", "tonnetz")
class Tonnetz(Feature):
    """Tonal centroids: the place of a chroma in the circles of fifths and of thirds.

    Parameters
    ----------
    chroma : {'cqt', 'cens', 'stft'}
        Chroma: chroma-cqt (as in librosa), chroma-cens (as in FMA) or chroma.
    hop_length : int
        Samples from frame to frame.
    bins_per_octave : int
        Bins per octave, with chroma=cqt or cens; a multiple of 12.
    n_fft : int
        Frame length in samples, with chroma=stft.

    References
    ----------
    Harte, Sandler & Gasser (2006), Detecting harmonic change in musical audio; equal to
    ``librosa.feature.tonnetz`` with ``tuning=0``.

    Differs from librosa: the tuning is not estimated from the track.
    """

    unit: ClassVar[str] = "value"

    def __init__(
        self,
        sr: int,
        *,
        chroma: Literal["cqt", "cens", "stft"] = "cqt",
        hop_length: int = 512,
        bins_per_octave: int = 36,
        n_fft: int = 2048,
        delta: int = 0,
    ) -> None:
        check("tonnetz", delta=(delta in (0, 1, 2), f"must be 0, 1 or 2, not {delta}"))
        self.chroma: Feature
        if chroma == "stft":
            self.chroma = Chroma(sr, hop_length=hop_length, n_fft=n_fft)
        else:
            kind = ChromaCqt if chroma == "cqt" else ChromaCens
            self.chroma = kind(sr, hop_length=hop_length, bins_per_octave=bins_per_octave)
        self.sr, self.hop_length, self.delta = sr, hop_length, delta
        self.margin, self.reach = self.chroma.margin, self.chroma.reach
        self.n_local, self.n_static = self.chroma.n_local, 6
        self.names = ("fifths x", "fifths y", "minor x", "minor y", "major x", "major y")

    def local(self, signal: Signal) -> np.ndarray:
        """Return what the chroma are made of, ``(n_frames, 12)``."""
        return self.chroma.local(signal)

    def finish(self, rows: np.ndarray, peak: float) -> np.ndarray:
        """Return the tonal centroids, ``(n_frames, 6)``."""
        from librosa import feature

        chroma = self.chroma.finish(rows, peak).T
        return np.ascontiguousarray(feature.tonnetz(chroma=chroma, sr=self.sr).T, np.float32)
