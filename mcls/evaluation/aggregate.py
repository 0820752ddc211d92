"""From scores of rows to scores of tracks: mean, vote or max."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from mcls.errors import ConfigError, DataError

#: The ways to aggregate, for command lines.
AGGREGATES = ("mean", "vote", "max")


def aggregate(
    scores: np.ndarray,
    lengths: np.ndarray,
    *,
    how: str = "mean",
    threshold: float | None = None,
) -> np.ndarray:
    """Return one row of scores per track from the scores of its rows.

    Parameters
    ----------
    scores : np.ndarray, shape (n_rows, n_labels)
        Scores of the rows of all tracks, one track after the other.
    lengths : np.ndarray, shape (n_tracks,)
        Rows per track, each >= 1.
    how : {'mean', 'vote', 'max'}
        ``mean`` or ``max`` over a track's rows, or ``vote``: the share of its rows that choose
        the label (that has the highest score of the row, or, with `threshold`, at least it).
    threshold : float or None
        For ``vote`` with several labels per track: where a label counts as present.

    Returns
    -------
    np.ndarray, shape (n_tracks, n_labels)
        float64.

    Raises
    ------
    ConfigError
        If `how` is unknown.
    DataError
        If a track has no rows, or the lengths do not add up.

    Examples
    --------
    >>> rows = np.array([[0.2, 0.8], [0.4, 0.6], [0.9, 0.1], [1.0, 0.0]])
    >>> aggregate(rows, np.array([3, 1]), how="mean").tolist()
    [[0.5, 0.5], [1.0, 0.0]]
    >>> aggregate(rows, np.array([3, 1]), how="vote").round(2).tolist()
    [[0.33, 0.67], [1.0, 0.0]]
    """
    lengths = np.asarray(lengths, dtype=np.int64)
    if lengths.sum() != len(scores):
        raise DataError(f"{len(scores)} rows of scores for tracks of {lengths.sum()} rows")
    if len(lengths) == 0:
        return np.zeros((0, scores.shape[1]))
    if lengths.min() < 1:
        raise DataError(f"{int((lengths < 1).sum())} tracks have no rows to score")
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    if how == "max":
        return np.maximum.reduceat(scores, starts, axis=0)
    if how == "vote":
        if threshold is None:
            scores = scores.argmax(axis=1)[:, None] == np.arange(scores.shape[1])
        else:
            scores = scores >= threshold
    elif how != "mean":
        raise ConfigError(f"aggregate {how!r} is not one of {', '.join(AGGREGATES)}")
    return np.add.reduceat(scores.astype(np.float64), starts, axis=0) / lengths[:, None]


def score_tracks(
    model: Any,
    tracks: Iterable[np.ndarray],
    *,
    n_labels: int,
    how: str = "mean",
    block_rows: int = 16_384,
) -> Iterator[np.ndarray]:
    """Score tracks with a classifier or a net, a label it never saw included.

    Parameters
    ----------
    model : fitted classifier or trained net
        With ``scores_of`` (from a list of tracks to a list of the scores of their rows, or
        segments), ``classes_`` (columns among the labels), ``multi_label_``, ``threshold`` and
        ``lowest``, which is the score of a label that is not among its classes.
    tracks : iterable of np.ndarray, each (n_rows, n_dims)
        The rows of each track.
    n_labels : int
        Columns wanted.
    how : {'mean', 'vote', 'max', 'rows'}
        As in `aggregate`; ``rows`` leaves the scores of the rows as they are.
    block_rows : int
        About how many rows are scored at once, whole tracks at a time.

    Yields
    ------
    np.ndarray, shape (n_labels,), or (n_rows, n_labels) for ``rows``
        One per track, in order.
    """
    waiting: list[np.ndarray] = []
    for track in tracks:
        waiting.append(track)
        if sum(map(len, waiting)) >= block_rows:
            yield from tracks_of_segments(model, model.scores_of(waiting), n_labels, how)
            waiting = []
    if waiting:
        yield from tracks_of_segments(model, model.scores_of(waiting), n_labels, how)


def tracks_of_segments(
    model: Any, found: Sequence[np.ndarray], n_labels: int, how: str
) -> Iterator[np.ndarray]:
    """Yield the scores of tracks from what ``model.scores_of`` gave; see `score_tracks`."""
    rows = np.concatenate(found)
    scores = np.full((len(rows), n_labels), model.lowest)
    scores[:, model.classes_] = rows
    lengths = np.array([len(track) for track in found])
    if how == "rows":
        yield from np.split(scores, np.cumsum(lengths)[:-1])
        return
    threshold = model.threshold if model.multi_label_ else None
    yield from aggregate(scores, lengths, how=how, threshold=threshold)
