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
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from mcls.disk.workspace import written_whole
from mcls.errors import DataError, FormatError, suggest
from mcls.remote.places import kept
from mcls.tables.csv_cells import csv_line, other_kind, read_cell
from mcls.tables.labels import LabelTable, label_cells, label_of, parse_labels, split_items
from mcls.tables.number_cells import NumberColumns
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
        if len(keep) == len(self):
            return self
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
            part, fold = predictions.parts[i], predictions.folds[i]
            when = [] if predictions.times is None else [predictions.times[i]]
            named = csv_line([track_id, part, fold, *when, *true]).removesuffix("\n")
            numbers = ",".join(map(repr, predictions.scores[i].tolist()))
            file.write(f"{named},{numbers}\n")


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
    lines = _rows(path, delimiter)
    header = [read_cell(cell) for cell in next(lines, (1, []))[1]]
    columns = prediction_columns(path, header, _cells_below(path, delimiter))
    regression = bool(columns.true)
    names = list(columns.scores)
    numbers = NumberColumns(path, delimiter, [*columns.true.items(), *columns.scores.items()])
    keys: dict[str, list[str]] = {name: [] for name in ("track_id", "part", "fold", "time")}
    known: dict[str, str] = {}  # so that a cell that occurs often is held once
    true_cells, where = [], []
    for line, row in lines:
        if len(row) != len(header):
            more = len(row) == len(header) + len(numbers) and delimiter == ","
            raise FormatError(
                f"{path}:{line}: {len(row)} cells, expected {len(header)} as in the header"
                + ("; if these are decimal commas, separate the cells by ; or tab" if more else "")
            )
        cells = {name: read_cell(row[i]).strip() for name, i in columns.place.items()}
        if not cells["track_id"]:
            raise FormatError(f"{path}:{line}: the track_id is empty")
        for name, column in keys.items():
            cell = cells.get(name, "")
            column.append(known.setdefault(cell, cell))
        where.append(line)
        if not regression:
            cell = _true_cell(cells["labels"], names)
            true_cells.append(known.setdefault(cell, cell))
        numbers.add(line, row)
    if not where:
        raise FormatError(f"{path}: expected at least one track below the header")
    _check_once(path, where, keys)
    table, unknown = numbers.table(), None
    truth, scores = table[:, : len(columns.true)].copy(), table[:, len(columns.true) :]
    if not regression:
        labels = _table(true_cells, names, [f"{path}:{line}" for line in where])
        truth, unknown = labels.matrix, labels.unknown
    return Predictions(
        keys["track_id"],
        keys["part"],
        keys["fold"],
        names,
        truth,
        np.ascontiguousarray(scores),
        not regression
        and (len(names) == 1 or unknown is not None or bool((truth.sum(axis=1) != 1).any())),
        times=keys["time"] if "time" in columns.place else None,
        notes=(*columns.notes, *numbers.notes()),
        unknown=unknown,
    )


def _delimiter(path: Path) -> str:
    """Return the delimiter that cuts the header into the most columns."""
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        header = file.readline()
    return max(DELIMITERS, key=lambda one: len(next(csv.reader([header], delimiter=one), [])))


def _cells_below(path: Path, delimiter: str) -> Iterator[list[str]]:
    """Yield the cells of each row below the header."""
    for _, row in islice(_rows(path, delimiter), 1, None):
        yield [read_cell(cell) for cell in row]


def _check_once(path: Path, lines: Sequence[int], keys: Mapping[str, Sequence[str]]) -> None:
    """Refuse a track that occurs twice in a part and fold."""
    if len(set(keys["track_id"])) == len(lines):
        return
    first: dict[tuple[str, ...], int] = {}
    for line, *key in zip(lines, *keys.values(), strict=True):
        if first.setdefault(tuple(key), line) != line:
            raise FormatError(
                f"{path}:{line}: track {key[0]!r} is already in line {first[tuple(key)]}"
            )


def _rows(path: Path, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the line number and the cells of each row that is not blank."""
    line = 0
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            for row in reader:
                line = reader.line_num
                if row:
                    yield line, row
    except UnicodeDecodeError as error:
        raise FormatError(f"{path}: not UTF-8 after line {line} ({error.reason})") from error
    except csv.Error as error:
        raise FormatError(f"{path}:{line + 1}: {error}") from error


def _true_cell(cell: str, names: Sequence[str]) -> str:
    """Return a cell of true labels; of a single tag yes and no are its name and nothing."""
    if len(names) == 1 and cell != names[0] and cell.lower() in (*YES, *NO):
        return names[0] if cell.lower() in YES else ""
    return cell


def _table(cells: Sequence[str], names: Sequence[str], where: Sequence[str]) -> LabelTable:
    try:
        return parse_labels(cells, names=names, allow_empty=True, unknown=True, where=where)
    except DataError as error:
        for place, cell in zip(where, cells, strict=True):
            for item in split_items(cell):
                if item not in names and label_of(item) not in names:
                    hint = suggest(item, names)
                    raise FormatError(f"{place}: no score for label {item!r}; {hint}") from None
        raise FormatError(str(error)) from error
