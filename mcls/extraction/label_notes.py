"""Labels and augmentations: labels of copies follow them, or a note says that they may be wrong."""

from collections.abc import Mapping, Sequence

from mcls.data.label_kinds import kinds_of, plural_of
from mcls.data.label_rules import follow, parse_rules
from mcls.errors import ConfigError, DataError
from mcls.features.augmentations import Augmentation, amounts, copy_seed
from mcls.registry import find
from mcls.tables.labels import parse_labels

_SHOWN = 3
#: Columns that say where a track is, not what it is.
_NOT_LABELS = frozenset({"track_id", "path", "augmented_from", "augmented_by"})


def move_labels(
    columns: Mapping[str, dict[str, str]],
    changes: Sequence[Augmentation],
    rules: Mapping[str, str],
    seed: int,
) -> None:
    """Let the labels of the augmented copies follow the augmentations, in place.

    Parameters
    ----------
    columns : mapping
        Cells by column and track; the copies are those with a cell in ``augmented_from``.
    changes : sequence of Augmentation
        From `mcls.features.augmentations.let_labels_follow`.
    rules : mapping of str to str
        Rules by column.
    seed : int
        Seed of the copies.

    Raises
    ------
    ConfigError
        If there is no such column.
    DataError
        If a rule does not apply to a label.
    """
    copied = [track for track, source in columns.get("augmented_from", {}).items() if source]
    for column, rule in rules.items():
        if column not in columns or column in _NOT_LABELS:
            raise ConfigError(f"--label-rule {column}:{rule}: there is no such column of labels")
        cells = columns[column]
        known = parse_labels(list(cells.values()), allow_empty=True, unknown=True).names
        for track in copied:
            found = amounts(changes, copy_seed(track, seed))
            for name, amount in found.items():
                if find("augmentations", name).facts["follows"] == rule and cells[track]:
                    cells[track] = _followed(column, track, cells[track], rule, amount, known)


def _followed(
    column: str, track: str, cell: str, rule: str, amount: float, known: Sequence[str]
) -> str:
    try:
        return follow(cell, rule, amount, known)
    except DataError as error:
        raise DataError(f"--label-rule {column}:{rule}: track {track!r}: {error}") from None


def copied_label_notes(
    columns: Mapping[str, Mapping[str, str]],
    changes: Sequence[Augmentation],
    rules: Mapping[str, str],
    keep: Sequence[str],
) -> list[str]:
    """Name the columns whose labels the augmentations may make wrong in the copies.

    Parameters
    ----------
    columns, changes, rules
        As in `move_labels`.
    keep : sequence of str
        Columns that are no labels: those of the split and of the groups.
    """
    if "augmented_from" not in columns:
        return []
    notes = []
    for column, cells in columns.items():
        if column not in _NOT_LABELS and column not in keep:
            names = [one.name for one in changes]
            where = f"column {column!r}"
            notes += threats(
                "augmentations", names, where, column, list(cells.values()), rules.get(column)
            )
    return notes


def dropped_notes(asked: Sequence[str], changes: Sequence[Augmentation]) -> list[str]:
    """Name the augmentations that ``--keep-label-safe`` leaves out."""
    kept = [one.name for one in changes]
    dropped = [word for word in asked if word.partition("=")[0] not in kept]
    if not dropped:
        return []
    left = "" if kept else "; none is left, so no copies are made"
    return [f"--keep-label-safe leaves out {', '.join(dropped)}{left}"]


def said_changes(changes: Sequence[Augmentation], rules: Mapping[str, str]) -> str:
    """Return the cell of a copy in the column ``augmented_by``: augmentations, then label rules."""
    return "; ".join([*map(str, changes), *(f"{name}:{rule}" for name, rule in rules.items())])


def stored_copies_notes(changes: Sequence[str], column: str, cells: Sequence[str]) -> list[str]:
    """Name the augmentations of the copies in a store that may make a column of labels wrong.

    Parameters
    ----------
    changes : sequence of str
        The cells ``augmented_by`` of the copies; see `said_changes`.
    column : str
        The column of labels.
    cells : sequence of str
        Its cells.
    """
    notes = []
    for cell in dict.fromkeys(changes):
        words = [word for word in cell.split("; ") if word]
        names = [word.partition("=")[0] for word in words if ":" not in word]
        rule = parse_rules([word for word in words if ":" in word]).get(column)
        where = f"column {column!r} of the copies"
        notes += threats("augmentations", names, where, column, cells, rule)
    return list(dict.fromkeys(notes))


def threats(
    family: str,
    names: Sequence[str],
    where: str,
    column: str,
    cells: Sequence[str],
    rule: str | None = None,
    *,
    can_follow: bool = True,
) -> list[str]:
    """Return a note for every augmentation that may make labels wrong.

    Parameters
    ----------
    family : str
        The family of the augmentations in the registry.
    names : sequence of str
        Their names.
    where : str
        What holds the labels, in the message.
    column : str
        The column.
    cells : sequence of str
        Its cells.
    rule : str or None
        The rule by which its labels follow.
    can_follow : bool
        Whether there is a label rule to propose.
    """
    looks = kinds_of(column, cells)
    notes = []
    for name in names:
        facts = find(family, name).facts
        follows = facts.get("follows")
        met = {kind: looks[kind] for kind in facts.get("threatens", ()) if kind in looks}
        if not met or (rule is not None and rule == follows):
            continue
        labels = list(dict.fromkeys(label for some in met.values() for label in some))
        shown = ", ".join(labels[:_SHOWN]) + (", ..." if len(labels) > _SHOWN else "")
        kinds = " or ".join(plural_of(kind) for kind in met)
        can = (
            f"; let them follow with --label-rule {column}:{follows}"
            if follows and can_follow
            else ""
        )
        notes.append(
            f"{name} may make labels wrong: {where} looks like {kinds} ({shown}), which stay as "
            f"they are{can}"
        )
    return notes
