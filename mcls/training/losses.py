"""Losses: they measure how far the logits of segments are from their labels.

A loss is a function of ``logits`` and ``targets``, both ``(batch, n_labels)`` float32, and of
``share`` ``(n_labels,)``, the share of the train tracks that have each label; it returns one number
per segment. Targets are 0 or 1, or between if segments were mixed; where some are unknown,
`of_known` takes the loss of the others. The fact ``scores`` names the
function from a logit to a score: ``softmax``, ``sigmoid``, or none (``margin``). Losses of a
regression have ``linear``: logits and targets are numbers in standard deviations of the target.
"""

from collections.abc import Callable
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
    """Softmax cross-entropy: the negative log-likelihood of the true label.

    Parameters
    ----------
    logits, targets : torch.Tensor, shape (batch, n_labels)
        Logits and labels of segments.
    share : torch.Tensor, shape (n_labels,)
        Share of the train tracks that have each label.
    label_smoothing : float
        Label smoothing: fraction of the target spread over all labels, in [0, 1).
    weight : {'none', 'balanced'}
        Weights of the labels; ``balanced`` weighs a label by the inverse of its frequency.
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
    """Binary cross-entropy of each label, averaged over the labels.

    Parameters
    ----------
    logits, targets : torch.Tensor, shape (batch, n_labels)
        Logits and labels of segments.
    share : torch.Tensor, shape (n_labels,)
        Share of the train tracks that have each label.
    label_smoothing : float
        Label smoothing: fraction by which targets are moved towards 0.5, in [0, 1).
    positive_weight : float or 'balanced'
        Weight of a label that is present; one that is absent weighs 1. ``balanced`` takes the ratio
        of the label's absent to its present tracks.
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
    """Hinge loss of each label against the rest, as in a linear SVM, averaged over labels.

    Parameters
    ----------
    logits, targets : torch.Tensor, shape (batch, n_labels)
        Logits and labels of segments.
    share : torch.Tensor, shape (n_labels,)
        Unused.
    margin : float
        Logit above which the loss is 0.
    """
    return functional.relu(margin - (2 * targets - 1) * logits).mean(dim=1)


@register("losses", "l2", scores="sigmoid")
def l2(logits: torch.Tensor, targets: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
    """Squared error between the probability (sigmoid) of each label and its target.

    Parameters
    ----------
    logits, targets : torch.Tensor, shape (batch, n_labels)
        Logits and labels of segments.
    share : torch.Tensor, shape (n_labels,)
        Unused.
    """
    return (logits.sigmoid() - targets).square().mean(dim=1)


@register("losses", "l1", scores="sigmoid")
def l1(logits: torch.Tensor, targets: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
    """Absolute error between the probability (sigmoid) of each label and its target.

    Parameters
    ----------
    logits, targets : torch.Tensor, shape (batch, n_labels)
        Logits and labels of segments.
    share : torch.Tensor, shape (n_labels,)
        Unused.
    """
    return (logits.sigmoid() - targets).abs().mean(dim=1)


@register("losses", "mse", scores="linear")
def mse(logits: torch.Tensor, targets: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
    """Squared error of predicted numbers, for --regression.

    Parameters
    ----------
    logits, targets : torch.Tensor, shape (batch, n_targets)
        Predicted and true numbers, in standard deviations of the target.
    share : torch.Tensor, shape (n_targets,)
        Unused.
    """
    return (logits - targets).square().mean(dim=1)


@register("losses", "mae", scores="linear")
def mae(logits: torch.Tensor, targets: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
    """Absolute error of predicted numbers, for --regression.

    Parameters
    ----------
    logits, targets : torch.Tensor, shape (batch, n_targets)
        Predicted and true numbers, in standard deviations of the target.
    share : torch.Tensor, shape (n_targets,)
        Unused.
    """
    return (logits - targets).abs().mean(dim=1)


@register("losses", "focal", scores="sigmoid")
def focal(
    logits: torch.Tensor,
    targets: torch.Tensor,
    share: torch.Tensor,
    *,
    gamma: float = 2.0,
    alpha: float | None = 0.25,
) -> torch.Tensor:
    """Focal loss: binary cross-entropy that gives easy examples a small weight.

    Parameters
    ----------
    logits, targets : torch.Tensor, shape (batch, n_labels)
        Logits and labels of segments.
    share : torch.Tensor, shape (n_labels,)
        Unused.
    gamma : float
        Focusing parameter: higher means smaller weights; 0 is binary cross-entropy.
    alpha : float or None
        Weight of present labels, 1 - alpha that of absent ones; none gives both 1.

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


def of_known(
    loss: Callable[..., torch.Tensor],
    logits: torch.Tensor,
    targets: torch.Tensor,
    share: torch.Tensor,
) -> torch.Tensor:
    """Return a loss of labels of which some are unknown: their pairs with segments do not count.

    Every known pair of a segment and a label has the same weight, so the mean over the segments is
    the mean over the known pairs.

    Parameters
    ----------
    loss : callable
        A loss that is a mean over labels.
    logits, targets : torch.Tensor, shape (batch, n_labels)
        Logits and labels of segments; unknown targets are NaN.
    share : torch.Tensor, shape (n_labels,)
        Share of the train tracks that have each label, of those of which it is known.

    Returns
    -------
    torch.Tensor, shape (batch,)
        0 if nothing is known.
    """
    known = ~targets.isnan()
    each = loss(
        logits.reshape(-1, 1),
        targets.nan_to_num().reshape(-1, 1),
        share.expand_as(logits).reshape(-1, 1),
    ).reshape(logits.shape)
    each = torch.where(known, each, 0.0)
    return each.sum(dim=1) * (len(logits) / known.sum().clamp(min=1))


def _smoothed(targets: torch.Tensor, amount: float, towards: float) -> torch.Tensor:
    if not 0 <= amount < 1:
        raise ConfigError(f"label_smoothing={amount}; expected 0 or more and below 1")
    return targets if amount == 0 else targets * (1 - amount) + amount * towards
