"""Learning from events: each event of a column becomes a track of its part."""

from dataclasses import replace

import numpy as np

from mcls.chain.match import stored_steps
from mcls.chain.step import axes_of
from mcls.data.options import Split
from mcls.data.parts import Parts
from mcls.disk.chain import Chain
from mcls.errors import ConfigError, DataError
from mcls.stores.event_store import EventStore
from mcls.stores.store import Store
from mcls.tables.events import parse_events

_SHOWN = 5


def event_tracks(
    store: Store, chain: Chain, parts: Parts, split: Split
) -> tuple[EventStore, Parts]:
    """Return the events of a store as tracks, and the part of each.

    Parameters
    ----------
    store : Store
    chain : Chain
        The steps to the rows that a model reads.
    parts : Parts
        The parts of the tracks.
    split : Split
        ``labels`` is the column of events.

    Raises
    ------
    ConfigError
        For a regression, or if the rows are whole tracks.
    DataError
        If no event has a row.
    """
    column = split.labels
    if split.regression:
        raise ConfigError(f"column {column!r} holds events with labels; leave --regression out")
    used = {rows.name for rows in stored_steps(store, chain).values()}
    if any(store.features[name].frame_rate is None for name in used):
        raise ConfigError(
            f"column {column!r} holds events, but the rows of {store.path} are whole tracks; "
            "extract frames without pooling, and pool with --pool of mcls train"
        )
    sr = next(iter(store.tracks.get("sample_rate", [])), None)
    first_times = {
        name: axes_of(rows.chain, None if sr is None else int(sr)).start
        for name, rows in store.features.items()
    }
    cells = store.column(column)
    bare = [i for i, part in enumerate(parts.values) if part and not cells[i]]
    found = [
        (i, event)
        for i, part in enumerate(parts.values)
        if part and cells[i]
        for event in parse_events(cells[i], f"track {store.track_ids[i]!r}, column {column!r}")
    ]
    cut = EventStore(store, column, found, first_times)
    lengths = np.array([np.diff(cut.features[name].spans)[:, 0] for name in sorted(used)])
    kept = lengths.min(axis=0) > 0
    if not kept.any():
        raise DataError(f"{store.path}: no event of column {column!r} is as long as a row")
    cut = EventStore(store, column, [found[i] for i in np.flatnonzero(kept)], first_times)
    notes = [
        *parts.notes,
        f"column {column!r} holds events: learnt from, and scored, as tracks of their own "
        f"({len(cut.events)} events of {len(set(cut.sources))} tracks)",
    ]
    if bare:
        names = ", ".join(store.track_ids[i] for i in bare[:_SHOWN])
        more = ", ..." if len(bare) > _SHOWN else ""
        notes.append(f"{len(bare)} tracks without events are left out: {names}{more}")
    if not kept.all():
        notes.append(f"{int((~kept).sum())} events are shorter than a row and are left out")
    return cut, replace(parts, values=[parts.values[i] for i in cut.sources], notes=notes)
