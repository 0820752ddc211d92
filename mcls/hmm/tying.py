"""Tied states ("senones"): states with similar rows share one output density."""

import numpy as np

from mcls.hmm.mixtures import Mixtures


def tie_states(mixtures: Mixtures, n_rows: np.ndarray, n_tied: int) -> np.ndarray:
    """Return a tied density for each density, by agglomerative clustering.

    The two groups of states are merged whose merger costs the least log-likelihood of their rows,
    if each group is one Gaussian with a diagonal covariance, until `n_tied` groups are left.

    Parameters
    ----------
    mixtures : Mixtures
        One Gaussian per density.
    n_rows : np.ndarray, shape (n_pdfs,)
        Number of rows of each density.
    n_tied : int
        Number of groups; with as many as there are densities or more, nothing is tied.

    Returns
    -------
    np.ndarray, shape (n_pdfs,), int64
        The group of each density, from 0 on, in order of first appearance.

    References
    ----------
    Young, Odell & Woodland (1994), Tree-based state tying for high accuracy acoustic modelling.

    Differs from the paper: bottom-up, with no questions about phonetic context, which classes of
    sounds do not have.
    """
    n = np.maximum(n_rows.astype(np.float64), 1.0)
    first = n[:, None] * mixtures.means[:, 0]
    second = n[:, None] * (mixtures.variances[:, 0] + mixtures.means[:, 0] ** 2)
    group = np.arange(len(n))
    alive = list(range(len(n)))
    costs = np.full((len(n), len(n)), np.inf)
    for a in alive:
        costs[a, a + 1 :] = _costs(n, first, second, a, np.arange(a + 1, len(n)))
    while len(alive) > n_tied:
        a, b = divmod(int(costs.argmin()), len(n))
        n[a], first[a], second[a] = n[a] + n[b], first[a] + first[b], second[a] + second[b]
        group[group == b] = a
        alive.remove(b)
        costs[b], costs[:, b] = np.inf, np.inf
        others = np.array([one for one in alive if one != a], dtype=int)
        found = _costs(n, first, second, a, others)
        costs[np.minimum(a, others), np.maximum(a, others)] = found
    names = {one: i for i, one in enumerate(dict.fromkeys(group.tolist()))}
    return np.array([names[one] for one in group.tolist()], dtype=np.int64)


def _costs(
    n: np.ndarray, first: np.ndarray, second: np.ndarray, a: int, others: np.ndarray
) -> np.ndarray:
    """Return the log-likelihood that is lost if group `a` is merged with each of some others."""

    def half_spread(n: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        n = n[..., None]
        variances = np.maximum(second / n - (first / n) ** 2, 1e-12)
        return np.asarray(0.5 * n[..., 0] * np.log(variances).sum(axis=-1))

    merged = half_spread(n[a] + n[others], first[a] + first[others], second[a] + second[others])
    alone = half_spread(n[others], first[others], second[others])
    return merged - alone - half_spread(n[a], first[a], second[a])
