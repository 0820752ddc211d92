"""Losses: how far the logits of some segments are from their labels, a number per segment.

A loss is a function of ``logits`` and ``targets``, both ``(batch, n_labels)`` float32, and of
``share`` ``(n_labels,)``, the share of the train tracks that have each label. Targets are 0 or 1,
or between if segments were mixed. The fact ``scores`` says what makes a score of a logit:
``softmax``, ``sigmoid``, or nothing (``margin``).
"""

from typing import Literal

import torch
from torch.nn import functional

from mcls.errors import ConfigError
from mcls.registry import register

Weight = Literal["none", "balanced"]


@register("losses", "cross-entropy", scores="softmax", single_label_only=True)
def cross_entropy(
    logits: torch.Tensor,
    targets: torch.Tensor,
    share: torch.Tensor,
    *,
    label_smoothing: float = 0.0,
    weight: Weight = "none",
) -> torch.Tensor:
    """Cross-entropy of the softmax: the negative log likelihood of the one true label.

    Parameters
    ----------
    logits, targets : torch.Tensor, shape (batch, n_labels)
        Of segments.
    share : torch.Tensor, shape (n_labels,)
        Share of the train tracks that have each label.
    label_smoothing : float
        Part of the target that is spread over all labels, in [0, 1).
    weight : {'none', 'balanced'}
        ``balanced``: a rare label weighs as much as a frequent one.
    """
    targets = _smoothed(targets, label_smoothing, 1 / targets.shape[1])
    if weight == "balanced":
        targets = targets / (share * len(share)).clamp(min=1e-6)
    return -(targets * functional.log_softmax(logits, dim=1)).sum(dim=1)


@register("losses", "bce", scores="sigmoid")
def bce(
    logits: torch.Tensor,
    targets: torch.Tensor,
    share: torch.Tensor,
    *,
    label_smoothing: float = 0.0,
    positive_weight: float | Literal["balanced"] = 1.0,
) -> torch.Tensor:
    """Binary cross-entropy of each label, from logits; the mean over labels.

    Parameters
    ----------
    logits, targets : torch.Tensor, shape (batch, n_labels)
        Of segments.
    share : torch.Tensor, shape (n_labels,)
        Share of the train tracks that have each label.
    label_smoothing : float
        Part of the targets that is drawn towards 0.5, in [0, 1).
    positive_weight : float or 'balanced'
        What a present label weighs, an absent one weighing 1. ``balanced``: absent / present
        tracks of the label.
    """
    targets = _smoothed(targets, label_smoothing, 0.5)
    if positive_weight == "balanced":
        weights = (1 - share) / share.clamp(min=1e-6)
    elif isinstance(positive_weight, str) or positive_weight <= 0:
        raise ConfigError(f"bce: positive_weight={positive_weight}; expected above 0, or balanced")
    else:
        weights = torch.full_like(share, positive_weight)
    return functional.binary_cross_entropy_with_logits(
        logits, targets, pos_weight=weights, reduction="none"
    ).mean(dim=1)


@register("losses", "hinge", scores="margin")
def hinge(
    logits: torch.Tensor, targets: torch.Tensor, share: torch.Tensor, *, margin: float = 1.0
) -> torch.Tensor:
    """Hinge: each label against the rest, as a linear SVM has it; the mean over labels.

    Parameters
    ----------
    logits, targets : torch.Tensor, shape (batch, n_labels)
        Of segments.
    share : torch.Tensor, shape (n_labels,)
        Unused.
    margin : float
        From which logit on there is nothing to lose.
    """
    return functional.relu(margin - (2 * targets - 1) * logits).mean(dim=1)


@register("losses", "l2", scores="sigmoid")
def l2(logits: torch.Tensor, targets: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
    """Squared distance between each label's probability (the sigmoid) and its target.

    Parameters
    ----------
    logits, targets : torch.Tensor, shape (batch, n_labels)
        Of segments.
    share : torch.Tensor, shape (n_labels,)
        Unused.
    """
    return (logits.sigmoid() - targets).square().mean(dim=1)


@register("losses", "l1", scores="sigmoid")
def l1(logits: torch.Tensor, targets: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
    """Absolute distance between each label's probability (the sigmoid) and its target.

    Parameters
    ----------
    logits, targets : torch.Tensor, shape (batch, n_labels)
        Of segments.
    share : torch.Tensor, shape (n_labels,)
        Unused.
    """
    return (logits.sigmoid() - targets).abs().mean(dim=1)


@register("losses", "focal", scores="sigmoid")
def focal(
    logits: torch.Tensor,
    targets: torch.Tensor,
    share: torch.Tensor,
    *,
    gamma: float = 2.0,
    alpha: float | None = 0.25,
) -> torch.Tensor:
    """Focal loss: binary cross-entropy in which what is easy counts little.

    Parameters
    ----------
    logits, targets : torch.Tensor, shape (batch, n_labels)
        Of segments.
    share : torch.Tensor, shape (n_labels,)
        Unused.
    gamma : float
        How little; 0 is binary cross-entropy.
    alpha : float or None
        What a present label weighs, an absent one weighing 1 - alpha; none weighs both as 1.

    References
    ----------
    Lin et al. (2017), Focal loss for dense object detection.

    Differs from the paper: the mean over labels, not the sum over anchors divided by positives.
    """
    loss = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    p = logits.sigmoid()
    missed = 1 - (p * targets + (1 - p) * (1 - targets))
    loss = loss * missed**gamma
    if alpha is not None:
        loss = loss * (alpha * targets + (1 - alpha) * (1 - targets))
    return loss.mean(dim=1)


def _smoothed(targets: torch.Tensor, amount: float, towards: float) -> torch.Tensor:
    if not 0 <= amount < 1:
        raise ConfigError(f"label_smoothing={amount}; expected 0 or more and below 1")
    return targets if amount == 0 else targets * (1 - amount) + amount * towards
