"""The timelines of the tracks of a training: their events, and how well they fit the true ones."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from mcls.chain.match import rows_of_track, stored_steps
from mcls.evaluation.calibration import Calibration
from mcls.evaluation.results import Estimate
from mcls.evaluation.sequences import measure_sequences
from mcls.hmm.loop import LabelOrder
from mcls.stages.plan import Plan
from mcls.stages.timeline import Timeline, timeline_maker
from mcls.stores.event_store import EventStore
from mcls.tables.event_table import TrackEvents
from mcls.tables.events import Event, parse_events


def learnt_order(plan: Plan) -> dict[str, Any]:
    """Return how long the train events last and how their labels follow each other.

    This is ``events`` of about.json, which `timeline_maker` reads.
    """
    store, place = plan.store, {name: i for i, name in enumerate(plan.table.names)}
    assert isinstance(store, EventStore)
    tracks: dict[int, list[tuple[int, float]]] = {}
    for i in plan.parts.of("train"):
        event = store.events[i]
        tracks.setdefault(store.sources[i], []).append((place[event.label], event.seconds))
    order = LabelOrder.counted(list(tracks.values()), len(place))
    seconds = [length for events in tracks.values() for _, length in events]
    return {**order.as_dict(), "median_seconds": float(np.median(seconds))}


def predict_events(
    plan: Plan, model: Any, order: Mapping[str, Any], calibration: Calibration | None
) -> list[TrackEvents]:
    """Return the true and the predicted events of every valid and test track of a plan."""
    store = plan.store
    assert isinstance(store, EventStore)
    rates = store.tracks.get("sample_rate")
    maker = timeline_maker(
        model,
        plan.chain,
        plan.table.names,
        order,
        Timeline(),
        calibration=calibration,
        aggregate=plan.settings["aggregate"],
        sample_rate=None if not rates else int(rates[0]),
    )
    whole = store.whole
    stored, cells = stored_steps(whole, plan.chain), whole.column(plan.settings["labels"])
    parts = dict(zip(store.sources, plan.parts.values, strict=True))
    found = []
    for i, part in parts.items():
        if part in ("valid", "test"):
            name = whole.track_ids[i]
            true = parse_events(cells[i], f"track {name!r}")
            predicted = maker.events(rows_of_track(stored, i))
            found.append(TrackEvents(name, part, plan.parts.fold or "", true, predicted))
    return found


def measure_events(
    tracks: Sequence[TrackEvents], parts: Collection[str], *, intervals: bool = True
) -> dict[str, Estimate]:
    """Return the metrics of the timelines of some parts; empty without a track."""
    pairs: list[tuple[list[Event], list[Event]]] = [
        (one.true, one.predicted) for one in tracks if one.part in parts
    ]
    return measure_sequences(pairs, intervals=intervals) if pairs else {}
