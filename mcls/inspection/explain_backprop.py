"""The explanation of back-propagation, on an example or on a row of a store."""

from pathlib import Path

import numpy as np

from mcls.disk.outputs import check_replaced
from mcls.disk.workspace import written_whole
from mcls.errors import ConfigError
from mcls.explain.backprop import Backprop, explain_backprop
from mcls.explain.backprop_page import MARK, backprop_page
from mcls.inspection.stored_row import example_row

#: The row that is explained without a store.
_ROW, _LABELS = (0.5, -1.0, 2.0), ("major", "minor")


def backprop(
    store: Path | None = None,
    *,
    track: str | None = None,
    feature: str | None = None,
    row: int | None = None,
    labels: str = "labels",
    n_hidden: int = 3,
    activation: str = "sigmoid",
    lr: float = 0.1,
    seed: int = 0,
    html: Path | None = None,
) -> tuple[Backprop, str]:
    """Explain back-propagation on one row; see `explain_backprop`.

    Parameters
    ----------
    store : Path or None
        A store with the row; None: an example of three dimensions and two labels.
    track, feature, row, labels
        See `example_row`.
    n_hidden, activation, lr, seed
        See `explain_backprop`.
    html : Path or None
        Also write a page to go through the steps.

    Returns
    -------
    found : Backprop
    name : str
        Where the row comes from.
    """
    if html is not None:
        check_replaced(html, MARK, "a page")
    if store is None:
        if (track, feature, row) != (None, None, None):
            raise ConfigError("track, feature and row belong to a store; name the store too")
        values, label, names = np.array(_ROW), _LABELS[0], list(_LABELS)
        name = "an example row of three dimensions"
    else:
        one = example_row(store, track=track, feature=feature, row=row, labels=labels)
        values, label, names = one.values, one.label, one.labels
        name = f"{one.name}, standardised"
    found = explain_backprop(
        values, label, names, n_hidden=n_hidden, activation=activation, lr=lr, seed=seed
    )
    if html is not None:
        with written_whole(html) as temporary:
            temporary.write_text(backprop_page(found, f"Back-propagation: {name}"), "utf-8")
    return found, name
