"""Splits: grouped and stratified assignment of tracks to parts or folds.

Groups (an artist, a speaker, a source recording) stay within one part. Under this constraint the
labels are distributed over the parts as evenly as possible by iterative stratification: the label
with the fewest remaining tracks is assigned first, each time to the part that lacks it most.

The result depends on the names of the groups (or of the tracks, if `ids` are given), the labels and
the seed, but not on the order of the tracks.

References
----------
.. [1] K. Sechidis, G. Tsoumakas, I. Vlahavas, "On the stratification of multi-label data",
   ECML PKDD 2011.

Differs from the paper: the unit is a group with a count per label, not one example; large groups
are assigned before small ones; a label that only one group has goes to ``train``; afterwards single
groups are moved as long as this brings the counts closer to the requested fractions.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from mcls.errors import ConfigError, DataError

#: Passes of the refinement over all units.
_PASSES = 4


@dataclass(frozen=True)
class Leaks:
    """Groups and recordings that are in several parts; false if there are none.

    Parameters
    ----------
    groups : dict of str to dict of str to int
        Tracks per part of every group that is in several parts.
    audio : list of list of int
        Indices of the tracks of every recording that is in several parts.
    """

    groups: dict[str, dict[str, int]] = field(default_factory=dict)
    audio: list[list[int]] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.groups or self.audio)


def make_parts(
    strata: np.ndarray | None,
    groups: Sequence[str] | None = None,
    *,
    fractions: Sequence[float] = (0.6, 0.2, 0.2),
    seed: int = 0,
    ids: Sequence[str] | None = None,
) -> list[str]:
    """Assign tracks to train, valid and test.

    Parameters
    ----------
    strata : np.ndarray, shape (n_tracks, n_labels), bool, or None
        The labels to stratify by; `LabelTable.matrix`. None balances only the number of tracks and
        requires `groups` or `ids`.
    groups : sequence of str, length n_tracks, or None
        The group of each track. A track with an empty name is a group of its own.
    fractions : sequence of 3 (train, valid, test) or 2 (train, test) floats in [0, 1]
        Fractions of the tracks; they add up to 1.
    seed : int
        Random seed.
    ids : sequence of str, length n_tracks, or None
        Names of the tracks, which make the result independent of their order without groups too.

    Returns
    -------
    list of str
        ``train``, ``valid`` or ``test`` per track.

    Raises
    ------
    ConfigError
        If the fractions are out of range or do not add up to 1.
    DataError
        If there are fewer groups (or tracks) than parts.

    Examples
    --------
    >>> strata = np.eye(2, dtype=bool).repeat(10, axis=0)
    >>> parts = make_parts(strata, fractions=(0.6, 0.2, 0.2))
    >>> [parts[:10].count(part) for part in ("train", "valid", "test")]
    [6, 2, 2]
    """
    shares = _check_fractions(fractions)
    names = ["train", "valid", "test"] if len(shares) == 3 else ["train", "test"]
    wanted = [(name, share) for name, share in zip(names, shares, strict=True) if share > 0]
    return _assign(strata, groups, ids, wanted, seed, rare_first=True, what="parts")


def make_folds(
    strata: np.ndarray | None,
    groups: Sequence[str] | None = None,
    *,
    n_folds: int = 5,
    seed: int = 0,
    ids: Sequence[str] | None = None,
) -> list[str]:
    """Assign tracks to folds of equal size, named ``"1"`` to ``str(n_folds)``.

    Parameters
    ----------
    strata, groups, seed, ids
        As in `make_parts`.
    n_folds : int, 2 or more
        Number of folds.

    Returns
    -------
    list of str

    Raises
    ------
    ConfigError
        If `n_folds` is less than 2.
    DataError
        If there are fewer groups (or tracks) than folds.
    """
    if n_folds < 2:
        raise ConfigError(f"the number of folds is {n_folds}; expected 2 or more")
    wanted = [(str(fold + 1), 1 / n_folds) for fold in range(n_folds)]
    return _assign(strata, groups, ids, wanted, seed, rare_first=False, what="folds")


def parts_of_fold(
    folds: Sequence[str],
    fold: str,
    *,
    valid: float = 0.1,
    groups: Sequence[str] | None = None,
    strata: np.ndarray | None = None,
    seed: int = 0,
    ids: Sequence[str] | None = None,
) -> list[str]:
    """Hold out one fold as test, and draw the valid part from the other folds.

    Parameters
    ----------
    folds : sequence of str, length n_tracks
        The fold of every track.
    fold : str
        The fold to hold out.
    valid : float in [0, 1)
        Fraction of the tracks of the other folds to draw, in whole groups; 0 draws none.
    groups, strata, seed, ids
        As in `make_parts`.

    Returns
    -------
    list of str
        ``train``, ``valid`` or ``test`` per track.

    Raises
    ------
    ConfigError
        If `valid` is out of range.
    DataError
        If there is no such fold, no other fold, or only one group.
    """
    if not 0 <= valid < 1:
        raise ConfigError(f"valid is {valid}; expected a fraction in [0, 1)")
    rest = [row for row, name in enumerate(folds) if name != fold]
    if not rest or len(rest) == len(folds):
        known = ", ".join(sorted(set(folds)))
        raise DataError(f"cannot hold out fold {fold!r}; the folds are {known}")
    parts = ["test"] * len(folds)
    drawn = ["train"] * len(rest)
    if valid > 0:
        try:
            drawn = _assign(
                None if strata is None else strata[rest],
                None if groups is None else [groups[row] for row in rest],
                None if ids is None else [ids[row] for row in rest],
                [("train", 1 - valid), ("valid", valid)],
                seed,
                rare_first=True,
                what="parts",
            )
        except DataError as error:
            raise DataError(
                f"cannot draw a valid part from the folds other than {fold!r}: {error}; pass "
                "--valid 0"
            ) from None
    for row, part in zip(rest, drawn, strict=True):
        parts[row] = part
    return parts


def find_leaks(
    parts: Sequence[str],
    groups: Sequence[str] | None = None,
    sha1s: Sequence[str] | None = None,
) -> Leaks:
    """Find groups, and identical audio, in several parts.

    Parameters
    ----------
    parts : sequence of str, length n_tracks
        Parts or folds; tracks with ``""`` are ignored.
    groups, sha1s : sequence of str, length n_tracks, or None
        Group, and digest of the audio, of each track; empty ones are ignored.

    Returns
    -------
    Leaks

    Examples
    --------
    >>> find_leaks(["train", "test", "test"], ["miles", "miles", "bill"]).groups
    {'miles': {'train': 1, 'test': 1}}
    """
    return Leaks(
        {
            name: {part: [parts[row] for row in rows].count(part) for part in _parts(parts, rows)}
            for name, rows in _straddling(parts, groups).items()
        },
        list(_straddling(parts, sha1s).values()),
    )


def _parts(parts: Sequence[str], rows: list[int]) -> list[str]:
    return list(dict.fromkeys(parts[row] for row in rows))


def _straddling(parts: Sequence[str], names: Sequence[str] | None) -> dict[str, list[int]]:
    rows_of: dict[str, list[int]] = {}
    for row, name in enumerate(names or ()):
        if name and parts[row]:
            rows_of.setdefault(name, []).append(row)
    return {name: rows for name, rows in rows_of.items() if len(_parts(parts, rows)) > 1}


def _check_fractions(fractions: Sequence[float]) -> list[float]:
    shares = [float(share) for share in fractions]
    if len(shares) not in (2, 3):
        raise ConfigError(
            f"{len(shares)} parts; expected 3 fractions (train,valid,test) or 2 (train,test)"
        )
    if not all(0 <= share <= 1 for share in shares) or abs(sum(shares) - 1) > 1e-6:
        said = ",".join(f"{share:g}" for share in shares)
        raise ConfigError(
            f"the parts are {said}; expected fractions that add up to 1, such as 0.6,0.2,0.2"
        )
    if shares[0] == 0:
        raise ConfigError("the train part has fraction 0; expected more than 0")
    return shares


def _assign(
    strata: np.ndarray | None,
    groups: Sequence[str] | None,
    ids: Sequence[str] | None,
    wanted: list[tuple[str, float]],
    seed: int,
    *,
    rare_first: bool,
    what: str,
) -> list[str]:
    n_tracks = next((len(x) for x in (strata, groups, ids) if x is not None), 0)
    for name, given in (("strata", strata), ("groups", groups), ("ids", ids)):
        if given is not None and len(given) != n_tracks:
            raise ConfigError(f"{len(given)} {name} for {n_tracks} tracks")
    unit_of, n_units = _units(n_tracks, groups, ids)
    if n_units < len(wanted):
        units = "tracks" if groups is None else "groups"
        raise DataError(
            f"{n_units} {units} cannot fill {len(wanted)} {what} "
            f"({', '.join(name for name, _ in wanted)})"
        )
    # The last column counts tracks; it also serves to assign those without a label.
    labels = np.zeros((n_tracks, 0), bool) if strata is None else np.asarray(strata, bool)
    counts = np.zeros((n_units, labels.shape[1] + 1))
    np.add.at(counts, unit_of, np.column_stack([labels, np.ones(n_tracks, bool)]))
    shares = np.array([share for _, share in wanted])
    rng = np.random.default_rng(seed)
    part_of = _stratify(counts, shares, rng, rare_first)
    _fill_empty(part_of, counts, len(wanted))
    if groups is not None:
        _refine(part_of, counts, shares, rng, rare_first)
    return [wanted[part][0] for part in part_of[unit_of]]


def _units(
    n_tracks: int, groups: Sequence[str] | None, ids: Sequence[str] | None
) -> tuple[np.ndarray, int]:
    """Return the unit (group or track) of every track; units are numbered in order of name."""
    own = [f"{row:09d}" for row in range(n_tracks)] if ids is None else list(ids)
    if groups is None:
        keys = [("", name) for name in own]
    else:
        keys = [
            (group, "") if group else ("", name) for group, name in zip(groups, own, strict=True)
        ]
    number = {key: i for i, key in enumerate(sorted(set(keys)))}
    return np.array([number[key] for key in keys], dtype=np.int64), len(number)


def _stratify(
    counts: np.ndarray, shares: np.ndarray, rng: np.random.Generator, rare_first: bool
) -> np.ndarray:
    """Return the part of every unit by iterative stratification.

    `counts` is ``(n_units, n_labels + 1)``: tracks per label, then all tracks.
    """
    n_units = len(counts)
    order = rng.permutation(n_units)
    order = order[np.argsort(-counts[order, -1], kind="stable")]
    wants = shares[:, None] * counts.sum(axis=0)  # (n_parts, n_labels + 1)
    part_of = np.full(n_units, -1)
    left = (counts > 0).sum(axis=0)  # units that have each label and are not assigned yet
    alone = left == 1
    while (left[:-1] > 0).any() or left[-1] > 0:
        labels = np.flatnonzero(left[:-1] > 0)
        label = labels[np.argmin(left[labels])] if len(labels) else -1
        for unit in order[(counts[order, label] > 0) & (part_of[order] < 0)]:
            part = _neediest(wants, label, rng)
            if rare_first and label >= 0 and alone[label] and wants[0, -1] > 0:
                part = 0
            part_of[unit] = part
            wants[part] -= counts[unit]
            left -= counts[unit] > 0
    return part_of


def _neediest(wants: np.ndarray, label: int, rng: np.random.Generator) -> int:
    """Return the part that lacks a label most; on a tie, the one that lacks most tracks."""
    best = np.arange(len(wants))
    for column in (label, -1):
        need = wants[best, column]
        best = best[need >= need.max() - 1e-9]
    return int(best[0] if len(best) == 1 else rng.choice(best))


def _fill_empty(part_of: np.ndarray, counts: np.ndarray, n_parts: int) -> None:
    """Move the smallest unit of the largest part to each empty part."""
    for part in range(n_parts):
        if not (part_of == part).any():
            rich = np.bincount(part_of, minlength=n_parts).argmax()
            units = np.flatnonzero(part_of == rich)
            part_of[units[counts[units, -1].argmin()]] = part


def _refine(
    part_of: np.ndarray,
    counts: np.ndarray,
    shares: np.ndarray,
    rng: np.random.Generator,
    rare_first: bool,
) -> None:
    """Move single units to other parts as long as this reduces the squared error of the counts.

    The error of a label is relative to its frequency, so rare labels count as much as frequent
    ones; the number of tracks counts as one more label.
    """
    total = counts.sum(axis=0)
    weight = 1 / np.maximum(total, 1) ** 2
    excess = np.zeros((len(shares), counts.shape[1]))
    np.add.at(excess, part_of, counts)
    sizes = np.bincount(part_of, minlength=len(shares))
    excess -= shares[:, None] * total
    lonely = counts[:, :-1][:, (counts[:, :-1] > 0).sum(axis=0) == 1].any(axis=1)
    movable = np.flatnonzero(~lonely) if rare_first else np.arange(len(counts))
    for _ in range(_PASSES):
        moved = False
        for unit in rng.permutation(movable):
            old, count = part_of[unit], counts[unit]
            if sizes[old] == 1:
                continue
            # |e + c|² - |e|² for the new part, |e - c|² - |e|² for the old: both over the weights
            change = (weight * count * (2 * (excess - excess[old]) + 2 * count)).sum(axis=1)
            change[old] = 0
            new = int(change.argmin())
            if change[new] < -1e-12:
                part_of[unit] = new
                excess[old] -= count
                excess[new] += count
                sizes[old] -= 1
                sizes[new] += 1
                moved = True
        if not moved:
            break
