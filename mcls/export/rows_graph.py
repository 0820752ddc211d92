"""Steps between the rows of a feature and those of a classifier as torch modules, in float64.

Each module takes and returns the rows of one track, ``(n_rows, n_dims)``. What there is stands in
`ENCODERS` and `POOLERS`, under the names of the registry.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from mcls.dictionaries.preprocessing import Preprocessing
from mcls.errors import ConfigError, suggest


class ArrayModule(nn.Module):
    """A module that keeps arrays as float64 buffers, which are not weights to train."""

    def keep(self, **arrays: np.ndarray) -> None:
        """Keep arrays under their names."""
        for name, array in arrays.items():
            tensor = torch.tensor(np.asarray(array, dtype=np.float64))
            self.register_buffer(name, tensor, persistent=False)


class Concatenation(nn.Module):
    """The rows of several steps, side by side."""

    def forward(self, *rows: torch.Tensor) -> torch.Tensor:
        """Return ``(n_rows, n_dims of all)``."""
        return torch.cat([one.double() for one in rows], dim=1)


class DictionaryGraph(ArrayModule):
    """Rows to codes: frames are joined, preprocessed and encoded.

    Parameters
    ----------
    arrays : mapping of str to np.ndarray
        The arrays of the dictionary.
    encoder : str
        The encoder.
    settings : mapping
        Settings of the encoder.
    context : int
        Frames that are joined.

    Raises
    ------
    ConfigError
        If the encoder is not among `ENCODERS`.
    """

    atoms: torch.Tensor
    mean: torch.Tensor
    scale: torch.Tensor
    components: torch.Tensor

    def __init__(
        self,
        arrays: Mapping[str, np.ndarray],
        encoder: str,
        settings: Mapping[str, Any],
        context: int,
    ) -> None:
        super().__init__()
        if encoder not in ENCODERS:
            raise ConfigError(
                f"the encoder {encoder} cannot be exported; {suggest(encoder, ENCODERS)}"
            )
        before = Preprocessing.from_arrays(arrays)
        self.whitens, self.context = before.components_ is not None, context
        self.limits = None if before.limits_ is None else tuple(map(float, before.limits_))
        zero = np.zeros(1)
        self.keep(
            atoms=arrays["atoms"],
            mean=zero if before.mean_ is None else before.mean_,
            scale=zero + 1 if before.scale_ is None else before.scale_,
        )
        if before.components_ is not None:
            self.keep(components=before.components_)
        self.encoder, self.settings = ENCODERS[encoder], dict(settings)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Return codes ``(n_rows - context + 1, n_codes)``."""
        rows = (self._joined(rows.double()) - self.mean) / self.scale
        if self.limits is not None:
            rows = rows.clamp(*self.limits)
        if self.whitens:
            rows = rows @ self.components
        return self.encoder(rows, self.atoms, **self.settings)

    def _joined(self, rows: torch.Tensor) -> torch.Tensor:
        """Join frames like `mcls.dictionaries.preprocessing.join_frames`."""
        if self.context == 1:
            return rows
        n = rows.shape[0]
        n_joined = torch.sym_max(n - self.context, 0) + 1
        starts = torch.arange(n_joined, device=rows.device)
        place = starts[:, None] + torch.arange(self.context, device=rows.device)
        place = torch.minimum(place, torch.full_like(place, n - 1))
        return rows[place].flatten(1)


def _distances(rows: torch.Tensor, atoms: torch.Tensor) -> torch.Tensor:
    """Return squared distances, ``(n_rows, n_atoms)``."""
    squares = (rows * rows).sum(1, keepdim=True) + (atoms * atoms).sum(1)
    return (squares - 2 * (rows @ atoms.T)).clamp(min=0)


def _hard(rows: torch.Tensor, atoms: torch.Tensor) -> torch.Tensor:
    nearest = (rows @ atoms.T - 0.5 * (atoms * atoms).sum(1)).argmax(1, keepdim=True)
    return (nearest == torch.arange(atoms.shape[0], device=rows.device)).double()


def _triangle(rows: torch.Tensor, atoms: torch.Tensor) -> torch.Tensor:
    distances = _distances(rows, atoms).sqrt()
    return (distances.mean(1, keepdim=True) - distances).clamp(min=0)


def _soft_threshold(
    rows: torch.Tensor, atoms: torch.Tensor, alpha: float, split_signs: bool
) -> torch.Tensor:
    norms = torch.linalg.vector_norm(atoms, dim=1, keepdim=True)
    likeness = rows @ (atoms / norms.clamp(min=1e-12)).T
    codes = (likeness - alpha).clamp(min=0)
    return torch.cat([codes, (-likeness - alpha).clamp(min=0)], 1) if split_signs else codes


#: The encoders that can be exported: functions of rows, atoms and settings.
ENCODERS: dict[str, Callable[..., torch.Tensor]] = {
    "hard": _hard,
    "triangle": _triangle,
    "soft-threshold": _soft_threshold,
}


class PoolerGraph(nn.Module):
    """The rows of a track to one row.

    Parameters
    ----------
    pooler : str
        The pooler.
    settings : mapping
        Its settings; ``norm`` is read.

    Raises
    ------
    ConfigError
        If the pooler is not among `POOLERS`.
    """

    def __init__(self, pooler: str, settings: Mapping[str, Any]) -> None:
        super().__init__()
        if pooler not in POOLERS:
            raise ConfigError(f"the pooler {pooler} cannot be exported; {suggest(pooler, POOLERS)}")
        self.pool, self.norm = POOLERS[pooler], settings["norm"]

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Return ``(1, n_pooled)``."""
        pooled = self.pool(rows.double())
        if self.norm.startswith("sqrt"):
            pooled = pooled.sign() * pooled.abs().sqrt()
        if self.norm == "none" or self.norm == "sqrt":
            return pooled[None]
        size = pooled.abs().sum() if self.norm == "l1" else (pooled * pooled).sum().sqrt()
        return (pooled / torch.where(size > 0, size, 1.0))[None]


def _std(rows: torch.Tensor) -> torch.Tensor:
    return (rows - rows.mean(0)).square().mean(0).sqrt()


def _histogram(rows: torch.Tensor) -> torch.Tensor:
    total = rows.sum()
    return rows.sum(0) / torch.where(total != 0, total, 1.0)


#: The poolers that can be exported: functions of the rows of a track.
POOLERS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "histogram": _histogram,
    "mean": lambda rows: rows.mean(0),
    "max": lambda rows: rows.amax(0),
    "std": _std,
    "meanstd": lambda rows: torch.cat([rows.mean(0), _std(rows)]),
}
