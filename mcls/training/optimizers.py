"""Optimizers: they turn a gradient into a step.

An optimizer is a function from parameters to a torch optimizer; the schedule scales its learning
rate ``lr`` (see `schedules`). ``weight_decay`` adds an L2 penalty to the gradient, except in
``adamw``, where it shrinks the weights separately. On a GPU a step of SGD, Adam or AdamW is one
fused kernel.
"""

from collections.abc import Iterable

import torch
from torch import nn, optim

from mcls.registry import register

Parameters = Iterable[nn.Parameter]


def _on_gpu(parameters: Parameters) -> tuple[list[nn.Parameter], bool | None]:
    """Return the parameters, and True if all are on a GPU; None leaves the choice to torch."""
    given = list(parameters)
    return given, all(p.is_cuda for p in given) or None


@register("optimizers", "sgd")
def sgd(
    parameters: Parameters, *, lr: float = 0.01, weight_decay: float = 0.0
) -> torch.optim.Optimizer:
    """Stochastic gradient descent.

    Parameters
    ----------
    parameters : iterable of nn.Parameter
        Parameters to optimise.
    lr : float
        Learning rate.
    weight_decay : float
        Weight of the L2 penalty.
    """
    given, fused = _on_gpu(parameters)
    return optim.SGD(given, lr=lr, weight_decay=weight_decay, fused=fused)


@register("optimizers", "momentum")
def momentum(
    parameters: Parameters, *, lr: float = 0.01, momentum: float = 0.9, weight_decay: float = 0.0
) -> torch.optim.Optimizer:
    """Stochastic gradient descent with momentum.

    Parameters
    ----------
    parameters : iterable of nn.Parameter
        Parameters to optimise.
    lr : float
        Learning rate.
    momentum : float
        Momentum: fraction of the last step that is added to this one, in [0, 1).
    weight_decay : float
        Weight of the L2 penalty.
    """
    given, fused = _on_gpu(parameters)
    return optim.SGD(given, lr=lr, momentum=momentum, weight_decay=weight_decay, fused=fused)


@register("optimizers", "nesterov")
def nesterov(
    parameters: Parameters, *, lr: float = 0.01, momentum: float = 0.9, weight_decay: float = 0.0
) -> torch.optim.Optimizer:
    """Stochastic gradient descent with Nesterov momentum.

    Parameters
    ----------
    parameters : iterable of nn.Parameter
        Parameters to optimise.
    lr : float
        Learning rate.
    momentum : float
        Momentum: fraction of the last step that is added to this one, in (0, 1).
    weight_decay : float
        Weight of the L2 penalty.
    """
    given, fused = _on_gpu(parameters)
    return optim.SGD(
        given,
        lr=lr,
        momentum=momentum,
        weight_decay=weight_decay,
        nesterov=momentum > 0,
        fused=fused,
    )


@register("optimizers", "rmsprop")
def rmsprop(
    parameters: Parameters,
    *,
    lr: float = 1e-3,
    alpha: float = 0.99,
    eps: float = 1e-8,
    momentum: float = 0.0,
    weight_decay: float = 0.0,
) -> torch.optim.Optimizer:
    """RMSProp: steps divided by the running root mean square of the gradient.

    Parameters
    ----------
    parameters : iterable of nn.Parameter
        Parameters to optimise.
    lr : float
        Learning rate.
    alpha : float
        Decay of the running mean of squared gradients, in [0, 1).
    eps : float
        Added to the root, for numerical stability.
    momentum : float
        Momentum: fraction of the last step that is added to this one, in [0, 1).
    weight_decay : float
        Weight of the L2 penalty.

    References
    ----------
    Tieleman & Hinton (2012), Lecture 6.5: RMSProp.
    """
    return optim.RMSprop(
        parameters, lr=lr, alpha=alpha, eps=eps, momentum=momentum, weight_decay=weight_decay
    )


@register("optimizers", "adagrad")
def adagrad(
    parameters: Parameters, *, lr: float = 0.01, eps: float = 1e-10, weight_decay: float = 0.0
) -> torch.optim.Optimizer:
    """Steps divided by the root of the sum of all squared gradients so far.

    Parameters
    ----------
    parameters : iterable of nn.Parameter
        Parameters to optimise.
    lr : float
        Learning rate.
    eps : float
        Added to the root, for numerical stability.
    weight_decay : float
        Weight of the L2 penalty.

    References
    ----------
    Duchi, Hazan & Singer (2011), Adaptive subgradient methods.
    """
    return optim.Adagrad(parameters, lr=lr, eps=eps, weight_decay=weight_decay)


@register("optimizers", "adadelta")
def adadelta(
    parameters: Parameters,
    *,
    lr: float = 1.0,
    rho: float = 0.9,
    eps: float = 1e-6,
    weight_decay: float = 0.0,
) -> torch.optim.Optimizer:
    """Adadelta: step sizes from running averages of past gradients and updates.

    Parameters
    ----------
    parameters : iterable of nn.Parameter
        Parameters to optimise.
    lr : float
        Learning rate; 1 is the method of the paper.
    rho : float
        Decay of the running averages, in [0, 1).
    eps : float
        Added under both roots, for numerical stability.
    weight_decay : float
        Weight of the L2 penalty.

    References
    ----------
    Zeiler (2012), ADADELTA: an adaptive learning rate method.
    """
    return optim.Adadelta(parameters, lr=lr, rho=rho, eps=eps, weight_decay=weight_decay)


@register("optimizers", "adam")
def adam(
    parameters: Parameters,
    *,
    lr: float = 1e-3,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
) -> torch.optim.Optimizer:
    """Adam: step sizes from running averages of the gradient and of its square.

    Parameters
    ----------
    parameters : iterable of nn.Parameter
        Parameters to optimise.
    lr : float
        Learning rate.
    beta1, beta2 : float
        Decay of the running averages of the gradient and of its square, in [0, 1).
    eps : float
        Added to the root, for numerical stability.
    weight_decay : float
        Weight of the L2 penalty.

    References
    ----------
    Kingma & Ba (2015), Adam: a method for stochastic optimization.
    """
    given, fused = _on_gpu(parameters)
    betas = (beta1, beta2)
    return optim.Adam(given, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, fused=fused)


@register("optimizers", "adamw")
def adamw(
    parameters: Parameters,
    *,
    lr: float = 1e-3,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    weight_decay: float = 0.01,
) -> torch.optim.Optimizer:
    """AdamW: Adam with decoupled weight decay.

    Parameters
    ----------
    parameters : iterable of nn.Parameter
        Parameters to optimise.
    lr : float
        Learning rate.
    beta1, beta2 : float
        Decay of the running averages of the gradient and of its square, in [0, 1).
    eps : float
        Added to the root, for numerical stability.
    weight_decay : float
        Weight decay: a step shrinks a weight by this fraction times the learning rate.

    References
    ----------
    Loshchilov & Hutter (2019), Decoupled weight decay regularization.
    """
    given, fused = _on_gpu(parameters)
    betas = (beta1, beta2)
    return optim.AdamW(given, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, fused=fused)
