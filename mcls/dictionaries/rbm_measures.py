"""What an RBM measures after an epoch, on a torch device; `rbm_units` has it for the CPU."""

from collections.abc import Sequence

import numpy as np
import torch

from mcls.dictionaries.tensors import to_device


def measured_there(
    rows: np.ndarray,
    parameters: Sequence[np.ndarray],
    *,
    visible: str,
    hidden: str,
    energies: bool,
    device: str,
) -> dict[str, float]:
    """Return the mean ``reconstruction`` error per number, and the mean ``free_energy`` if asked.

    Parameters
    ----------
    rows : np.ndarray, shape (n_rows, n_visible), float32
        Visible units.
    parameters : sequence of np.ndarray
        Weights ``(n_hidden, n_visible)``, biases of the hidden and of the visible units.
    visible, hidden : {'gaussian', 'binary', 'relu'}
        Types of the units.
    energies : bool
        Whether the units have a free energy.
    device : str
        A torch device.
    """
    names = ("weights", "biases", "visible_biases")
    p = to_device(dict(zip(names, parameters, strict=True)), device)
    x = torch.tensor(rows, device=device)
    drive = torch.addmm(p["biases"], x, p["weights"].T)
    back = torch.addmm(p["visible_biases"], _means(drive, hidden), p["weights"])
    gap = _means(back, visible) - x
    measured = {"reconstruction": float(gap.square().mean(dtype=torch.float64))}
    if energies:
        if visible == "gaussian":
            own = 0.5 * (x - p["visible_biases"]).square().sum(dim=1)
        else:
            own = -(x @ p["visible_biases"])
        softplus = torch.nn.functional.softplus(drive).sum(dim=1)
        measured["free_energy"] = float((own - softplus).mean(dtype=torch.float64))
    return measured


def _means(drive: torch.Tensor, kind: str) -> torch.Tensor:
    if kind == "binary":
        return drive.sigmoid()
    return drive.clamp(min=0) if kind == "relu" else drive
