"""What a killed training goes on from: one safetensors file, written after an epoch.

Lightning's own checkpoints are pickles. This file is tensors and JSON: reading one that somebody
else has put there can fail but can run nothing. No generator is in it, since none outlives an epoch
(see `mcls.training`).
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
class State:
    """A training between two epochs.

    Parameters
    ----------
    weights : dict of str to torch.Tensor
        Of the net.
    best : dict of str to torch.Tensor
        Those of the best epoch; without a valid part, of the last.
    average : dict of str to torch.Tensor
        Their running mean, if there is one.
    optimizer : dict
        As torch's ``state_dict`` gives it.
    scaler : dict
        Of mixed precision.
    history : list of dict
        A row of figures per finished epoch.
    values : list of float
        What decides, per finished epoch; higher is better. Empty without a valid part.
    best_epoch : int
        Counted from 1; 0 before the first.
    rate : float or None
        What the range test found.
    batch_size : int or None
        What was found for it.
    finished : bool
        Whether there is nothing left to do.
    """

    weights: Tensors
    best: Tensors
    average: Tensors = field(default_factory=dict)
    optimizer: dict[str, Any] = field(default_factory=dict)
    scaler: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    best_epoch: int = 0
    rate: float | None = None
    batch_size: int | None = None
    finished: bool = False


_GROUPS = ("weights", "best", "average")
_PLAIN = ("scaler", "history", "values", "best_epoch", "rate", "batch_size", "finished")


def write_state(path: Path, state: State) -> None:
    """Write a state; it appears whole or not at all.

    Raises
    ------
    DataError
        If it cannot be written.
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


def read_state(path: Path) -> State:
    """Read what `write_state` wrote.

    Raises
    ------
    FormatError
        If it is damaged.
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
        return State(**{**plain, **groups}, optimizer=optimizer)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise FormatError(f"{path}: not the state of a training ({error}); remove it") from error


def copied(tensors: Mapping[str, torch.Tensor]) -> Tensors:
    """Return copies on the CPU, which later steps do not change."""
    return {name: tensor.detach().cpu().clone() for name, tensor in tensors.items()}
