"""The objective of a training step: the loss of the labels, and what is added to it."""

from typing import Any

import torch
from torch.nn.functional import cross_entropy

from mcls.training.task import TrainingTask


def step_losses(
    task: TrainingTask, made: Any, y: torch.Tensor, share: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor | float, torch.Tensor | float]:
    """Return the loss of each segment's labels, that of all else, and what the adversary knows.

    Parameters
    ----------
    task : TrainingTask
        What is trained.
    made : torch.Tensor, or tuple of them
        What was returned in training: logits, and auxiliary logits after them; from an `Adversary`,
        these and the logits of the groups.
    y : torch.Tensor, shape (batch, n_labels or more)
        Targets; the columns after the labels are groups.
    share : torch.Tensor, shape (n_labels,)
        Share of the train tracks that have each label.

    Returns
    -------
    labels : torch.Tensor, shape (batch,)
        Losses of the labels.
    others : torch.Tensor, shape (batch,), or float
        Weighted losses of auxiliary logits and losses of the adversary.
    named : torch.Tensor or float
        Fraction of the segments whose group the adversary names; 0 without one.
    """
    groups = None
    if task.head is not None:
        made, groups = made
    logits, *auxiliary = made if isinstance(made, tuple) else (made,)
    targets = y[:, : logits.shape[1]]
    labels = task.loss(logits.float(), targets, share)
    weight = float(task.model.net.auxiliary_weight) if auxiliary else 0.0  # type: ignore[arg-type]
    others = sum(weight * task.loss(one.float(), targets, share) for one in auxiliary)
    if groups is None:
        return labels, others, 0.0
    true = y[:, logits.shape[1] :]
    named = (groups.argmax(dim=1) == true.argmax(dim=1)).float().mean()
    return labels, others + cross_entropy(groups.float(), true, reduction="none"), named
