"""The lasso on a torch device: greedy FISTA over many rows at once.

The same problem and the same conditions of optimality as `lasso`, which is faster on a CPU. A step
costs one product with the atoms' Gram matrix. A row keeps its momentum until that points uphill;
then its next step is without. So a row needs about half the steps of FISTA.

The steps are those for rows whose penalty is 1 and for a Gram matrix whose largest eigenvalue is at
most 1: rows are scaled, and their codes scaled back. The device works without waiting until the
conditions are looked at, after every `_STRIDE` steps; rows that meet them leave the batch as soon
as half of it does.

References
----------
A. Beck, M. Teboulle, "A fast iterative shrinkage-thresholding algorithm for linear inverse
problems", SIAM Journal on Imaging Sciences 2, 2009.
J. Liang, T. Luo, C.-B. Schönlieb, "Improving 'Fast iterative shrinkage-thresholding algorithm':
faster, smarter, and greedier", SIAM Journal on Scientific Computing 44, 2022: section 5. Differs
from the paper: no safeguard shortens the steps, for they are below 4/3 of a step that is short
enough without momentum, where steps with all of it stay stable.
"""

import warnings
from typing import NamedTuple

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning

from mcls.dictionaries.lasso import as_rows_and_atoms
from mcls.dictionaries.tensors import to_device
from mcls.errors import ConfigError

#: Codes in a batch: bounds the memory of the device.
_BATCH = 2**22
#: Steps between two looks at the conditions, and at most.
_STRIDE, _MAX_ITER = 20, 5000
#: Length of the steps, in parts of one that is short enough without momentum.
_LENGTH = 1.3
#: No tolerance below this much of the largest correlation: single precision ends there.
_ROUNDING = 4e-6
#: Squarings of a matrix by which its largest eigenvalue is bounded.
_SQUARINGS = 5


def fista(
    rows: np.ndarray,
    atoms: np.ndarray,
    *,
    penalty: float = 0.2,
    positive: bool = False,
    tol: float = 1e-3,
    max_iter: int = _MAX_ITER,
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
    rows, atoms = as_rows_and_atoms(rows, atoms)
    if not (penalty > 0 and tol > 0):
        raise ConfigError(f"penalty={penalty} and tol={tol} must be above 0")
    dictionary = to_device({"atoms": atoms}, device)["atoms"]
    gram = dictionary @ dictionary.T
    codes = np.empty((len(rows), len(atoms)), dtype=np.float32)
    size, missed = max(1, _BATCH // len(atoms)), 0
    for start in range(0, len(rows), size):
        x = torch.from_numpy(rows[start : start + size]).to(device)
        weights = penalty * torch.linalg.vector_norm(x, dim=1, keepdim=True)
        z, left = solve(x @ dictionary.T, weights, gram, positive, tol, max_iter)
        codes[start : start + size] = z.cpu().numpy()
        missed += left
    _warn_of(missed, len(rows), tol, max_iter)
    return codes


class CodeSums(NamedTuple):
    """What learning needs to know of the codes of a minibatch.

    Attributes
    ----------
    used : np.ndarray, shape (n_atoms,)
        Number of rows that use each atom.
    a, b : np.ndarray, shapes (n_atoms, n_atoms), (n_atoms, n_dims)
        Sums of the codes' outer products with themselves, and with their rows.
    objective : float
        Sum of the lasso's objectives.
    """

    used: np.ndarray
    a: np.ndarray
    b: np.ndarray
    objective: float


def code_sums(
    rows: torch.Tensor, atoms: np.ndarray, *, penalty: float, positive: bool, tol: float
) -> CodeSums:
    """Code rows of norm 1, or 0, where they are, and return sums over their codes.

    Parameters
    ----------
    rows : torch.Tensor, shape (n_rows, n_dims)
        The rows, on any device.
    atoms, penalty, positive, tol
        See `fista`.
    """
    dictionary = torch.from_numpy(atoms).to(rows.device)
    weights = penalty * rows.any(dim=1, keepdim=True).float()
    gram = dictionary @ dictionary.T
    z, missed = solve(rows @ dictionary.T, weights, gram, positive, tol, _MAX_ITER)
    _warn_of(missed, len(rows), tol, _MAX_ITER)
    rest = torch.addmm(rows, z, dictionary, alpha=-1)
    objective = 0.5 * rest.square().sum() + penalty * z.abs().sum()
    used, a, b = (one.cpu().numpy() for one in ((z != 0).sum(dim=0), z.T @ z, z.T @ rows))
    return CodeSums(used, a, b, float(objective))


def _warn_of(missed: int, n_rows: int, tol: float, max_iter: int) -> None:
    if missed:
        warnings.warn(
            f"{missed} of {n_rows} rows did not reach tol={tol} in {max_iter} steps",
            ConvergenceWarning,
            stacklevel=3,
        )


def solve(
    correlations: torch.Tensor,
    weights: torch.Tensor,
    gram: torch.Tensor,
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
        G, symmetric and without negative eigenvalues.
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
    largest = eigenvalue_bound(gram)
    gram = gram / largest
    scale = weights.where(weights > 0, 1)  # rows of zeros have codes of zeros
    c = correlations / scale
    slack = (_ROUNDING * c.abs().amax(dim=1)).clamp(min=tol)
    z = c.new_zeros(c.shape) if start is None else start * (largest / scale)
    if positive:
        z = z.clamp(min=0)
    y, codes, which = z, z.clone(), torch.arange(len(z), device=z.device)
    descend = torch.eye(len(gram), device=z.device, dtype=z.dtype) - _LENGTH * gram
    step = 0
    while True:
        met = _gap(torch.addmm(c, z, gram, alpha=-1), z, positive) <= slack
        left = len(z) - int(met.sum())  # the device is waited for here
        if not left or step >= max_iter:
            break
        if 2 * left <= len(z):
            codes[which] = z
            go = ~met
            which, c, slack, z, y = which[go], c[go], slack[go], z[go], y[go]
        for _ in range(min(_STRIDE, max_iter - step)):
            new = _shrink(torch.addmm(c, y, descend, beta=_LENGTH), positive)
            change = new - z
            downhill = ((y - new) * change).sum(dim=1, keepdim=True) <= 0
            y, z = torch.addcmul(new, change, downhill.to(new.dtype)), new
        step += _STRIDE
    codes[which] = z
    return codes * (scale / largest), left


def eigenvalue_bound(matrix: torch.Tensor) -> torch.Tensor:
    """Return a number just above the largest eigenvalue of a matrix that has no negative one.

    It is the norm of a high power of the symmetric matrix; the device is not waited for.

    Parameters
    ----------
    matrix : torch.Tensor, shape (n, n)
        The matrix.

    Returns
    -------
    torch.Tensor, shape ()
        At most the 64th root of n times the eigenvalue; of zeros, a small number above 0.
    """
    power, log = matrix, matrix.new_zeros(())
    for _ in range(_SQUARINGS):
        norm = torch.linalg.matrix_norm(power).clamp(min=1e-12)
        power = power / norm
        power, log = power @ power, 2 * (log + norm.log())
    norm = torch.linalg.matrix_norm(power).clamp(min=1e-12)
    return ((log + norm.log()) / 2**_SQUARINGS).exp() * 1.0001


def _shrink(z: torch.Tensor, positive: bool) -> torch.Tensor:
    if positive:
        return (z - _LENGTH).clamp(min=0)
    return torch.nn.functional.softshrink(z, _LENGTH)


def _gap(r: torch.Tensor, z: torch.Tensor, positive: bool) -> torch.Tensor:
    """Return the largest miss of the optimality conditions for a penalty of 1, for each row."""
    off = ((r if positive else r.abs()) - 1).clamp(min=0)
    return (r - z.sign()).abs().where(z != 0, off).amax(dim=1)
