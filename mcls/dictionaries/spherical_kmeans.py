"""Spherical K-means: rows and atoms on the unit sphere, nearest by cosine."""

import numpy as np

from mcls.dictionaries.kmeans import KMeans
from mcls.registry import register


@register("dictionaries", "spherical-kmeans", encoder="soft-threshold", distributed=True)
class SphericalKMeans(KMeans):
    """Spherical K-means: clusters directions, so loud rows do not outweigh quiet ones.

    Rows are scaled to norm 1 and belong to the atom of the largest cosine. An atom moves to the
    direction of the sum of its rows and of itself (the damped update). Otherwise all is as in
    `KMeans`: first atoms by k-means++, exact passes over batches, new starts for atoms that lose
    their last row.

    It is encoded by soft-threshold, as in Coates & Ng: atoms have norm 1, so a code says how far a
    row reaches along an atom beyond the threshold, and several atoms may share a row. The row keeps
    its own norm then, so a loud row has larger codes.

    Parameters
    ----------
    n_atoms : int
        Number of atoms.
    alpha : float
        Threshold of the encoder soft-threshold, at least 0.
    max_iter : int
        Maximum number of passes over the rows.
    tol : float
        Stop when a pass lowers the inertia by less than this share of it.
    device : str
        Torch device on which `fit` and `predict` compute: cpu, cuda or cuda:1.
    random_state : int or None
        Random seed.

    Attributes
    ----------
    components_ : np.ndarray, shape (n_atoms, n_dims), float32
        The atoms, of norm 1.
    inertia_ : float
        Sum over rows of the squared distance on the sphere to the nearest atom: 2 - 2 cosine.
    history_ : list of dict
        The mean squared ``distance`` at each pass over all rows.
    counts_, usage_, perplexity_, n_iter_
        As in `KMeans`.

    References
    ----------
    I. Dhillon, D. Modha, "Concept decompositions for large sparse text data using clustering",
    Machine Learning 42, 2001, for the cosine. A. Coates, A. Ng, "Learning feature representations
    with K-means", 2012, for the damped update. Differs from the latter: there rows keep their norm,
    belong to the atom of the largest absolute cosine and count by that product; here all rows count
    alike, and a row opposite to an atom is far from it, since soft-threshold gives it no code.

    Examples
    --------
    >>> rows = np.array([[1.0, 0], [9, 1], [0, 2], [1, 8]], dtype=np.float32)
    >>> labels = SphericalKMeans(n_atoms=2, random_state=0).fit(rows).labels_.tolist()
    >>> labels in ([0, 0, 1, 1], [1, 1, 0, 0])
    True
    """

    def __init__(
        self,
        *,
        n_atoms: int = 256,
        alpha: float = 0.5,
        max_iter: int = 50,
        tol: float = 1e-4,
        device: str = "cpu",
        random_state: int | None = None,
    ) -> None:
        super().__init__(
            n_atoms=n_atoms, max_iter=max_iter, tol=tol, device=device, random_state=random_state
        )
        self.alpha = alpha

    def encoder_settings(self) -> dict[str, float]:
        """Return the settings of the encoder ``soft-threshold`` that give ``transform``."""
        return {"alpha": self.alpha}

    def _codes(self, rows: np.ndarray) -> np.ndarray:
        return beyond(rows, self.components_, self.alpha)

    def _compared(self, rows: np.ndarray) -> np.ndarray:
        return unit_rows(rows)

    def _moved(self, sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
        return unit_rows((sums + self.components_).astype(np.float32))


def beyond(rows: np.ndarray, atoms: np.ndarray, alpha: float) -> np.ndarray:
    """Return max(0, row · atom - alpha), ``(n_rows, n_atoms)`` float32, with atoms of norm 1."""
    likeness = rows @ unit_rows(atoms).T
    likeness -= np.float32(alpha)
    return np.maximum(likeness, 0, out=likeness)


def unit_rows(rows: np.ndarray) -> np.ndarray:
    """Return rows scaled to norm 1, float32; rows of zeros stay."""
    norms = np.sqrt(np.einsum("ij,ij->i", rows, rows))
    return (rows / np.where(norms > 0, norms, 1)[:, None]).astype(np.float32, copy=False)
