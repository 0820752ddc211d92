"""The tracks that a run predicts wrongly, the most confident errors first."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mcls.errors import ConfigError
from mcls.evaluation.errors import worst_errors
from mcls.evaluation.suitable import common_threshold
from mcls.judging.evaluate import open_seeds, run_threshold
from mcls.judging.scored_columns import track_columns
from mcls.tables.predictions import Predictions


@dataclass(frozen=True)
class ListedError:
    """A wrong prediction of a track.

    Parameters
    ----------
    track : str
    fold : str
        The fold held out when the track was scored; empty without folds.
    kind : str
        ``wrong``; where a track may have several labels ``false positive`` or ``false negative``;
        ``off`` for a number.
    true : str
        The true labels, joined by ``|``; the true number.
    predicted : str
        The predicted label, or the one that is missed; the predicted number.
    score : float
        The score of that label, or its calibrated probability; of a number its error.
    limit : float or None
        What the score was to be compared with: that of the true label, or the threshold.
    path : str
        The audio file as the store or manifest names it; empty if it is not known.
    target : str
        The target of a number.
    """

    track: str
    fold: str
    kind: str
    true: str
    predicted: str
    score: float
    limit: float | None
    path: str
    target: str = ""


@dataclass(frozen=True)
class ListedErrors:
    """The worst errors of a run, and in which unit their scores are."""

    errors: list[ListedError]
    n_errors: int
    probabilities: bool

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON object."""
        return asdict(self)


def list_errors(
    path: Path | str,
    *,
    most: int | None = None,
    part: str | None = None,
    threshold: float | None = None,
    tracks: Path | str | None = None,
) -> ListedErrors:
    """Return the wrong predictions of a run, a cross-validation or a CSV, the worst first.

    With one label per track those come first whose predicted label has the highest score above that
    of the true label. With several, those labels whose score is furthest on the wrong side of the
    threshold. Of numbers, those that are furthest off, in standard deviations of their target.

    Parameters
    ----------
    path : path
        See `mcls.judging.evaluate.evaluate`.
    most : int or None
        The largest number of errors; None: all.
    part, threshold
        See `mcls.judging.evaluate.evaluate`.
    tracks : path or None
        The store or manifest with the paths; None takes the store of the run.

    Raises
    ------
    ConfigError
        If the path holds several seeds, or scores need a threshold.
    """
    path = Path(path)
    seeds, about = open_seeds(path, part)
    if len(seeds) > 1:
        raise ConfigError(
            f"{path} holds {len(seeds)} seeds; list the errors of one, such as seed-0"
        )
    [chosen] = seeds.values()
    columns = track_columns(about, None if tracks is None else Path(tracks))
    named = columns.get("path", [])
    paths = dict(zip(columns["track_id"], map(str, named), strict=True)) if named else {}
    if chosen.regression:
        found = _numbers(chosen, paths)
        return ListedErrors(found[:most], len(found), probabilities=False)
    limit = None
    sure = chosen.probabilities
    if chosen.multi_label:
        limit = common_threshold(chosen, run_threshold(about) if threshold is None else threshold)
        sure = None
    found = _labels(chosen, limit, sure, paths)
    return ListedErrors(found[:most], len(found), probabilities=sure is not None)


def _labels(
    chosen: Predictions,
    limit: float | Sequence[float] | None,
    sure: np.ndarray | None,
    paths: dict[str, str],
) -> list[ListedError]:
    scores = chosen.scores if sure is None else sure
    limits = None if limit is None else np.broadcast_to(limit, len(chosen.names))
    found = []
    for one in worst_errors(chosen.truth, scores, threshold=limits, unknown=chosen.unknown):
        truth = chosen.truth[one.track]
        least = scores[one.track, truth.argmax()] if limits is None else limits[one.label]
        found.append(
            ListedError(
                chosen.track_ids[one.track],
                chosen.folds[one.track],
                one.kind,
                "|".join(chosen.names[j] for j in np.flatnonzero(truth)),
                chosen.names[one.label],
                float(scores[one.track, one.label]),
                float(least),
                paths.get(chosen.track_ids[one.track], ""),
            )
        )
    return found


def _numbers(chosen: Predictions, paths: dict[str, str]) -> list[ListedError]:
    off = chosen.scores - chosen.truth
    deviations = off / np.where(spread := chosen.truth.std(axis=0), spread, 1.0)
    order = np.argsort(-np.abs(deviations), axis=None, kind="stable")
    found = []
    for i, j in zip(*np.unravel_index(order, off.shape), strict=True):
        track = chosen.track_ids[i]
        found.append(
            ListedError(
                track,
                chosen.folds[i],
                "off",
                f"{chosen.truth[i, j]:.6g}",
                f"{chosen.scores[i, j]:.6g}",
                float(off[i, j]),
                None,
                paths.get(track, ""),
                chosen.names[j],
            )
        )
    return found
