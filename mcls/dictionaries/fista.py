"""The lasso on a torch device: FISTA over many rows at once.

The same problem and the same conditions of optimality as `lasso`, which is faster on a CPU. Rows
leave the batch as soon as they meet the conditions. The momentum of a row starts again whenever
it points uphill.

References
----------
A. Beck, M. Teboulle, "A fast iterative shrinkage-thresholding algorithm for linear inverse
problems", SIAM Journal on Imaging Sciences 2, 2009.
B. O'Donoghue, E. Candès, "Adaptive restart for accelerated gradient schemes", Foundations of
Computational Mathematics 15, 2015.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from mcls.dictionaries.lasso import as_rows_and_atoms
from mcls.errors import ConfigError

if TYPE_CHECKING:
    import torch

#: Codes in a batch: bounds the memory of the device.
_BATCH = 2**24
#: Steps between two looks at the conditions.
_STRIDE = 10
#: No tolerance below this much of the largest correlation: single precision ends there.
_ROUNDING = 4e-6


def fista(
    rows: np.ndarray,
    atoms: np.ndarray,
    *,
    penalty: float = 0.2,
    positive: bool = False,
    tol: float = 1e-3,
    max_iter: int = 5000,
    device: str = "cuda",
) -> np.ndarray:
    """Return the lasso codes of some rows, computed on a torch device.

    Parameters
    ----------
    rows : np.ndarray, shape (n_rows, n_dims)
        The rows to encode.
    atoms : np.ndarray, shape (n_atoms, n_dims)
        The dictionary; usually of unit norm.
    penalty : float
        Weight of the L1 penalty, above 0, for a row of norm 1.
    positive : bool
        Restrict codes to values of 0 or more.
    tol : float
        Tolerance of the optimality conditions, as a share of the penalty.
    max_iter : int
        Maximum number of steps per row; rows that need more cause a warning.
    device : str
        A torch device: ``cuda``, ``cuda:1``, ``cpu``.

    Returns
    -------
    np.ndarray, shape (n_rows, n_atoms), float32
        The codes.

    Raises
    ------
    ConfigError
        If the penalty or the tolerance is not positive.
    DataError
        If the shapes do not fit, or a row or an atom is not finite.
    """
    import torch  # optional: nothing else here needs it

    from mcls.dictionaries.tensors import to_device

    rows, atoms = as_rows_and_atoms(rows, atoms)
    if not (penalty > 0 and tol > 0):
        raise ConfigError(f"penalty={penalty} and tol={tol} must be above 0")
    dictionary = to_device({"atoms": atoms}, device)["atoms"]
    gram = dictionary @ dictionary.T
    lipschitz = max(float(torch.linalg.eigvalsh(gram.double())[-1]) * 1.0001, 1e-12)
    codes = np.empty((len(rows), len(atoms)), dtype=np.float32)
    size, missed = max(1, _BATCH // len(atoms)), 0
    for start in range(0, len(rows), size):
        x = torch.from_numpy(rows[start : start + size]).to(device)
        weights = penalty * torch.linalg.vector_norm(x, dim=1, keepdim=True)
        z, left = solve(x @ dictionary.T, weights, gram, lipschitz, positive, tol, max_iter)
        codes[start : start + size] = z.cpu().numpy()
        missed += left
    if missed:
        warnings.warn(
            f"{missed} of {len(rows)} rows did not reach tol={tol} in {max_iter} steps",
            ConvergenceWarning,
            stacklevel=2,
        )
    return codes


def solve(
    correlations: torch.Tensor,
    weights: torch.Tensor,
    gram: torch.Tensor,
    lipschitz: float,
    positive: bool,
    tol: float,
    max_iter: int,
    start: torch.Tensor | None = None,
) -> tuple[torch.Tensor, int]:
    """Minimise ``0.5 z G z - c z + w |z|_1`` for each row.

    Parameters
    ----------
    correlations, weights : torch.Tensor, shapes (n_rows, n_atoms), (n_rows, 1)
        c and w.
    gram : torch.Tensor, shape (n_atoms, n_atoms)
        G; its eigenvalues are at most `lipschitz`.
    positive, tol, max_iter
        See `fista`.
    start : torch.Tensor, shape (n_rows, n_atoms), or None
        Codes to begin with; None: zeros.

    Returns
    -------
    codes : torch.Tensor, shape (n_rows, n_atoms)
    missed : int
        Number of rows that missed the tolerance.
    """
    done = correlations.new_zeros(correlations.shape)
    which = correlations.new_ones(len(correlations)).nonzero()[:, 0]
    c, w = correlations, weights
    slack = (tol * w).maximum(_ROUNDING * c.abs().amax(dim=1, keepdim=True))
    z = y = c.new_zeros(c.shape) if start is None else start.clamp(min=0) if positive else start
    t = w.new_ones(w.shape)
    for step in range(max_iter + 1):
        if step % _STRIDE == 0:
            met = (_gap(c - z @ gram, z, w, positive) <= slack[:, 0]) | (w[:, 0] == 0)
            done[which[met]] = z[met]
            if met.all():
                return done, 0
            if met.any():
                go = ~met
                which, c, w, slack = which[go], c[go], w[go], slack[go]
                z, y, t = z[go], y[go], t[go]
        new = _shrink(y + (c - y @ gram) / lipschitz, w / lipschitz, positive)
        uphill = ((y - new) * (new - z)).sum(dim=1, keepdim=True) > 0
        t = t.masked_fill(uphill, 1)
        t_new = (1 + (1 + 4 * t * t).sqrt()) / 2
        y = new + (t - 1) / t_new * (new - z)
        z, t = new, t_new
    done[which] = z
    return done, len(which)


def _shrink(z: torch.Tensor, by: torch.Tensor, positive: bool) -> torch.Tensor:
    if positive:
        return (z - by).clamp(min=0)
    return z.sign() * (z.abs() - by).clamp(min=0)


def _gap(r: torch.Tensor, z: torch.Tensor, w: torch.Tensor, positive: bool) -> torch.Tensor:
    """Return the largest miss of the optimality conditions, for each row."""
    off = ((r if positive else r.abs()) - w).clamp(min=0)
    return (r - w * z.sign()).abs().where(z != 0, off).amax(dim=1)
