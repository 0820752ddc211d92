"""The perplexity of a dictionary: the number of atoms in effective use."""

import numpy as np


def perplexity(usage: np.ndarray) -> float:
    """Return exp(entropy of the usage): how many atoms are in effective use.

    Parameters
    ----------
    usage : np.ndarray, shape (n_atoms,)
        Use of each atom, at least 0; only the proportions matter.

    Returns
    -------
    float
        From 1, one atom for everything, to n_atoms, all alike; 1 where none is used.

    Examples
    --------
    >>> round(perplexity(np.array([5, 5, 0, 5])), 6)
    3.0
    """
    used = usage[usage > 0]
    shares = used / max(used.sum(), np.finfo(float).tiny)
    return float(np.exp(-np.sum(shares * np.log(shares))))
