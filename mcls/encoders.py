"""Encoders: rows in, codes out, by a dictionary's arrays.

An encoder takes rows that went through the dictionary's preprocessing, ``(n_rows, n_dims)``
float32, and the dictionary's arrays, of which ``atoms`` ``(n_atoms, n_dims)`` is always there. It
returns codes ``(n_rows, n_codes)`` float32; ``n_codes`` is ``n_atoms``, or twice that where signs
are split.
"""

from collections.abc import Mapping

import numpy as np

from mcls.dictionaries.kmeans import nearest
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
    atoms = arrays["atoms"]
    norms = np.linalg.norm(atoms, axis=1)
    likeness = rows @ (atoms / np.maximum(norms, 1e-12)[:, None]).T
    codes = np.maximum(likeness - np.float32(alpha), 0)
    if split_signs:
        codes = np.concatenate([codes, np.maximum(-likeness - np.float32(alpha), 0)], axis=1)
    return codes
