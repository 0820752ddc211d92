"""Copies: pairs of tracks that are the same recording, found by an index and then compared."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from mcls.audit.alignment import overlap, spectrogram_agreement, waveform_agreement
from mcls.audit.index import Candidate, Index
from mcls.audit.landmarks import Landmarks
from mcls.audit.spectrogram import HOP, SR

#: The agreement from which two tracks are copies, by the seconds that overlap: short sounds agree
#: by chance, such as two strokes on one drum. Between the given lengths it follows the logarithm.
_WAVEFORM = ((0.5, 0.975), (1.0, 0.95), (2.0, 0.75), (4.0, 0.55))
_SPECTROGRAM = ((1.0, 0.72), (2.0, 0.55))
#: The agreement from which the typical moment of two tracks is that of copies. The lowest quality
#: of Vorbis leaves 0.93; of seven pairs of notes of one string, six stay below 0.8.
_MOMENTS = 0.9
#: The least overlap in seconds for spectrograms: two notes of one instrument are alike.
SHORTEST_TRANSPOSED = _SPECTROGRAM[0][0]
#: The share of landmarks that a copy of which only the spectrogram agrees must have in common with
#: the track, the share from which more does not matter, and how a share replaces agreement where
#: the overlap is long.
_SHARED, _MANY_SHARED, _WORTH = 0.02, 0.05, 5.0


@dataclass(frozen=True)
class AudibleTrack:
    """What of a track is compared.

    Parameters
    ----------
    levels : np.ndarray, shape (n_frames, n_bins)
        The spectrogram in dB.
    y : np.ndarray, shape (n_samples,), or None
        The audio at 16 kHz; None if there are only rows.
    """

    levels: np.ndarray
    y: np.ndarray | None = None


@dataclass(frozen=True)
class Copy:
    """Two tracks that are the same recording.

    Parameters
    ----------
    first, second : int
        The indices of the tracks.
    lag : float
        The second of the first track at which the second track begins.
    shift : int
        Bins by which the second is higher.
    agreement : float
        In [0, 1]; see `mcls.audit.alignment`.
    """

    first: int
    second: int
    lag: float
    shift: int
    agreement: float


def find_copies(
    tracks: Sequence[Landmarks],
    read: Callable[[int], AudibleTrack],
    *,
    frame_rate: float,
    max_shift: int,
    progress: Callable[[int], None] | None = None,
) -> Iterator[Copy]:
    """Find all pairs of tracks that are the same recording.

    Time grows with the number of tracks: each is looked up in an index, and compared with at most
    eight others.

    Parameters
    ----------
    tracks : sequence of Landmarks
        The landmarks of all tracks.
    read : callable
        Returns a track by its index.
    frame_rate : float
        Frames per second.
    max_shift : int
        Bins by which a copy may be transposed; 0 looks for untransposed copies only.
    progress : callable or None
        Called with the number of tracks done.
    """
    index = Index(tracks, max_shift=max_shift)
    for first, query in enumerate(tracks):
        own: AudibleTrack | None = None
        for candidate in index.candidates(query, after=first):
            own = read(first) if own is None else own
            other = read(candidate.track)
            share = candidate.votes / max(1, min(len(query), len(tracks[candidate.track])))
            found = compare(own, other, candidate, share=share, frame_rate=frame_rate)
            if found is not None:
                lag = candidate.lag / frame_rate
                yield Copy(first, candidate.track, lag, candidate.shift, found)
        if progress is not None:
            progress(first + 1)


def compare(
    a: AudibleTrack, b: AudibleTrack, candidate: Candidate, *, share: float, frame_rate: float
) -> float | None:
    """Return the agreement of two tracks if they are the same recording, else None.

    Parameters
    ----------
    a, b : AudibleTrack
        The tracks.
    candidate : Candidate
        How `b` lies in `a`.
    share : float
        The landmarks in common, by those of the track with fewer.
    frame_rate : float
        Frames per second.
    """
    if a.y is not None and b.y is not None and candidate.shift == 0:
        agreement, moments = waveform_agreement(a.y, b.y, candidate.lag)
        seconds = len(overlap(a.y, b.y, candidate.lag * HOP)[0]) / SR
        enough = agreement >= needed(_WAVEFORM, seconds) and moments >= _MOMENTS
        return agreement if enough else None
    if share < _SHARED:
        return None
    agreement, n_frames = spectrogram_agreement(a.levels, b.levels, candidate.lag, candidate.shift)
    seconds = n_frames / frame_rate
    long = seconds >= _SPECTROGRAM[-1][0]
    credit = _WORTH * (min(share, _MANY_SHARED) - _SHARED) if long else 0.0
    if seconds < SHORTEST_TRANSPOSED or agreement < needed(_SPECTROGRAM, seconds) - credit:
        return None
    return agreement


def needed(table: Sequence[tuple[float, float]], seconds: float) -> float:
    """Return the agreement from which two tracks that overlap for some seconds are copies.

    Examples
    --------
    >>> needed(((1.0, 0.9), (4.0, 0.5)), 2.0)
    0.7
    """
    lengths, agreements = np.array(table).T
    return round(float(np.interp(np.log(max(seconds, 1e-3)), np.log(lengths), agreements)), 6)


def groups_of(pairs: Sequence[tuple[int, int]]) -> list[list[int]]:
    """Return the sets of tracks that pairs connect, each sorted.

    Examples
    --------
    >>> groups_of([(0, 2), (5, 4), (2, 7)])
    [[0, 2, 7], [4, 5]]
    """
    root: dict[int, int] = {}

    def find(track: int) -> int:
        while root.setdefault(track, track) != track:
            root[track] = root[root[track]]
            track = root[track]
        return track

    for a, b in pairs:
        low, high = sorted((find(a), find(b)))
        root[high] = low
    groups: dict[int, list[int]] = {}
    for track in sorted(root):
        groups.setdefault(find(track), []).append(track)
    return list(groups.values())
