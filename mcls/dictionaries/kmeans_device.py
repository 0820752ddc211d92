"""The assignment step of K-means on a torch device, for batches of rows that are there."""

from typing import NamedTuple

import numpy as np
import torch

#: One row of so many may be among the farthest of a batch.
_ROWS_PER_FAR = 2048


class AssignedRows(NamedTuple):
    """What Lloyd's algorithm needs to know of a batch.

    Attributes
    ----------
    sums : np.ndarray, shape (n_atoms, n_dims), float64
        Sums of the rows nearest to each atom.
    counts : np.ndarray, shape (n_atoms,)
        Numbers of these rows.
    inertia : float
        Sum of the squared distances of rows to their atoms.
    far : list of tuple
        The farthest rows: minus the squared distance, the number in the batch, and the row.
    """

    sums: np.ndarray
    counts: np.ndarray
    inertia: float
    far: list[tuple[float, int, np.ndarray]]


def nearest_there(rows: torch.Tensor, atoms: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Return what `mcls.dictionaries.kmeans.nearest` does, for rows on a device."""
    there = torch.from_numpy(atoms).to(rows.device)
    # |row - atom|^2 = |row|^2 - 2 (row . atom - |atom|^2 / 2)
    likeness = torch.addmm(there.square().sum(dim=1), rows, there.T, beta=-0.5)
    near, labels = likeness.max(dim=1)
    return labels, (rows.square().sum(dim=1) - 2 * near).clamp(min=0)


def assigned_there(rows: torch.Tensor, atoms: np.ndarray) -> AssignedRows:
    """Assign rows on a device to their nearest atoms, and return sums over the rows.

    Parameters
    ----------
    rows : torch.Tensor, shape (n_rows, n_dims), float32
        At least one row.
    atoms : np.ndarray, shape (n_atoms, n_dims), float32
        The atoms.
    """
    labels, distances = nearest_there(rows, atoms)
    double = rows.double()
    sums = torch.zeros(atoms.shape, dtype=torch.float64, device=rows.device)
    sums.index_add_(0, labels, double)
    counts = double.new_zeros(len(atoms)).index_add_(0, labels, double.new_ones(len(rows)))
    far, which = distances.topk(min(len(rows), 4 + len(rows) // _ROWS_PER_FAR))
    listed = zip(far.tolist(), which.tolist(), rows[which].cpu().numpy(), strict=True)
    return AssignedRows(
        sums.cpu().numpy(),
        counts.cpu().numpy(),
        float(distances.sum(dtype=torch.float64)),
        [(-distance, i, row) for distance, i, row in listed],
    )
