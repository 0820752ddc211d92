"""Everything that the training of one net consists of, in one object."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mcls.training.options import Training
from mcls.training.segments import Batches

if TYPE_CHECKING:
    import torch
    from torch import nn

    from mcls.training.model import TrainedNet
    from mcls.training.validation import Loss, Validation

#: Called after each epoch with its row of the history.
OnEpoch = Callable[[Mapping[str, float]], None]
#: Called with a note for readers of the scores.
OnNote = Callable[[str], None]
#: Called after each step with the number of steps done and of all steps.
OnStep = Callable[[int, int], None]


@dataclass
class TrainingTask:
    """A net, its data and its options; can be sent to another process.

    Parameters
    ----------
    model : TrainedNet
        The net with its initial weights.
    batches : Batches
        Batches of the train part.
    valid : Validation or None
        The valid part, if there is one.
    loss : callable
        ``loss(logits, targets, share)`` returns one number per segment.
    optimizer : callable
        Makes an optimizer from parameters.
    share : np.ndarray, shape (n_outputs,), float32
        Share of the train tracks that have each label.
    training : Training
        All options of the training.
    seed : int
        Random seed.
    path : Path
        The file of the checkpoint.
    head : nn.Module or None
        The initial head of an adversary; the columns of ``batches`` after the labels are its
        groups.
    name : str
        Name of the run, for experiment trackers.
    on_epoch, on_step, on_note : callable or None
        Callbacks; they stay in this process when the task is sent to another one.
    """

    model: "TrainedNet"
    batches: Batches
    valid: "Validation | None"
    loss: "Loss"
    optimizer: Callable[..., "torch.optim.Optimizer"]
    share: np.ndarray
    training: Training
    seed: int
    path: Path
    head: "nn.Module | None" = None
    name: str = ""
    on_epoch: OnEpoch | None = field(default=None, repr=False)
    on_step: OnStep | None = field(default=None, repr=False)
    on_note: OnNote | None = field(default=None, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "on_epoch": None, "on_step": None, "on_note": None}
