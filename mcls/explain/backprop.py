"""Back-propagation through a two-layer net, one step at a time.

Everything is computed by hand with numpy, in the order of a lecture: the forward pass from the row
to the loss, then the gradient of the loss with respect to each quantity, from the loss back to the
row. The gradients are then compared with torch's and with finite differences.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mcls.errors import ConfigError, DataError, suggest
from mcls.explain.surfaces import Array

#: Step of the finite differences; central ones in 64 bits err by about its square.
_STEP = 1e-5


@dataclass(frozen=True)
class Activation:
    """A nonlinearity and its derivative.

    Parameters
    ----------
    name : str
    formula, slope_formula : str
        The function of z, and its derivative, where h is the value of the function.
    of : callable
        z → h.
    slope : callable
        (z, h) → the derivative at z.
    """

    name: str
    formula: str
    slope_formula: str
    of: Callable[[Array], Array]
    slope: Callable[[Array, Array], Array]


ACTIVATIONS = {
    one.name: one
    for one in (
        Activation(
            "sigmoid",
            "1 / (1 + exp(-z1))",
            "h (1 - h)",
            lambda z: np.exp(-np.logaddexp(0, -z)),
            lambda z, h: h * (1 - h),
        ),
        Activation("tanh", "tanh(z1)", "1 - h²", np.tanh, lambda z, h: 1 - h**2),
        Activation(
            "relu",
            "max(0, z1)",
            "1 if z1 > 0, else 0",
            lambda z: np.maximum(z, 0),
            lambda z, h: (z > 0).astype(np.float64),
        ),
    )
}


@dataclass(frozen=True)
class TwoLayerNet:
    """A net with one hidden layer.

    Parameters
    ----------
    W1, b1 : np.ndarray, shapes (n_hidden, n_dims) and (n_hidden,)
        Weights and biases of the hidden layer.
    W2, b2 : np.ndarray, shapes (n_labels, n_hidden) and (n_labels,)
        Weights and biases of the output layer.
    activation : str
        A name of ``ACTIVATIONS``.
    """

    W1: Array
    b1: Array
    W2: Array
    b2: Array
    activation: str = "sigmoid"

    @classmethod
    def random(
        cls, n_dims: int, n_hidden: int, n_labels: int, activation: str, seed: int
    ) -> "TwoLayerNet":
        """Return a net with Xavier's uniform weights and biases of 0.

        References
        ----------
        Glorot & Bengio (2010), Understanding the difficulty of training deep feedforward neural
        networks, eq. 16.
        """
        rng = np.random.default_rng(seed)

        def weights(n_out: int, n_in: int) -> Array:
            end = np.sqrt(6 / (n_in + n_out))
            return rng.uniform(-end, end, (n_out, n_in))

        return cls(
            weights(n_hidden, n_dims),
            np.zeros(n_hidden),
            weights(n_labels, n_hidden),
            np.zeros(n_labels),
            activation,
        )

    def parameters(self) -> dict[str, Array]:
        """Return the arrays that are learnt, by name."""
        return {"W1": self.W1, "b1": self.b1, "W2": self.W2, "b2": self.b2}

    def with_parameters(self, values: Mapping[str, Array]) -> "TwoLayerNet":
        """Return this net with other values of its arrays."""
        return TwoLayerNet(values["W1"], values["b1"], values["W2"], values["b2"], self.activation)


@dataclass(frozen=True)
class BackpropStep:
    """One quantity of the forward or the backward pass.

    Parameters
    ----------
    name : str
        What is computed, such as ``z1`` or ``dL/dW1``.
    formula : str
        How it is computed from the quantities before it.
    reason : str
        Why, in a sentence.
    value : np.ndarray
        The result; a scalar has the shape ().
    """

    name: str
    formula: str
    reason: str
    value: Array


@dataclass(frozen=True)
class Backprop:
    """The forward and the backward pass of one row, and how they were checked.

    Parameters
    ----------
    forward, backward : tuple of BackpropStep
        In the order in which they are computed.
    labels : tuple of str
        Name of each output.
    label : str
        The true label of the row.
    activation : str
        Name of the nonlinearity.
    torch_error, difference_error : float
        Largest difference of any gradient from torch's, and from central finite differences.
    lr, loss, next_loss : float
        Loss of the row before and after one step of gradient descent with this learning rate.
    """

    forward: tuple[BackpropStep, ...]
    backward: tuple[BackpropStep, ...]
    labels: tuple[str, ...]
    label: str
    activation: str
    torch_error: float
    difference_error: float
    lr: float
    loss: float
    next_loss: float


def explain_backprop(
    row: Array,
    label: str,
    labels: Sequence[str],
    *,
    n_hidden: int = 3,
    activation: str = "sigmoid",
    lr: float = 0.1,
    seed: int = 0,
) -> Backprop:
    """Compute and check every gradient of a two-layer net with softmax and cross entropy.

    Parameters
    ----------
    row : np.ndarray, shape (n_dims,)
        The input, finite.
    label : str
        The true label of the row.
    labels : sequence of str
        All labels, two or more.
    n_hidden : int
        Hidden units, 1 or more.
    activation : {'sigmoid', 'tanh', 'relu'}
        Nonlinearity of the hidden layer.
    lr : float
        Learning rate of the step of gradient descent, above 0.
    seed : int
        Seed of the weights.

    Raises
    ------
    ConfigError
        If the activation is unknown, or a number out of range.
    DataError
        If the row is not finite, or the label is not among the labels.

    References
    ----------
    Rumelhart, Hinton & Williams (1986), Learning representations by back-propagating errors.
    """
    if activation not in ACTIVATIONS:
        raise ConfigError(f"activation {activation}: {suggest(activation, ACTIVATIONS)}")
    if n_hidden < 1 or lr <= 0:
        raise ConfigError(f"n_hidden={n_hidden}, lr={lr}; expected 1 or more, and above 0")
    if len(labels) < 2 or label not in labels:
        raise DataError(f"label {label!r} is not one of two or more labels: {', '.join(labels)}")
    x = np.asarray(row, np.float64)
    if x.ndim != 1 or not np.isfinite(x).all():
        raise DataError("the row has values that are not finite")
    net = TwoLayerNet.random(len(x), n_hidden, len(labels), activation, seed)
    target = np.array([float(one == label) for one in labels])
    forward, backward = forward_pass(net, x, target), backward_pass(net, x, target)
    gradients = {step.name[len("dL/d") :]: step.value for step in backward}
    moved = {name: old - lr * gradients[name] for name, old in net.parameters().items()}
    return Backprop(
        forward,
        backward,
        tuple(labels),
        label,
        activation,
        _error(gradients, gradients_of_torch(net, x, target)),
        _error(gradients, finite_differences(net, x, target)),
        lr,
        loss_of(net, x, target),
        loss_of(net.with_parameters(moved), x, target),
    )


def forward_pass(net: TwoLayerNet, x: Array, target: Array) -> tuple[BackpropStep, ...]:
    """Return the quantities from the row ``(n_dims,)`` to the loss.

    `target` ``(n_labels,)`` is 1 at the true label and 0 elsewhere.
    """
    activation = ACTIVATIONS[net.activation]
    z1 = net.W1 @ x + net.b1
    h = activation.of(z1)
    z2 = net.W2 @ h + net.b2
    y = np.exp(z2 - _log_sum(z2))
    loss = np.asarray(_log_sum(z2) - target @ z2)
    return (
        BackpropStep("x", "the row", "The input of the net.", x),
        BackpropStep("z1", "W1 x + b1", "Each hidden unit weights the row and adds its bias.", z1),
        BackpropStep("h", activation.formula, f"The {net.activation} of each hidden unit.", h),
        BackpropStep("z2", "W2 h + b2", "Each output weights the hidden units: the logits.", z2),
        BackpropStep(
            "y",
            "exp(z2) / Σ exp(z2)",
            "Softmax turns the logits into probabilities with the sum 1.",
            y,
        ),
        BackpropStep(
            "L", "-log y[true label]", "Cross entropy: 0 if the true label has probability 1.", loss
        ),
    )


def backward_pass(net: TwoLayerNet, x: Array, target: Array) -> tuple[BackpropStep, ...]:
    """Return the gradients from the logits back to the row; arguments as for `forward_pass`."""
    values = {step.name: step.value for step in forward_pass(net, x, target)}
    activation = ACTIVATIONS[net.activation]
    z1, h = values["z1"], values["h"]
    dz2 = values["y"] - target
    dh = net.W2.T @ dz2
    dz1 = dh * activation.slope(z1, h)
    return (
        BackpropStep(
            "dL/dz2",
            "y - t",
            "Softmax and cross entropy together: t is 1 at the true label and 0 elsewhere.",
            dz2,
        ),
        BackpropStep(
            "dL/dW2",
            "dL/dz2 hᵀ",
            "z2 grows with W2[k, j] at the rate h[j].",
            np.outer(dz2, h),
        ),
        BackpropStep("dL/db2", "dL/dz2", "z2 grows with b2 at the rate 1.", dz2),
        BackpropStep(
            "dL/dh",
            "W2ᵀ dL/dz2",
            "A hidden unit reaches the loss through every output: their gradients add up.",
            dh,
        ),
        BackpropStep(
            "dL/dz1",
            f"dL/dh × {activation.slope_formula}",
            f"The slope of the {net.activation} at z1 scales the gradient.",
            dz1,
        ),
        BackpropStep(
            "dL/dW1", "dL/dz1 xᵀ", "z1 grows with W1[j, i] at the rate x[i].", np.outer(dz1, x)
        ),
        BackpropStep("dL/db1", "dL/dz1", "z1 grows with b1 at the rate 1.", dz1),
        BackpropStep(
            "dL/dx", "W1ᵀ dL/dz1", "A deeper net would continue from here.", net.W1.T @ dz1
        ),
    )


def loss_of(net: TwoLayerNet, x: Array, target: Array) -> float:
    """Return the cross entropy of a row."""
    return float(forward_pass(net, x, target)[-1].value)


def gradients_of_torch(net: TwoLayerNet, x: Array, target: Array) -> dict[str, Array]:
    """Return the gradients of the loss by torch's automatic differentiation, by name."""
    import torch

    given = {
        name: torch.tensor(value, requires_grad=True)
        for name, value in {**net.parameters(), "x": x}.items()
    }
    h = getattr(torch, net.activation)(given["W1"] @ given["x"] + given["b1"])
    logits = given["W2"] @ h + given["b2"]
    torch.nn.functional.cross_entropy(logits, torch.tensor(target)).backward()
    return {name: np.asarray(value.grad) for name, value in given.items()}


def finite_differences(net: TwoLayerNet, x: Array, target: Array) -> dict[str, Array]:
    """Return the gradients of the loss by central finite differences, by name."""
    given = {**net.parameters(), "x": x}

    def loss_with(name: str, value: Array) -> float:
        moved = {**given, name: value}
        return loss_of(net.with_parameters(moved), moved["x"], target)

    found = {}
    for name, value in given.items():
        gradient = np.zeros_like(value)
        for i in np.ndindex(value.shape):
            step = np.zeros_like(value)
            step[i] = _STEP
            ends = loss_with(name, value + step), loss_with(name, value - step)
            gradient[i] = (ends[0] - ends[1]) / (2 * _STEP)
        found[name] = gradient
    return found


def _error(gradients: dict[str, Array], others: dict[str, Array]) -> float:
    return max(float(np.abs(gradients[name] - others[name]).max()) for name in others)


def _log_sum(z: Array) -> float:
    """Return log Σ exp(z) without overflow."""
    return float(np.logaddexp.reduce(z))
