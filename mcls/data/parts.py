"""Which part every track of a store is in: train, valid, test, or none.

Learn-dict, train and cv all ask `resolve_parts`, so they agree. A column of the store is read in
one of two ways:

* a **part column** holds ``train``, ``valid`` and ``test``; an empty cell leaves the track out;
* a **fold column** holds the names of folds. One fold is held out as the test part; the valid part
  is drawn from the others, stratified by label and whole groups at a time.

Augmented copies (column ``augmented_from``) are for learning: a copy of a train track is in train,
a copy of any other track is left out.

The draw depends on the store, the columns, the fold, `valid` and `seed` only. Two commands given
the same ones get the same parts, which is what lets ``train`` use a dictionary that ``learn-dict``
made for the fold.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from mcls.data.splits import Leaks, find_leaks, parts_of_fold
from mcls.disk.labels import parse_labels
from mcls.disk.store import Store
from mcls.errors import ConfigError, DataError, suggest
from mcls.settings import digest

#: The parts, in the order in which they are used.
PARTS = ("train", "valid", "test")


@dataclass(frozen=True)
class Parts:
    """The part of every track of a store.

    Parameters
    ----------
    values : list of str
        ``train``, ``valid``, ``test`` or ``""`` (not used), one per track of the store.
    id : str
        16 hex digits that name the split: a digest of every used ``track_id`` and its part.
    split : str
        The column it was read from.
    fold : str or None
        The fold held out as test, for a fold column.
    notes : list of str
        What a reader of the score should know, such as the same audio in two parts.
    """

    values: list[str]
    id: str
    split: str
    fold: str | None = None
    notes: list[str] = field(default_factory=list)

    def of(self, *parts: str) -> np.ndarray:
        """Return the indices of the tracks in any of `parts`, int64 ``(n,)``, ascending."""
        return np.flatnonzero(np.isin(np.array(self.values, dtype=str), parts))

    def counts(self) -> dict[str, int]:
        """Return the number of tracks per part; a part without tracks counts 0."""
        return {part: self.values.count(part) for part in PARTS}

    def describe(self) -> str:
        """Return one line: the column, the fold, the tracks per part, the id.

        Examples
        --------
        >>> Parts(["train", "train", "test"], "0123456789abcdef", "split").describe()
        'split: 2 train, 0 valid, 1 test (split id 0123456789abcdef)'
        """
        held_out = f" {self.fold}" if self.fold is not None else ""
        counts = ", ".join(f"{count} {part}" for part, count in self.counts().items())
        return f"{self.split}{held_out}: {counts} (split id {self.id})"


def resolve_parts(
    store: Store,
    *,
    split: str = "split",
    fold: str | None = None,
    valid: float = 0.1,
    group: str | None = "group",
    labels: str | None = "labels",
    seed: int = 0,
) -> Parts:
    """Decide the part of every track of a store.

    Parameters
    ----------
    store : Store
        Whose columns are read.
    split : str
        A part column or a fold column.
    fold : str or None
        The fold to hold out as test; required for a fold column, refused for a part column.
    valid : float in [0, 1)
        The fraction of the tracks of the other folds to draw as the valid part; 0 draws none.
        Unused with a part column.
    group : str or None
        The column that names what must not straddle parts. The default ``group`` may be absent;
        another name must exist. None, ``""`` or ``none`` ignores groups; an empty cell is a group
        of its own.
    labels : str or None
        The column to stratify the drawn valid part by. The default ``labels`` may be absent; None
        does not stratify.
    seed : int
        Of the draw.

    Returns
    -------
    Parts

    Raises
    ------
    ConfigError
        If the fold is missing, unknown or given with a part column, or `valid` is out of range.
    DataError
        If a column is missing or holds unknown parts, no track is in train, or a group straddles
        parts.
    """
    values = [value.strip() for value in store.column(split)]
    groups = optional_column(store, group, default="group")
    folds = fold_names(values, split)
    if not folds:
        if fold is not None:
            raise ConfigError(
                f"--fold {fold} makes no sense: column {split!r} holds parts, not folds"
            )
    else:
        values = _held_out(store, values, folds, split, fold, valid, groups, labels, seed)
    if "train" not in values:
        raise DataError(f"{store.path}: column {split!r} leaves no track in the train part")
    source_of = copies(store)
    for i, source in source_of.items():
        values[i] = "train" if source >= 0 and values[source] == "train" else ""
    leaks = find_leaks(values, groups, store.tracks.get("sha1"))
    _refuse_straddling(leaks, group)
    notes = []
    if leaks.audio:
        first = store.track_ids[leaks.audio[0][0]]
        notes.append(
            f"the same audio is in several parts under other names, {len(leaks.audio)} times "
            f"(as {first!r})"
        )
    used = sorted((i, part) for i, part in zip(store.track_ids, values, strict=True) if part)
    return Parts(values, digest(used), split, fold, notes)


def fold_names(values: Sequence[str], split: str = "split") -> list[str]:
    """Return the folds of a fold column, in natural order; nothing if the values are parts.

    Parameters
    ----------
    values : sequence of str
        The cells of the column; empty ones are ignored.
    split : str
        The column's name, for the message.

    Raises
    ------
    DataError
        If the column is empty, has one fold only, or mixes parts with other words.

    Examples
    --------
    >>> fold_names(["10", "2", "1", "2"])
    ['1', '2', '10']
    >>> fold_names(["train", "test", ""])
    []
    """
    names = sorted(set(values) - {""}, key=_natural)
    if not names:
        raise DataError(f"column {split!r} is empty: no track has a part or a fold")
    strangers = [name for name in names if name not in PARTS]
    if not strangers:
        return []
    if len(strangers) < len(names):
        raise DataError(
            f"column {split!r} mixes parts with {', '.join(map(repr, strangers[:5]))}; "
            "a part column holds train, valid, test or nothing"
        )
    if len(names) == 1:
        raise DataError(
            f"column {split!r} holds {names[0]!r} only: neither parts nor at least two folds"
        )
    return names


def _held_out(
    store: Store,
    values: list[str],
    folds: list[str],
    split: str,
    fold: str | None,
    valid: float,
    groups: list[str] | None,
    labels: str | None,
    seed: int,
) -> list[str]:
    listed = ", ".join(folds[:12]) + (", ..." if len(folds) > 12 else "")
    if fold is None:
        raise ConfigError(
            f"column {split!r} holds folds ({listed}): choose the test fold, --fold {folds[0]}"
        )
    if fold not in folds:
        raise ConfigError(f"column {split!r} has no fold {fold!r}; {suggest(fold, folds)}")
    if not 0 <= valid < 1:
        raise ConfigError(f"--valid {valid} is not a fraction in [0, 1)")
    source_of = copies(store)
    used = [i for i, value in enumerate(values) if value and i not in source_of]
    cells = optional_column(store, labels, default="labels")
    strata = (
        None if cells is None else parse_labels([cells[i] for i in used], allow_empty=True).matrix
    )
    drawn = parts_of_fold(
        [values[i] for i in used],
        fold,
        valid=valid,
        groups=None if groups is None else [groups[i] for i in used],
        strata=strata,
        seed=seed,
        ids=[store.track_ids[i] for i in used],
    )
    parts = [""] * len(values)
    for i, part in zip(used, drawn, strict=True):
        parts[i] = part
    return parts


def copies(store: Store) -> dict[int, int]:
    """Return, for every augmented copy in a store, the index of its track; -1 if that is absent."""
    sources = store.tracks.get("augmented_from", [])
    place = {track_id: i for i, track_id in enumerate(store.track_ids)}
    return {i: place.get(source, -1) for i, source in enumerate(sources) if source}


def optional_column(store: Store, name: str | None, *, default: str) -> list[str] | None:
    """Return a column; None if it is not wanted, or is the default and the store has none."""
    if not name or name == "none" or (name == default and name not in store.tracks):
        return None
    return store.column(name)


def _refuse_straddling(leaks: Leaks, column: str | None) -> None:
    if leaks.groups:
        first = min(leaks.groups)
        raise DataError(
            f"{len(leaks.groups)} groups of column {column!r} are in several parts (as {first!r}, "
            f"in {' and '.join(leaks.groups[first])}), so the score would be too good; split by "
            "group (mcls data split --by), or say --group none if that is meant"
        )


def _natural(text: str) -> list[tuple[bool, int, str]]:
    """Order text with numbers in it as a reader would: 2 before 10."""
    pieces = re.split(r"(\d+)", text)
    return [(piece.isdigit(), int(piece) if piece.isdigit() else 0, piece) for piece in pieces]
