"""predictions.csv: the scores and the true labels of tracks.

There is a line per track::

    track_id,part,fold,labels,score:jazz,score:rock
    one,test,,rock,0.25,0.75

For a regression there are columns of true and of predicted numbers::

    track_id,part,fold,true:valence,predicted:valence
    one,test,,0.3,0.25

Where labels are those of events (`mcls.tables.events`), ``time`` has the start and the end of each
in seconds, as ``0.500-1.250``, and a track has as many lines as events. ``labels`` are the true
labels, joined by ``|``, with ``jazz?`` for one that is unknown (`mcls.tables.labels`);
``score:<label>`` is higher if the label is more likely. ``part`` and
``fold`` may be missing or empty, and other columns are ignored. Tables of other programs may have
other delimiters, decimal commas and names of columns (`mcls.tables.prediction_columns`).
"""

import csv
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mcls.disk.workspace import written_whole
from mcls.errors import DataError, FormatError, suggest
from mcls.remote.places import kept
from mcls.tables.csv_cells import csv_line, other_kind, read_cell
from mcls.tables.labels import LabelTable, label_cells, label_of, parse_labels, split_items
from mcls.tables.number_cells import decimal_comma, read_number
from mcls.tables.prediction_columns import (
    DELIMITERS,
    NO,
    PREDICTED,
    SCORE,
    TRUE,
    YES,
    prediction_columns,
)
from mcls.tabular import Tabular


@dataclass(frozen=True, repr=False)
class Predictions(Tabular):
    """True labels and scores of tracks.

    Parameters
    ----------
    track_ids : list of str
        The tracks. A track may occur more than once, in different parts or folds.
    parts : list of str
        ``train``, ``valid`` or ``test``; empty if unknown.
    folds : list of str
        The fold held out as test when the track was scored; empty without folds.
    names : list of str
        The labels.
    truth : np.ndarray, shape (n_tracks, n_labels), bool or float64
        The true labels of every track, False where they are unknown; for a regression the true
        numbers.
    scores : np.ndarray, shape (n_tracks, n_labels), float64
        The scores; higher is more likely. For a regression the predicted numbers.
    multi_label : bool
        Whether a track may have any number of labels instead of exactly one.
    probabilities : np.ndarray, shape (n_tracks, n_labels), or None
        Calibrated probabilities of the labels, if they are known; they are not in the file.
    no_probability : str or None
        The reason why they are not known.
    times : list of str or None
        Start and end of the event that each line is of; None: a line is a whole track.
    notes : tuple of str
        Which columns of the file were taken for what, if they are not named as those of mcls.
    unknown : np.ndarray, shape (n_tracks, n_labels), bool, or None
        True where nobody knows whether the track has the label; None if all are known.
    """

    track_ids: list[str]
    parts: list[str]
    folds: list[str]
    names: list[str]
    truth: np.ndarray
    scores: np.ndarray
    multi_label: bool
    probabilities: np.ndarray | None = None
    no_probability: str | None = None
    times: list[str] | None = None
    notes: tuple[str, ...] = ()
    unknown: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.track_ids)

    @property
    def title(self) -> str:
        """The number of lines and of labels."""
        what = "targets" if self.regression else "labels"
        return f"predictions: {len(self)} lines, {len(self.names)} {what}"

    def columns(self, most: int | None = None) -> dict[str, list[Any]]:
        """Return the columns of predictions.csv."""
        own = {"track_id": self.track_ids, "part": self.parts, "fold": self.folds}
        found: dict[str, list[Any]] = {name: list(cells[:most]) for name, cells in own.items()}
        if self.times is not None:
            found["time"] = self.times[:most]
        if self.regression:
            columns = self.truth[:most].T.tolist()
            found |= {f"{TRUE}{name}": one for name, one in zip(self.names, columns, strict=True)}
        else:
            unknown = None if self.unknown is None else self.unknown[:most]
            found["labels"] = label_cells(self.names, self.truth[:most], unknown)
        kind = PREDICTED if self.regression else SCORE
        columns = self.scores[:most].T.tolist()
        return found | {f"{kind}{name}": one for name, one in zip(self.names, columns, strict=True)}

    @property
    def regression(self) -> bool:
        """Whether these are numbers, in place of labels and scores."""
        return self.truth.dtype != bool

    def only(self, part: str | None = None, *, fold: str | None = None) -> "Predictions":
        """Return the tracks of a part, of a fold, or of both.

        Raises
        ------
        DataError
            If there are none; the message names the parts that exist.
        """
        keep = [
            i
            for i in range(len(self))
            if part in (None, self.parts[i]) and fold in (None, self.folds[i])
        ]
        if not keep:
            wanted = [
                f"part {part!r}" if part is not None else "",
                f"fold {fold!r}" if fold else "",
            ]
            counts = {name: self.parts.count(name) for name in dict.fromkeys(self.parts)}
            found = ", ".join(
                f"{count} {name or 'without a part'}" for name, count in counts.items()
            )
            raise DataError(f"no track in {' of '.join(filter(None, wanted))}; there are: {found}")
        return Predictions(
            [self.track_ids[i] for i in keep],
            [self.parts[i] for i in keep],
            [self.folds[i] for i in keep],
            self.names,
            self.truth[keep],
            self.scores[keep],
            self.multi_label,
            None if self.probabilities is None else self.probabilities[keep],
            self.no_probability,
            None if self.times is None else [self.times[i] for i in keep],
            self.notes,
            None if self.unknown is None else self.unknown[keep],
        )

    def line_names(self) -> list[tuple[str, str, str]]:
        """Return the track, the fold and the time of each line; no two are the same in a part."""
        times = self.times or [""] * len(self)
        return list(zip(self.track_ids, self.folds, times, strict=True))

    def fold_names(self) -> list[str]:
        """Return the folds in order of appearance."""
        return [fold for fold in dict.fromkeys(self.folds) if fold]


def join_predictions(several: Sequence[Predictions]) -> Predictions:
    """Join predictions of the same labels into one table."""
    first = several[0]
    if any((other.names, other.regression) != (first.names, first.regression) for other in several):
        raise DataError("predictions with different labels cannot be joined")
    return Predictions(
        [i for one in several for i in one.track_ids],
        [part for one in several for part in one.parts],
        [fold for one in several for fold in one.folds],
        first.names,
        np.concatenate([one.truth for one in several]),
        np.concatenate([one.scores for one in several]),
        any(one.multi_label for one in several),
        times=None if first.times is None else [t for one in several for t in one.times or ()],
        unknown=_joined_unknown(several),
    )


def _joined_unknown(several: Sequence[Predictions]) -> np.ndarray | None:
    if all(one.unknown is None for one in several):
        return None
    every = [np.zeros_like(o.truth) if o.unknown is None else o.unknown for o in several]
    return np.concatenate(every)


def write_predictions(path: Path | str, predictions: Predictions) -> None:
    """Write predictions; they are read back exactly.

    Parameters
    ----------
    path : path
        The CSV to write; it appears whole or not at all.
    predictions : Predictions
    """
    names = predictions.names
    with (
        written_whole(Path(path)) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as file,
    ):
        kinds = (TRUE, PREDICTED) if predictions.regression else (SCORE,)
        columns = [kind + name for kind in kinds for name in names]
        labels = [] if predictions.regression else ["labels"]
        when = [] if predictions.times is None else ["time"]
        file.write(csv_line(["track_id", "part", "fold", *when, *labels, *columns]))
        true_cells = (
            [[repr(number) for number in truth] for truth in predictions.truth.tolist()]
            if predictions.regression
            else [[cell] for cell in label_cells(names, predictions.truth, predictions.unknown)]
        )
        for i, (track_id, true) in enumerate(zip(predictions.track_ids, true_cells, strict=True)):
            scores = [repr(score) for score in predictions.scores[i].tolist()]
            part, fold = predictions.parts[i], predictions.folds[i]
            when = [] if predictions.times is None else [predictions.times[i]]
            file.write(csv_line([track_id, part, fold, *when, *true, *scores]))


def read_predictions(path: Path | str) -> Predictions:
    """Read predictions and check every cell.

    Parameters
    ----------
    path : path
        A CSV with the columns ``track_id``, ``labels`` and ``score:<label>``, and ``part`` and
        ``fold`` if there are any; see `mcls.tables.prediction_columns`. With a score of one label,
        ``labels`` says whether a track has it: its name or nothing, yes or no, 1 or 0.

    Returns
    -------
    Predictions
        `multi_label` is true if some track has no label or several, if labels are unknown, or if
        there is one label.

    Raises
    ------
    DataError
        If the file does not exist.
    FormatError
        With the file and the line, if it cannot be used.
    """
    path = kept(path)
    if not path.is_file():
        raise DataError(f"there is no file {path}")
    with path.open("rb") as file:
        kind = other_kind(file.read(8))
    if kind:
        raise FormatError(f"{path} is {kind}; expected a run folder, or a CSV of predictions")
    delimiter = _delimiter(path)
    lines = list(_rows(path, delimiter))
    header, rows = (lines[0][1], lines[1:]) if lines else ([], [])
    columns = prediction_columns(path, header, [row for _, row in rows])
    regression = bool(columns.true)
    names = list(columns.scores)
    numbers = [*columns.true.values(), *columns.scores.values()]
    notes = [*columns.notes, *_commas(path, lines[1:], numbers, delimiter)]
    read: dict[tuple[str, str, str, str], int] = {}
    true_numbers, true_cells, scores = [], [], []
    for line, row in rows:
        where = f"{path}:{line}"
        if len(row) != len(header):
            more = len(row) == len(header) + len(numbers) and delimiter == ","
            raise FormatError(
                f"{where}: {len(row)} cells, expected {len(header)} as in the header"
                + ("; if these are decimal commas, separate the cells by ; or tab" if more else "")
            )
        cells = {name: row[i].strip() for name, i in columns.place.items()}
        part, fold, time = (cells.get(name, "") for name in ("part", "fold", "time"))
        key = cells["track_id"], part, fold, time
        if not key[0]:
            raise FormatError(f"{where}: the track_id is empty")
        if key in read:
            raise FormatError(f"{where}: track {key[0]!r} is already in line {read[key]}")
        read[key] = line
        if regression:
            true_numbers.append([_score(where, name, row[columns.true[name]]) for name in names])
        else:
            true_cells.append(_true_cell(where, cells["labels"], names))
        scores.append([_score(where, name, row[i]) for name, i in columns.scores.items()])
    if not read:
        raise FormatError(f"{path}: expected at least one track below the header")
    truth, unknown = np.array(true_numbers, dtype=np.float64), None
    if not regression:
        where_each = [f"{path}:{line}" for line in read.values()]
        table = _table(true_cells, names, where_each)
        truth, unknown = table.matrix, table.unknown
    return Predictions(
        [track_id for track_id, *_ in read],
        [part for _, part, *_ in read],
        [fold for _, _, fold, _ in read],
        names,
        truth,
        np.array(scores, dtype=np.float64),
        not regression
        and (len(names) == 1 or unknown is not None or bool((truth.sum(axis=1) != 1).any())),
        times=[time for *_, time in read] if "time" in columns.place else None,
        notes=tuple(notes),
        unknown=unknown,
    )


def _delimiter(path: Path) -> str:
    """Return the delimiter that cuts the header into the most columns."""
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        header = file.readline()
    return max(DELIMITERS, key=lambda one: len(next(csv.reader([header], delimiter=one), [])))


def _commas(
    path: Path, rows: Sequence[tuple[int, list[str]]], places: Sequence[int], delimiter: str
) -> list[str]:
    """Return what is to be said of decimal commas; refuse those that cannot be read."""
    cells = [(row[i], line) for line, row in rows for i in places if i < len(row)]
    example, problem = decimal_comma([cell for cell, _ in cells], delimiter)
    if problem:
        raise FormatError(f"{path}:{dict(reversed(cells))[example]}: {problem}")
    return [f"numbers such as {example} were read with a decimal comma"] if example else []


def _rows(path: Path, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the line number and the cells of each row that is not blank."""
    line = 0
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            for row in reader:
                line = reader.line_num
                if row:
                    yield line, [read_cell(cell) for cell in row]
    except UnicodeDecodeError as error:
        raise FormatError(f"{path}: not UTF-8 after line {line} ({error.reason})") from error
    except csv.Error as error:
        raise FormatError(f"{path}:{line + 1}: {error}") from error


def _true_cell(where: str, cell: str, names: Sequence[str]) -> str:
    """Return a cell of true labels; of a single tag yes and no are its name and nothing."""
    if len(names) == 1 and cell != names[0] and cell.lower() in (*YES, *NO):
        return names[0] if cell.lower() in YES else ""
    for item in split_items(cell):
        if item not in names and label_of(item) not in names:
            raise FormatError(f"{where}: no score for label {item!r}; {suggest(item, names)}")
    return cell


def _table(cells: Sequence[str], names: Sequence[str], where: Sequence[str]) -> LabelTable:
    try:
        return parse_labels(cells, names=names, allow_empty=True, unknown=True, where=where)
    except DataError as error:
        raise FormatError(str(error)) from error


def _score(where: str, name: str, cell: str) -> float:
    score = read_number(cell)
    if score is None or math.isnan(score):
        raise FormatError(f"{where}: score of {name!r} is {cell!r}, not a number")
    return score
