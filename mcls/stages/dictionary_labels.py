"""The labels of tracks for a dictionary that learns from them."""

from dataclasses import dataclass

import numpy as np

from mcls.data.options import Split
from mcls.data.parts import Parts, optional_column
from mcls.errors import ConfigError, DataError
from mcls.stores.store import Store
from mcls.tables.labels import parse_labels


@dataclass(frozen=True)
class TrackLabels:
    """Labels of the tracks of a store.

    Parameters
    ----------
    names : list of str
        The labels of the train part, in the order of the columns.
    targets : np.ndarray, shape (n_tracks, n_labels), float32
        1 for the label of a track; all 0 for one that the train part has not, or in no part.
    """

    names: list[str]
    targets: np.ndarray


def labels_of_tracks(store: Store, parts: Parts, split: Split) -> TrackLabels | None:
    """Return the label of each track of the train and the valid part.

    Parameters
    ----------
    store : Store
        The store.
    parts : Parts
        The part of each track.
    split : Split
        Its ``labels`` names the column; ``none``, or a missing default column, is no labels.

    Raises
    ------
    ConfigError
        If the column holds numbers (``regression``).
    DataError
        If a track of the train part has several labels or none, or all have the same.
    """
    if split.regression:
        raise ConfigError("up_down learns from labels, not from numbers; leave --regression out")
    cells = optional_column(store, split.labels, default="labels")
    if cells is None:
        return None
    train = parts.of("train")
    ids = store.track_ids
    table = parse_labels([cells[i] for i in train], where=[ids[i] for i in train])
    if len(table.names) < 2:
        raise DataError(
            f"all tracks of the train part have the label {table.names[0]!r}; up_down needs two "
            "labels or more, or --labels none"
        )
    targets = np.zeros((len(cells), len(table.names)), np.float32)
    targets[train, table.classes()] = 1
    for i in parts.of("valid"):
        if cells[i] in table.names:
            targets[i, table.names.index(cells[i])] = 1
    return TrackLabels(table.names, targets)
