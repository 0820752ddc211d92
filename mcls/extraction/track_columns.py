"""The columns of a new store: those of the manifest, with labels in one form and a split."""

from mcls.data.split_cells import PARTS, usual_part
from mcls.data.splits import make_parts
from mcls.errors import DataError
from mcls.extraction.options import SplitReading
from mcls.stores.store import Store
from mcls.tables.labels import parse_labels
from mcls.tables.manifest import Manifest


def complete_columns(
    columns: dict[str, list[str]], manifest: Manifest, old: Store | None, asked: SplitReading
) -> str:
    """Join the labels of each track by ``|``, and make a split if there is none.

    Parameters
    ----------
    columns : dict of str to list
        The columns of the manifest; changed in place.
    manifest : Manifest
        Where they are from.
    old : Store or None
        An older store, whose tracks keep their parts.
    asked : SplitReading
        The columns of labels, groups and parts, and the seed.

    Returns
    -------
    str
        A description of the split; empty if the manifest has one.
    """
    if asked.labels in columns:
        columns[asked.labels] = manifest.label_cells(asked.labels)
    if asked.split in columns:
        return ""
    columns["split"], note = _made_split(manifest, columns, old, asked)
    return note


def no_split(columns: dict[str, list[str]], split_note: str, asked: SplitReading) -> str:
    """Say what was done for want of a split, and which other columns hold parts."""
    parts_in = {
        name: {usual_part(cell) for cell in set(cells)} - {""} for name, cells in columns.items()
    }
    others = [name for name, parts in parts_in.items() if name != "split" and parts]
    others = [name for name in others if parts_in[name] <= set(PARTS)]
    hint = f"; to use one that is there, pass --split {' or '.join(others)}" if others else ""
    return f"there is no column {asked.split!r}: {split_note}{hint}"


def _made_split(
    manifest: Manifest, columns: dict[str, list[str]], old: Store | None, asked: SplitReading
) -> tuple[list[str], str]:
    """Assign tracks to parts; tracks of an older store keep theirs."""
    labels, group = asked.labels, asked.group
    strata = (
        parse_labels(columns[labels], allow_empty=True, unknown=True).matrix
        if labels in columns
        else None
    )
    groups = columns.get(group)
    by = f", stratified by {labels!r}" if strata is not None else ""
    by += f", grouped by {group!r}" if groups is not None else ""
    try:
        made = make_parts(strata, groups, seed=asked.seed, ids=manifest.track_ids)
    except DataError as error:
        return ["train"] * len(manifest), f"all tracks are in train, since {error}"
    if old is not None and old.split_note:
        known = dict(zip(old.track_ids, old.column("split"), strict=True))
        if groups is not None and "group" in old.tracks:
            part_of = dict(zip(old.column(group), old.column("split"), strict=True))
            made = [
                part_of.get(name, part) if name else part
                for name, part in zip(groups, made, strict=True)
            ]
        made = [known.get(i, part) for i, part in zip(manifest.track_ids, made, strict=True)]
    return made, f"made one, 60/20/20{by}, seed {asked.seed}"
