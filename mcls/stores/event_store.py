"""A store whose tracks are the events of another store's tracks.

The rows stay where they are: an event is a stretch of the rows of its track. So whatever learns
from labelled tracks learns from labelled events.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from mcls.stores.store import Store
from mcls.stores.stored_rows import StoredRows
from mcls.tables.events import Event

#: Share of a row by which a time may be off, which is an error of rounding.
_ROUNDING = 1e-6


class EventStore(Store):
    """The events of a column of a store, as tracks.

    The column has the label of each event, ``track_id`` is that of its track with start and end,
    and the other columns are those of its track.

    Parameters
    ----------
    store : Store
        Its features with a frame rate are cut; others are left out.
    column : str
        The column of events.
    events : sequence of (int, Event)
        The index of the track, and the event.
    first_times : mapping of str to float
        The time of the middle of the first row of each feature, in seconds.
    beyond : float
        Seconds of the track before and after each event that belong to its rows, too, as far as
        the track goes.

    Attributes
    ----------
    whole : Store
        The store of the tracks.
    sources : list of int
        The track of each event.
    events : list of Event
    """

    def __init__(
        self,
        store: Store,
        column: str,
        events: Sequence[tuple[int, Event]],
        first_times: Mapping[str, float],
        beyond: float = 0.0,
    ) -> None:
        self.__dict__.update(copy.copy(store.__dict__))
        self.whole = store
        self._made_of = store, column, events, first_times
        self.sources = [track for track, _ in events]
        self.events = [event for _, event in events]
        self.tracks = {
            name: [values[i] for i in self.sources] for name, values in store.tracks.items()
        }
        self._source_ids: list[str] = self.tracks["track_id"]
        self.tracks[column] = [event.label for event in self.events]
        for name in ("track_id", "augmented_from"):
            if name in self.tracks:
                pairs = zip(self.tracks[name], self.times, strict=True)
                self.tracks[name] = [f"{track}@{time}" if track else "" for track, time in pairs]
        self.features = {
            name: replace(rows, cut=self._spans(rows, first_times[name], beyond))
            for name, rows in store.features.items()
            if rows.frame_rate is not None
        }

    @property
    def source_ids(self) -> list[str]:
        """The ``track_id`` of the track of each event."""
        return self._source_ids

    @property
    def times(self) -> list[str]:
        """Start and end of each event, as text."""
        return [f"{event.start:.3f}-{event.end:.3f}" for event in self.events]

    def widened(self, beyond: float) -> "EventStore":
        """Return the same events with more rows, `beyond` seconds before and after each."""
        return EventStore(*self._made_of, beyond)

    def _spans(self, rows: StoredRows, first_time: float, beyond: float) -> np.ndarray:
        """Return the first row of each event and the row after its last one."""
        assert rows.frame_rate is not None
        spans = np.empty((len(self.events), 2), dtype=np.int64)
        for i, event in enumerate(self.events):
            times = event.start - beyond, event.end + beyond
            spans[i] = rows_between(*times, first_time, rows.frame_rate)
        track = np.stack([rows.offsets[:-1], rows.offsets[1:]], axis=1)[self.sources]
        return np.clip(spans + track[:, :1], track[:, :1], track[:, 1:])


def rows_between(start: float, end: float, first_time: float, rate: float) -> tuple[int, int]:
    """Return the first row whose middle is in a stretch of time, and the one after the last.

    Parameters
    ----------
    start, end : float
        In seconds.
    first_time : float
        The time of the middle of row 0.
    rate : float
        Rows per second.

    Examples
    --------
    >>> rows_between(0.5, 1.0, 0.0, 10.0), rows_between(0.0, 0.1, 0.05, 10.0)
    ((5, 10), (0, 1))
    """
    first, stop = (int(np.ceil((time - first_time) * rate - _ROUNDING)) for time in (start, end))
    return max(0, first), max(0, stop)
