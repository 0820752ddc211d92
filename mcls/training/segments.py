"""Segments of tracks: a fixed grid for scoring, random crops in whole batches for training.

Rows are read from the memory map of the store (or from memory), a whole batch at once. A batch
follows from (seed, epoch, step) alone: `Batches` keeps no random generator, so any number of
threads may ask it for any batch, in any order.
"""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from mcls.errors import ConfigError, DataError
from mcls.stores.joined_files import JoinedFiles
from mcls.stores.stored_rows import StoredRows
from mcls.training.segment_augmentations import Augment, Batch, MovedLabels

Short = Literal["loop", "pad"]

#: Purposes of random generators, so that no two are the same; `loop` has the third.
_ORDER, _AUGMENT = 1, 2


@dataclass(frozen=True)
class Tracks:
    """The rows of some tracks and their labels.

    Parameters
    ----------
    rows : StoredRows or np.ndarray, shape (n_rows, n_dims)
        Rows of these tracks, and maybe of others.
    starts, stops : np.ndarray, shape (n_tracks,), int64
        First row of each track, and the row after its last one.
    targets : np.ndarray, shape (n_tracks, n_labels), float32
        Labels, 0 or 1; NaN if they are unknown.
    groups : np.ndarray, shape (n_tracks, n_groups), float32, or None
        Groups that an adversary tells apart, 0 or 1.
    """

    rows: StoredRows | np.ndarray
    starts: np.ndarray
    stops: np.ndarray
    targets: np.ndarray
    groups: np.ndarray | None = None
    _mapped: list[np.ndarray | JoinedFiles] = field(default_factory=list, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.starts)

    def __getstate__(self) -> dict[str, Any]:
        """Leave the memory map behind: another process opens its own."""
        return {**self.__dict__, "_mapped": []}

    @property
    def lengths(self) -> np.ndarray:
        """Number of rows of each track."""
        return self.stops - self.starts

    def array(self) -> np.ndarray | JoinedFiles:
        """Return all rows, memory-mapped if they are in a store."""
        if isinstance(self.rows, np.ndarray):
            return self.rows
        if not self._mapped:
            rows = self.rows.rows
            self._mapped.append(rows if isinstance(rows, JoinedFiles) else np.asarray(rows))
        return self._mapped[0]

    def track(self, i: int) -> np.ndarray:
        """Return the rows of one track, ``(n, n_dims)``."""
        start, stop = int(self.starts[i]), int(self.stops[i])
        if isinstance(self.rows, np.ndarray):
            return self.rows[start:stop]
        return self.rows.read(start, stop)

    def blocks(self, n_rows: int = 1 << 14) -> Iterator[np.ndarray]:
        """Yield the rows of all tracks in pieces, ``(up to n_rows, n_dims)`` float32."""
        for i in range(len(self)):
            rows = self.track(i)
            for start in range(0, len(rows), n_rows):
                yield rows[start : start + n_rows].astype(np.float32, copy=False)


def step_of(n_frames: int, overlap: float) -> int:
    """Return the hop between the segments of a track that is scored, in rows.

    Examples
    --------
    >>> step_of(10, 0), step_of(10, 0.75), step_of(10, 0.99)
    (10, 2, 1)
    """
    return max(1, round(n_frames * (1 - overlap)))


def grid(n_rows: int, n_frames: int, overlap: float = 0.0) -> np.ndarray:
    """Return the first rows of the segments of a track that is scored.

    Segments are adjacent or overlap; the last one ends with the track.

    Parameters
    ----------
    n_rows : int
        Rows of the track.
    n_frames : int
        Rows of a segment.
    overlap : float
        Overlap of adjacent segments, as a fraction of a segment, in [0, 1).

    Examples
    --------
    >>> grid(10, 4).tolist(), grid(3, 4).tolist(), grid(10, 4, 0.5).tolist()
    ([0, 4, 6], [0], [0, 2, 4, 6])
    """
    last = max(0, n_rows - n_frames)
    starts = np.arange(0, last + 1, step_of(n_frames, overlap))
    return starts if starts[-1] == last else np.append(starts, last)


def cut(
    rows: np.ndarray | JoinedFiles,
    starts: np.ndarray,
    stops: np.ndarray,
    offsets: np.ndarray,
    n_frames: int,
    *,
    short: Short = "loop",
    mean: np.ndarray | float = 0.0,
) -> np.ndarray:
    """Cut segments out of tracks, one of each.

    Parameters
    ----------
    rows : np.ndarray or JoinedFiles, shape (n_rows, n_dims)
        Rows of all tracks.
    starts, stops : np.ndarray, shape (batch,)
        First row of the track of each segment, and the row after its last one.
    offsets : np.ndarray, shape (batch,)
        First row of the segment, counted from the start of its track.
    n_frames : int
        Rows of a segment.
    short : {'loop', 'pad'}
        Continuation of a track that is too short: the track again, or `mean`.
    mean : np.ndarray, shape (n_dims,), or float
        Value to pad with.

    Returns
    -------
    np.ndarray, shape (batch, n_frames, n_dims)
        Segments in the data type of the rows.
    """
    lengths = stops - starts
    if lengths.min(initial=n_frames) >= n_frames:
        return _adjacent_rows(rows, starts + offsets, n_frames)
    place = offsets[:, None] + np.arange(n_frames)
    segments = rows.take(starts[:, None] + place % lengths[:, None], axis=0)
    if short == "pad":
        beyond = (place >= lengths[:, None])[:, :, None]
        np.copyto(segments, mean, where=beyond, casting="unsafe")
    return segments


def _adjacent_rows(rows: np.ndarray | JoinedFiles, first: np.ndarray, n_frames: int) -> np.ndarray:
    """Copy runs of adjacent rows, ``(len(first), n_frames, n_dims)``, each as one block."""
    if isinstance(rows, JoinedFiles):
        return rows.runs(first, n_frames)
    if not rows.flags.c_contiguous or len(rows) < n_frames:
        return rows.take(first[:, None] + np.arange(n_frames), axis=0)
    n_rows, n_dims = rows.shape
    every = np.lib.stride_tricks.as_strided(  # all possible runs, as a view
        rows, (n_rows - n_frames + 1, n_frames * n_dims), rows.strides, writeable=False
    )
    return every[first].reshape(len(first), n_frames, n_dims)


class Batches:
    """Random segments in whole batches: ``batches[epoch, step]``.

    An epoch takes as many segments of each track as fit into it side by side (or `crops`). The
    track is divided into as many parts, and each segment begins at a random place of its own part,
    so segments are spread over the track, and segments of one row come exactly once per epoch.

    Parameters
    ----------
    tracks : Tracks
        Tracks to learn from.
    n_frames, batch_size : int
        Rows of a segment, and the largest number of segments of a batch: the batches of an epoch
        differ by one segment at most.
    seed : int
        Random seed.
    crops : int or None
        Segments per track and epoch.
    short : {'loop', 'pad'}
        See `cut`.
    balance : bool
        Draw tracks so that all labels are equally frequent: the probability of a track is
        proportional to the sum of 1 / (tracks that have the label) over its labels.
    augment : sequence of callable
        Augmentations of each batch, in order.
    moved_labels : MovedLabels or None
        How labels follow a shift.
    mean, scale : np.ndarray, shape (n_dims,), or None
        Mean and standard deviation of the train rows; None: 0 and 1.
    """

    def __init__(
        self,
        tracks: Tracks,
        n_frames: int,
        batch_size: int,
        *,
        seed: int = 0,
        crops: int | None = None,
        short: Short = "loop",
        balance: bool = False,
        augment: Sequence[Augment] = (),
        moved_labels: MovedLabels | None = None,
        mean: np.ndarray | None = None,
        scale: np.ndarray | None = None,
    ) -> None:
        if len(tracks) == 0 or tracks.lengths.min() < 1:
            raise DataError("a track to train on has no rows")
        n_dims = tracks.array().shape[1]
        self.tracks = tracks
        #: Labels of each track, and groups after them if there are any.
        self.columns = (
            tracks.targets
            if tracks.groups is None
            else np.concatenate([tracks.targets, tracks.groups], axis=1)
        )
        self.n_frames = n_frames
        self.n_dims = n_dims
        self.seed = seed
        self.short: Short = short
        self.augment = tuple(augment)
        self.moved_labels = moved_labels
        self.mean = np.zeros(n_dims, np.float32) if mean is None else mean
        self.scale = np.ones(n_dims, np.float32) if scale is None else scale
        #: The number of this process, and the number of processes that share each batch.
        self.shard = (0, 1)
        self.n_crops = (
            np.maximum(1, tracks.lengths // n_frames)
            if crops is None
            else np.full(len(tracks), crops)
        )
        self.ends = np.cumsum(self.n_crops)
        self.n_steps = -(-self.n_segments // batch_size)
        self.probabilities = _probabilities(tracks.targets) if balance else None
        self._ordered: tuple[int, np.ndarray] | None = None

    @property
    def n_segments(self) -> int:
        """Number of segments of an epoch."""
        return int(self.ends[-1])

    def resized(self, batch_size: int) -> "Batches":
        """Return batches of another size, of the same segments."""
        other = copy.copy(self)
        other.n_steps = -(-self.n_segments // batch_size)
        return other

    def __len__(self) -> int:
        return self.n_steps

    def __getitem__(self, at: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        """Return a batch.

        Parameters
        ----------
        at : (int, int)
            Epoch, and step within the epoch.

        Returns
        -------
        x : np.ndarray, shape (batch, 1, n_frames, n_dims)
            Segments in the units and the data type of the rows; float32 if they were augmented.
        y : np.ndarray, shape (batch, n_labels), float32
            Labels, and groups after them if there are any.
        """
        epoch, step = at
        track, offsets = self.order(epoch)[:, self.part_of_step(step)]
        x = cut(
            self.tracks.array(),
            self.tracks.starts[track],
            self.tracks.stops[track],
            offsets,
            self.n_frames,
            short=self.short,
            mean=self.mean,
        )
        y = self.columns.take(track, axis=0)
        if self.augment:
            x = x.astype(np.float32, copy=False)
            x, y = self.augmented(Batch(x, y, self.mean, self.scale, self.moved_labels), at)
        return x[:, None], y

    def augmented(self, batch: Batch, at: tuple[int, int]) -> tuple[Any, Any]:
        """Return the segments and the labels of a batch after its augmentations."""
        rng = np.random.default_rng([self.seed, _AUGMENT, *at, self.shard[0]])
        for augment in self.augment:
            batch = augment(batch, rng)
        return batch.x, batch.y

    def part_of_step(self, step: int) -> slice:
        """Return which segments of the epoch's order this process takes in a step."""
        first, last = self._step(step)
        return slice(first + self.shard[0], last, self.shard[1])

    def weight(self, epoch: int, step: int) -> float:
        """Return how much this process's mean loss counts in a step, relative to an equal share.

        It is proportional to the known labels of its segments. So the mean over the processes of
        their weighted losses is the loss of the whole batch, whose shares may differ in size.
        """
        rank, n_processes = self.shard
        if n_processes == 1:
            return 1.0
        tracks = self.order(epoch)[0, slice(*self._step(step))]
        known = (~np.isnan(self.tracks.targets[tracks])).sum(axis=1)
        return float(n_processes * known[rank::n_processes].sum() / max(1, known.sum()))

    def _step(self, step: int) -> tuple[int, int]:
        """Return where the segments of a step begin and end in the epoch's order."""
        first, last = (i * self.n_segments // self.n_steps for i in (step, step + 1))
        return first, last

    def order(self, epoch: int) -> np.ndarray:
        """Return the track of every segment of an epoch and its first row, ``(2, n_segments)``."""
        ordered = self._ordered
        if ordered is None or ordered[0] != epoch:
            rng = np.random.default_rng([self.seed, _ORDER, epoch])
            places = np.maximum(1, self.tracks.lengths - self.n_frames + 1)
            if self.probabilities is None:
                track = np.repeat(np.arange(len(self.tracks)), self.n_crops)
                part = np.arange(self.n_segments) - (self.ends - self.n_crops)[track]
            else:
                track = rng.choice(len(self.tracks), self.n_segments, p=self.probabilities)
                part = rng.integers(0, self.n_crops[track])
            spread = (part + rng.random(self.n_segments)) * (places / self.n_crops)[track]
            offset = np.minimum(spread.astype(np.int64), (places - 1)[track])
            order = rng.permutation(self.n_segments)
            ordered = self._ordered = (epoch, np.stack([track[order], offset[order]]))
        return ordered[1]


def _probabilities(targets: np.ndarray) -> np.ndarray:
    targets = np.nan_to_num(targets)  # an unknown label draws no track
    having = targets.sum(axis=0, dtype=np.float64)
    weights = targets @ np.divide(1, having, out=np.zeros_like(having), where=having > 0)
    if not weights.any():
        raise ConfigError("balance: no train track has a label")
    bare = weights == 0
    if bare.any():  # tracks without labels count as one more label
        weights[bare] = 1 / bare.sum()
    return weights / weights.sum()
