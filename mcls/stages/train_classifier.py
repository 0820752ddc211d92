"""Fit the classifier of a plan, and score train tracks that it did not learn from.

Without a valid part, scores for the calibration come from inner folds of the train part: each is
scored by a classifier with the same settings that was fitted on the others.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from mcls.chain.step import RowsAndRate
from mcls.data.parts import copies, optional_column
from mcls.errors import DataError
from mcls.evaluation.aggregate import score_tracks
from mcls.parallel.progress import Progress
from mcls.stages.calibrate import HeldOut
from mcls.stages.plan import Plan


@dataclass(frozen=True)
class ClassifierResult:
    """A fitted classifier and the facts of its training.

    Parameters
    ----------
    rows : dict of int to np.ndarray
        The rows of every train track, by its index in the store.
    n_rows : int
        Number of train rows that were learnt from.
    notes : list of str
        Notes for readers of the scores.
    held_out : HeldOut or None
        Scores from inner folds; None with a valid part, or if there are no inner folds.
    """

    rows: dict[int, np.ndarray]
    n_rows: int
    notes: list[str] = field(default_factory=list)
    held_out: HeldOut | None = None


def fit_classifier(
    plan: Plan, encoded: Callable[[int], RowsAndRate], progress: Progress | None
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

    Raises
    ------
    DataError
        If the labels of the train part cannot be learnt.
    """
    learnt = plan.parts.of("train", "valid")
    rows = {}
    for done, i in enumerate(map(int, learnt), start=1):
        rows[i] = encoded(i)[0]
        if progress is not None:
            progress(done, len(plan.parts.of("train", "valid", "test")), 0.0)
    data = _Rows(plan, rows)
    n_rows, notes = _fit(plan, data)
    held_out = None
    if not ("valid" in plan.parts.values or plan.table.regression):
        held_out = _held_out(plan, data)
    for i in map(int, plan.parts.of("valid")):  # scored as test tracks are, encoding included
        del rows[i]
    return ClassifierResult(rows, n_rows, notes, held_out)


class _Rows:
    """The rows of tracks with their labels and groups."""

    def __init__(self, plan: Plan, rows: Mapping[int, np.ndarray]) -> None:
        parts, table = plan.parts, plan.table
        named = optional_column(plan.store, plan.settings["group"], default="group")
        source_of = copies(plan.store)
        own = [plan.store.source_ids[source_of.get(i, i)] for i in range(plan.store.n_tracks)]
        self.groups = [group or name for group, name in zip(named or own, own, strict=True)]
        self.one_group = len({self.groups[i] for i in parts.of("train")}) == 1
        if self.one_group:
            self.groups = own
        self.rows = rows
        self.originals = [int(i) for i in parts.of("train") if int(i) not in source_of]
        self.y = table.targets() if table.multi_label or table.regression else table.classes()
        self.place = {int(i): row for row, i in enumerate(parts.of("train", "valid", "test"))}

    def stacked(self, tracks: Sequence[int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the rows of tracks, and the label and the group of each row."""
        lengths = [len(self.rows[i]) for i in tracks]
        return (
            np.concatenate([self.rows[i] for i in tracks]),
            np.repeat(self.y[[self.place[i] for i in tracks]], lengths, axis=0),
            np.repeat([self.groups[i] for i in tracks], lengths),
        )


def _fit(plan: Plan, data: _Rows) -> tuple[int, list[str]]:
    """Fit on rows of the train part; return how many rows were used, and notes."""
    parts, table = plan.parts, plan.table
    X, labels, row_groups = data.stacked(parts.of("train").tolist())
    has_valid = "valid" in parts.values
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
    lengths = np.array([len(data.rows[int(i)]) for i in parts.of("train")])
    plan.model.fit(X, labels, groups=row_groups, valid=valid, lengths=lengths)
    used, notes = plan.model.rows_used(len(X), 0 if valid is None else len(valid[0]))
    if data.one_group and valid is None and getattr(plan.model, "choice_", None):
        notes.append(
            f"the train part is one group of column {plan.settings['group']!r}, so settings were "
            "chosen by inner folds that keep tracks whole, not groups"
        )
    return used, notes


def _held_out(plan: Plan, data: _Rows) -> HeldOut | None:
    """Score the train tracks by inner folds; None if they cannot be split."""
    from sklearn.base import clone

    from mcls.classifiers.base import inner_folds

    table, model = plan.table, plan.model
    tracks = plan.parts.of("train").tolist()
    places = [data.place[i] for i in tracks]
    truth = table.matrix[places]
    unknown = None if table.unknown is None else table.unknown[places]
    folds = inner_folds(
        truth,
        np.array([data.groups[i] for i in tracks]),
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
        lengths = np.array([len(data.rows[tracks[i]]) for i in train])
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
