"""The units of an RBM: their range, their means, and the free energy of a row."""

import numpy as np
from scipy.special import expit

from mcls.errors import DataError
from mcls.parallel.threads import for_blocks

#: Probabilities that visible biases begin with, at least and at most.
_RARE = 1e-3
#: Rows that are measured together, so that what their hidden units get stays in cache.
_ROWS = 128


def means(drive: np.ndarray, kind: str) -> np.ndarray:
    """Return the means of units of a kind, given their input with the bias added."""
    if kind == "binary":
        return np.asarray(expit(drive))
    return np.maximum(drive, 0) if kind == "relu" else drive


def visible_biases_for(mean: np.ndarray, kind: str) -> np.ndarray:
    """Return the visible biases under which, without hidden units, rows have this mean.

    Parameters
    ----------
    mean : np.ndarray, shape (n_visible,)
        Mean of the rows.
    kind : {'gaussian', 'binary', 'relu'}
        Type of the visible units; for binary ones means are clipped to [0.001, 0.999].

    Examples
    --------
    >>> visible_biases_for(np.array([0.5, 1.0]), "binary").round(2).tolist()
    [0.0, 6.91]
    """
    if kind != "binary":
        return mean
    share = np.clip(mean, _RARE, 1 - _RARE)
    return np.log(share / (1 - share))


def check_rows(rows: np.ndarray, kind: str, name: str) -> None:
    """Refuse rows that visible units of a kind cannot be.

    Parameters
    ----------
    rows : np.ndarray, shape (n_rows, n_visible)
        The rows.
    kind : {'gaussian', 'binary', 'relu'}
        Type of the visible units.
    name : str
        Name of the method, for the message.

    Raises
    ------
    DataError
        If a number is not finite, is outside [0, 1] and the units are binary, or is negative and
        the units are relu.
    """
    low, high = (rows.min(), rows.max()) if rows.size else (0.0, 0.0)
    if not (np.isfinite(low) and np.isfinite(high)):  # a NaN is the lowest and the highest
        raise DataError(f"{name}: a row holds NaN or infinity, and rows must be finite; remove it")
    way_out = "scale them with --min-max, or use visible=gaussian"
    if kind == "binary" and (low < 0 or high > 1):
        raise DataError(
            f"{name}: visible=binary needs rows within [0, 1], but they range from {low:.4g} to "
            f"{high:.4g}; {way_out}"
        )
    if kind == "relu" and low < 0:
        raise DataError(
            f"{name}: visible=relu needs rows of 0 or more, but their minimum is {low:.4g}; "
            f"{way_out}"
        )


def free_energy(
    rows: np.ndarray,
    weights: np.ndarray,
    biases: np.ndarray,
    visible_biases: np.ndarray,
    *,
    visible: str = "gaussian",
) -> np.ndarray:
    """Return -log of the sum over all hidden states of exp(-E), for binary hidden units.

    Parameters
    ----------
    rows : np.ndarray, shape (n_rows, n_visible)
        Visible units.
    weights : np.ndarray, shape (n_hidden, n_visible)
    biases : np.ndarray, shape (n_hidden,)
        Biases of the hidden units.
    visible_biases : np.ndarray, shape (n_visible,)
    visible : {'gaussian', 'binary'}
        Type of the visible units. relu units have no free energy: they stand for many binary
        units, and their noisy form has no energy of its own.

    Returns
    -------
    np.ndarray, shape (n_rows,), float64
        In nats; inf or NaN where parameters are too large.
    """
    energies = np.empty(len(rows))

    def work(which: slice) -> None:
        with np.errstate(all="ignore"):  # what is not finite is seen in the result
            drive = rows[which] @ weights.T + biases
            # log(1 + exp(x)): numpy has vectors for exp and log, not for logaddexp
            softplus = np.maximum(drive, 0) + np.log(1 + np.exp(-np.abs(drive)))
            own = rows[which].astype(np.float64)
            if visible == "gaussian":
                gap = own - visible_biases
                energies[which] = 0.5 * np.einsum("ij,ij->i", gap, gap)
            else:
                energies[which] = -(own @ visible_biases)
            energies[which] -= softplus.sum(axis=1, dtype=np.float64)

    for_blocks(len(rows), _ROWS, work)
    return energies


def reconstruction_errors(
    rows: np.ndarray,
    weights: np.ndarray,
    biases: np.ndarray,
    visible_biases: np.ndarray,
    *,
    visible: str,
    hidden: str,
) -> np.ndarray:
    """Return the squared error of each row's reconstruction by the means of its hidden units.

    Parameters
    ----------
    rows : np.ndarray, shape (n_rows, n_visible)
        Visible units.
    weights : np.ndarray, shape (n_hidden, n_visible)
    biases : np.ndarray, shape (n_hidden,)
        Biases of the hidden units.
    visible_biases : np.ndarray, shape (n_visible,)
    visible, hidden : {'gaussian', 'binary', 'relu'}
        Types of the units.

    Returns
    -------
    np.ndarray, shape (n_rows,), float64
        Mean squared error per number; inf or NaN where parameters are too large.
    """
    errors = np.empty(len(rows))

    def work(which: slice) -> None:
        with np.errstate(all="ignore"):  # what is not finite is seen in the result
            drive = means(rows[which] @ weights.T + biases, hidden) @ weights + visible_biases
            gap = means(drive, visible) - rows[which]
            errors[which] = np.mean(np.square(gap), axis=1, dtype=np.float64)

    for_blocks(len(rows), _ROWS, work)
    return errors
