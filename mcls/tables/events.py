r"""Events: labelled stretches of a track, as annotation files name them.

An annotation file is text in UTF-8 with a line per event: start and end in seconds, and a label.
Cells are separated by tabs, commas, semicolons or, as in ``.lab`` files, by white space; times may
have a decimal comma if it is not a comma. With a header the columns may be in any order and there
may be others; they are called ``start``, ``end`` and ``label``, or as in other tables of events,
such as ``onset``, ``offset``, ``event_label``. Without one, the first three cells are start, end
and label. Time without an event is allowed.

A store holds the events of a track as the text of such a file: ``start\tend\tlabel`` per line.
"""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from mcls.disk.text_files import read_regular
from mcls.errors import DataError
from mcls.tables.csv_cells import other_kind
from mcls.tables.labels import SEPARATOR
from mcls.tables.number_cells import decimal_comma, read_number

#: Names of the columns in the headers of tables of events.
_NAMES = {
    "start": ("start", "onset", "begin", "start_time", "time_start"),
    "end": ("end", "offset", "stop", "end_time", "time_end"),
    "label": ("label", "event_label", "event", "class", "name", "text"),
}
#: How the text of events in a store begins.
_EVENT = re.compile(r"[\d.e+-]+\t[\d.e+-]+\t")
#: Seconds by which an event may reach into the next one, which a rounded time may do.
_ROUNDING = 0.001
#: Seconds by which the last event may end after its track.
BEYOND = 0.1


@dataclass(frozen=True)
class Event:
    """A labelled stretch of a track.

    Parameters
    ----------
    start, end : float
        Seconds from the beginning of the track.
    label : str
    probability : float or None
        Of a predicted event: the mean probability of the label over the event.
    """

    start: float
    end: float
    label: str
    probability: float | None = None

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.end - self.start


def read_events(path: Path | str) -> list[Event]:
    """Read an annotation file.

    Returns
    -------
    list of Event
        In the order of time, without overlaps.

    Raises
    ------
    DataError
        If the file does not exist, has no events, or a line cannot be used; the message names the
        file and the line.
    """
    path = Path(path)
    raw = read_regular(path)
    if kind := other_kind(raw[:8]):
        raise DataError(f"{path} is {kind}; expected an annotation file with start, end and label")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise DataError(f"{path}:{line}: not UTF-8; save the file as UTF-8") from None
    return parse_events(text, str(path))


def parse_events(text: str, where: str) -> list[Event]:
    r"""Return the events in the text of an annotation file; see `read_events`.

    Parameters
    ----------
    text : str
    where : str
        What holds the text, for messages.

    Examples
    --------
    >>> parse_events("0.5 1.25 ta\n0 0.5 ka\n", "loop.lab")[0]
    Event(start=0.0, end=0.5, label='ka', probability=None)
    """
    lines = [(i, line) for i, line in enumerate(text.splitlines(), start=1) if line.strip()]
    if not lines:
        raise DataError(f"{where}: no events; expected a line with start, end and label for each")
    delimiter = _delimiter(lines[0][1])
    order = _order(_cells(lines[0][1], delimiter), f"{where}:{lines[0][0]}")
    places = (0, 1, 2) if order is None else order
    rows = []
    for number, line in lines if order is None else lines[1:]:
        at = f"{where}:{number}"
        cells = _cells(line, delimiter)
        if len(cells) <= max(places):
            raise DataError(f"{at}: {len(cells)} cells; expected start, end and label")
        rows.append(([cells[i] for i in places], at))
    if not rows:
        raise DataError(f"{where}: a header, but no events below it")
    example, problem = decimal_comma([cell for row, _ in rows for cell in row[:2]], delimiter)
    if problem:
        at = next(at for row, at in rows if example in row[:2])
        raise DataError(f"{at}: {problem}")
    found = [_event(start, end, label, at) for (start, end, label), at in rows]
    return _without_overlaps(sorted(found, key=lambda event: event.start), where)


def events_text(events: Iterable[Event]) -> str:
    r"""Return events as a store holds them.

    Examples
    --------
    >>> events_text([Event(0.0, 0.5, "ka"), Event(0.5, 1.25, "ta")])
    '0.0\t0.5\tka\n0.5\t1.25\tta'
    """
    return "\n".join(f"{one.start!r}\t{one.end!r}\t{one.label}" for one in events)


def hold_events(cells: Sequence[str]) -> bool:
    r"""Return whether the cells of a column are events, in the text that a store holds.

    Examples
    --------
    >>> hold_events(["", "0.0\t0.5\tka\n0.5\t1.25\tta"]), hold_events(["ka", "ta"])
    (True, False)
    """
    filled = [cell for cell in cells if cell]
    return bool(filled) and all(_EVENT.match(cell) for cell in filled)


def labels_in(cells: Sequence[str]) -> list[str]:
    r"""Return the labels in cells of events, those of a cell joined by ``|``.

    Examples
    --------
    >>> labels_in(["0.0\t0.5\tka\n0.5\t1.25\tta\n2.0\t2.5\tka"])
    ['ka|ta']
    """
    found = []
    for cell in cells:
        lines = cell.splitlines()
        found.append(SEPARATOR.join(dict.fromkeys(line.split("\t", 2)[2] for line in lines)))
    return found


def within(events: Sequence[Event], seconds: float, where: str) -> list[Event]:
    """Return events that end with their track; the last may reach up to 0.1 s beyond it.

    Raises
    ------
    DataError
        If an event ends later.
    """
    late = next((one for one in events if one.end > seconds + BEYOND), None)
    if late is not None:
        raise DataError(
            f"{where}: the event {late.label!r} ends at {late.end:g} s, but the track at "
            f"{seconds:g} s; correct the annotation file, or the path of the audio"
        )
    cut = [Event(one.start, min(one.end, seconds), one.label) for one in events]
    return [one for one in cut if one.end > one.start]


def with_background(events: Sequence[Event], seconds: float, label: str) -> list[Event]:
    """Return events with one more wherever there is none in a track of some seconds.

    Examples
    --------
    >>> [event.label for event in with_background([Event(1, 2, "a"), Event(2, 3, "b")], 9, "none")]
    ['none', 'a', 'b', 'none']
    """
    bounds = [0.0, *(time for event in events for time in (event.start, event.end)), seconds]
    gaps = [
        Event(start, end, label)
        for start, end in zip(bounds[::2], bounds[1::2], strict=True)
        if end - start > _ROUNDING
    ]
    return sorted([*events, *gaps], key=lambda event: event.start)


def _delimiter(line: str) -> str | None:
    """Return the delimiter of the first line; with a decimal comma both are there."""
    for one in ("\t", ",", ";", None):
        cells = _cells(line, one)
        if len(cells) > 2 and None not in (_number(cells[0]), _number(cells[1])):
            return one
    return next((one for one in "\t,;" if one in line), None)


def _cells(line: str, delimiter: str | None) -> list[str]:
    if delimiter is None:
        return line.split(maxsplit=2)
    return [cell.strip().strip('"') for cell in line.split(delimiter)]


def _order(first: Sequence[str], where: str) -> tuple[int, ...] | None:
    """Return the places of start, end and label if the first line is a header; else None."""
    if not first or _number(first[0]) is not None or (len(first) > 1 and _number(first[1])):
        return None
    names = [re.sub(r"[\s-]+", "_", cell.lower()) for cell in first]
    places = []
    for column, known in _NAMES.items():
        place = next((names.index(name) for name in known if name in names), None)
        if place is None:
            raise DataError(
                f"{where}: no column {column!r} in the header ({', '.join(first)}); expected "
                "start, end and label"
            )
        places.append(place)
    return tuple(places)


def _event(start: str, end: str, label: str, where: str) -> Event:
    times = []
    for name, cell in (("start", start), ("end", end)):
        value = _number(cell)
        if value is None:
            raise DataError(f"{where}: the {name} {cell!r} is no number of seconds")
        times.append(value)
    first, last = times
    if first < 0:
        raise DataError(f"{where}: the start {first:g} is negative")
    if last <= first:
        raise DataError(f"{where}: the event ends at {last:g} s, which is not after {first:g} s")
    if not label:
        raise DataError(f"{where}: the label is empty")
    if SEPARATOR in label:
        raise DataError(f"{where}: the label {label!r} contains {SEPARATOR!r}; expected one label")
    return Event(first, last, label)


def _number(cell: str) -> float | None:
    value = read_number(cell)
    return value if value is not None and math.isfinite(value) else None


def _without_overlaps(events: Sequence[Event], where: str) -> list[Event]:
    """Cut what a rounded end reaches into the next event; refuse more."""
    found = list(events)
    for i, (one, following) in enumerate(pairwise(events)):
        if one.end > following.start + _ROUNDING:
            raise DataError(
                f"{where}: the events {one.label!r} ({one.start:g} to {one.end:g} s) and "
                f"{following.label!r} (from {following.start:g} s) overlap; expected one label at "
                "a time"
            )
        if one.end > following.start:
            found[i] = Event(one.start, following.start, one.label)
    return [one for one in found if one.end > one.start]
