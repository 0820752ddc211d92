"""The part of every track of a store: train, valid, test, or none.

The split is read from a column of the store, which is one of two kinds (`mcls.data.split_cells`):

* a **part column** holds ``train``, ``valid`` and ``test``; an empty cell excludes the track;
* a **fold column** holds the names of folds. One fold is held out as the test part. The valid part
  is drawn from the other folds, stratified by label and in whole groups.

Augmented copies (column ``augmented_from``) are used for training only: a copy of a train track is
in train, a copy of any other track is in no part.

The draw depends only on the store, the columns, the fold, `valid` and `seed`. Commands with the
same settings get the same parts, so ``train`` can use a dictionary that ``learn-dict`` made.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from mcls.data.options import Split
from mcls.data.published_splits import recognise
from mcls.data.split_cells import PARTS, SplitCells, fold_called, read_split_cells
from mcls.data.splits import Leaks, find_leaks, parts_of_fold
from mcls.disk.audit_file import across_notes, across_parts
from mcls.errors import ConfigError, DataError, suggest
from mcls.options import takes_options
from mcls.settings import digest
from mcls.stores.store import Store
from mcls.tables.labels import parse_labels


@dataclass(frozen=True)
class Parts:
    """The part of every track of a store.

    Parameters
    ----------
    values : list of str
        ``train``, ``valid``, ``test`` or ``""`` (in no part), one per track of the store.
    id : str
        16 hexadecimal digits that identify the split; see `split_id`.
    split : str
        The column from which it was read.
    fold : str or None
        The fold that is held out as test; None for a part column.
    published : str
        The published split that the column holds; empty if it holds none.
    notes : list of str
        Warnings about the scores, such as identical audio in two parts.
    """

    values: list[str]
    id: str
    split: str
    fold: str | None = None
    published: str = ""
    notes: list[str] = field(default_factory=list)

    def of(self, *parts: str) -> np.ndarray:
        """Return the indices of the tracks in any of `parts`, int64 ``(n,)``, ascending."""
        return np.flatnonzero(np.isin(np.array(self.values, dtype=str), parts))

    def counts(self) -> dict[str, int]:
        """Return the number of tracks per part; a part without tracks counts 0."""
        return {part: self.values.count(part) for part in PARTS}

    def describe(self) -> str:
        """Return one line with the column, the fold, the tracks per part, the id and the name.

        Examples
        --------
        >>> Parts(["train", "train", "test"], "0123456789abcdef", "split").describe()
        'split: 2 train, 0 valid, 1 test (split id 0123456789abcdef)'
        """
        held_out = f" {self.fold}" if self.fold is not None else ""
        counts = ", ".join(f"{count} {part}" for part, count in self.counts().items())
        named = f"; {self.published}" if self.published else ""
        return f"{self.split}{held_out}: {counts} (split id {self.id}{named})"


@takes_options
def resolve_parts(store: Store, *, split: Split) -> Parts:
    """Read or draw the part of every track of a store.

    Parameters
    ----------
    store : Store
        The store whose columns are read.
    split : Split
        ``fold`` is required for a fold column and refused for a part column; ``valid`` is unused
        with a part column. The default columns ``group`` and ``labels`` may be absent, others must
        exist. The group ``none`` ignores groups; an empty cell is a group of its own.

    Returns
    -------
    Parts

    Raises
    ------
    ConfigError
        If the fold is missing, unknown or given with a part column, or `valid` is out of range.
    DataError
        If a column is missing or holds unknown parts, no track is in train, or a group is in
        several parts.
    """
    column, fold = split.split, split.fold
    read = split_cells(store, column)
    groups = optional_column(store, split.group, default="group")
    values = [*read.values]
    if read.folds:
        fold = _known_fold(split, read.folds)
        values = _held_out(store, read, fold, split, groups)
    elif fold is not None:
        raise ConfigError(f"column {column!r} holds parts, not folds; leave out --fold {fold}")
    if "train" not in values:
        raise DataError(f"{store.path}: column {column!r} has no track in the train part")
    source_of = copies(store)
    for i, source in source_of.items():
        values[i] = "train" if source >= 0 and values[source] == "train" else ""
    leaks = find_leaks(values, groups, store.tracks.get("sha1"))
    _check_groups(leaks, split.group)
    notes = [*read.notes]
    if excluded := read.values.count(""):
        notes.append(f"{excluded} tracks with an empty cell in column {column!r} are in no part")
    if leaks.audio:
        first = store.track_ids[leaks.audio[0][0]]
        notes.append(
            f"{len(leaks.audio)} recordings are in several parts under different names, such as "
            f"{first!r}"
        )
    found = across_parts(store.path, dict(zip(store.track_ids, values, strict=True)))
    notes += across_notes(store.path, found)
    identifier = split_id(store.track_ids, values)
    originals = [i for i in range(len(read.values)) if i not in source_of]
    published = published_as(
        column, [store.track_ids[i] for i in originals], [read.values[i] for i in originals]
    )
    return Parts(values, identifier, column, fold, published, notes)


def published_as(column: str, track_ids: Sequence[str], values: Sequence[str]) -> str:
    """Return the published split that the parts or folds of a column are; empty if they are none.

    Examples
    --------
    >>> published_as("split", ["blues/blues.00029", "rock/rock.00999"], ["train", ""])
    'fault-filtered of gtzan, 1 of 930 tracks'
    """
    part_of = {i: value for i, value in zip(track_ids, values, strict=True) if value}
    return recognise(column, part_of, split_id(track_ids, values))


def split_id(track_ids: Sequence[str], parts: Sequence[str]) -> str:
    """Return the digest of every used ``track_id`` and its part, 16 hexadecimal digits."""
    return digest(sorted((i, part) for i, part in zip(track_ids, parts, strict=True) if part))


def split_cells(store: Store, column: str) -> SplitCells:
    """Read a split column of a store; see `read_split_cells`."""
    return read_split_cells(
        store.column(column),
        column,
        where=lambda row: f"{store.path}: track {store.track_ids[row]!r}",
    )


def _known_fold(split: Split, folds: list[str]) -> str:
    """Return the name of the test fold as it is in the column."""
    listed = ", ".join(folds[:12]) + (", ..." if len(folds) > 12 else "")
    fold = split.fold
    if fold is None:
        raise ConfigError(
            f"column {split.split!r} holds folds ({listed}); choose the test fold, such as --fold "
            f"{folds[0]}"
        )
    called = fold_called(fold, folds)
    if called is None:
        raise ConfigError(f"column {split.split!r} has no fold {fold!r}; {suggest(fold, folds)}")
    return called


def _held_out(
    store: Store, read: SplitCells, fold: str, split: Split, groups: list[str] | None
) -> list[str]:
    """Return the parts of a fold column: the test fold, and a valid part drawn from the others."""
    values = read.values
    source_of = copies(store)
    used = [i for i, value in enumerate(values) if value and i not in source_of]
    strata = None
    if not split.regression and optional_column(store, split.labels, default="labels") is not None:
        cells = store.labels(split.labels)
        strata = parse_labels([cells[i] for i in used], allow_empty=True, unknown=True).matrix
    drawn = parts_of_fold(
        [values[i] for i in used],
        fold,
        valid=split.valid,
        groups=None if groups is None else [groups[i] for i in used],
        strata=strata,
        seed=split.seed,
        ids=[store.track_ids[i] for i in used],
    )
    parts = [""] * len(values)
    for i, part in zip(used, drawn, strict=True):
        parts[i] = part
    return parts


def copies(store: Store) -> dict[int, int]:
    """Return the index of the original track of every augmented copy; -1 if it is absent."""
    sources = store.tracks.get("augmented_from", [])
    place = {track_id: i for i, track_id in enumerate(store.track_ids)}
    return {i: place.get(source, -1) for i, source in enumerate(sources) if source}


def optional_column(store: Store, name: str | None, *, default: str) -> list[str] | None:
    """Return a column; None without a name, or if the default column is absent."""
    if not name or name == "none" or (name == default and name not in store.tracks):
        return None
    return store.column(name)


def _check_groups(leaks: Leaks, column: str | None) -> None:
    if leaks.groups:
        first = min(leaks.groups)
        raise DataError(
            f"{len(leaks.groups)} groups of column {column!r} are in several parts (such as "
            f"{first!r}, in {' and '.join(leaks.groups[first])}), which makes scores too good; "
            "split "
            "by group with `mcls data split --by`, or pass --group none to ignore the groups"
        )
