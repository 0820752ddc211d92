"""Columns of the tracks that were scored, such as their group or path, from a store or manifest."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mcls.errors import DataError, suggest
from mcls.remote.places import kept
from mcls.stores.store import Store, is_store
from mcls.tables.manifest import open_source
from mcls.tables.options import Reading


def track_columns(about: Mapping[str, Any], tracks: Path | None) -> Mapping[str, Sequence[Any]]:
    """Return the columns of a store or manifest.

    Parameters
    ----------
    about : mapping
        The ``about.json`` of a run, which names the store that it was made from.
    tracks : Path or None
        A store or manifest to read instead.

    Returns
    -------
    mapping of str to sequence
        With the column ``track_id``; empty if nothing is named, or the store of the run is gone.
    """
    if tracks is None:
        store = kept(about["store"]) if about.get("store") else None
        if store is None or not is_store(store):
            return {}
        return Store(store).tracks
    if is_store(tracks):
        return Store(tracks).tracks
    source = open_source(tracks, reading=Reading())
    return {**source.columns, "track_id": source.track_ids}


def column_of(
    name: str, track_ids: Sequence[str], about: Mapping[str, Any], tracks: Path | None
) -> list[str]:
    """Return the cells of a column for some tracks.

    Raises
    ------
    DataError
        If the column is not known, or a track has no cell or an empty one.
    """
    columns = track_columns(about, tracks)
    if not columns:
        raise DataError(
            f"column {name!r} is in the store or manifest of the tracks, which is not at hand; "
            "give it with --tracks"
        )
    where = tracks or about.get("store")
    if name not in columns:
        raise DataError(f"{where}: there is no column {name!r}; {suggest(name, columns)}")
    cells = dict(zip(columns["track_id"], map(str, columns[name]), strict=True))
    missing = [track for track in track_ids if not cells.get(track)]
    if missing:
        raise DataError(
            f"{where}: {len(missing)} of the tracks have nothing in column {name!r}, such as "
            f"{missing[0]!r}"
        )
    return [cells[track] for track in track_ids]
