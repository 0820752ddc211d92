"""The checkpoint that an interrupted training goes on from: one safetensors file.

It holds tensors and JSON, no pickle: reading a file from a stranger can fail but can run nothing.
No random generator is in it, since none outlives an epoch (see `mcls.training`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from mcls.disk.tensors import read_tensors, write_tensors
from mcls.errors import FormatError

Tensors = dict[str, torch.Tensor]


@dataclass
class Checkpoint:
    """The state of a training between two epochs.

    Parameters
    ----------
    weights : dict of str to torch.Tensor
        Weights of the net after the last epoch.
    best : dict of str to torch.Tensor
        Weights of the best epoch; without a valid part, of the last one.
    average : dict of str to torch.Tensor
        Running mean of the weights, if one is kept.
    optimizer : dict
        The optimizer's ``state_dict``.
    scaler : dict
        The gradient scaler's ``state_dict``, for mixed precision.
    history : list of dict
        A row of figures per finished epoch.
    histograms : list of dict
        The lines of histograms.csv so far.
    values : list of float
        Value of the monitored metric after each finished epoch; higher is better. Empty without a
        valid part.
    best_epoch : int
        The best epoch, counted from 1; 0 before the first.
    rate : float or None
        Learning rate that the learning rate finder found.
    batch_size : int or None
        Batch size that was found by trial.
    notes : list of str
        Notes for readers of the scores.
    finished : bool
        Whether the training has ended.
    """

    weights: Tensors
    best: Tensors
    average: Tensors = field(default_factory=dict)
    optimizer: dict[str, Any] = field(default_factory=dict)
    scaler: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)
    histograms: list[dict[str, Any]] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    best_epoch: int = 0
    rate: float | None = None
    batch_size: int | None = None
    notes: list[str] = field(default_factory=list)
    finished: bool = False


_GROUPS = ("weights", "best", "average")
_PLAIN = (
    *("scaler", "history", "histograms", "values", "best_epoch"),
    *("rate", "batch_size", "notes", "finished"),
)


def write_checkpoint(path: Path, state: Checkpoint) -> None:
    """Write a checkpoint; it appears whole or not at all.

    Raises
    ------
    DataError
        If the file cannot be written.
    """
    tensors: Tensors = {}
    for group in _GROUPS:
        tensors |= {f"{group}/{name}": tensor for name, tensor in getattr(state, group).items()}
    plain: dict[str, dict[str, Any]] = {}
    for index, values in state.optimizer.get("state", {}).items():
        for name, value in values.items():
            if isinstance(value, torch.Tensor):
                tensors[f"optimizer/{index}/{name}"] = value
            else:
                plain.setdefault(str(index), {})[name] = value
    about = {
        **{name: getattr(state, name) for name in _PLAIN},
        "optimizer": {"groups": state.optimizer.get("param_groups", []), "plain": plain},
    }
    write_tensors(path, tensors, about)


def read_checkpoint(path: Path) -> Checkpoint:
    """Read what `write_checkpoint` wrote.

    Raises
    ------
    FormatError
        If the file is corrupt.
    """
    tensors, about = read_tensors(path)
    try:
        groups: dict[str, Tensors] = {name: {} for name in _GROUPS}
        moments: dict[int, dict[str, Any]] = {}
        for index, values in about["optimizer"]["plain"].items():
            moments.setdefault(int(index), {}).update(values)
        for key, tensor in tensors.items():
            group, _, name = key.partition("/")
            if group == "optimizer":
                index, _, name = name.partition("/")
                moments.setdefault(int(index), {})[name] = tensor
            else:
                groups[group][name] = tensor
        optimizer = {"state": moments, "param_groups": about["optimizer"]["groups"]}
        plain: dict[str, Any] = {name: about[name] for name in _PLAIN}
        return Checkpoint(**{**plain, **groups}, optimizer=optimizer)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise FormatError(f"{path}: not a training's checkpoint ({error}); remove it") from error


def restore_optimizer(optimizer: torch.optim.Optimizer, saved: Mapping[str, Any]) -> None:
    """Give an optimizer the state of a checkpoint, if there is one.

    Whether it computes in one fused kernel follows from the device of its parameters, not from the
    device that the checkpoint was written on.
    """
    if saved:
        groups = [
            {**group, **({"fused": own["fused"]} if "fused" in own else {})}
            for group, own in zip(saved["param_groups"], optimizer.param_groups, strict=True)
        ]
        optimizer.load_state_dict({**saved, "param_groups": groups})


def copied(tensors: Mapping[str, torch.Tensor]) -> Tensors:
    """Return copies on the CPU, which later steps do not change."""
    return {name: tensor.detach().cpu().clone() for name, tensor in tensors.items()}
