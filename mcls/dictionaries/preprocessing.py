"""Preprocessing of rows: join frames, standardise dimensions or scale them to 0 to 1, whiten.

Nothing here grows with the data: mean and covariance are summed over batches in float64.
"""

from collections.abc import Mapping

import numpy as np

from mcls.dictionaries.batches import Source
from mcls.errors import ConfigError
from mcls.parallel.processes import shared


def join_frames(rows: np.ndarray, context: int) -> np.ndarray:
    """Join every row with those that follow it.

    Parameters
    ----------
    rows : np.ndarray, shape (n_rows, n_dims)
        The rows of one track; at least one.
    context : int
        Rows to join. A track with fewer is lengthened by repeating its last row.

    Returns
    -------
    np.ndarray, shape (max(1, n_rows - context + 1), context * n_dims), float32
        The earliest frame first.

    Examples
    --------
    >>> join_frames(np.array([[1.0], [2.0], [3.0]]), 2).tolist()
    [[1.0, 2.0], [2.0, 3.0]]
    """
    if context > len(rows):
        rows = np.pad(rows, ((0, context - len(rows)), (0, 0)), mode="edge")
    if context == 1:
        return rows.astype(np.float32, copy=False)
    windows = np.lib.stride_tricks.sliding_window_view(rows, context, axis=0)
    return windows.transpose(0, 2, 1).reshape(len(windows), -1).astype(np.float32, copy=False)


def part_frames(joined: np.ndarray, context: int, n_rows: int) -> np.ndarray:
    """Undo `join_frames`: return the frames, each the mean over the joined rows that hold it.

    Parameters
    ----------
    joined : np.ndarray, shape (n_joined, context * n_dims)
        Joined rows of one track, in the order of `join_frames`.
    context : int
        Rows that were joined.
    n_rows : int
        Rows of the track.

    Returns
    -------
    np.ndarray, shape (n_rows, n_dims), float64

    Examples
    --------
    >>> rows = np.array([[1.0], [2.0], [3.0]])
    >>> part_frames(join_frames(rows, 2), 2, 3).tolist()
    [[1.0], [2.0], [3.0]]
    """
    patches = joined.reshape(len(joined), context, -1)
    total = np.zeros((len(joined) + context - 1, patches.shape[2]))
    count = np.zeros((len(total), 1))
    for i in range(context):
        total[i : i + len(joined)] += patches[:, i]
        count[i : i + len(joined)] += 1
    return (total / count)[:n_rows]


class Preprocessing:
    """Standardise and whiten, learnt from rows.

    Parameters
    ----------
    standardize : bool
        Subtract each dimension's mean and divide by its standard deviation.
    whiten : float in (0, 1], or None
        Keep the principal components that hold this share of the variance, each divided by
        sqrt(eigenvalue + eps).
    min_max : bool
        Scale each dimension to 0 to 1, the smallest and the largest value of the rows learnt from,
        in place of standardising it. Values beyond are clipped.
    eps : float
        Added to eigenvalues, in the units of the (standardised) data squared.

    Attributes
    ----------
    mean_, scale_ : np.ndarray, shape (n_dims,), or None
        Subtracted; divided by.
    components_ : np.ndarray, shape (n_dims, n_kept), or None
        Multiplied with; the whitening matrix.
    limits_ : np.ndarray, shape (2,), or None
        Smallest and largest value; what is beyond is clipped.
    """

    def __init__(
        self,
        *,
        standardize: bool = True,
        whiten: float | None = None,
        min_max: bool = False,
        eps: float = 0.01,
    ) -> None:
        if min_max and whiten is not None:
            raise ConfigError("min_max and whiten do not go together; leave one of them out")
        if whiten is not None and not 0 < whiten <= 1:
            raise ConfigError(f"whiten={whiten}; expected a share of the variance in (0, 1]")
        if eps < 0:
            raise ConfigError(f"eps={eps}; expected 0 or more")
        self.standardize = standardize
        self.whiten = whiten
        self.min_max = min_max
        self.eps = eps
        self.mean_: np.ndarray | None = None
        self.scale_: np.ndarray | None = None
        self.components_: np.ndarray | None = None
        self.limits_: np.ndarray | None = None

    def fit_batches(self, source: Source) -> "Preprocessing":
        """Learn from batches of rows ``(n, n_dims)``; one pass over them."""
        if self.min_max:
            return self._fit_range(source)
        if not self.standardize and self.whiten is None:
            return self
        first = next(iter(source()), None)
        if first is None:
            raise ConfigError("there are no rows to learn from; expected at least one")
        shift = first.mean(axis=0, dtype=np.float64)  # near the mean: the sums do not cancel
        n_dims = len(shift)

        def sums(batch: np.ndarray) -> tuple[int, np.ndarray, np.ndarray]:
            centred = batch - shift.astype(np.float32)
            total = centred.sum(axis=0, dtype=np.float64)
            if self.whiten:
                return len(batch), total, centred.T @ centred
            return len(batch), total, np.einsum("ij,ij->j", centred, centred, dtype=np.float64)

        count, total = 0, np.zeros(n_dims)
        squares = np.zeros((n_dims, n_dims) if self.whiten else n_dims)
        for n_rows, some, some_squares in shared(source(), sums):
            count += n_rows
            total += some
            squares += some_squares
        offset = total / count
        mean = shift + offset
        self.mean_ = mean.astype(np.float32)
        if self.whiten:
            covariance = squares / count - np.outer(offset, offset)
            variance = np.diag(covariance).copy()
        else:
            variance = squares / count - offset**2
        if self.standardize:
            scale = np.sqrt(np.maximum(variance, 0))
            scale[scale < 1e-7 * max(1.0, float(scale.max(initial=0)))] = 1.0
            self.scale_ = scale.astype(np.float32)
            if self.whiten:
                covariance /= np.outer(scale, scale)
        if self.whiten:
            values, vectors = np.linalg.eigh(covariance)
            values, vectors = np.maximum(values[::-1], 0), vectors[:, ::-1]
            share = np.cumsum(values) / max(values.sum(), np.finfo(float).tiny)
            kept = int(np.searchsorted(share, self.whiten - 1e-12)) + 1
            signs = np.sign(vectors[np.abs(vectors).argmax(axis=0), np.arange(len(values))])
            vectors = vectors * signs
            self._values = values[:kept]
            whitening = vectors[:, :kept] / np.sqrt(values[:kept] + self.eps)
            self.components_ = whitening.astype(np.float32)
        return self

    def _fit_range(self, source: Source) -> "Preprocessing":
        """Learn the smallest and the largest value of each dimension."""

        def range_of(batch: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
            return (batch.min(axis=0), batch.max(axis=0)) if len(batch) else None

        ends = [found for found in shared(source(), range_of) if found is not None]
        if not ends:
            raise ConfigError("there are no rows to learn from; expected at least one")
        low = np.min([one for one, _ in ends], axis=0).astype(np.float32)
        scale = np.max([one for _, one in ends], axis=0).astype(np.float32) - low
        scale[scale == 0] = 1.0
        self.mean_, self.scale_ = low, scale
        self.limits_ = np.array([0.0, 1.0], dtype=np.float32)
        return self

    def transform(self, rows: np.ndarray) -> np.ndarray:
        """Apply: ``(n, n_dims)`` to ``(n, n_kept)``, float32."""
        if self.mean_ is not None:
            rows = rows - self.mean_
        if self.scale_ is not None:
            rows /= self.scale_
        if self.limits_ is not None:
            rows = rows.clip(*self.limits_)
        return rows if self.components_ is None else rows @ self.components_

    def arrays(self) -> dict[str, np.ndarray]:
        """Return what was learnt, by name."""
        named = {
            "mean": self.mean_,
            "scale": self.scale_,
            "whitening": self.components_,
            "limits": self.limits_,
        }
        return {name: array for name, array in named.items() if array is not None}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> "Preprocessing":
        """Rebuild from `arrays`, for `transform` and `inverse`."""
        made = cls(standardize="scale" in arrays)
        made.mean_, made.scale_ = arrays.get("mean"), arrays.get("scale")
        made.components_, made.limits_ = arrays.get("whitening"), arrays.get("limits")
        return made

    def inverse(self, rows: np.ndarray) -> np.ndarray:
        """Bring rows (or atoms) back to the dimensions they came from, as near as can be."""
        if self.components_ is not None:
            rows = rows @ np.linalg.pinv(self.components_)
        if self.scale_ is not None:
            rows = rows * self.scale_
        return rows if self.mean_ is None else rows + self.mean_
