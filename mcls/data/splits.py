"""Splits: grouped and stratified assignment of tracks to parts or folds, and leaks between parts.

Groups (an artist, a speaker, a source recording) stay within one part. Under this constraint the
labels are distributed over the parts as evenly as possible; see `mcls.data.stratify`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from mcls.data.stratify import assign
from mcls.errors import ConfigError, DataError


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
    return assign(strata, groups, ids, wanted, seed, rare_first=True, what="parts")


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
    return assign(strata, groups, ids, wanted, seed, rare_first=False, what="folds")


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
            drawn = assign(
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
            for name, rows in _in_several_parts(parts, groups).items()
        },
        list(_in_several_parts(parts, sha1s).values()),
    )


def _parts(parts: Sequence[str], rows: list[int]) -> list[str]:
    return list(dict.fromkeys(parts[row] for row in rows))


def _in_several_parts(parts: Sequence[str], names: Sequence[str] | None) -> dict[str, list[int]]:
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
