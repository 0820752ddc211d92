"""The store of a search: the tracks of the train and the valid part, and no others.

Trials read nothing else, so no row, label or name of a test track can have a part in what is
chosen. Columns of parts that are added say on which tracks a trial learns and on which it is
judged: on the valid part or, where there is none, on each of several inner folds of the train part
in turn. For each of them there are columns with a quarter and a half of the train tracks, drawn by
label and in whole groups, a quarter within the half.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mcls.data.options import Split
from mcls.data.parts import Parts, copies, optional_column, resolve_parts
from mcls.data.splits import make_folds, make_parts
from mcls.errors import DataError
from mcls.extraction.store_tracks import joined
from mcls.settings import digest
from mcls.stores.shards import pack
from mcls.stores.store import Store
from mcls.tables.events import hold_events
from mcls.tables.labels import parse_labels

#: Shares of the train tracks on which trials learn first, and how columns call them.
SHARES = {0.25: "quarter", 0.5: "half", 1.0: "all"}


@dataclass(frozen=True)
class InnerParts:
    """How the tracks of a search are divided.

    Parameters
    ----------
    kept : list of int
        Indices in the store of the tracks of the search, in order.
    columns : dict of str to list of str
        The columns to add, over the kept tracks.
    folds : list of dict of float to str
        For each fold on which trials are judged, the column for each share of the train tracks.
    id : str
        Identifies the tracks, their labels and the columns.
    description : str
        On what trials are judged.
    multi_label : bool
        Whether a track may have several labels.
    notes : list of str
        What a reader of the result must know.
    """

    kept: list[int]
    columns: dict[str, list[str]]
    folds: list[dict[float, str]]
    id: str
    description: str
    multi_label: bool
    notes: list[str] = field(default_factory=list)


def divide(store: Store, split: Split, n_folds: int, *, shares: Sequence[float]) -> InnerParts:
    """Decide on which tracks trials learn and on which they are judged.

    Parameters
    ----------
    store : Store
        The store with all parts.
    split : Split
        Which tracks are in the train and the valid part.
    n_folds : int
        Number of inner folds, if there is no valid part.
    shares : sequence of float
        Shares of the train tracks, ascending, the last 1.

    Raises
    ------
    ConfigError, DataError
        As `resolve_parts`, or if the train part has fewer groups than folds.
    """
    parts = resolve_parts(store, split=split)
    kept = [int(i) for i in parts.of("train", "valid")]
    own = _Originals(store, split, parts)
    described = "the valid part"
    if "valid" in parts.values:
        held_out = [[parts.values[i] for i in own.tracks]]
    else:
        described = f"{n_folds} inner folds of the train part"
        names = own.drawn(make_folds, range(len(own.tracks)), n_folds=n_folds)
        held_out = [
            ["valid" if name == fold else "train" for name in names] for fold in sorted(set(names))
        ]
    place = {track: row for row, track in enumerate(own.tracks)}
    columns: dict[str, list[str]] = {}
    folds: list[dict[float, str]] = []
    notes = [*parts.notes]
    for number, cells in enumerate(held_out, start=1):
        smaller = own.nested(cells, shares)
        if len(smaller) < len(shares):
            notes.append(
                "trials learn on all train tracks at once: a quarter or half of them, in whole "
                "groups, would lack labels"
            )
            smaller = {1.0: cells}
        named = {share: f"tune_{number}_{SHARES[share]}" for share in smaller}
        for share, cells_of_share in smaller.items():
            columns[named[share]] = [cells_of_share[place[i]] if i in place else "" for i in kept]
        folds.append(named)
    least = min(len(named) for named in folds)
    folds = [named if len(named) == least else {1.0: named[1.0]} for named in folds]
    content: list[Any] = [[store.track_ids[i] for i in kept], own.texts(kept), columns]
    sha1s = store.tracks.get("sha1")
    content.append(None if sha1s is None else [sha1s[i] for i in kept])
    tracks = f"{parts.counts()['train']} train tracks"
    if "valid" in parts.values:
        described += f" ({parts.counts()['valid']} tracks)"
    return InnerParts(
        kept,
        columns,
        folds,
        digest(content),
        f"{tracks}, judged on {described}",
        own.multi_label(kept),
        list(dict.fromkeys(notes)),
    )


def write_inner_store(store: Store, inner: InnerParts, out: Path) -> None:
    """Write the store of a search, unless it is there."""
    if out.exists():
        return
    sources = [(store, i) for i in inner.kept]
    contents = joined(sources, [store])
    contents.failed = {"track_id": [], "path": [], "reason": []}
    contents.tracks = {**contents.tracks, **inner.columns}
    contents.notes.append(f"train and valid part of {store.path}, for a search")
    pack(out, sources, contents, None)


class _Originals:
    """The tracks of the train and valid part that are no augmented copies, with what divides them.

    Only cells of these tracks are parsed.
    """

    def __init__(self, store: Store, split: Split, parts: Parts) -> None:
        source_of = copies(store)
        used = [int(i) for i in parts.of("train", "valid")]
        self.tracks = [i for i in used if i not in source_of]
        self.ids = [store.track_ids[i] for i in self.tracks]
        self.seed = split.seed
        groups = optional_column(store, split.group, default="group")
        self.groups = None if groups is None else [groups[i] for i in self.tracks]
        self.cells = store.column(split.labels)
        self.strata: np.ndarray | None = None
        if not split.regression:
            labels = store.labels(split.labels)
            own = [labels[i] for i in self.tracks]
            self.strata = parse_labels(own, allow_empty=True, unknown=True).matrix

    def texts(self, tracks: Sequence[int]) -> list[str]:
        """Return the cells of labels of some tracks of the store."""
        return [self.cells[i] for i in tracks]

    def multi_label(self, tracks: Sequence[int]) -> bool:
        """Return whether some of the tracks have several labels; an event has one."""
        texts = self.texts(tracks)
        return not hold_events(texts) and any("|" in text for text in texts)

    def drawn(self, draw: Any, rows: Sequence[int], **how: Any) -> list[str]:
        """Draw parts or folds of some of the tracks."""
        strata = None if self.strata is None else self.strata[list(rows)]
        groups = None if self.groups is None else [self.groups[row] for row in rows]
        ids = [self.ids[row] for row in rows]
        found: list[str] = draw(strata, groups, seed=self.seed, ids=ids, **how)
        return found

    def nested(self, cells: Sequence[str], shares: Sequence[float]) -> dict[float, list[str]]:
        """Return the cells of each share of the train tracks, or of all alone."""
        found = {1.0: list(cells)}
        rows = [row for row, part in enumerate(cells) if part == "train"]
        everything = self._labels_of(rows)
        before = 1.0
        for share in sorted(shares, reverse=True)[1:]:
            ratio = share / before
            try:
                names = self.drawn(make_parts, rows, fractions=(ratio, 1 - ratio))
            except DataError:
                return {1.0: list(cells)}
            rows = [row for row, name in zip(rows, names, strict=True) if name == "train"]
            if self._labels_of(rows) != everything:
                return {1.0: list(cells)}
            chosen = set(rows)
            found[share] = [
                part if part == "valid" or row in chosen else "" for row, part in enumerate(cells)
            ]
            before = share
        return dict(sorted(found.items()))

    def _labels_of(self, rows: Sequence[int]) -> list[int]:
        return [] if self.strata is None else np.flatnonzero(self.strata[rows].any(axis=0)).tolist()
