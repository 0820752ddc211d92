"""Tables of scored files that grow while they are made: CSV, or JSON Lines.

The CSV has the columns ``path``, ``label``, ``score`` and, if the run is calibrated,
``probability``, with a line per label of a file; a file without a label has one empty line. If the
run predicts numbers, the columns are ``path``, ``target`` and ``number``. With windows, the columns
``start`` and ``stop`` follow ``path``; they are empty in the lines of the whole file, which come
first. A table of events has ``path``, ``start``, ``end``, ``label`` and ``probability``. JSON Lines
has an object per file. Whoever follows the table sees a file as soon as it is scored. If the writer
was killed, `read_finished` finds the files that are whole.
"""

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mcls.errors import FormatError
from mcls.tables.csv_cells import csv_line, read_cell
from mcls.tables.events import Event


@dataclass(frozen=True)
class ScoredLabel:
    """A label of a file, with its score and its probability, if there is one."""

    label: str
    score: float
    probability: float | None = None


@dataclass(frozen=True)
class ScoredWindow:
    """A window of a file, in seconds, with the labels to write and those that are predicted."""

    start: float
    stop: float
    labels: Sequence[ScoredLabel]
    predicted: Sequence[str]


@dataclass(frozen=True)
class TableFormat:
    """How a table of scored files is written.

    Parameters
    ----------
    jsonl : bool
        Write JSON Lines in place of CSV.
    calibrated : bool
        Whether there are probabilities.
    regression : bool
        Whether the scores are predicted numbers, and the labels their names.
    excerpts : {"", "windows", "events"}
        What is written of a file beside the labels of the whole.
    """

    jsonl: bool
    calibrated: bool
    regression: bool = False
    excerpts: Literal["", "windows", "events"] = ""

    def header(self) -> str:
        """Return the first line; JSON Lines have none."""
        if self.jsonl:
            return ""
        if self.excerpts == "events":
            return csv_line(["path", "start", "end", "label", "probability"])
        names = ["path", *(["start", "stop"] if self.excerpts else [])]
        if self.regression:
            return csv_line([*names, "target", "number"])
        return csv_line([*names, "label", "score", *(["probability"] if self.calibrated else [])])

    def lines(
        self,
        path: str,
        labels: Sequence[ScoredLabel],
        predicted: Sequence[str],
        *,
        windows: Sequence[ScoredWindow] = (),
        events: Sequence[Event] = (),
    ) -> str:
        """Return the lines of a file.

        Parameters
        ----------
        path : str
            The file, as it was named.
        labels : sequence of ScoredLabel
            The labels of the whole file to write, best first.
        predicted : sequence of str
            The labels of the whole file that are predicted.
        windows : sequence of ScoredWindow
        events : sequence of Event
            In the order of time.
        """
        if self.jsonl:
            entry: dict[str, Any] = {"path": path, **self._scores(labels, predicted)}
            if self.calibrated:
                entry["probabilities"] = {one.label: one.probability for one in labels}
            if self.excerpts == "windows":
                entry["windows"] = [
                    {"start": w.start, "stop": w.stop, **self._scores(w.labels, w.predicted)}
                    for w in windows
                ]
            elif self.excerpts:
                entry["events"] = [vars(one) for one in events]
            return json.dumps(entry, ensure_ascii=False) + "\n"
        if self.excerpts == "events":
            return "".join(_event_lines(path, events))
        cells = [path, *(["", ""] if self.excerpts else [])]
        found = self._label_lines(cells, labels)
        for window in windows:
            cells = [path, f"{window.start:.3f}", f"{window.stop:.3f}"]
            found += self._label_lines(cells, window.labels)
        return found

    def _scores(self, labels: Sequence[ScoredLabel], predicted: Sequence[str]) -> dict[str, Any]:
        scores = {one.label: one.score for one in labels}
        if self.regression:
            return {"numbers": scores}
        return {"labels": list(predicted), "scores": scores}

    def _label_lines(self, cells: Sequence[str], labels: Sequence[ScoredLabel]) -> str:
        """Return a line per label that begins with these cells; one without labels if none is."""
        sure = self.calibrated and not self.regression
        if not labels:
            return csv_line([*cells, *[""] * (3 if sure else 2)])
        found = ""
        for one in labels:
            last = "" if one.probability is None else f"{one.probability:.9g}"
            found += csv_line([*cells, one.label, f"{one.score:.9g}", *([last] if sure else [])])
        return found


def _event_lines(path: str, events: Sequence[Event]) -> Iterator[str]:
    """Yield a line per event; an empty one for a file without events."""
    if not events:
        yield csv_line([path, "", "", "", ""])
    for one in events:
        cells = [f"{one.start:.3f}", f"{one.end:.3f}", one.label, f"{one.probability:.9g}"]
        yield csv_line([path, *cells])


def read_finished(path: Path, form: TableFormat, *, complete: bool) -> tuple[set[str], int]:
    """Return the files that are whole in a table, and the size in bytes of their lines.

    Parameters
    ----------
    path : Path
        The table.
    form : TableFormat
    complete : bool
        Whether its writer finished. If not, the last file may lack lines and is left out.

    Raises
    ------
    FormatError
        If it is no table of this format.
    """
    finished: set[str] = set()
    last, start, end = None, 0, 0
    for name, stop in _records(path, form):
        if name != last:
            if last is not None:
                finished.add(last)
            last, start = name, end
        end = stop
    if complete and last is not None:
        finished.add(last)
        start = end
    return finished, start if last is not None else len(form.header().encode())


def _records(path: Path, form: TableFormat) -> Iterator[tuple[str | None, int]]:
    """Yield the file of every whole record, None for the header, and where the record ends."""
    end = 0

    def lines() -> Iterator[str]:
        nonlocal end
        with path.open("rb") as file:
            for line in file:
                if line.endswith(b"\n"):
                    end += len(line)
                    yield line.decode("utf-8", "surrogateescape")

    try:
        if form.jsonl:
            for line in lines():
                yield json.loads(line)["path"], end
            return
        for i, row in enumerate(csv.reader(lines(), strict=True)):
            if i == 0 and csv_line(row) != form.header():
                raise FormatError(
                    f"{path} has other columns: {', '.join(row)}; choose another output"
                )
            yield (read_cell(row[0]) if i else None), end
    except csv.Error:
        return  # the line that was being written ends within quotation marks
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise FormatError(f"{path} is no table of scored files ({error})") from error
