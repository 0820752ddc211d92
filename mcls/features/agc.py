"""Automatic gain control in time and frequency, on a linear spectrogram.

A few broad mel bands follow the level of the sound with a slow decay; the spectrogram is divided
by that level, so that quiet and loud passages, and dull and bright recordings, look alike.

References
----------
Ellis (2010), tf_agc; as used by Nam, Herrera, Slaney & Smith (2012).
"""

import math
from functools import lru_cache

import numpy as np

from mcls.features.filters import mel_frequencies

#: Share of the track's largest magnitude that is added to all.
FLOOR = 1e-4
#: What is left of a level after as many frames as `decay_reach` says.
_FORGOTTEN = 1e-6


def decay(hop_length: int, sr: int, t_scale: float) -> float:
    """Return the factor by which the level falls from frame to frame."""
    return math.exp(-hop_length / (sr * t_scale))


def decay_reach(alpha: float) -> int:
    """Return after how many frames a level is forgotten."""
    return math.ceil(math.log(_FORGOTTEN) / math.log(alpha))


def gain_controlled(
    magnitudes: np.ndarray, peak: float, *, sr: int, alpha: float, f_scale: float, eps: float
) -> np.ndarray:
    """Divide a spectrogram by its level.

    Parameters
    ----------
    magnitudes : np.ndarray, shape (n_frames, n_bins), float32
        Linear spectrogram.
    peak : float
        The largest magnitude of the whole track.
    sr : int
        Hz.
    alpha : float
        See `decay`.
    f_scale : float
        Width of the bands: max(10, 20 / f_scale) of them, each f_scale times their number / 10
        times as wide as in an ordinary bank.
    eps : float
        Added to the level.

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
    """Return the bands ``(n_bins, n_bands)``, and the way back with a gain of 1 at every bin."""
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
