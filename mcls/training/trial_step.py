"""Steps for trial, of a copy of a net: nothing of the training itself is touched by them."""

import copy
from collections.abc import Callable

import numpy as np
import torch

from mcls.training.loop import autocast
from mcls.training.task import TrainingTask

#: Makes a step with a batch; returns its loss.
Step = Callable[[np.ndarray, np.ndarray], torch.Tensor]


def trial_of(task: TrainingTask, device: torch.device) -> tuple[Step, torch.optim.Optimizer]:
    """Return what makes whole steps (forward, backward, the optimizer's), and its optimizer.

    Parameters
    ----------
    task : TrainingTask
        What is to be trained. Its net stays as it is.
    device : torch.device
        Where to compute.
    """
    net = copy.deepcopy(task.model.net).to(device).train()
    if device.type == "cuda":
        net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    standardise = copy.deepcopy(task.model.standardise).to(device)
    share = torch.from_numpy(task.share).to(device)
    optimizer = task.optimizer(net.parameters())
    mixed = autocast(task.training.precision, device)

    def step(x: np.ndarray, y: np.ndarray) -> torch.Tensor:
        segments, targets = (torch.from_numpy(one).to(device) for one in (x, y))
        optimizer.zero_grad()
        with mixed:
            logits = net(standardise(segments)).float()
            loss: torch.Tensor = task.loss(logits, targets, share).mean()
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step, optimizer
