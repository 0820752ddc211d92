"""Domain-adversarial training: features that do not tell the speaker, the tonic or the artist.

A second head names the group of a segment from the last hidden layer of the net. On the way back
its gradient is reversed, so the head learns to tell the groups and the net to hide them.
"""

import math
from typing import Any

import torch
from torch import nn

_UNITS = 100


def ramp(progress: float) -> float:
    """Return the weight of the reversed gradient: from 0 towards 1 as the training proceeds.

    Parameters
    ----------
    progress : float
        Fraction of all steps that are done, in [0, 1].

    Examples
    --------
    >>> [round(ramp(progress), 3) for progress in (0, 0.1, 0.5, 1)]
    [0.0, 0.462, 0.987, 1.0]
    """
    return 2 / (1 + math.exp(-10 * progress)) - 1


def reverse_gradient(x: torch.Tensor, strength: torch.Tensor) -> torch.Tensor:
    """Return `x`, whose gradient is multiplied by minus `strength` on the way back."""
    reversed_gradient: torch.Tensor = _Reversal.apply(x, strength)
    return reversed_gradient


class _Reversal(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, strength: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(strength)
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        (strength,) = ctx.saved_tensors
        return -strength * gradients[0], None


def group_head(net: nn.Module, n_frames: int, n_dims: int, n_groups: int, seed: int) -> nn.Module:
    """Return a head that names groups: a layer of 100 rectified units, and a logit per group.

    Parameters
    ----------
    net : nn.Module
        The net whose last hidden layer it reads.
    n_frames, n_dims : int
        Size of a segment.
    n_groups : int
        Number of groups.
    seed : int
        Random seed of the initial weights.
    """
    training, adversary = net.training, Adversary(net, nn.Identity())
    with torch.no_grad():
        _, features = adversary.eval()(torch.zeros(1, 1, n_frames, n_dims))
    net.train(training)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return nn.Sequential(
            nn.Linear(features.shape[1], _UNITS), nn.ReLU(), nn.Linear(_UNITS, n_groups)
        )


class Adversary(nn.Module):
    """A net, and a head that reads its last hidden layer through a gradient reversal.

    Maps are reduced to their means before the head.

    Parameters
    ----------
    net : nn.Module
        A net with the attribute ``hidden``.
    head : nn.Module
        From ``(batch, units)`` to logits of groups.

    Attributes
    ----------
    strength : torch.Tensor
        Weight of the reversed gradient, 0 at first.

    References
    ----------
    Ganin et al. (2016), Domain-adversarial training of neural networks.

    Differs from the paper: all groups are labelled source domains, and the test groups are unknown
    (domain generalisation), where the paper has unlabelled segments of the target domain.
    """

    strength: torch.Tensor

    def __init__(self, net: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.net = net
        self.head = head
        self.register_buffer("strength", torch.zeros(()), persistent=False)

    def forward(self, x: torch.Tensor) -> tuple[Any, torch.Tensor]:
        """Return what the net returns, and the logits of the groups, ``(batch, n_groups)``."""
        kept: list[torch.Tensor] = []
        last: Any = self.net.hidden[-1]  # type: ignore[index]  # part of a net's contract
        layer = self.net.get_submodule(last)
        hook = layer.register_forward_hook(lambda module, given, output: kept.append(output))
        try:
            made = self.net(x)
        finally:
            hook.remove()
        features = kept[0] if kept[0].ndim == 2 else kept[0].flatten(2).mean(dim=2)
        return made, self.head(reverse_gradient(features, self.strength))
