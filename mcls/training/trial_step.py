"""Steps for trial, of a copy of a net: nothing of the training itself is touched by them."""

import copy
from collections.abc import Callable

import numpy as np
import torch

from mcls.training.learner import Job

#: Makes a step with a batch; returns its loss.
Step = Callable[[np.ndarray, np.ndarray], torch.Tensor]


def trial_of(job: Job, device: torch.device) -> tuple[Step, torch.optim.Optimizer]:
    """Return what makes whole steps (forward, backward, the optimizer's), and its optimizer.

    Parameters
    ----------
    job : Job
        What is to be trained. Its net stays as it is.
    device : torch.device
        Where to compute.
    """
    net = copy.deepcopy(job.model.net).to(device).train()
    if device.type == "cuda":
        net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    standardise = copy.deepcopy(job.model.standardise).to(device)
    share = torch.from_numpy(job.share).to(device)
    optimizer = job.optimizer(net.parameters())
    kind = torch.float16 if job.training.precision == "16" else torch.bfloat16
    narrow = torch.autocast(device.type, kind, enabled=job.training.precision != "32")

    def step(x: np.ndarray, y: np.ndarray) -> torch.Tensor:
        segments, targets = (torch.from_numpy(one).to(device) for one in (x, y))
        optimizer.zero_grad()
        with narrow:
            logits = net(standardise(segments)).float()
            loss: torch.Tensor = job.loss(logits, targets, share).mean()
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step, optimizer
