"""Automatic gain control in time and frequency, on a linear spectrogram.

A few broad mel bands follow the level of the sound with a slow decay. The spectrogram is divided
by that level, which evens out loud and quiet passages, and dull and bright recordings.

References
----------
Ellis (2010), tf_agc; as used by Nam, Herrera, Slaney & Smith (2012).
"""

import math
from functools import lru_cache

import numpy as np

from mcls.features.filters import mel_frequencies

#: Fraction of the track's largest magnitude that is added to all magnitudes.
FLOOR = 1e-4
#: Fraction of a level that is left after `decay_reach` frames.
_NEGLIGIBLE = 1e-6


def decay(hop_length: int, sr: int, t_scale: float) -> float:
    """Return the factor by which the level falls from frame to frame."""
    return math.exp(-hop_length / (sr * t_scale))


def decay_reach(alpha: float) -> int:
    """Return the number of frames after which a level is negligible."""
    return math.ceil(math.log(_NEGLIGIBLE) / math.log(alpha))


def gain_controlled(
    magnitudes: np.ndarray, peak: float, *, sr: int, alpha: float, f_scale: float, eps: float
) -> np.ndarray:
    """Divide a spectrogram by its slowly varying level.

    Parameters
    ----------
    magnitudes : np.ndarray, shape (n_frames, n_bins), float32
        Linear spectrogram.
    peak : float
        The largest magnitude of the whole track.
    sr : int
        Sampling rate in Hz.
    alpha : float
        Factor from `decay`.
    f_scale : float
        Relative width of the bands: there are n = max(10, 20 / f_scale) bands, each f_scale * n /
        10 times as wide as in an ordinary filter bank.
    eps : float
        Constant added to the level.

    Returns
    -------
    np.ndarray, shape (n_frames, n_bins), float32
    """
    bands, back = _banks(sr, magnitudes.shape[1], f_scale)
    raised = magnitudes + np.float32(FLOOR * peak)
    # e_t = max(alpha e_{t-1}, band_t) is a running maximum once the decay is taken out.
    steps = np.arange(len(raised))[:, None] * -math.log(alpha)
    levels = np.log(np.maximum(raised @ bands, np.finfo(np.float32).tiny).astype(np.float64))
    levels = np.maximum.accumulate(levels + steps, axis=0) - steps
    return raised / (np.exp(levels).astype(np.float32) @ back + np.float32(eps))


@lru_cache(maxsize=8)
def _banks(sr: int, n_bins: int, f_scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the bands ``(n_bins, n_bands)``, and their inverse with a gain of 1 at every bin."""
    n_bands = max(10, round(20 / f_scale))
    width = f_scale * n_bands / 10
    edges = mel_frequencies(n_bands + 2, fmin=0.0, fmax=sr / 2, htk=False)
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    left, right = centre + width * (low - centre), centre + width * (high - centre)
    f = np.linspace(0, sr / 2, n_bins)[:, None]
    triangles = np.minimum((f - left) / (centre - left), (right - f) / (right - centre))
    bands = np.maximum(triangles, 0) * 2 / (high - low)
    gain = bands.sum(axis=1, keepdims=True)
    back = (bands / np.where(gain > 0, gain, 1)).T
    return bands.astype(np.float32), np.ascontiguousarray(back, np.float32)
