"""Fit the classifier of a plan, and score train tracks that it did not learn from.

Rows that do not fit in the memory that learning may take (``--memory``) stay on the disk. A
classifier that learns by passes over them reads them from there; another one learns from some of
them, drawn equally from every track.

Without a valid part, scores for the calibration come from inner folds of the train part: each is
scored by a classifier with the same settings that was fitted on the others.
"""

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mcls.chain.step import RowsAndRate
from mcls.data.parts import copies, optional_column
from mcls.data.sampling import equal_shares
from mcls.errors import ConfigError, DataError
from mcls.evaluation.aggregate import score_tracks
from mcls.parallel.memory import memory_budget, spell_bytes
from mcls.parallel.progress import Progress
from mcls.stages.calibrate import HeldOut
from mcls.stages.kept_rows import Fits, KeptRows
from mcls.stages.plan import Plan
from mcls.stores.stored_rows import StoredRows


@dataclass(frozen=True)
class ClassifierResult:
    """A fitted classifier and the facts of its training.

    Parameters
    ----------
    rows : mapping of int to np.ndarray
        The rows of every train track, by its index in the store.
    n_rows : int
        Number of train rows that were learnt from.
    notes : list of str
        Notes for readers of the scores.
    held_out : HeldOut or None
        Scores from inner folds; None with a valid part, or if there are no inner folds.
    """

    rows: Mapping[int, np.ndarray]
    n_rows: int
    notes: list[str] = field(default_factory=list)
    held_out: HeldOut | None = None


def fit_classifier(
    plan: Plan,
    encoded: Callable[[int], RowsAndRate],
    progress: Progress | None,
    *,
    stored: StoredRows | None,
    folder: Path,
) -> ClassifierResult:
    """Read the rows of the train and the valid part, and fit the classifier of a plan.

    Parameters
    ----------
    plan : Plan
        The plan of a run with a classifier.
    encoded : callable
        Returns the rows of a track at the end of the chain, and their frame rate.
    progress : callable or None
        ``progress(tracks done, tracks in all, seconds of audio)``.
    stored : StoredRows or None
        The rows of the store, if the chain does nothing more with them.
    folder : Path
        Where rows are written that do not fit in memory.

    Raises
    ------
    ConfigError
        If there is too little memory for the labels of the rows.
    DataError
        If the labels of the train part cannot be learnt.
    """
    learnt = plan.parts.of("train", "valid")
    n_tracks = len(plan.parts.of("train", "valid", "test"))
    memory = memory_budget(plan.settings["memory"])

    def fits(n_rows: int, n_dims: int) -> bool:
        return bool(plan.model.bytes_in_memory(n_rows, n_dims, len(plan.table.names)) <= memory)

    rows = KeptRows(fits, folder, stored)
    for done, i in enumerate(map(int, learnt), start=1):
        rows.add(i, encoded(i)[0])
        if progress is not None:
            progress(done, n_tracks, 0.0)
    data = _TrainRows(plan, rows, memory, fits)
    n_rows, notes = _fit(plan, data)
    held_out = None
    if not ("valid" in plan.parts.values or plan.table.regression):
        held_out = _held_out(plan, data)
    for i in map(int, plan.parts.of("valid")):  # scored as test tracks are, encoding included
        rows.forget(i)
    return ClassifierResult(rows, n_rows, notes, held_out)


class _TrainRows:
    """The rows of tracks with their labels and groups."""

    def __init__(self, plan: Plan, rows: KeptRows, memory: int, fits: Fits) -> None:
        parts, table = plan.parts, plan.table
        named = optional_column(plan.store, plan.settings["group"], default="group")
        source_of = copies(plan.store)
        own = [plan.store.source_ids[source_of.get(i, i)] for i in range(plan.store.n_tracks)]
        groups = [group or name for group, name in zip(named or own, own, strict=True)]
        self.one_group = len({groups[i] for i in parts.of("train")}) == 1
        if self.one_group:
            groups = own
        self.groups = np.unique(groups, return_inverse=True)[1]
        self.rows = rows
        self.memory = memory
        self.originals = [int(i) for i in parts.of("train") if int(i) not in source_of]
        self.y = table.targets() if table.multi_label or table.regression else table.classes()
        self.place = {int(i): row for row, i in enumerate(parts.of("train", "valid", "test"))}
        self.drawn: dict[int, np.ndarray] | None = None
        if rows.on_disk and plan.model.by_passes:
            _refuse_labels(rows.shape[0], len(table.names), memory)
        elif rows.on_disk:
            self.drawn = _draw(plan, rows, fits)

    def length(self, track: int) -> int:
        """Return the number of rows of a track that are learnt from."""
        return self.rows.n_rows(track) if self.drawn is None else len(self.drawn[track])

    def stacked(self, tracks: Sequence[int]) -> tuple[Any, np.ndarray, np.ndarray]:
        """Return the rows of tracks, and the label and the group of each row."""
        lengths = [self.length(i) for i in tracks]
        X: Any
        if self.drawn is not None:
            X = np.empty((sum(lengths), self.rows.shape[1]), np.float32)
            for i, end in zip(tracks, np.cumsum(lengths), strict=True):  # one track at a time
                X[end - self.length(i) : end] = self.rows[i][self.drawn[i]]
        elif self.rows.on_disk:
            X = self.rows.of_tracks(tracks, self.memory)
        else:
            X = np.concatenate([self.rows[i] for i in tracks])
        return (
            X,
            np.repeat(self.y[[self.place[i] for i in tracks]], lengths, axis=0),
            np.repeat(self.groups[tracks], lengths),
        )


def _refuse_labels(n_rows: int, n_labels: int, memory: int) -> None:
    """Refuse to learn where the labels, groups and weights of all rows take most of the memory.

    Raises
    ------
    ConfigError
        Says how much is needed.
    """
    needed = 2 * n_rows * (9 * n_labels + 48)
    if needed > memory:
        raise ConfigError(
            f"learning from {n_rows} rows with {n_labels} labels needs {spell_bytes(needed)}, but "
            f"--memory is {spell_bytes(memory)}; pool the rows (--pool), or pass --memory "
            f"{spell_bytes(needed)}"
        )


def _draw(plan: Plan, rows: KeptRows, fits: Fits) -> dict[int, np.ndarray]:
    """Draw as many rows of the train part as fit, equally from every track; return their numbers.

    For a classifier that learns from the order of rows they are one stretch of the track.

    Raises
    ------
    ConfigError
        If there is no room for a row of every label.
    """
    most = bisect_left(range(rows.shape[0]), True, key=lambda n: not fits(n + 1, rows.shape[1]))
    if most < 2 * len(plan.table.names):
        raise ConfigError(
            f"{plan.settings['model']} has room for {most} rows of {rows.shape[1]} dimensions in "
            "the memory that it may take; pass a larger --memory"
        )
    rng = np.random.default_rng([plan.settings["seed"], 4])
    tracks = rng.permutation(plan.parts.of("train"))
    lengths = np.array([rows.n_rows(int(i)) for i in tracks])
    drawn = {}
    for i, n, take in zip(tracks, lengths, equal_shares(lengths, most), strict=True):
        if plan.model.in_order:
            start = rng.integers(n - take + 1)
            drawn[int(i)] = np.arange(start, start + take)
        else:
            drawn[int(i)] = np.sort(rng.choice(n, take, replace=False))
    return drawn


def _fit(plan: Plan, data: _TrainRows) -> tuple[int, list[str]]:
    """Fit on rows of the train part; return how many rows were used, and notes."""
    parts, table = plan.parts, plan.table
    tracks = parts.of("train").tolist()
    X, labels, row_groups = data.stacked(tracks)
    has_valid = "valid" in parts.values and data.drawn is None  # only by_passes choose on it
    valid = data.stacked(parts.of("valid").tolist())[:2] if has_valid else None
    if not (table.multi_label or table.regression) and len(np.unique(labels)) < 2:
        only = table.names[labels[0]]
        raise DataError(
            f"every train track has the label {only!r} (column {plan.settings['labels']!r}); a "
            "classifier needs at least two"
        )
    if table.multi_label and not _can_learn(labels):
        raise DataError(
            "every label is on all train tracks or on none, so there is nothing to learn"
        )
    lengths = np.array([n for i in tracks if (n := data.length(i))])
    plan.model.fit(X, labels, groups=row_groups, valid=valid, lengths=lengths)
    used, notes = plan.model.rows_used(len(X), 0 if valid is None else len(valid[0]))
    if data.drawn is not None:
        n_all = sum(map(data.rows.n_rows, tracks))
        notes.append(
            f"{plan.settings['model']} was trained on {used} of {n_all} train rows, drawn equally "
            f"from every track: more do not fit in {spell_bytes(data.memory)} (--memory)"
        )
    if data.one_group and valid is None and getattr(plan.model, "choice_", None):
        notes.append(
            f"the train part is one group of column {plan.settings['group']!r}, so settings were "
            "chosen by inner folds that keep tracks whole, not groups"
        )
    return used, notes


def _held_out(plan: Plan, data: _TrainRows) -> HeldOut | None:
    """Score the train tracks by inner folds; None if they cannot be split."""
    from sklearn.base import clone

    from mcls.classifiers.inner_folds import inner_folds

    table, model = plan.table, plan.model
    tracks = plan.parts.of("train").tolist()
    places = [data.place[i] for i in tracks]
    truth = table.matrix[places]
    unknown = None if table.unknown is None else table.unknown[places]
    folds = inner_folds(
        truth,
        data.groups[tracks],
        single_label=not table.multi_label,
        random_state=plan.settings["seed"],
    )
    chosen = {
        name: getattr(model, f"{name}_")
        for name in ("C", "gamma")
        if hasattr(model, name) and hasattr(model, f"{name}_")
    }
    originals = set(data.originals)
    scores, kept = [], []
    for train, test in folds:
        X, labels, groups = data.stacked([tracks[i] for i in train])
        own = [int(i) for i in test if tracks[i] in originals]
        if not own or not _can_learn(labels):
            continue
        lengths = np.array([n for i in train if (n := data.length(tracks[i]))])
        other = clone(model).set_params(**chosen)
        other.fit(X, labels, groups=groups, lengths=lengths)
        rows = (data.rows[tracks[i]] for i in own)
        how = plan.settings["aggregate"]
        scores += list(score_tracks(other, rows, n_labels=len(table.names), how=how))
        kept += own
    if not scores:
        return None
    return HeldOut(np.array(scores), truth[kept], None if unknown is None else unknown[kept])


def _can_learn(labels: np.ndarray) -> bool:
    """Return whether some label is on some rows and not on others."""
    if labels.ndim == 1:
        return len(np.unique(labels)) > 1
    return bool(((labels == 1).any(axis=0) & (labels == 0).any(axis=0)).any())
