"""The events of annotation files in the cells of a store: read and checked by `extract`."""

from collections.abc import MutableSequence, Sequence
from pathlib import Path
from typing import Any

from mcls.errors import ConfigError, DataError
from mcls.extraction.options import Extraction
from mcls.features.augmentations import Augmentation
from mcls.registry import find
from mcls.stores.store import Columns
from mcls.tables.events import events_text, parse_events, read_events, with_background, within
from mcls.tables.labels import SEPARATOR
from mcls.tables.manifest import Manifest

#: The most files that are named in an error or a note.
_SHOWN = 5
#: The columns that cannot name annotation files.
_TAKEN = ("track_id", "path")


def refuse_moved_time(extraction: Extraction, changes: Sequence[Augmentation]) -> None:
    """Refuse what makes the times of annotation files wrong.

    Raises
    ------
    ConfigError
        For an excerpt, or an augmentation that changes the length of the audio; or if the
        background has no events, or is no single label.
    """
    if extraction.annotations is None:
        if extraction.background is not None:
            raise ConfigError("--background is for time without an event; add --annotations")
        return
    if SEPARATOR in (extraction.background or ""):
        raise ConfigError(f"--background {extraction.background}: expected one label")
    if extraction.excerpt is not None:
        raise ConfigError(
            "--excerpt and --annotations do not go together: the times of annotation files are "
            "those of whole files; cut the audio before, or leave --excerpt out"
        )
    for change in changes:
        if "length" in find("augmentations", change.name).facts["threatens"]:
            raise ConfigError(
                f"--augment {change.name} moves the events of annotation files, which do not "
                "follow; leave it or --annotations out"
            )


def event_cells(manifest: Manifest, extraction: Extraction) -> tuple[list[str], list[str]]:
    """Read the annotation files of a manifest.

    Parameters
    ----------
    manifest : Manifest
    extraction : Extraction
        ``annotations`` names the column of the files, which are relative to the manifest.

    Returns
    -------
    cells : list of str
        The events of every track as text (`mcls.tables.events`); empty without a file.
    notes : list of str
        Names the tracks without one.

    Raises
    ------
    ConfigError
        If the column is taken.
    DataError
        If there is no such column, no track has a file, or some files cannot be used.
    """
    column = extraction.annotations
    assert column is not None
    if column in (*_TAKEN, extraction.labels, extraction.split, extraction.group):
        raise ConfigError(f"--annotations {column}: the column has another use; name another one")
    folder = manifest.source.parent
    cells, bad, without = [], [], []
    for i, name in enumerate(manifest.column(column)):
        if not name:
            without.append(manifest.track_ids[i])
            cells.append("")
            continue
        try:
            cells.append(events_text(read_events(folder / Path(name))))
        except DataError as error:
            bad.append(f"{manifest.where(i)}: {error}")
    if bad:
        more = f" (and {len(bad) - _SHOWN} more)" if len(bad) > _SHOWN else ""
        raise DataError("; ".join(bad[:_SHOWN]) + more)
    if len(without) == len(cells):
        raise DataError(f"{manifest.source}: no track has an annotation file in column {column!r}")
    if not without:
        return cells, []
    names = ", ".join(without[:_SHOWN]) + (", ..." if len(without) > _SHOWN else "")
    return cells, [f"{len(without)} tracks have no annotation file in column {column!r}: {names}"]


def end_with_tracks(tracks: Columns, column: str, background: str | None) -> None:
    """Let the last event of every track end with it, and label the time without one, in place.

    Parameters
    ----------
    tracks : mapping of str to list
        The columns of a store.
    column : str
        That of the events.
    background : str or None
        The label of time without an event, in tracks that have events.

    Raises
    ------
    DataError
        If an event ends more than 0.1 s after its track.
    """
    cells = tracks[column]
    assert isinstance(cells, MutableSequence)
    named: Any = zip(tracks["track_id"], cells, tracks["seconds"], strict=True)
    for i, (name, cell, seconds) in enumerate(named):
        if cell:
            where = f"track {name!r}, column {column!r}"
            events = within(parse_events(cell, where), float(seconds), where)
            if background is not None:
                events = with_background(events, float(seconds), background)
            cells[i] = events_text(events)
