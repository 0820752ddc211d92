"""Iterative stratification: balanced assignment of groups of tracks to parts or folds.

The label with the fewest remaining tracks is assigned first, each time to the part that lacks it
most. The result depends on the names of the groups (or of the tracks, if `ids` are given), the
labels and the seed, but not on the order of the tracks.

References
----------
.. [1] K. Sechidis, G. Tsoumakas, I. Vlahavas, "On the stratification of multi-label data",
   ECML PKDD 2011.

Differs from the paper: the unit is a group with a count per label, not one example; large groups
are assigned before small ones; a label that only one group has goes to ``train``; afterwards single
groups are moved as long as this brings the counts closer to the requested fractions.
"""

from collections.abc import Sequence

import numpy as np

from mcls.errors import ConfigError, DataError

#: Passes of the refinement over all units.
_PASSES = 4


def assign(
    strata: np.ndarray | None,
    groups: Sequence[str] | None,
    ids: Sequence[str] | None,
    wanted: list[tuple[str, float]],
    seed: int,
    *,
    rare_first: bool,
    what: str,
) -> list[str]:
    """Assign tracks to parts or folds, in whole groups.

    Parameters
    ----------
    strata : np.ndarray, shape (n_tracks, n_labels), bool, or None
        The labels to stratify by.
    groups, ids : sequence of str, length n_tracks, or None
        Group and name of each track.
    wanted : list of (str, float)
        Name and fraction of each part or fold.
    seed : int
        Random seed.
    rare_first : bool
        Assign a label that only one group has to the first part.
    what : str
        The word for the parts in messages.

    Raises
    ------
    ConfigError
        If the arguments have different lengths.
    DataError
        If there are fewer groups (or tracks) than parts.
    """
    n_tracks = next((len(x) for x in (strata, groups, ids) if x is not None), 0)
    for name, given in (("strata", strata), ("groups", groups), ("ids", ids)):
        if given is not None and len(given) != n_tracks:
            raise ConfigError(f"there are {len(given)} {name} for {n_tracks} tracks")
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
