"""Tables of events: those that `mcls predict --timeline` finds, and the metrics of timelines."""

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mcls.cli.messages import printable
from mcls.cli.tables import show_table
from mcls.tables.csv_cells import csv_line

if TYPE_CHECKING:
    from mcls.stages.predict import Predicted


def show_events(found: "Predicted", as_csv: bool) -> None:
    """Print a line per event; as CSV, the lines of one track are an annotation file."""
    columns = ["track", "start", "end", "label", "probability"]
    if as_csv:
        shown = printable if sys.stdout.isatty() else str
        sys.stdout.write(csv_line(columns))
        for track in found.tracks:
            for one in track.events or ():
                cells = [f"{one.start:.3f}", f"{one.end:.3f}", one.label, f"{one.probability:.9g}"]
                sys.stdout.write(csv_line(map(shown, [track.name, *cells])))
        return
    rows = []
    for track in found.tracks:
        name = track.name
        for one in track.events or ():
            times = [f"{one.start:.2f}", f"{one.end:.2f}"]
            rows.append([name, one.label, *times, f"{one.probability:.3f}"])
            name = ""
        if not track.events:
            rows.append([name, "(none)", "", "", ""])
    show_table(["track", "label", "start", "end", "probability"], rows, left=2)


def show_timelines(parts: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> None:
    """Print the metrics of timelines, a line per part; see `mcls.evaluation.sequences`."""
    names = list(dict.fromkeys(name for found in parts.values() for name in found))
    columns = ["timelines"]
    for name in names:
        columns += [name, "95 %"]
    rows = []
    for part, found in parts.items():
        row = [part]
        for name in names:
            one = found[name]
            ends = "" if one["low"] is None else f"{one['low']:.3f} to {one['high']:.3f}"
            row += [f"{one['value']:.3f}", ends]
        rows.append(row)
    show_table(columns, rows)
