"""Training steps of a copy of a net, to try a batch size or a learning rate."""

import copy
from collections.abc import Callable

import numpy as np
import torch

from mcls.training.arithmetic import autocast
from mcls.training.loop import learner_of
from mcls.training.objective import step_losses
from mcls.training.task import TrainingTask

#: Computes a training step with a batch and returns its loss.
TrialStep = Callable[[np.ndarray, np.ndarray], torch.Tensor]


def trial_step(task: TrainingTask, device: torch.device) -> tuple[TrialStep, torch.optim.Optimizer]:
    """Return a function that computes a whole training step, and its optimizer.

    Parameters
    ----------
    task : TrainingTask
        What to train; its net is not changed.
    device : torch.device
        The device to compute on.
    """
    learner = copy.deepcopy(learner_of(task)).to(device).train()
    if device.type == "cuda":
        learner.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    standardise = copy.deepcopy(task.model.standardise).to(device)
    share = torch.from_numpy(task.share).to(device)
    optimizer = task.optimizer(learner.parameters())
    mixed = autocast(task.training.precision, device)

    def step(x: np.ndarray, y: np.ndarray) -> torch.Tensor:
        segments, targets = (torch.from_numpy(one).to(device) for one in (x, y))
        optimizer.zero_grad()
        with mixed:
            labels, others, _ = step_losses(task, learner(standardise(segments)), targets, share)
            loss: torch.Tensor = (labels + others).mean()
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step, optimizer
