"""Optimizers: how a gradient becomes a step. The rate is set by the schedule, see `schedules`.

An optimizer is a function from parameters to a torch optimizer, ``lr`` being the rate that the
schedule scales. ``weight_decay`` adds an L2 penalty to the gradient, except in ``adamw``, where it
shrinks the weights apart from the gradient.
"""

from collections.abc import Iterable

import torch
from torch import nn, optim

from mcls.registry import register

Parameters = Iterable[nn.Parameter]


@register("optimizers", "sgd")
def sgd(
    parameters: Parameters, *, lr: float = 0.01, weight_decay: float = 0.0
) -> torch.optim.Optimizer:
    """Stochastic gradient descent.

    Parameters
    ----------
    parameters : iterable of nn.Parameter
        To learn.
    lr : float
        Rate.
    weight_decay : float
        Of the L2 penalty.
    """
    return optim.SGD(parameters, lr=lr, weight_decay=weight_decay)


@register("optimizers", "momentum")
def momentum(
    parameters: Parameters, *, lr: float = 0.01, momentum: float = 0.9, weight_decay: float = 0.0
) -> torch.optim.Optimizer:
    """Gradient descent with momentum.

    Parameters
    ----------
    parameters : iterable of nn.Parameter
        To learn.
    lr : float
        Rate.
    momentum : float
        Share of the last step that is taken again, in [0, 1).
    weight_decay : float
        Of the L2 penalty.
    """
    return optim.SGD(parameters, lr=lr, momentum=momentum, weight_decay=weight_decay)


@register("optimizers", "nesterov")
def nesterov(
    parameters: Parameters, *, lr: float = 0.01, momentum: float = 0.9, weight_decay: float = 0.0
) -> torch.optim.Optimizer:
    """Gradient descent with Nesterov's momentum: the gradient is taken a step ahead.

    Parameters
    ----------
    parameters : iterable of nn.Parameter
        To learn.
    lr : float
        Rate.
    momentum : float
        Share of the last step that is taken again, in (0, 1).
    weight_decay : float
        Of the L2 penalty.
    """
    return optim.SGD(
        parameters, lr=lr, momentum=momentum, weight_decay=weight_decay, nesterov=momentum > 0
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
    """Steps divided by the running root mean square of the gradient.

    Parameters
    ----------
    parameters : iterable of nn.Parameter
        To learn.
    lr : float
        Rate.
    alpha : float
        Of the running mean of squares, in [0, 1).
    eps : float
        Added to the root.
    momentum : float
        Share of the last step that is taken again, in [0, 1).
    weight_decay : float
        Of the L2 penalty.

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
        To learn.
    lr : float
        Rate.
    eps : float
        Added to the root.
    weight_decay : float
        Of the L2 penalty.

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
    """Steps as large as earlier ones were against their gradients: no rate to choose.

    Parameters
    ----------
    parameters : iterable of nn.Parameter
        To learn.
    lr : float
        Rate; 1 is the paper's method.
    rho : float
        Of the running means, in [0, 1).
    eps : float
        Added under both roots.
    weight_decay : float
        Of the L2 penalty.

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
    """Momentum, divided by the running root mean square of the gradient.

    Parameters
    ----------
    parameters : iterable of nn.Parameter
        To learn.
    lr : float
        Rate.
    beta1, beta2 : float
        Of the running means of the gradient and of its square, in [0, 1).
    eps : float
        Added to the root.
    weight_decay : float
        Of the L2 penalty.

    References
    ----------
    Kingma & Ba (2015), Adam: a method for stochastic optimization.
    """
    return optim.Adam(parameters, lr=lr, betas=(beta1, beta2), eps=eps, weight_decay=weight_decay)


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
    """Adam with weight decay apart from the gradient.

    Parameters
    ----------
    parameters : iterable of nn.Parameter
        To learn.
    lr : float
        Rate.
    beta1, beta2 : float
        Of the running means of the gradient and of its square, in [0, 1).
    eps : float
        Added to the root.
    weight_decay : float
        Share of a weight that is taken off per step, times the rate.

    References
    ----------
    Loshchilov & Hutter (2019), Decoupled weight decay regularization.
    """
    return optim.AdamW(parameters, lr=lr, betas=(beta1, beta2), eps=eps, weight_decay=weight_decay)
