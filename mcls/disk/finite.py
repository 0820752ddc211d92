"""Numbers in files must be finite: one NaN spoils whatever is learnt from it or scored with it."""

from collections.abc import Mapping

import numpy as np

from mcls.errors import FormatError


def first_not_finite(rows: np.ndarray) -> int | None:
    """Return the index of the first row with a number that is NaN or infinite; None without one.

    Examples
    --------
    >>> first_not_finite(np.array([[0.0], [np.nan]])), first_not_finite(np.array([[0.0]]))
    (1, None)
    """
    if rows.dtype.kind != "f" or np.isfinite(rows).all():
        return None
    sound = np.isfinite(rows).reshape(len(rows), -1).all(axis=1)
    return int(np.argmin(sound))


def not_finite(arrays: Mapping[str, np.ndarray]) -> str | None:
    """Return the name of the first array with a number that is NaN or infinite; None without one.

    Examples
    --------
    >>> not_finite({"mean": np.zeros(2), "scale": np.array([1.0, np.inf])})
    'scale'
    """
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            return name
    return None


def check_finite(arrays: Mapping[str, np.ndarray], where: str) -> None:
    """Refuse arrays of a file with numbers that are NaN or infinite.

    Raises
    ------
    FormatError
        Names the first of them.
    """
    if name := not_finite(arrays):
        raise FormatError(f"{where}: {name} has numbers that are NaN or infinite")
