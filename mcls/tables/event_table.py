"""events.csv of a run: the true and the predicted events of its valid and test tracks.

There is a line per event::

    track_id,part,fold,source,start,end,label,probability
    loop,test,,true,0.0,0.5,ka,
    loop,test,,predicted,0.0,0.49,ka,0.93
"""

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mcls.disk.text_files import read_text
from mcls.disk.workspace import written_whole
from mcls.errors import FormatError
from mcls.tables.csv_cells import csv_line, read_cell
from mcls.tables.events import Event

#: The file of a run.
EVENTS_FILE = "events.csv"
_COLUMNS = ("track_id", "part", "fold", "source", "start", "end", "label", "probability")
_TRUE, _PREDICTED = "true", "predicted"


@dataclass(frozen=True)
class TrackEvents:
    """The true and the predicted events of a track, each in the order of time.

    Parameters
    ----------
    track_id, part, fold : str
    true, predicted : list of Event
    """

    track_id: str
    part: str
    fold: str
    true: list[Event]
    predicted: list[Event]


def write_event_table(path: Path, tracks: Sequence[TrackEvents]) -> None:
    """Write the events of tracks; they are read back exactly."""
    with (
        written_whole(path) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as file,
    ):
        file.write(csv_line(_COLUMNS))
        for track in tracks:
            for source, events in ((_TRUE, track.true), (_PREDICTED, track.predicted)):
                for one in events:
                    sure = "" if one.probability is None else repr(one.probability)
                    named = [track.track_id, track.part, track.fold, source]
                    file.write(csv_line([*named, repr(one.start), repr(one.end), one.label, sure]))


def read_event_table(path: Path) -> list[TrackEvents]:
    """Read the events of tracks.

    Raises
    ------
    DataError
        If the file does not exist.
    FormatError
        With the line, if it is not such a table.
    """
    reader = csv.reader(read_text(path).splitlines(keepends=True), strict=True)
    found: dict[tuple[str, str, str], TrackEvents] = {}
    try:
        if tuple(next(reader, ())) != _COLUMNS:
            raise FormatError(f"{path}:1: expected the columns {', '.join(_COLUMNS)}")
        for row in reader:
            where = f"{path}:{reader.line_num}"
            if len(row) != len(_COLUMNS):
                raise FormatError(f"{where}: {len(row)} cells; expected {len(_COLUMNS)}")
            *named, source, start, end, label, sure = map(read_cell, row)
            key = named[0], named[1], named[2]
            track = found.setdefault(key, TrackEvents(*key, [], []))
            if source not in (_TRUE, _PREDICTED):
                raise FormatError(f"{where}: source is {source!r}; expected true or predicted")
            times = _number(start, where), _number(end, where)
            event = Event(*times, label, _number(sure, where) if sure else None)
            (track.true if source == _TRUE else track.predicted).append(event)
    except csv.Error as error:
        raise FormatError(f"{path}:{reader.line_num}: {error}") from error
    return list(found.values())


def _number(cell: str, where: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise FormatError(f"{where}: {cell!r} is no number")
    return value
