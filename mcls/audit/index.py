"""An index of landmarks: which tracks share some with a track, at which lag and transposition."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mcls.audit.landmarks import N_KEYS, Landmarks, transposed

#: Places of the table that a query looks at, those of its rarest landmarks, so that its time does
#: not grow with the collection.
_MOST_PLACES = 60_000
#: The fewest common landmarks of a candidate, and the most candidates of a query.
_FEWEST, _MOST = 3, 8


@dataclass(frozen=True)
class Candidate:
    """A track that may be a copy.

    Parameters
    ----------
    track : int
        The index of the track.
    votes : int
        Landmarks that both tracks have at this lag and shift.
    lag : int
        The frame of the query at which the track begins.
    shift : int
        Bins by which the track is higher than the query.
    """

    track: int
    votes: int
    lag: int
    shift: int


class Index:
    """A table of the landmarks of all tracks, sorted by key; 8 bytes per landmark.

    Parameters
    ----------
    tracks : sequence of Landmarks
        The landmarks of all tracks.
    max_shift : int
        Bins by which a copy may be transposed.
    """

    def __init__(self, tracks: Sequence[Landmarks], *, max_shift: int) -> None:
        self.max_shift = max_shift
        keys = np.concatenate([one.keys for one in tracks])
        order = np.argsort(keys, kind="stable")
        counts = np.bincount(keys, minlength=N_KEYS)
        self._starts = np.concatenate([[0], np.cumsum(counts)])
        del keys, counts
        owners = np.repeat(np.arange(len(tracks), dtype=np.int32), [len(one) for one in tracks])
        self._owners = owners[order]
        self._frames = np.concatenate([one.frames for one in tracks])[order]

    def candidates(self, query: Landmarks, *, after: int = -1) -> list[Candidate]:
        """Return the tracks with the most landmarks at a common lag and shift, best first.

        Parameters
        ----------
        query : Landmarks
            The landmarks of a track.
        after : int
            Return only tracks with a larger index, so that each pair of tracks is found once.
        """
        places, asked, shifts = self._places(query)
        kept = self._owners[places] > after
        if not kept.any():
            return []
        places, asked, shifts = places[kept], asked[kept], shifts[kept]
        lags = query.frames[asked].astype(np.int64) - self._frames[places]
        low = int(lags.min()) - 1
        n_lags, n_shifts = int(lags.max()) - low + 2, 2 * self.max_shift + 1
        cells = self._owners[places].astype(np.int64) * n_shifts + shifts + self.max_shift
        cells, votes = np.unique(cells * n_lags + lags - low, return_counts=True)
        next_to = np.flatnonzero(np.diff(cells) == 1)
        both = votes.copy()  # a copy is rarely shifted by whole frames: add the next lag
        both[next_to] += votes[next_to + 1]
        found: dict[int, Candidate] = {}
        enough = np.flatnonzero(both >= _FEWEST)
        for i in enough[np.argsort(-both[enough], kind="stable")]:
            rest, lag = divmod(int(cells[i]), n_lags)
            track, shift = divmod(rest, n_shifts)
            if track not in found:
                found[track] = Candidate(track, int(both[i]), lag + low, shift - self.max_shift)
                if len(found) == _MOST:
                    break
        return list(found.values())

    def _places(self, query: Landmarks) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return places of the query's landmarks in the table, at every shift, rarest first.

        Returns
        -------
        places, asked, shifts : np.ndarray
            The place in the table, the index of the query's landmark, and the shift in bins.
        """
        every = np.arange(-self.max_shift, self.max_shift + 1)
        keys = np.concatenate([transposed(query.keys, int(shift)) for shift in every])
        asked = np.tile(np.arange(len(query)), len(every))
        shifts = np.repeat(every, len(query))
        inside = np.flatnonzero((keys >= 0) & (keys < N_KEYS))
        starts, ends = self._starts[keys[inside]], self._starts[keys[inside] + 1]
        n = ends - starts
        rarest = np.argsort(n, kind="stable")
        rarest = rarest[: np.searchsorted(np.cumsum(n[rarest]), _MOST_PLACES, "right")]
        n, starts, inside = n[rarest], starts[rarest], inside[rarest]
        within = np.arange(n.sum()) - np.repeat(np.cumsum(n) - n, n)
        which = np.repeat(inside, n)
        return np.repeat(starts, n) + within, asked[which], shifts[which]
