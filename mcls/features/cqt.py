"""The constant-Q transform."""

import math
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import soxr

from mcls.errors import ConfigError
from mcls.features.feature import Feature, check, compressed, expanded
from mcls.features.inversion import griffin_lim_cqt
from mcls.features.signal import Signal, frames_of, window_of
from mcls.registry import register

_BLOCK = 256  # frames per matrix product
_TRANSIENT = 256  # samples that the filter of soxr spans, at each halving


@register("features", "cqt")
class CQT(Feature):
    """Magnitude of the constant-Q transform: bins evenly spaced in pitch.

    Parameters
    ----------
    hop_length : int
        Samples from frame to frame; a multiple of 2^(octaves - 1) is fastest.
    fmin : float
        Centre frequency of the lowest bin in Hz; the default is C1.
    n_bins : int
        Number of bins.
    bins_per_octave : int
        Number of bins per octave.
    filter_scale : float
        Relative length of the filters; below 1 gives a better time resolution.
    norm : float or None
        Order of the norm by which each filter is divided; none: no normalisation.
    sparsity : float
        Fraction of each filter's spectrum to drop, in [0, 1).
    window : str
        Window function, by its name in scipy.signal.
    scale : bool
        Divide each bin by the square root of its filter's length.

    References
    ----------
    Schörkhuber & Klapuri (2010), by recursive halving; equal to ``np.abs(librosa.cqt(...))`` with
    ``tuning=0``.

    Differs from librosa: the filters of an octave are applied in the time domain, by one matrix
    product, instead of to a Fourier transform; the result is the same.
    """

    def __init__(
        self,
        sr: int,
        *,
        hop_length: int = 512,
        fmin: float = 32.70319566257483,
        n_bins: int = 84,
        bins_per_octave: int = 12,
        filter_scale: float = 1.0,
        norm: float | None = 1.0,
        sparsity: float = 0.01,
        window: str = "hann",
        scale: bool = True,
        compress: Literal["db", "log1p", "none"] = "db",
        gain: float = 10.0,
        top_db: float | None = 80.0,
        delta: int = 0,
    ) -> None:
        check(
            "cqt",
            hop_length=(hop_length >= 1, f"must be 1 or more, not {hop_length}"),
            fmin=(fmin > 0, f"must be above 0, not {fmin}"),
            n_bins=(n_bins >= 2, f"must be 2 or more, not {n_bins}"),
            bins_per_octave=(bins_per_octave >= 2, f"must be 2 or more, not {bins_per_octave}"),
            filter_scale=(filter_scale > 0, f"must be above 0, not {filter_scale}"),
            sparsity=(0 <= sparsity < 1, f"must be in [0, 1), not {sparsity}"),
            delta=(delta in (0, 1, 2), f"must be 0, 1 or 2, not {delta}"),
        )
        self.sr = sr
        self.hop_length = hop_length
        self.delta = delta
        self.n_bins = self.n_local = self.n_static = n_bins
        self.axis = fmin * 2.0 ** (np.arange(n_bins) / bins_per_octave)
        self.compression: dict[str, Any] = {"compress": compress, "gain": gain, "top_db": top_db}
        self.filters: dict[str, Any] = {
            "fmin": fmin,
            "bins_per_octave": bins_per_octave,
            "filter_scale": filter_scale,
            "norm": norm,
            "sparsity": sparsity,
            "window": window,
            "scale": scale,
        }
        self.plan = _plan(
            sr,
            hop_length,
            fmin,
            n_bins,
            bins_per_octave,
            filter_scale,
            norm,
            sparsity,
            window,
            scale,
        )
        self.margin = max(
            octave.factor * (len(octave.kernel) + 2 * _TRANSIENT) for octave in self.plan
        )

    def local(self, signal: Signal) -> np.ndarray:
        """Return magnitudes, ``(n_frames, n_bins)``."""
        y = signal.y
        if len(y) < self.plan[-1].factor:
            y = np.pad(y, (0, self.plan[-1].factor - len(y)))
        responses, factor = [], 1
        for octave in self.plan:
            if octave.factor > factor:
                y = _halved(y, octave.factor // factor)
                factor = octave.factor
            responses.append(_response(y, octave.hop_length, octave.kernel))
        n_frames = min(len(response) for response in responses)
        lowest_first = [response[:n_frames] for response in reversed(responses)]
        return np.concatenate(lowest_first, axis=1)[:, -self.n_bins :]

    def audio(self, rows: np.ndarray) -> np.ndarray:
        """Estimate the phases by Griffin & Lim's algorithm with the constant-Q transform."""
        kept = {key: self.compression[key] for key in ("compress", "gain")}
        magnitudes = expanded(rows, power=1.0, **kept)
        return griffin_lim_cqt(magnitudes, sr=self.sr, hop_length=self.hop_length, **self.filters)

    def finish(self, rows: np.ndarray, peak: float) -> np.ndarray:
        """Compress the magnitudes."""
        return compressed(rows, peak, power=1.0, **self.compression)


class Octave:
    """One octave: the decimation factor, the hop length after it, and the filters.

    ``kernel`` is ``(n_fft, 2 * n_bins)`` float32: the real parts, then the imaginary parts.
    """

    def __init__(self, factor: int, hop_length: int, kernel: np.ndarray) -> None:
        self.factor = factor
        self.hop_length = hop_length
        self.kernel = kernel


def _halved(y: np.ndarray, factor: int) -> np.ndarray:
    """Decimate by a power of two and preserve the energy, as librosa.resample(scale=True)."""
    n = math.ceil(len(y) / factor)
    low = soxr.resample(y, factor, 1, quality="HQ")
    low = low[:n] if len(low) >= n else np.pad(low, (0, n - len(low)))
    return low * np.float32(math.sqrt(factor))


def _response(y: np.ndarray, hop_length: int, kernel: np.ndarray) -> np.ndarray:
    """Return the magnitude of every filter on every centred frame, ``(n_frames, n_bins)``."""
    n_fft, n_bins = len(kernel), kernel.shape[1] // 2
    frames = frames_of(y, n_fft, hop_length, center=True)
    magnitudes = np.empty((len(frames), n_bins), np.float32)
    for start in range(0, len(frames), _BLOCK):
        out = np.ascontiguousarray(frames[start : start + _BLOCK]) @ kernel
        np.multiply(out, out, out=out)
        np.add(out[:, :n_bins], out[:, n_bins:], out=magnitudes[start : start + _BLOCK])
    return np.sqrt(magnitudes, out=magnitudes)


@lru_cache(maxsize=16)
def _plan(
    sr: int,
    hop_length: int,
    fmin: float,
    n_bins: int,
    bins_per_octave: int,
    filter_scale: float,
    norm: float | None,
    sparsity: float,
    window: str,
    scale: bool,
) -> tuple[Octave, ...]:
    """Design the octaves, from the highest to the lowest."""
    frequencies = fmin * 2.0 ** (np.arange(n_bins) / bins_per_octave)
    ratio = 2.0 ** (2.0 / bins_per_octave)
    q = filter_scale * (ratio + 1) / (ratio - 1)
    weights = window_of(window, 1000)
    bandwidth = 1000 * np.sum(weights**2) / np.sum(weights) ** 2
    cutoff = frequencies[-1] * (1 + 0.5 * bandwidth / q)
    if cutoff > sr / 2:
        raise ConfigError(
            f"cqt: the highest bin reaches {cutoff:.0f} Hz, above half the sampling rate "
            f"({sr / 2:g} Hz); use fewer n_bins, a lower fmin or a higher --sr"
        )
    n_octaves = math.ceil(n_bins / bins_per_octave)
    twos = (hop_length & -hop_length).bit_length() - 1
    early = min(max(0, math.ceil(math.log2(sr / 2 / cutoff)) - 2), max(0, twos - n_octaves + 1))
    base = 2**early  # decimation before the first octave
    base_sr = sr / base
    factor, octaves = base, []
    for i in range(n_octaves):
        top = n_bins - i * bins_per_octave
        some = frequencies[max(0, top - bins_per_octave) : top]
        kernel = _kernel(some, sr / factor, q, norm, sparsity, window)
        kernel *= math.sqrt(factor / base)
        if scale:
            kernel /= np.sqrt(q * base_sr / some)
        elif base > 1:
            kernel *= math.sqrt(base)
        real = np.concatenate([kernel.real, kernel.imag], axis=1)
        octaves.append(Octave(factor, hop_length // factor, real.astype(np.float32)))
        if (hop_length // factor) % 2 == 0:
            factor *= 2
    return tuple(octaves)


def _kernel(
    frequencies: np.ndarray, sr: float, q: float, norm: float | None, sparsity: float, window: str
) -> np.ndarray:
    """Return the filters of an octave in time, complex ``(n_fft, n_bins)``.

    Each filter is designed in the time domain. Of its spectrum the positive frequencies are kept,
    without the smallest values that make up `sparsity` of the sum, and transformed back.
    """
    lengths = q * sr / frequencies
    n_fft = int(2.0 ** math.ceil(math.log2(lengths.max())))
    basis = np.zeros((len(frequencies), n_fft), np.complex64)
    for row, length, frequency in zip(basis, lengths, frequencies, strict=True):
        t = np.arange(-length // 2, length // 2, dtype=float)
        wave = np.exp(2j * np.pi * frequency / sr * t) * window_of(window, len(t))
        if norm is not None:
            wave /= np.linalg.norm(wave, norm)
        left = (n_fft - len(wave)) // 2
        row[left : left + len(wave)] = wave
    basis *= (lengths / n_fft)[:, None]
    spectra = np.fft.fft(basis, axis=1)[:, : n_fft // 2 + 1]
    for row in spectra:
        row[np.abs(row) < _threshold(np.abs(row), sparsity)] = 0
    return np.fft.fft(spectra, n=n_fft, axis=1).T


def _threshold(magnitudes: np.ndarray, sparsity: float) -> float:
    """Return the value below which the smallest magnitudes add up to `sparsity` of their sum."""
    ordered = np.sort(magnitudes)
    share = np.cumsum(ordered / max(magnitudes.sum(), np.finfo(np.float64).tiny))
    return float(ordered[np.argmin(share < sparsity)])
