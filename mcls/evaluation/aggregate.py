"""Aggregation of the scores of rows to scores of tracks: mean, vote or max."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from mcls.errors import ConfigError, DataError

#: Aggregation methods.
AGGREGATES = ("mean", "vote", "max")


def aggregate(
    scores: np.ndarray,
    lengths: np.ndarray,
    *,
    how: str = "mean",
    threshold: float | None = None,
) -> np.ndarray:
    """Aggregate the scores of the rows of each track.

    Parameters
    ----------
    scores : np.ndarray, shape (n_rows, n_labels)
        Scores of the rows of all tracks, one track after the other.
    lengths : np.ndarray, shape (n_tracks,)
        Rows per track, each >= 1.
    how : {'mean', 'vote', 'max'}
        ``mean`` or ``max`` over the rows of a track, or ``vote``: the fraction of its rows for
        which the label is predicted (highest score, or at least `threshold` if it is given).
    threshold : float or None
        For ``vote`` with multi-label data: the score from which a label counts as predicted.

    Returns
    -------
    np.ndarray, shape (n_tracks, n_labels)
        float64.

    Raises
    ------
    ConfigError
        If `how` is unknown.
    DataError
        If a track has no rows, or the lengths do not sum to the number of rows.

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
        raise DataError(
            f"there are {len(scores)} rows of scores, but the tracks have {lengths.sum()} rows"
        )
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
        raise ConfigError(f"aggregate is {how!r}; expected one of {', '.join(AGGREGATES)}")
    return np.add.reduceat(scores.astype(np.float64), starts, axis=0) / lengths[:, None]


def score_tracks(
    model: Any,
    tracks: Iterable[np.ndarray],
    *,
    n_labels: int,
    how: str = "mean",
    block_rows: int = 16_384,
    block_bytes: int = 1 << 32,
) -> Iterator[np.ndarray]:
    """Score tracks with a classifier or a net, including labels it has not seen.

    Parameters
    ----------
    model : fitted classifier or trained net
        Has ``scores_of`` (from a list of tracks to a list of the scores of their rows or segments),
        ``classes_`` (indices of its labels), ``multi_label_``, ``threshold`` and ``lowest``, the
        score of labels that are not among its classes.
    tracks : iterable of np.ndarray, each (n_rows, n_dims)
        The rows of each track.
    n_labels : int
        Number of labels.
    how : {'mean', 'vote', 'max', 'rows'}
        As in `aggregate`; ``rows`` keeps the scores of the rows.
    block_rows : int
        Approximate number of rows that are scored at once, in whole tracks.
    block_bytes : int
        Bytes that these rows may take at most, unless one track takes more.

    Yields
    ------
    np.ndarray, shape (n_labels,), or (n_rows, n_labels) for ``rows``
        One per track, in order.
    """
    waiting: list[np.ndarray] = []
    for track in tracks:
        waiting.append(track)
        there = sum(map(len, waiting))
        # as they are, together, float64, and standardised
        if there >= block_rows or 24 * (there + len(track)) * track.shape[1] > block_bytes:
            yield from tracks_of_segments(model, model.scores_of(waiting), n_labels, how)
            waiting = []
    if waiting:
        yield from tracks_of_segments(model, model.scores_of(waiting), n_labels, how)


def tracks_of_segments(
    model: Any, found: Sequence[np.ndarray], n_labels: int, how: str
) -> Iterator[np.ndarray]:
    """Yield the scores of tracks, given the result of ``model.scores_of``; see `score_tracks`."""
    rows = np.concatenate(found)
    scores = np.full((len(rows), n_labels), model.lowest)
    scores[:, model.classes_] = rows
    lengths = np.array([len(track) for track in found])
    if how == "rows":
        yield from np.split(scores, np.cumsum(lengths)[:-1])
        return
    threshold = model.threshold if model.multi_label_ else None
    yield from aggregate(scores, lengths, how=how, threshold=threshold)
