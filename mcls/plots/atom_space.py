"""Atoms of a dictionary in one of four spaces.

Atoms are learnt from rows that were standardised and whitened. They are shown:

* as *patches*, taken through the inverse of the preprocessing: the change of a row that a code of 1
  stands for, in the units of the feature (``raw``) or in standard deviations of each dimension
  (``standardized``);
* as *filters* (``filter``): the weights by which a raw row is multiplied to give the response of
  the atom. After whitening the two differ: a filter subtracts what neighbours have in common;
* as they were learnt (``preprocessed``).

The mean is left out throughout: an atom is shown as a difference from it.
"""

from collections.abc import Mapping
from typing import Literal, get_args

import numpy as np

from mcls.dictionaries.preprocessing import Preprocessing
from mcls.errors import ConfigError, suggest
from mcls.parallel.threads import one_blas_thread

Space = Literal["raw", "standardized", "filter", "preprocessed"]


def atoms_in(space: str, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the atoms of a dictionary in one of the spaces.

    Parameters
    ----------
    space : {'raw', 'standardized', 'filter', 'preprocessed'}
        See the module. ``filter`` uses the encoder's ``weights`` if the dictionary has them.
    arrays : mapping of str to np.ndarray
        Arrays of the dictionary: ``atoms`` ``(n_atoms, n_kept)``, and ``mean``, ``scale``,
        ``whitening`` and ``weights`` if it has them.

    Returns
    -------
    np.ndarray, shape (n_atoms, n_dims)
        float64; ``n_dims`` is ``n_kept`` for ``preprocessed``.

    Raises
    ------
    ConfigError
        If there is no such space.

    Examples
    --------
    >>> arrays = {"atoms": np.eye(2), "scale": np.array([1.0, 4.0])}
    >>> atoms_in("raw", arrays).tolist(), atoms_in("filter", arrays).tolist()
    ([[1.0, 0.0], [0.0, 4.0]], [[1.0, 0.0], [0.0, 0.25]])
    """
    with one_blas_thread():  # the same bytes for any number of threads
        return _in_space(space, arrays)


def _in_space(space: str, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    atoms = arrays["atoms"].astype(np.float64)
    if space == "preprocessed":
        return atoms
    if space == "filter":
        weights = arrays.get("weights")
        filters = atoms if weights is None else weights.astype(np.float64)
        if "whitening" in arrays:
            filters = filters @ arrays["whitening"].T
        return filters / arrays["scale"] if "scale" in arrays else filters
    if space not in ("raw", "standardized"):
        raise ConfigError(f"there is no space {space!r}; {suggest(space, get_args(Space))}")
    undone = ("whitening", "scale") if space == "raw" else ("whitening",)
    kept = {name: arrays[name] for name in undone if name in arrays}
    return Preprocessing.from_arrays(kept).inverse(atoms)
