"""Encoders: rows in, codes out, by a dictionary's arrays.

An encoder takes rows that went through the dictionary's preprocessing, ``(n_rows, n_dims)``
float32, and the dictionary's arrays, of which ``atoms`` ``(n_atoms, n_dims)`` is always there. It
returns codes ``(n_rows, n_codes)`` float32; ``n_codes`` is ``n_atoms``, twice that where signs are
split, or the number of units of the layers chosen.
"""

from collections.abc import Mapping
from typing import Literal

import numpy as np
from scipy.special import expit

from mcls.dictionaries.kmeans import nearest
from mcls.dictionaries.spherical_kmeans import beyond
from mcls.errors import ConfigError
from mcls.registry import register

Arrays = Mapping[str, np.ndarray]


@register("encoders", "hard")
def hard(rows: np.ndarray, arrays: Arrays) -> np.ndarray:
    """One-hot: 1 at the nearest atom, 0 elsewhere (vector quantisation).

    Parameters
    ----------
    rows : np.ndarray, shape (n_rows, n_dims), float32
        Preprocessed rows.
    arrays : mapping of str to np.ndarray
        The dictionary's; ``atoms`` is read.
    """
    labels, _ = nearest(rows, arrays["atoms"])
    codes = np.zeros((len(rows), len(arrays["atoms"])), np.float32)
    codes[np.arange(len(rows)), labels] = 1
    return codes


@register("encoders", "triangle")
def triangle(rows: np.ndarray, arrays: Arrays) -> np.ndarray:
    """max(0, mean distance - distance): half of the atoms are active, the nearer the more.

    Parameters
    ----------
    rows : np.ndarray, shape (n_rows, n_dims), float32
        Preprocessed rows.
    arrays : mapping of str to np.ndarray
        The dictionary's; ``atoms`` is read.

    References
    ----------
    Coates, Lee & Ng (2011), An analysis of single-layer networks in unsupervised feature learning.
    """
    atoms = arrays["atoms"]
    squares = np.einsum("ij,ij->i", rows, rows)[:, None]
    distances = rows @ atoms.T
    distances *= -2
    distances += squares
    distances += np.einsum("ij,ij->i", atoms, atoms)
    np.sqrt(np.maximum(distances, 0, out=distances), out=distances)
    codes = distances.mean(axis=1, keepdims=True) - distances
    return np.maximum(codes, 0, out=codes)


@register("encoders", "soft-threshold")
def soft_threshold(
    rows: np.ndarray, arrays: Arrays, *, alpha: float = 0.5, split_signs: bool = False
) -> np.ndarray:
    """max(0, row · atom - alpha), with atoms of norm 1.

    Parameters
    ----------
    rows : np.ndarray, shape (n_rows, n_dims), float32
        Preprocessed rows.
    arrays : mapping of str to np.ndarray
        The dictionary's; ``atoms`` is read and scaled to norm 1.
    alpha : float
        Threshold, 0 or more.
    split_signs : bool
        Append max(0, -row · atom - alpha), so that there are two codes per atom.

    References
    ----------
    Coates & Ng (2011), The importance of encoding versus training with sparse coding and vector
    quantization.
    """
    codes = beyond(rows, arrays["atoms"], alpha)
    if split_signs:
        codes = np.concatenate([codes, beyond(-rows, arrays["atoms"], alpha)], axis=1)
    return codes


@register("encoders", "lasso")
def lasso(
    rows: np.ndarray,
    arrays: Arrays,
    *,
    penalty: float = 0.2,
    positive: bool = False,
    split_signs: bool = False,
    tol: float = 1e-3,
) -> np.ndarray:
    """Sparse codes: least squares plus penalty times the row's norm times the codes' absolute sum.

    Parameters
    ----------
    rows : np.ndarray, shape (n_rows, n_dims), float32
        Preprocessed rows.
    arrays : mapping of str to np.ndarray
        The dictionary's; ``atoms`` is read.
    penalty : float
        Weight of the codes' absolute sum, in (0, 1), for a row of norm 1: higher is sparser.
    positive : bool
        Whether codes must not be negative.
    split_signs : bool
        Give positive and negative parts side by side, two codes per atom, none negative.
    tol : float
        How far codes may miss the optimality conditions, in parts of the penalty.
    """
    from mcls.dictionaries import lasso as solver  # compiled: costs half a second to import

    codes = solver.lasso(rows, arrays["atoms"], penalty=penalty, positive=positive, tol=tol)
    return _signs_apart(codes) if split_signs else codes


@register("encoders", "nmf")
def nmf(rows: np.ndarray, arrays: Arrays, *, penalty: float = 1e-4, tol: float = 0.5) -> np.ndarray:
    """How much of each atom a row holds: least squares by codes that are not negative.

    Parameters
    ----------
    rows : np.ndarray, shape (n_rows, n_dims), float32
        Preprocessed rows.
    arrays : mapping of str to np.ndarray
        The dictionary's; ``atoms`` is read.
    penalty : float
        Weight of the codes' sum, above 0, for a row of norm 1: higher is sparser, and faster.
    tol : float
        How far codes may miss the optimality conditions, in parts of the penalty.
    """
    from mcls.dictionaries import lasso as solver  # compiled: costs half a second to import

    return solver.lasso(rows, arrays["atoms"], penalty=penalty, positive=True, tol=tol)


@register("encoders", "omp")
def omp(
    rows: np.ndarray,
    arrays: Arrays,
    *,
    n_nonzero: int = 8,
    tol: float = 0.0,
    split_signs: bool = False,
) -> np.ndarray:
    """Sparse codes by orthogonal matching pursuit: at most so many atoms, the best one by one.

    Parameters
    ----------
    rows : np.ndarray, shape (n_rows, n_dims), float32
        Preprocessed rows.
    arrays : mapping of str to np.ndarray
        The dictionary's; ``atoms`` is read.
    n_nonzero : int
        How many atoms a code uses at most.
    tol : float
        A row is done when what is left of it has at most this part of its norm, in [0, 1).
    split_signs : bool
        Give positive and negative parts side by side, two codes per atom, none negative.
    """
    from mcls.dictionaries import omp as solver  # compiled: costs half a second to import

    codes = solver.omp(rows, arrays["atoms"], n_nonzero=n_nonzero, tol=tol)
    return _signs_apart(codes) if split_signs else codes


@register("encoders", "threshold")
def threshold(
    rows: np.ndarray,
    arrays: Arrays,
    *,
    penalty: float = 0.2,
    positive: bool = False,
    split_signs: bool = False,
) -> np.ndarray:
    """Shrink row · atom towards 0 by penalty times the row's norm: the lasso without its search.

    It equals the lasso where atoms are orthonormal. Unlike soft-threshold it scales with the row.

    Parameters
    ----------
    rows : np.ndarray, shape (n_rows, n_dims), float32
        Preprocessed rows.
    arrays : mapping of str to np.ndarray
        The dictionary's; ``atoms`` is read.
    penalty : float
        Threshold, in (0, 1), for a row of norm 1.
    positive : bool
        Whether negative codes become 0.
    split_signs : bool
        Give positive and negative parts side by side, two codes per atom, none negative.
    """
    likeness = rows @ arrays["atoms"].T
    weights = np.float32(penalty) * np.linalg.norm(rows, axis=1)[:, None]
    size = likeness if positive else np.abs(likeness)
    codes = np.maximum(size - weights, 0) * np.sign(likeness)
    return _signs_apart(codes) if split_signs else codes


@register("encoders", "feed-forward")
def feed_forward(
    rows: np.ndarray,
    arrays: Arrays,
    *,
    nonlinearity: Literal["sigmoid", "relu", "tanh", "linear"] = "sigmoid",
    n_active: int | None = None,
    split_signs: bool = False,
) -> np.ndarray:
    """f(row · weights + biases): the hidden units of an RBM, an auto-encoder or a trained encoder.

    Parameters
    ----------
    rows : np.ndarray, shape (n_rows, n_dims), float32
        Preprocessed rows.
    arrays : mapping of str to np.ndarray
        The dictionary's; ``weights`` ``(n_atoms, n_dims)``, ``biases`` ``(n_atoms,)`` and, where
        there are any, ``gains`` ``(n_atoms,)`` that multiply the codes are read.
    nonlinearity : {'sigmoid', 'relu', 'tanh', 'linear'}
        f.
    n_active : int or None
        Keep so many codes of each row, the largest by absolute value, and set the others to 0.
    split_signs : bool
        Give positive and negative parts side by side, two codes per atom, none negative.

    Raises
    ------
    ConfigError
        If the dictionary has no ``weights``.
    """
    if "weights" not in arrays:
        raise ConfigError("encoder feed-forward: this dictionary's method learns no weights for it")
    codes = rows @ arrays["weights"].T
    codes += arrays["biases"]
    if nonlinearity == "sigmoid":
        expit(codes, out=codes)
    elif nonlinearity == "relu":
        np.maximum(codes, 0, out=codes)
    elif nonlinearity == "tanh":
        np.tanh(codes, out=codes)
    if "gains" in arrays:
        codes *= arrays["gains"]
    if n_active is not None and n_active < codes.shape[1]:
        rest = np.argpartition(-np.abs(codes), n_active, axis=1)[:, n_active:]
        np.put_along_axis(codes, rest, 0, axis=1)
    return _signs_apart(codes) if split_signs else codes


@register("encoders", "dbn")
def dbn(
    rows: np.ndarray,
    arrays: Arrays,
    *,
    layer: int | Literal["last", "all"] = "last",
    nonlinearity: Literal["sigmoid", "relu"] = "sigmoid",
) -> np.ndarray:
    """Mean activations of a deep belief network's units, computed layer by layer.

    Parameters
    ----------
    rows : np.ndarray, shape (n_rows, n_dims), float32
        Preprocessed rows.
    arrays : mapping of str to np.ndarray
        The dictionary's; ``weights_1`` ``(n_units, n_dims)``, ``biases_1`` ``(n_units,)``,
        ``weights_2`` and so on are read.
    layer : int or {'last', 'all'}
        Which layer's activations, from 1; or those of all layers side by side.
    nonlinearity : {'sigmoid', 'relu'}
        Of every layer.

    Raises
    ------
    ConfigError
        If the dictionary has no layers, or not so many.

    References
    ----------
    Hamel & Eck (2010), Learning features from music audio with deep belief networks.
    """
    n_layers = sum(name.startswith("weights_") for name in arrays)
    if not n_layers:
        raise ConfigError("encoder dbn: this dictionary's method learns no layers for it")
    wanted = {"last": [n_layers], "all": range(1, n_layers + 1)}.get(str(layer), [layer])
    if not set(wanted) <= set(range(1, n_layers + 1)):
        raise ConfigError(
            f"encoder dbn: layer={layer}, and the dictionary has {n_layers}; write a number from 1 "
            f"to {n_layers}, or last, or all"
        )
    codes = rows
    found = []
    for i in range(1, n_layers + 1):
        codes = codes @ arrays[f"weights_{i}"].T + arrays[f"biases_{i}"]
        codes = expit(codes) if nonlinearity == "sigmoid" else np.maximum(codes, 0)
        if i in wanted:
            found.append(codes)
    return found[0] if len(found) == 1 else np.concatenate(found, axis=1)


def _signs_apart(codes: np.ndarray) -> np.ndarray:
    return np.concatenate([np.maximum(codes, 0), np.maximum(-codes, 0)], axis=1)
