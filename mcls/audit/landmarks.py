"""Landmarks of a track: pairs of spectral peaks, as integers that an index can look up.

A pair is the bin of its first peak, and the bins and frames from the first peak to the second. A
copy that is transposed by some bins has pairs with another first bin and the same distances; one
that is cut or shifted has the same pairs elsewhere.

References
----------
Wang (2003), "An industrial-strength audio search algorithm"; Six & Leman (2014), "Panako", for
bins evenly spaced in pitch.

Differs from the papers: the index is asked for every transposition, instead of leaving the first
bin out of the pair, which would make most pairs of a large collection equal.
"""

from dataclasses import dataclass

import numpy as np

#: Farthest distance of the two peaks of a pair, in frames and in bins.
MAX_FRAMES, MAX_BINS = 63, 31
#: Pairs per first peak.
_FAN_OUT = 6
#: Peaks per second, and the fewest and most of a track.
_PEAKS_PER_SECOND, _FEWEST, _MOST = 25.0, 40, 500
#: Half the neighbourhood in frames and bins in which a peak is the highest.
_RADIUS = (3, 3)
#: How far above the floor a peak is, as a fraction of the range of the levels.
_ABOVE_FLOOR = 0.04
_SPAN = 2 * MAX_BINS + 1
#: Keys per bin of the first peak, the most bins, and the number of keys.
_PER_BIN, MAX_BIN = _SPAN * (MAX_FRAMES + 1), 256
N_KEYS = MAX_BIN * _PER_BIN


@dataclass(frozen=True)
class Landmarks:
    """The landmarks of a track.

    Parameters
    ----------
    keys : np.ndarray, shape (n,), int32
        The pairs: ``(bin * 63 + bins up + 31) * 64 + frames``; see `transposed`.
    frames : np.ndarray, shape (n,), int32
        The frame of the first peak of each pair.
    """

    keys: np.ndarray
    frames: np.ndarray

    def __len__(self) -> int:
        return len(self.keys)


def landmarks(levels: np.ndarray, frame_rate: float) -> Landmarks:
    """Find the landmarks of a spectrogram.

    Parameters
    ----------
    levels : np.ndarray, shape (n_frames, n_bins)
        A spectrogram, in dB or otherwise compressed; at most 256 bins.
    frame_rate : float
        Frames per second.
    """
    frames, bins = _peaks(levels, frame_rate)
    firsts, seconds = _pairs(frames, bins)
    up = bins[seconds] - bins[firsts]
    later = frames[seconds] - frames[firsts]
    keys = (bins[firsts] * _SPAN + up + MAX_BINS) * (MAX_FRAMES + 1) + later
    return Landmarks(keys.astype(np.int32), frames[firsts].astype(np.int32))


def transposed(keys: np.ndarray, n_bins: int) -> np.ndarray:
    """Return the pairs of a copy that is higher by some bins; keys below 0 are below the lowest."""
    return keys + n_bins * _PER_BIN


def _peaks(levels: np.ndarray, frame_rate: float) -> tuple[np.ndarray, np.ndarray]:
    """Return frames and bins of the peaks that stand out most, in order of time."""
    from scipy.ndimage import maximum_filter, uniform_filter

    size = tuple(2 * radius + 1 for radius in _RADIUS)
    highest = maximum_filter(levels, size, mode="constant", cval=-np.inf)
    low, high = levels.min(initial=np.inf), levels.max(initial=-np.inf)
    is_peak = (levels == highest) & (levels > low + _ABOVE_FLOOR * (high - low))
    frames, bins = np.nonzero(is_peak)
    above = (levels - uniform_filter(levels, (31, 15), mode="nearest"))[frames, bins]
    n = int(np.clip(_PEAKS_PER_SECOND * len(levels) / frame_rate, _FEWEST, _MOST))
    chosen = np.sort(np.argsort(-above, kind="stable")[:n])
    return frames[chosen], bins[chosen]


def _pairs(frames: np.ndarray, bins: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the indices of the two peaks of every pair: each peak with those that follow it."""
    firsts, seconds = [], []
    left = np.full(len(frames), _FAN_OUT)
    for step in range(1, len(frames)):
        first = np.arange(len(frames) - step)
        later = frames[step:] - frames[:-step]
        fits = (later <= MAX_FRAMES) & (left[:-step] > 0)
        if not fits.any():
            break
        fits &= (later > 0) & (np.abs(bins[step:] - bins[:-step]) <= MAX_BINS)
        left[:-step] -= fits
        firsts.append(first[fits])
        seconds.append(first[fits] + step)
    if not firsts:
        return np.zeros(0, int), np.zeros(0, int)
    return np.concatenate(firsts), np.concatenate(seconds)
