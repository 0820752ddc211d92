"""Tables of scored files that grow while they are made: CSV, or JSON Lines.

The CSV has the columns ``path``, ``label``, ``score`` and, if the run is calibrated,
``probability``, with a line per label of a file; a file without a label has one empty line. If the
run predicts numbers, the columns are ``path``, ``target`` and ``number``. JSON Lines has an object
per file. Whoever follows the table sees a file as soon as it is scored. If the writer was killed,
`read_finished` finds the files that are whole.
"""

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcls.disk.csv_cells import csv_line, read_cell
from mcls.errors import FormatError


@dataclass(frozen=True)
class ScoredLabel:
    """A label of a file, with its score and its probability, if there is one."""

    label: str
    score: float
    probability: float | None = None


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
    """

    jsonl: bool
    calibrated: bool
    regression: bool = False

    def header(self) -> str:
        """Return the first line; JSON Lines have none."""
        names = ["path", "label", "score", *(["probability"] if self.calibrated else [])]
        if self.regression:
            names = ["path", "target", "number"]
        return "" if self.jsonl else csv_line(names)

    def lines(self, path: str, labels: Sequence[ScoredLabel], predicted: Sequence[str]) -> str:
        """Return the lines of a file.

        Parameters
        ----------
        path : str
            The file, as it was named.
        labels : sequence of ScoredLabel
            The labels to write, best first.
        predicted : sequence of str
            The labels that are predicted.
        """
        if self.jsonl:
            scores = {one.label: one.score for one in labels}
            entry: dict[str, Any] = {"path": path, "labels": list(predicted), "scores": scores}
            if self.regression:
                entry = {"path": path, "numbers": scores}
            if self.calibrated:
                entry["probabilities"] = {one.label: one.probability for one in labels}
            return json.dumps(entry, ensure_ascii=False) + "\n"
        if not labels:
            return csv_line([path, *[""] * (3 if self.calibrated else 2)])
        return "".join(
            csv_line(
                [
                    *(path, one.label, f"{one.score:.9g}"),
                    *([] if one.probability is None else [f"{one.probability:.9g}"]),
                ]
            )
            for one in labels
        )


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
