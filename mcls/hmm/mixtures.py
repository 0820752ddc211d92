"""Output densities of states: mixtures of Gaussians with diagonal covariances."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numba import njit
from sklearn.cluster import KMeans

from mcls.hmm.models import from_finite, log, to_finite

#: Rows whose densities are computed at once, so that they stay in the cache.
_BLOCK = 512
#: Rows per component on which K-means is initialised, at most.
_KMEANS_ROWS = 2000
#: Fewest expected rows from which a mean and a variance are re-estimated.
_LEAST_ROWS = 1.0


@dataclass(frozen=True)
class Mixtures:
    """Mixtures of Gaussians with diagonal covariances, one per output density.

    Parameters
    ----------
    log_weights : np.ndarray, shape (n_pdfs, n_components)
        Logarithm of the weight of each Gaussian; -inf for one that is not used.
    means, variances : np.ndarray, shape (n_pdfs, n_components, n_dims)
    """

    log_weights: np.ndarray
    means: np.ndarray
    variances: np.ndarray

    def arrays(self) -> dict[str, np.ndarray]:
        """Return all arrays by name, as files hold them: see `mcls.hmm.models.to_finite`."""
        return {name: to_finite(array) for name, array in vars(self).items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> "Mixtures":
        """Rebuild mixtures from `arrays`; arrays with other names are ignored."""
        own = {name: from_finite(np.asarray(arrays[name])) for name in cls.__dataclass_fields__}
        return cls(**own)

    def only(self, pdfs: np.ndarray) -> "Mixtures":
        """Return some of the mixtures."""
        return Mixtures(self.log_weights[pdfs], self.means[pdfs], self.variances[pdfs])

    def components(self, rows: np.ndarray) -> np.ndarray:
        """Return the log weight plus log density of each Gaussian, ``(n_rows, n_pdfs, n_comp.)``.

        Parameters
        ----------
        rows : np.ndarray, shape (n_rows, n_dims)
        """
        n_pdfs, n_components, n_dims = self.means.shape
        means, variances = (a.reshape(-1, n_dims) for a in (self.means, self.variances))
        inverse = 1 / variances
        constant = -0.5 * (
            n_dims * np.log(2 * np.pi) + np.log(variances).sum(axis=1) + (means**2 * inverse).sum(1)
        )
        found = rows @ (means * inverse).T - 0.5 * (rows**2 @ inverse.T) + constant
        return found.reshape(len(rows), n_pdfs, n_components) + self.log_weights

    def log_densities(self, rows: np.ndarray) -> np.ndarray:
        """Return the log density of rows, ``(n_rows, n_pdfs)``."""
        blocks = range(0, len(rows), _BLOCK)
        return np.concatenate(
            [log_sums(self.components(rows[start : start + _BLOCK])) for start in blocks]
        )


@njit(nogil=True, cache=True)
def log_sums(values: np.ndarray) -> np.ndarray:
    """Return the logarithm of the sum of exponentials over the last of three axes."""
    n_rows, n_pdfs = values.shape[:2]
    found = np.empty((n_rows, n_pdfs))
    for row in range(n_rows):
        for pdf in range(n_pdfs):
            largest = -np.inf
            for value in values[row, pdf]:
                largest = max(largest, value)
            summed = 0.0
            for value in values[row, pdf]:
                summed += np.exp(value - largest)
            found[row, pdf] = largest + np.log(summed)
    return found


def start_mixtures(
    rows: np.ndarray,
    pdf_of_row: np.ndarray,
    n_pdfs: int,
    n_components: int,
    floor: np.ndarray,
    random_state: int,
) -> Mixtures:
    """Return mixtures initialised by K-means on the rows that are assigned to each density.

    Parameters
    ----------
    rows : np.ndarray, shape (n_rows, n_dims)
    pdf_of_row : np.ndarray, shape (n_rows,), int
        The density of each row.
    n_pdfs, n_components : int
        Number of densities, and of Gaussians in each; fewer where a density has fewer rows.
    floor : np.ndarray, shape (n_dims,)
        Smallest variance.
    random_state : int
        Random seed of K-means.
    """
    n_dims = rows.shape[1]
    weights = np.zeros((n_pdfs, n_components))
    means = np.empty((n_pdfs, n_components, n_dims))
    variances = np.empty_like(means)
    order = np.argsort(pdf_of_row, kind="stable")
    bounds = np.searchsorted(pdf_of_row[order], np.arange(n_pdfs + 1))
    for pdf in range(n_pdfs):
        own = rows[order[bounds[pdf] : bounds[pdf + 1]]]
        if not len(own):  # no track is long enough to reach the state
            own = rows
        group = _grouped(own, n_components, random_state)
        weights[pdf] = np.bincount(group, minlength=n_components) / len(own)
        means[pdf], variances[pdf] = own.mean(axis=0), own.var(axis=0)
        for component in np.unique(group):
            some = own[group == component]
            means[pdf, component], variances[pdf, component] = some.mean(axis=0), some.var(axis=0)
    return Mixtures(log(weights), means, np.maximum(variances, floor))


def _grouped(rows: np.ndarray, n_groups: int, random_state: int) -> np.ndarray:
    """Assign rows to up to `n_groups` groups by K-means, of two rows or more on average."""
    distinct = len(np.unique(rows, axis=0))
    n_groups = max(1, min(n_groups, len(rows) // 2, distinct))
    if n_groups == 1:
        return np.zeros(len(rows), dtype=np.int64)
    rng = np.random.default_rng(random_state)
    few = rows
    if len(rows) > n_groups * _KMEANS_ROWS:
        few = rows[np.sort(rng.choice(len(rows), n_groups * _KMEANS_ROWS, replace=False))]
    made = KMeans(n_groups, n_init=1, random_state=random_state).fit(few)
    return np.asarray(made.predict(rows), dtype=np.int64)


@dataclass(frozen=True)
class MixtureStatistics:
    """Sums over rows from which mixtures are re-estimated; rows are weighted by their posteriors.

    Parameters
    ----------
    n : np.ndarray, shape (n_pdfs, n_components)
        Expected number of rows.
    first, second : np.ndarray, shape (n_pdfs, n_components, n_dims)
        Weighted sums of rows and of their squares.
    """

    n: np.ndarray
    first: np.ndarray
    second: np.ndarray

    @classmethod
    def like(cls, mixtures: Mixtures) -> "MixtureStatistics":
        """Return sums over no rows."""
        return cls(*map(np.zeros_like, (mixtures.log_weights, mixtures.means, mixtures.means)))

    def add(self, pdfs: np.ndarray, rows: np.ndarray, weights: np.ndarray) -> None:
        """Add rows with their weights, ``(n_rows, len(pdfs), n_components)``."""
        joined = weights.reshape(len(rows), -1)
        shape = (*weights.shape[1:], -1)
        self.n[pdfs] += weights.sum(axis=0)
        self.first[pdfs] += (joined.T @ rows).reshape(shape)
        self.second[pdfs] += (joined.T @ rows**2).reshape(shape)

    def mixtures(self, before: Mixtures, floor: np.ndarray) -> Mixtures:
        """Return the re-estimated mixtures; a Gaussian without rows stays as it was `before`.

        Parameters
        ----------
        before : Mixtures
        floor : np.ndarray, shape (n_dims,)
            Smallest variance.
        """
        enough = (self.n >= _LEAST_ROWS)[..., None]
        n = np.where(enough, self.n[..., None], 1.0)
        means = np.where(enough, self.first / n, before.means)
        variances = np.where(enough, self.second / n - means**2, before.variances)
        of_pdf = self.n.sum(axis=1, keepdims=True)
        seen = of_pdf >= _LEAST_ROWS
        log_weights = np.where(seen, log(self.n / np.where(seen, of_pdf, 1.0)), before.log_weights)
        return Mixtures(log_weights, means, np.maximum(variances, floor))
