"""Atoms in the space somebody wants to see them in.

Atoms are learnt from rows that were standardised and whitened. Three ways lead back:

* A *patch*, the atom taken through the inverse: what a code of 1 adds to a row. In the units of
  the feature (``raw``) or in standard deviations of each dimension (``standardized``).
* A *filter*: the weights by which a raw row is multiplied to give the atom's response. After
  whitening the two differ: a filter subtracts what neighbours have in common.
* Not at all (``preprocessed``).

The mean is left out throughout: an atom is shown as a departure from it.
"""

from collections.abc import Mapping
from typing import Literal, get_args

import numpy as np

from mcls.dictionaries.preprocessing import Preprocessing
from mcls.errors import ConfigError, suggest
from mcls.parallel.threads import one_blas_thread

Space = Literal["raw", "standardized", "filter", "preprocessed"]


def atoms_in(space: str, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the atoms of a dictionary in a space.

    Parameters
    ----------
    space : {'raw', 'standardized', 'filter', 'preprocessed'}
        See the module. ``filter`` takes the encoder's ``weights`` where the dictionary has some.
    arrays : mapping of str to np.ndarray
        The dictionary's: ``atoms`` ``(n_atoms, n_kept)``, and ``mean``, ``scale``, ``whitening``,
        ``weights`` where there are any.

    Returns
    -------
    np.ndarray, shape (n_atoms, n_dims)
        float64; ``n_dims`` is ``n_kept`` if they stay preprocessed.

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
    with one_blas_thread():  # the same bytes, by however many threads
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
