"""The mel scale and its filter bank, equal to librosa's."""

from functools import lru_cache

import numpy as np

#: Bands per matrix product. Neighbouring bands read neighbouring bins, so a group is a small dense
#: product instead of a part of a large, mostly empty one.
_GROUP = 8


def hz_to_mel(frequencies: np.ndarray, *, htk: bool) -> np.ndarray:
    """Convert Hz to mel: O'Shaughnessy's formula (`htk`), or Slaney's, linear below 1 kHz."""
    f = np.asarray(frequencies, np.float64)
    if htk:
        return 2595.0 * np.log10(1.0 + f / 700.0)
    linear = f / (200.0 / 3)
    log = 15.0 + np.log(np.maximum(f, 1000.0) / 1000.0) * (27.0 / np.log(6.4))
    return np.where(f < 1000.0, linear, log)


def mel_to_hz(mels: np.ndarray, *, htk: bool) -> np.ndarray:
    """Convert mel to Hz."""
    m = np.asarray(mels, np.float64)
    if htk:
        return 700.0 * (10.0 ** (m / 2595.0) - 1.0)
    return np.where(
        m < 15.0, m * (200.0 / 3), 1000.0 * np.exp((np.maximum(m, 15.0) - 15.0) * np.log(6.4) / 27)
    )


def mel_frequencies(n: int, *, fmin: float, fmax: float, htk: bool) -> np.ndarray:
    """Return `n` frequencies in Hz that are evenly spaced in mel."""
    low, high = hz_to_mel(np.array([fmin, fmax]), htk=htk)
    return mel_to_hz(np.linspace(low, high, n), htk=htk)


@lru_cache(maxsize=16)
def mel_filters(
    sr: int, n_fft: int, n_mels: int, fmin: float, fmax: float, htk: bool, norm: str
) -> np.ndarray:
    """Return the weights of triangular mel bands.

    Parameters
    ----------
    sr, n_fft : int
        Sampling rate in Hz and frame length in samples.
    n_mels : int
        Number of bands.
    fmin, fmax : float
        Lower edge of the first and upper edge of the last band in Hz.
    htk : bool
        Use HTK's mel scale instead of Slaney's.
    norm : {'slaney', 'none'}
        With ``slaney`` every band has the same area.

    Returns
    -------
    np.ndarray, shape (n_mels, 1 + n_fft // 2), float32
    """
    bins = np.fft.rfftfreq(n_fft, 1.0 / sr)
    edges = mel_frequencies(n_mels + 2, fmin=fmin, fmax=fmax, htk=htk)
    widths = np.diff(edges)
    ramps = edges[:, None] - bins
    rising = -ramps[:-2] / widths[:-1, None]
    falling = ramps[2:] / widths[1:, None]
    weights = np.maximum(0, np.minimum(rising, falling)).astype(np.float32)
    if norm == "slaney":
        weights *= (2.0 / (edges[2:] - edges[:-2])).astype(np.float32)[:, None]
    return weights


@lru_cache(maxsize=16)
def grouped(
    sr: int, n_fft: int, n_mels: int, fmin: float, fmax: float, htk: bool, norm: str
) -> tuple[tuple[slice, slice, np.ndarray], ...]:
    """Return the filter bank as (bins, bands, weights) of groups of neighbouring bands."""
    weights = mel_filters(sr, n_fft, n_mels, fmin, fmax, htk, norm)
    groups = []
    for first in range(0, n_mels, _GROUP):
        bands = slice(first, min(first + _GROUP, n_mels))
        used = np.flatnonzero(weights[bands].any(axis=0))
        bins = slice(used[0], used[-1] + 1) if len(used) else slice(0, 1)
        groups.append((bins, bands, np.ascontiguousarray(weights[bands, bins].T)))
    return tuple(groups)


def apply_grouped(
    spectrum: np.ndarray, groups: tuple[tuple[slice, slice, np.ndarray], ...], n_mels: int
) -> np.ndarray:
    """Multiply spectra ``(n_frames, n_bins)`` by a grouped filter bank of `n_mels` bands."""
    mel = np.empty((len(spectrum), n_mels), np.float32)
    for bins, bands, weights in groups:
        np.matmul(spectrum[:, bins], weights, out=mel[:, bands])
    return mel
