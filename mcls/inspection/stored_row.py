"""A standardised row of a stored track, with its label, as an example for an explanation."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mcls.errors import DataError
from mcls.stores.store import Store
from mcls.tables.labels import parse_labels

#: Rows from which the mean and the standard deviation are computed, evenly spaced in the store.
_ROWS = 10_000


@dataclass(frozen=True)
class ExampleRow:
    """A row with its label.

    Parameters
    ----------
    values : np.ndarray, shape (n_dims,), float64
        The row, standardised per dimension over the store.
    label : str
        The label of its track.
    labels : list of str
        The labels of all tracks.
    name : str
        Where it comes from.
    """

    values: np.ndarray
    label: str
    labels: list[str]
    name: str


def example_row(
    path: Path,
    *,
    track: str | None = None,
    feature: str | None = None,
    row: int | None = None,
    labels: str = "labels",
) -> ExampleRow:
    """Return a standardised row of a track.

    Parameters
    ----------
    path : Path
        A store.
    track : str or None
        A ``track_id``; None: the first track.
    feature : str or None
        A feature of the store; None: the only one.
    row : int or None
        Number of the row in the track, from 0; None: the middle one.
    labels : str
        The column of labels.

    Raises
    ------
    ConfigError
        If there is no such feature.
    DataError
        If there is no such track, row or column, or tracks have several labels.
    """
    store = Store(path)
    rows = store.feature(feature)
    track = store.track_ids[0] if track is None else track
    i = store.index_of(track)
    own = rows.track(i)
    row = len(own) // 2 if row is None else row
    if not 0 <= row < len(own):
        raise DataError(f"{path}: track {track!r} has {len(own)} rows, from 0; there is no {row}")
    table = parse_labels(store.labels(labels))
    classes = table.classes()
    every = max(1, len(rows.rows) // _ROWS)
    some = np.asarray(rows.rows[::every], np.float64)
    spread = some.std(axis=0)
    values = (own[row] - some.mean(axis=0)) / np.where(spread > 0, spread, 1)
    name = f"row {row} of {track}"
    return ExampleRow(values, table.names[classes[i]], table.names, name)
