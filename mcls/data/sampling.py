"""Sampling of the rows from which a dictionary is learnt.

Every track contributes the same number of rows where possible, drawn at random from all its rows
or from its onsets. Rows are read in batches, and kept in memory only if they fit there; memory use
is therefore bounded.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from mcls.data.onsets import Onsets
from mcls.dictionaries.batches import LazyBatches
from mcls.dictionaries.preprocessing import Preprocessing, join_frames
from mcls.parallel.progress import Progress
from mcls.stores.store import StoredRows

#: Sampling methods.
SAMPLINGS = ("random", "onset")

#: Values that are read from the store at once.
_READ = 1 << 21
#: Rows per batch.
_BATCH = 8192


class Sample:
    """A sample of the rows of some tracks; every call gives all of it in batches.

    A sample that fits in memory is kept there, preprocessed and shuffled. A larger one is read from
    the store at each call, track after track in a random order.

    Parameters
    ----------
    stored : StoredRows
        The feature.
    tracks : np.ndarray
        The tracks.
    n_rows : int or None
        Number of rows; None takes all.
    context : int
        Number of successive frames that are joined to one row.
    seed : int
        Random seed.
    hold : int
        Bytes of preprocessed rows to keep in memory; more are read again at each call.
    onsets : Onsets or None
        The onsets to which rows are restricted; None draws from all rows.
    """

    def __init__(
        self,
        stored: StoredRows,
        tracks: np.ndarray,
        *,
        n_rows: int | None,
        context: int,
        seed: int,
        hold: int = 1 << 29,
        onsets: Onsets | None = None,
        progress: Progress | None = None,
    ) -> None:
        self.stored = stored
        self.context = context
        self.seed = seed
        self.hold = hold
        self.progress = progress
        self.preprocessing: Preprocessing | None = None
        self._held: np.ndarray | None = None
        rng = np.random.default_rng([seed, 1])
        order = rng.permutation(tracks)
        lengths = stored.offsets[order + 1] - stored.offsets[order]
        there = np.where(lengths > 0, np.maximum(1, lengths - context + 1), 0)
        drawable: list[np.ndarray | None] = [
            None if onsets is None else onsets(int(track), int(n))
            for track, n in zip(order, there, strict=True)
        ]
        counts = [n if rows is None else len(rows) for n, rows in zip(there, drawable, strict=True)]
        found = np.array(counts, dtype=np.int64)
        quota = found if n_rows is None else equal_shares(found, n_rows)
        self._plan = [
            (int(track), _draw(rng, int(n), int(take), rows), int(n))
            for track, take, n, rows in zip(order, quota, there, drawable, strict=True)
            if take
        ]
        self._n = int(quota.sum())
        self._pieces = self._cut()
        self._batches = 0

    def __len__(self) -> int:
        return self._n

    def __call__(self) -> LazyBatches:
        """Return batches of preprocessed rows ``(n, n_dims)``, float32."""
        preprocessing = self.preprocessing or Preprocessing(standardize=False)
        batches = LazyBatches(len(self._pieces), lambda i: preprocessing.transform(self._read(i)))
        if self._held is None and len(batches):
            n_dims = self.stored.n_dims * self.context
            if preprocessing.components_ is not None:
                n_dims = preprocessing.components_.shape[1]
            if 4 * self._n * n_dims > self.hold:
                return batches
            held, done = np.empty((self._n, n_dims), np.float32), 0
            for batch in batches:
                held[done : done + len(batch)] = batch
                done += len(batch)
            rng = np.random.default_rng([self.seed, 2])
            rng.shuffle(held)
            self._held = held
        return LazyBatches(-(-self._n // _BATCH), self._of_held)

    def _of_held(self, i: int) -> np.ndarray:
        assert self._held is not None
        self._tell()
        return self._held[i * _BATCH : (i + 1) * _BATCH]

    def with_columns(self, columns: np.ndarray) -> Iterator[np.ndarray]:
        """Yield the batches of ``self()`` with columns of the track of each row behind them.

        Parameters
        ----------
        columns : np.ndarray, shape (n_tracks, n_columns), float32
            A row for each track of the store.
        """
        tracks, done = None, 0
        for batch in self():
            if tracks is None:
                tracks = np.repeat(
                    [track for track, _, _ in self._plan],
                    [n if picked is None else len(picked) for _, picked, n in self._plan],
                )
                if self._held is not None:
                    np.random.default_rng([self.seed, 2]).shuffle(tracks)  # as the rows were
            yield np.hstack([batch, columns[tracks[done : done + len(batch)]]])
            done += len(batch)

    def raw(self) -> LazyBatches:
        """Return batches of joined rows before preprocessing."""
        return LazyBatches(len(self._pieces), self._read)

    def _cut(self) -> "list[list[_Piece]]":
        """Cut the rows to pieces of tracks, which bound what is read at once, and to batches."""
        batches: list[list[_Piece]] = []
        waiting, n_waiting = [], 0
        step = max(1, _READ // (self.stored.n_dims * self.context))
        for track, picked, n in self._plan:
            for start in range(0, n, step):
                stop = min(start + step, n)
                some = picked
                if picked is not None and n > step:
                    some = picked[(picked >= start) & (picked < stop)] - start
                n_rows = stop - start if some is None else len(some)
                if n_rows:
                    waiting.append(_Piece(track, start, stop, some))
                    n_waiting += n_rows
                if n_waiting >= _BATCH:
                    batches.append(waiting)
                    waiting, n_waiting = [], 0
        return [*batches, waiting] if waiting else batches

    def _read(self, i: int) -> np.ndarray:
        """Read the joined rows of a batch."""
        self._tell()
        return np.concatenate([self._rows(piece) for piece in self._pieces[i]])

    def _rows(self, piece: "_Piece") -> np.ndarray:
        begin, end = map(int, self.stored.offsets[piece.track : piece.track + 2])
        last = min(begin + piece.stop + self.context - 1, end)
        joined = join_frames(self.stored.read(begin + piece.start, last), self.context)
        return joined if piece.picked is None else joined[piece.picked]

    def _tell(self) -> None:
        self._batches += 1
        if self.progress is not None:
            self.progress(self._batches, 0, 0.0)


class _Piece(NamedTuple):
    """Joined rows `start` to `stop` of a track; of these the `picked` ones, or all."""

    track: int
    start: int
    stop: int
    picked: np.ndarray | None


def equal_shares(there: np.ndarray, wanted: int) -> np.ndarray:
    """Divide `wanted` rows among tracks of ``there`` rows as equally as possible.

    Examples
    --------
    >>> equal_shares(np.array([2, 100, 100]), 62).tolist()
    [2, 30, 30]
    """
    if wanted >= there.sum():
        return there
    low, high = 0, int(there.max(initial=0))
    while low < high:  # the largest level at which the tracks together give at most `wanted`
        level = (low + high + 1) // 2
        low, high = (level, high) if np.minimum(there, level).sum() <= wanted else (low, level - 1)
    shares = np.minimum(there, low)
    more = np.flatnonzero(there > low)[: wanted - int(shares.sum())]
    shares[more] += 1
    return shares


def _draw(
    rng: np.random.Generator, n: int, take: int, drawable: np.ndarray | None
) -> np.ndarray | None:
    """Draw `take` of the `n` rows of a track, ascending; None stands for all of them."""
    if drawable is None:
        return None if take == n else np.sort(rng.choice(n, take, replace=False))
    if take == len(drawable):
        return drawable
    return np.sort(rng.choice(drawable, take, replace=False))
