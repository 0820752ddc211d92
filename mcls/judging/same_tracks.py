"""Put the predictions of several runs in the same order, and refuse those of other tracks."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from mcls.errors import DataError
from mcls.tables.predictions import Predictions


def aligned(first_path: Path, first: Predictions, path: Path, other: Predictions) -> Predictions:
    """Return the lines and labels of other predictions in the order of the first.

    Raises
    ------
    DataError
        If they are of other labels, tracks or true labels; the message names one.
    """
    if first.regression != other.regression:
        kinds = ["numbers" if one.regression else "labels" for one in (first, other)]
        raise DataError(f"{first_path} predicts {kinds[0]}, {path} {kinds[1]}")
    if set(first.names) != set(other.names):
        odd = sorted(set(first.names) ^ set(other.names))
        raise DataError(f"{first_path} and {path} have other labels, such as {odd[0]!r}")
    mine, theirs = first.line_names(), other.line_names()
    if set(mine) != set(theirs) and not all(any(one.folds) for one in (first, other)):
        mine, theirs = ([(track, "", time) for track, _, time in keys] for keys in (mine, theirs))
    for keys, where in ((mine, first_path), (theirs, path)):
        twice, n = Counter(keys).most_common(1)[0]
        if n > 1:
            raise DataError(
                f"{where} has {n} scores of {_said(*twice)}, and one of them cannot be told from "
                "the others; compare runs with the same folds"
            )
    for keys, others, where in ((mine, theirs, path), (theirs, mine, first_path)):
        known = set(others)
        missing = [key for key in keys if key not in known]
        if missing:
            raise DataError(
                f"{first_path} and {path} were scored on other tracks: {len(missing)} are not in "
                f"{where}, such as {_said(*missing[0])}; compare runs with the same split"
            )
    place = {key: i for i, key in enumerate(theirs)}
    lines = [place[key] for key in mine]
    columns = [other.names.index(name) for name in first.names]
    truth = other.truth[lines][:, columns]
    unknown = None if other.unknown is None else other.unknown[lines][:, columns]
    differ = _differ(first, truth, unknown)
    if differ.any():
        what = "true numbers" if first.regression else "true labels"
        name = first.track_ids[int(differ.argmax())]
        raise DataError(
            f"{first_path} and {path} have other {what} on {int(differ.sum())} tracks, such as "
            f"{name!r}"
        )
    sure = other.probabilities
    return replace(
        other,
        track_ids=first.track_ids,
        parts=first.parts,
        folds=first.folds,
        names=first.names,
        truth=first.truth,
        scores=other.scores[lines][:, columns],
        multi_label=first.multi_label,
        probabilities=None if sure is None else sure[lines][:, columns],
        times=first.times,
        unknown=first.unknown,
    )


def refuse_other_splits(
    ids: Sequence[tuple[Path, Mapping[str, str]]],
    names: Mapping[Path, str | None],
    development: Callable[[Path, str], frozenset[tuple[str, str]]],
) -> list[str]:
    """Refuse runs that were trained on other tracks.

    A run may keep a part of the tracks to choose on where another learns from all of them, as long
    as they are the same tracks in all; this is said in a note.

    Parameters
    ----------
    ids : sequence of (Path, mapping of str to str)
        Each run, and the identifier of its split by seed, as far as they are known. The valid part
        may be drawn anew for every seed, so the splits of the same seed are compared.
    names : mapping of Path to str or None
        The published split of each run, for the message.
    development : callable
        ``development(path, seed)`` returns the tracks that a run learnt from or chose on, each with
        its fold; none if they are not known.

    Returns
    -------
    list of str
        Notes on runs that divide the same tracks in another way.

    Raises
    ------
    DataError
        Names the two runs and their splits.
    """
    known = [(path, by_seed) for path, by_seed in ids if by_seed]
    divided: list[str] = []
    for path, by_seed in known[1:]:
        first_path, first = known[0]
        common = [(seed, seed) for seed in by_seed if seed in first]
        for mine, theirs in common or [(next(iter(first)), next(iter(by_seed)))]:
            if first[mine] == by_seed[theirs]:
                continue
            there = development(first_path, mine)
            if not there or there != development(path, theirs):
                said = [
                    f"{split}, {names[where]}" if names.get(where) else split
                    for split, where in ((first[mine], first_path), (by_seed[theirs], path))
                ]
                raise DataError(
                    f"{first_path} and {path} have other splits ({' and '.join(said)}): they were "
                    "trained on other tracks; train them with the same --split, --fold and --seed"
                )
            divided.append(str(path))
    if not divided:
        return []
    others = ", ".join(dict.fromkeys(divided))
    return [f"{known[0][0]} divides the tracks into other train and valid parts than {others}"]


def _said(track: str, fold: str, time: str) -> str:
    at = (f" at {time} s" if time else "") + (f" in fold {fold}" if fold else "")
    return f"{track!r}{at}"


def _differ(first: Predictions, truth: np.ndarray, unknown: np.ndarray | None) -> np.ndarray:
    """Return which lines have other true labels; numbers may differ by their last digits."""
    if first.regression:
        same = np.isclose(truth, first.truth, rtol=1e-6, atol=1e-12)
    else:
        none = np.zeros_like(truth)
        both = [none if one is None else one for one in (first.unknown, unknown)]
        same = (truth == first.truth) & (both[0] == both[1])
    return np.asarray(~same.all(axis=1))
