"""The columns of a CSV of predictions, of mcls or of another program.

mcls writes ``track_id``, ``part``, ``fold``, ``labels`` and ``score:<label>``. Tables of other
programs may name them otherwise: a column is taken by its usual names, and a note says so. Columns
of scores need not begin with ``score:`` if each has the name of a true label.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mcls.errors import FormatError
from mcls.tables.labels import split_labels, unknown_labels

SCORE = "score:"
TRUE, PREDICTED = "true:", "predicted:"

#: Delimiters that are tried, in order of preference.
DELIMITERS = (",", ";", "\t")

#: The columns, and the names that other programs give them.
_NAMES = {
    "track_id": ("track_id", "track", "id", "file", "filename", "path"),
    "labels": ("labels", "label", "true", "truth", "y_true"),
    "part": ("part", "split", "subset"),
    "fold": ("fold",),
    "time": ("time",),
}

#: The score of the one tag of a table, which has or has not the tag.
_ONE_SCORE = ("score", "probability", "y_score")

YES, NO = ("yes", "true", "y", "1", "1.0"), ("no", "false", "n", "0", "0.0")


@dataclass(frozen=True)
class PredictionColumns:
    """Which column of a table is what.

    Parameters
    ----------
    place : dict of str to int
        The place of ``track_id``, ``labels``, ``part``, ``fold`` and ``time``, as far as they are
        there.
    scores : dict of str to int
        The places of the scores, or predicted numbers, by label or target.
    true : dict of str to int
        The places of the true numbers by target; empty if labels are predicted.
    notes : list of str
        Which columns were taken under other names.
    """

    place: dict[str, int]
    scores: dict[str, int]
    true: dict[str, int]
    notes: list[str]


def prediction_columns(
    path: Path, header: Sequence[str], rows: Iterable[Sequence[str]]
) -> PredictionColumns:
    """Return which column is what.

    Raises
    ------
    FormatError
        If a column is missing, occurs twice, or may be a score or not.
    """
    names = [name.strip() for name in header]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise FormatError(f"{path}:1: column {twice[0]!r} occurs twice")
    at = {name: i for i, name in enumerate(names)}
    numbers = _after(PREDICTED, at)
    scores = _after(SCORE, at)
    if numbers and scores:
        raise FormatError(f"{path}:1: columns of scores and of predicted numbers; expected one")
    true = {name: at[TRUE + name] for name in numbers if TRUE + name in at}
    place, notes = _known(at)
    missing = [TRUE + name for name in numbers if name not in true]
    missing += [
        name for name in ("track_id", *(() if numbers else ("labels",))) if name not in place
    ]
    if missing:
        raise FormatError(
            f"{path}:1: there is no column {missing[0]!r}; expected track_id, labels and "
            f"score:<label> per label, found: {', '.join(names[:8]) or 'nothing'}"
        )
    if numbers:
        return PredictionColumns(place, numbers, true, notes)
    if not scores:
        scores, said = _unmarked(path, at, place, rows)
        notes.append(said)
    return PredictionColumns(place, scores, {}, notes)


def _after(kind: str, at: Mapping[str, int]) -> dict[str, int]:
    return {
        name.removeprefix(kind): i
        for name, i in at.items()
        if name.startswith(kind) and len(name) > len(kind)
    }


def _known(at: Mapping[str, int]) -> tuple[dict[str, int], list[str]]:
    """Return the places of the columns that are no scores, by their usual names."""
    place, notes = {}, []
    lower = {name.lower(): name for name in at}
    for column, usual in _NAMES.items():
        found = next((lower[name] for name in usual if name in lower), None)
        if found is None:
            continue
        place[column] = at[found]
        if found != column:
            notes.append(f"column {found!r} was read as {column}")
    return place, notes


def _unmarked(
    path: Path, at: Mapping[str, int], place: Mapping[str, int], rows: Iterable[Sequence[str]]
) -> tuple[dict[str, int], str]:
    """Return the columns of scores whose names do not say that they are."""
    others = {name: i for name, i in at.items() if i not in place.values()}
    one = [name for name in others if name.lower() in _ONE_SCORE]
    cells = {row[place["labels"]].strip() for row in rows if len(row) == len(at)}
    if len(one) == 1 and all(cell.lower() in (*YES, *NO, "") for cell in cells):
        return {"yes": others[one[0]]}, f"column {one[0]!r} was read as the score of the one tag"
    labels = {label for cell in cells for label in (*split_labels(cell), *unknown_labels(cell))}
    missing = sorted(labels - set(others))
    if missing:
        raise FormatError(
            f"{path}:1: there is no column score:{missing[0]}; expected a column of scores for "
            f"each label, named score:<label>, found: {', '.join([*at][:8])}"
        )
    extra = [name for name in others if name not in labels]
    if extra:
        raise FormatError(
            f"{path}:1: column {extra[0]!r} is no true label of any track, so it may be a score or "
            "not; name columns of scores score:<label>, or remove the others"
        )
    return others, f"columns {', '.join(others)} were read as scores"
