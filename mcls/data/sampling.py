"""Sampling of the rows from which a dictionary is learnt.

Every track contributes the same number of rows where possible, drawn at random from all its rows
or from its onsets. Rows are read in batches, and kept in memory only if they fit into `HELD_BYTES`;
memory use is therefore bounded.
"""

from collections.abc import Iterator

import numpy as np

from mcls.data.onsets import Onsets
from mcls.dictionaries.preprocessing import Preprocessing, join_frames
from mcls.parallel.progress import Progress
from mcls.stores.store import StoredRows

#: Sampling methods.
SAMPLINGS = ("random", "onset")

#: Bytes of preprocessed rows that are kept in memory; more are read again in every pass.
HELD_BYTES = 1 << 29
#: Values that are read from the store at once.
_READ = 1 << 21
#: Rows per batch.
_BATCH = 8192


class Sample:
    """A sample of the rows of some tracks; every call yields all of it in batches.

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
        onsets: Onsets | None = None,
        progress: Progress | None = None,
    ) -> None:
        self.stored = stored
        self.context = context
        self.seed = seed
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
        self._batches = 0

    def __len__(self) -> int:
        return self._n

    def __call__(self) -> Iterator[np.ndarray]:
        """Yield batches of preprocessed rows ``(n, n_dims)``, float32."""
        if self._held is None:
            preprocessing = self.preprocessing or Preprocessing(standardize=False)
            batches = (preprocessing.transform(batch) for batch in self.raw())
            first = next(batches, None)
            if first is None:
                return
            if 4 * self._n * first.shape[1] > HELD_BYTES:
                yield first
                yield from batches
                return
            held = np.empty((self._n, first.shape[1]), np.float32)
            held[: len(first)] = first
            done = len(first)
            for batch in batches:
                held[done : done + len(batch)] = batch
                done += len(batch)
            rng = np.random.default_rng([self.seed, 2])
            rng.shuffle(held)
            self._held = held
        for start in range(0, self._n, _BATCH):
            self._tell()
            yield self._held[start : start + _BATCH]

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

    def raw(self) -> Iterator[np.ndarray]:
        """Yield batches of joined rows before preprocessing."""
        waiting: list[np.ndarray] = []
        n_waiting = 0
        for track, picked, n in self._plan:
            for rows in self._track(track, picked, n):
                waiting.append(rows)
                n_waiting += len(rows)
                if n_waiting >= _BATCH:
                    self._tell()
                    yield np.concatenate(waiting)
                    waiting, n_waiting = [], 0
        if waiting:
            yield np.concatenate(waiting)

    def _track(self, track: int, picked: np.ndarray | None, n: int) -> Iterator[np.ndarray]:
        """Yield the picked rows of one track, reading bounded stretches of it."""
        begin, end = int(self.stored.offsets[track]), int(self.stored.offsets[track + 1])
        step = max(1, _READ // (self.stored.n_dims * self.context))
        for start in range(0, n, step):
            stop = min(start + step, n)
            some = None if picked is None else picked[(picked >= start) & (picked < stop)] - start
            if some is not None and not len(some):
                continue
            last = min(begin + stop + self.context - 1, end)
            joined = join_frames(self.stored.read(begin + start, last), self.context)
            yield joined if some is None else joined[some]

    def _tell(self) -> None:
        self._batches += 1
        if self.progress is not None:
            self.progress(self._batches, 0, 0.0)


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
