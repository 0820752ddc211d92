"""Encoders: rows in, codes out, by a dictionary's arrays.

An encoder takes rows that went through the dictionary's preprocessing, ``(n_rows, n_dims)``
float32, and the dictionary's arrays, of which ``atoms`` ``(n_atoms, n_dims)`` is always there. It
returns codes ``(n_rows, n_codes)`` float32; ``n_codes`` is ``n_atoms``, twice that where signs are
split, or the number of units of the layers chosen. The fact ``decoder`` names the way back from
codes to rows, where there is one; see `mcls.dictionaries.decoders`.
"""

from typing import Literal

import numpy as np
from scipy.special import expit

from mcls.dictionaries.decoders import Arrays
from mcls.dictionaries.kmeans import nearest
from mcls.dictionaries.spherical_kmeans import beyond
from mcls.errors import ConfigError
from mcls.registry import register


@register("encoders", "hard", decoder="linear")
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
    """Triangle: max(0, mean distance - distance); about half of the atoms are active.

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
    """Soft threshold: max(0, row · atom - alpha), with atoms of norm 1.

    Parameters
    ----------
    rows : np.ndarray, shape (n_rows, n_dims), float32
        Preprocessed rows.
    arrays : mapping of str to np.ndarray
        The dictionary's; ``atoms`` is read and scaled to norm 1.
    alpha : float
        Threshold, at least 0.
    split_signs : bool
        Append max(0, -row · atom - alpha): two codes per atom.

    References
    ----------
    Coates & Ng (2011), The importance of encoding versus training with sparse coding and vector
    quantization.
    """
    codes = beyond(rows, arrays["atoms"], alpha)
    if split_signs:
        codes = np.concatenate([codes, beyond(-rows, arrays["atoms"], alpha)], axis=1)
    return codes


@register("encoders", "lasso", decoder="linear")
def lasso(
    rows: np.ndarray,
    arrays: Arrays,
    *,
    penalty: float = 0.2,
    positive: bool = False,
    split_signs: bool = False,
    tol: float = 1e-3,
) -> np.ndarray:
    """Sparse codes by the lasso: least squares with an L1 penalty relative to the row's norm.

    Parameters
    ----------
    rows : np.ndarray, shape (n_rows, n_dims), float32
        Preprocessed rows.
    arrays : mapping of str to np.ndarray
        The dictionary's; ``atoms`` is read.
    penalty : float
        Weight of the L1 penalty, in (0, 1), for a row of norm 1; higher is sparser.
    positive : bool
        Restrict codes to values of 0 or more.
    split_signs : bool
        Split each code into its positive and its negative part, both >= 0.
    tol : float
        Tolerance of the optimality conditions, as a share of the penalty.
    """
    from mcls.dictionaries import lasso as solver  # compiled: costs half a second to import

    codes = solver.lasso(rows, arrays["atoms"], penalty=penalty, positive=positive, tol=tol)
    return _signs_apart(codes) if split_signs else codes


@register("encoders", "nmf", decoder="linear")
def nmf(rows: np.ndarray, arrays: Arrays, *, penalty: float = 1e-4, tol: float = 0.5) -> np.ndarray:
    """Non-negative codes: least squares with codes of 0 or more, as in NMF.

    Parameters
    ----------
    rows : np.ndarray, shape (n_rows, n_dims), float32
        Preprocessed rows.
    arrays : mapping of str to np.ndarray
        The dictionary's; ``atoms`` is read.
    penalty : float
        Weight of the L1 penalty, above 0, for a row of norm 1; higher is sparser.
    tol : float
        Tolerance of the optimality conditions, as a share of the penalty.
    """
    from mcls.dictionaries import lasso as solver  # compiled: costs half a second to import

    return solver.lasso(rows, arrays["atoms"], penalty=penalty, positive=True, tol=tol)


@register("encoders", "omp", decoder="linear")
def omp(
    rows: np.ndarray,
    arrays: Arrays,
    *,
    n_nonzero: int = 8,
    tol: float = 0.0,
    split_signs: bool = False,
) -> np.ndarray:
    """Sparse codes by orthogonal matching pursuit: adds the best atom one by one.

    Parameters
    ----------
    rows : np.ndarray, shape (n_rows, n_dims), float32
        Preprocessed rows.
    arrays : mapping of str to np.ndarray
        The dictionary's; ``atoms`` is read.
    n_nonzero : int
        Maximum number of atoms per code.
    tol : float
        Stop when the residual's norm is at most this share of the row's, in [0, 1).
    split_signs : bool
        Split each code into its positive and its negative part, both >= 0.
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
    """Soft thresholding of row · atom, relative to the row's norm: one step of the lasso.

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
        Set negative codes to 0.
    split_signs : bool
        Split each code into its positive and its negative part, both >= 0.
    """
    likeness = rows @ arrays["atoms"].T
    weights = np.float32(penalty) * np.linalg.norm(rows, axis=1)[:, None]
    size = likeness if positive else np.abs(likeness)
    codes = np.maximum(size - weights, 0) * np.sign(likeness)
    return _signs_apart(codes) if split_signs else codes


@register("encoders", "feed-forward", decoder="hidden")
def feed_forward(
    rows: np.ndarray,
    arrays: Arrays,
    *,
    nonlinearity: Literal["sigmoid", "relu", "tanh", "linear"] = "sigmoid",
    n_active: int | None = None,
    split_signs: bool = False,
) -> np.ndarray:
    """Feed-forward: f(row · weights + biases), the hidden units of an RBM or an auto-encoder.

    Parameters
    ----------
    rows : np.ndarray, shape (n_rows, n_dims), float32
        Preprocessed rows.
    arrays : mapping of str to np.ndarray
        The dictionary's; ``weights`` ``(n_atoms, n_dims)``, ``biases`` ``(n_atoms,)`` and, where
        there are any, ``gains`` ``(n_atoms,)`` that multiply the codes are read.
    nonlinearity : {'sigmoid', 'relu', 'tanh', 'linear'}
        Nonlinearity f.
    n_active : int or None
        Keep the codes with the largest absolute values per row; set others to 0.
    split_signs : bool
        Split each code into its positive and its negative part, both >= 0.

    Raises
    ------
    ConfigError
        If the dictionary has no ``weights``.
    """
    if "weights" not in arrays:
        raise ConfigError(
            "encoder feed-forward: this dictionary has no weights; expected one of psd, rbm, "
            "sparse-rbm or autoencoder"
        )
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


@register("encoders", "dbn", decoder="layers")
def dbn(
    rows: np.ndarray,
    arrays: Arrays,
    *,
    layer: int | Literal["last", "all"] = "last",
    nonlinearity: Literal["sigmoid", "relu"] = "sigmoid",
) -> np.ndarray:
    """Mean activations of the units of a deep belief network, computed layer by layer.

    Parameters
    ----------
    rows : np.ndarray, shape (n_rows, n_dims), float32
        Preprocessed rows.
    arrays : mapping of str to np.ndarray
        The dictionary's; ``weights_1`` ``(n_units, n_dims)``, ``biases_1`` ``(n_units,)``,
        ``weights_2`` and so on are read.
    layer : int or {'last', 'all'}
        Layer whose activations are the codes: a number from 1 on, last, or all.
    nonlinearity : {'sigmoid', 'relu'}
        Nonlinearity of every layer.

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
        raise ConfigError("encoder dbn: this dictionary has no layers; use it with dbn")
    wanted = {"last": [n_layers], "all": range(1, n_layers + 1)}.get(str(layer), [layer])
    if not set(wanted) <= set(range(1, n_layers + 1)):
        raise ConfigError(
            f"encoder dbn: layer={layer}, and the dictionary has {n_layers}; expected 1 to "
            f"{n_layers}, or last, or all"
        )
    codes = rows
    found = []
    for i in range(1, n_layers + 1):
        codes = codes @ arrays[f"weights_{i}"].T + arrays[f"biases_{i}"]
        codes = expit(codes) if nonlinearity == "sigmoid" else np.maximum(codes, 0)
        if i in wanted:
            found.append(codes)
    return found[0] if len(found) == 1 else np.concatenate(found, axis=1)


@register("encoders", "vae", decoder="latent")
def vae(
    rows: np.ndarray,
    arrays: Arrays,
    *,
    nonlinearity: Literal["tanh", "relu", "sigmoid"] = "tanh",
) -> np.ndarray:
    """Mean of the latent variables of a variational auto-encoder, given the row.

    Parameters
    ----------
    rows : np.ndarray, shape (n_rows, n_dims), float32
        Preprocessed rows.
    arrays : mapping of str to np.ndarray
        The dictionary's; ``encoder_weights`` ``(n_hidden, n_dims)``, ``mean_weights``
        ``(n_atoms, n_hidden)`` and their ``_biases`` are read.
    nonlinearity : {'tanh', 'relu', 'sigmoid'}
        Nonlinearity of the hidden units.

    Raises
    ------
    ConfigError
        If the dictionary is no variational auto-encoder.

    References
    ----------
    Kingma & Welling (2014), Auto-encoding variational Bayes.
    """
    if "mean_weights" not in arrays:
        raise ConfigError("encoder vae: this dictionary has no latent variables; use it with vae")
    hidden = rows @ arrays["encoder_weights"].T + arrays["encoder_biases"]
    if nonlinearity == "relu":
        hidden = np.maximum(hidden, 0)
    else:
        hidden = np.tanh(hidden) if nonlinearity == "tanh" else expit(hidden)
    return hidden @ arrays["mean_weights"].T + arrays["mean_biases"]


def _signs_apart(codes: np.ndarray) -> np.ndarray:
    return np.concatenate([np.maximum(codes, 0), np.maximum(-codes, 0)], axis=1)
