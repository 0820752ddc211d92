"""The steps by which an RBM learns, in torch, on the CPU or another device.

Energy of visible units v and hidden units h, with weights W (hidden x visible), biases c and b:

    E(v, h) = -h·W v - c·h - b·v            visible binary
    E(v, h) = -h·W v - c·h + ||v - b||²/2   visible Gaussian, of unit variance

One step moves W, c and b along an estimate of the gradient of the log-likelihood: <h v> driven by
the data minus <h v> driven by the model. The model's rows come from the data by `n_gibbs` turns of
Gibbs sampling (contrastive divergence), or from persistent chains, one per row of a minibatch.
Hidden units are sampled where they drive the visible ones; the gradient takes their means.

A minibatch is computed in blocks: first of its rows, then of the hidden units. On the CPU every
block has one thread, and every block of rows its own generator of random numbers; so the bytes do
not depend on the number of threads. On the device the weights are (visible x hidden), which makes
products of few rows faster; there the kernels of a step are recorded and launched together.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
import torch

from mcls.dictionaries.captured import captured
from mcls.dictionaries.tensors import TensorDict, to_arrays, to_device
from mcls.parallel.processes import fill_blocks
from mcls.parallel.threads import Blocks, blocks_on

#: Rows, and hidden units, in a block on the CPU: at least and at most.
_ROWS, _UNITS = (64, 512), (256, 1024)


@dataclass
class RBMState:
    """Everything that learning changes.

    Attributes
    ----------
    arrays : dict of str to np.ndarray, float32
        ``weights`` ``(n_hidden, n_visible)``, ``biases`` ``(n_hidden,)`` and ``visible_biases``
        ``(n_visible,)``; the last change of each, for the momentum, as ``weights_change`` and so
        on; ``averages`` ``(n_hidden,)``, the running mean activations for ``sparsity="bias"``; with
        persistent chains, their hidden states ``chains`` ``(batch_size, n_hidden)``.
    seed : int
        Seed of the random numbers.
    n_steps : int
        Number of steps made.
    """

    arrays: dict[str, np.ndarray]
    seed: int
    n_steps: int = 0

    @classmethod
    def start(
        cls,
        weights: np.ndarray,
        biases: np.ndarray,
        visible_biases: np.ndarray,
        *,
        n_chains: int,
        seed: int,
    ) -> Self:
        """Return a state before its first step; all chains begin with every hidden unit off."""
        arrays = {"weights": weights, "biases": biases, "visible_biases": visible_biases}
        changes = {f"{name}_change": np.zeros_like(array) for name, array in arrays.items()}
        arrays |= {**changes, "averages": np.zeros_like(biases)}
        if n_chains:
            arrays["chains"] = np.zeros((n_chains, len(biases)))
        return cls({name: array.astype(np.float32) for name, array in arrays.items()}, seed)


@dataclass(frozen=True)
class StepSettings:
    """The settings that every step needs; see `RBM`."""

    visible: Literal["gaussian", "binary", "relu"]
    hidden: Literal["binary", "relu"]
    n_gibbs: int
    persistent: bool
    sample_visible: bool
    batch_size: int
    weight_cost: float
    sparsity: Literal["none", "lee", "bias"]
    target: float
    sparsity_cost: float
    activation_rate: float


def take_steps(
    state: RBMState,
    minibatches: Iterable[np.ndarray | torch.Tensor],
    settings: StepSettings,
    *,
    learning_rate: float,
    momentum: float,
    device: str = "cpu",
) -> np.ndarray:
    """Take one step for every minibatch.

    Parameters
    ----------
    state : RBMState
        The state before the steps; brought up to date after the last.
    minibatches : iterable of array or tensor, shape (at most batch_size, n_visible), float32
        The rows; tensors are on the device.
    settings : StepSettings
        Unit types, chains and costs.
    learning_rate : float
        Step size along the mean gradient of a minibatch.
    momentum : float
        Share of the last change that is made again, in [0, 1).
    device : str
        A torch device.

    Returns
    -------
    np.ndarray, shape (n_hidden,), float64
        Mean activation of each hidden unit over the rows.
    """
    n_rows = 0
    with blocks_on(device) as blocks:
        steps = _Steps(state, settings, blocks, device)

        def step(data: torch.Tensor) -> None:
            steps.take(data, learning_rate, momentum)

        take = captured(step, device, steps.generators)
        for rows in minibatches:
            take(steps.loaded(rows))
            steps.n_steps += 1
            n_rows += len(rows)
    state.arrays, state.n_steps = to_arrays(_turned(steps.arrays)), steps.n_steps
    mean: np.ndarray = steps.activations.cpu().numpy() / max(1, n_rows)
    return mean


class _Steps:
    """Steps on a device, with buffers for one minibatch that every step writes to."""

    def __init__(
        self, state: RBMState, settings: StepSettings, blocks: Blocks, device: str
    ) -> None:
        self.settings, self.blocks = settings, blocks
        self.arrays = _turned(to_device(state.arrays, device))
        self.n_steps = state.n_steps
        n_hidden, n_visible = state.arrays["weights"].shape
        self.activations = torch.zeros(n_hidden, dtype=torch.float64, device=device)
        size = settings.batch_size
        self.data, self.model, self.model_states = (
            torch.empty(size, n_visible, device=device) for _ in range(3)
        )
        self.means, self.model_means, states = (
            torch.empty(size, n_hidden, device=device) for _ in range(3)
        )
        self.states = self.arrays.get("chains", states)
        self.n_rows, self.n_units = _half(size, *_ROWS), _half(n_hidden, *_UNITS)
        seeding = np.random.SeedSequence((state.seed, state.n_steps))
        seeds = seeding.generate_state(-(-size // self.n_rows))
        self.generators = [torch.Generator(device).manual_seed(int(seed)) for seed in seeds]

    def loaded(self, rows: np.ndarray | torch.Tensor) -> torch.Tensor:
        """Return the rows of a minibatch on the device."""
        if isinstance(rows, torch.Tensor):
            return rows
        data = self.data[: len(rows)]
        data[:] = torch.from_numpy(rows)
        return data

    def take(self, data: torch.Tensor, rate: float, momentum: float) -> None:
        """Take a step, without a look at any number of it."""
        n_chains = self.settings.batch_size if self.settings.persistent else len(data)
        model = self.model[:n_chains]
        filled = [self.means, self.model, self.model_means]
        if self.settings.persistent:
            filled.append(self.states)
        fill_blocks(
            self.blocks, filled, n_chains, self.n_rows, lambda which: self._sample(data, which)
        )

        def update(units: slice) -> None:
            self._update(data, model, units, rate, momentum)

        self.blocks(len(self.activations), self.n_units, update)
        change = self.arrays["visible_biases_change"]
        change.mul_(momentum).add_(data.mean(dim=0) - model.mean(dim=0), alpha=rate)
        self.arrays["visible_biases"].add_(change)

    def _sample(self, data: torch.Tensor, which: slice) -> None:
        """Compute the means of some rows' hidden units, and the model's rows and their means."""
        settings, generator = self.settings, self.generators[which.start // self.n_rows]
        weights, biases = self.arrays["weights"], self.arrays["biases"]
        data, states = data[which], self.states[which]
        driven = torch.addmm(biases, data, weights, out=self.means[which][: len(data)])
        _activate(driven, settings.hidden, None if settings.persistent else states, generator)
        for turn in range(settings.n_gibbs):
            model, model_states = self.model[which], self.model_states[which]
            torch.addmm(self.arrays["visible_biases"], states, weights.T, out=model)
            if settings.sample_visible:
                _activate(model, settings.visible, model_states, generator)
                model.copy_(model_states)
            else:
                _activate(model, settings.visible, None, generator)
            driven = torch.addmm(biases, model, weights, out=self.model_means[which])
            sampled = settings.persistent or turn < settings.n_gibbs - 1
            _activate(driven, settings.hidden, states if sampled else None, generator)

    def _update(
        self, data: torch.Tensor, model: torch.Tensor, units: slice, rate: float, momentum: float
    ) -> None:
        """Move the weights and biases of some hidden units."""
        settings = self.settings
        means, model_means = self.means[: len(data), units], self.model_means[: len(model), units]
        weights, change = (self.arrays[name][:, units] for name in ("weights", "weights_change"))
        change.addmm_(data.T, means, beta=momentum, alpha=rate / len(data))
        change.addmm_(model.T, model_means, alpha=-rate / len(model))
        change.add_(weights, alpha=-rate * settings.weight_cost)
        weights.add_(change)
        activation = means.mean(dim=0)
        biases, change = self.arrays["biases"][units], self.arrays["biases_change"][units]
        change.mul_(momentum).add_(activation - model_means.mean(dim=0), alpha=rate)
        biases.add_(change)
        self.activations[units] += activation.double() * len(data)
        if settings.sparsity == "lee":
            slope = means * (1 - means) if settings.hidden == "binary" else (means > 0).float()
            gap = settings.target - activation
            biases.add_(gap * slope.mean(dim=0), alpha=2 * rate * settings.sparsity_cost)
        elif settings.sparsity == "bias":
            averages = self.arrays["averages"][units]
            averages.lerp_(activation, settings.activation_rate if self.n_steps else 1.0)
            biases.add_(settings.target - averages, alpha=rate * settings.sparsity_cost)


def _activate(
    driven: torch.Tensor, kind: str, states: torch.Tensor | None, generator: torch.Generator
) -> None:
    """Turn the input of some units into their means, in place, and draw `states` if given."""
    if kind == "binary":
        driven.sigmoid_()
        if states is not None:
            torch.lt(states.uniform_(generator=generator), driven, out=states)
        return
    if states is not None:
        states.normal_(generator=generator)
        if kind == "relu":
            states.mul_(driven.sigmoid().sqrt_())
        states.add_(driven)
    if kind == "relu":
        driven.clamp_(min=0)
        if states is not None:
            states.clamp_(min=0)


def _turned(arrays: TensorDict) -> TensorDict:
    """Return new tensors, of which those with two axes for units have them the other way round."""
    turned = {"weights", "weights_change"}
    return {
        name: array.T.contiguous() if name in turned else array.clone()
        for name, array in arrays.items()
    }


def _half(n: int, least: int, most: int) -> int:
    """Return the size of blocks of `n`: two blocks, within limits."""
    return max(least, min(most, -(-n // 2)))
