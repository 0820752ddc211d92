"""The steps by which an RBM learns, wherever they are computed.

Energy of visible units v and hidden units h, with weights W (hidden x visible), biases c and b:

    E(v, h) = -h·W v - c·h - b·v            visible binary
    E(v, h) = -h·W v - c·h + ||v - b||²/2   visible Gaussian, of unit variance

One step moves W, c and b along an estimate of the log-likelihood's slope, <h v> driven by the data
minus <h v> driven by the model. The model's is that of rows after `n_gibbs` turns of Gibbs sampling
from the data (contrastive divergence), or of chains that never stop (persistent, as many as there
are rows in a minibatch). Hidden units are sampled where they drive the visible ones; what enters
the slope is their mean. Reconstructions are means, or samples if so set.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Self

import numpy as np

_MASK = (1 << 64) - 1


@dataclass
class RBMState:
    """All that learning changes.

    Attributes
    ----------
    weights : np.ndarray, shape (n_hidden, n_visible), float32
    biases : np.ndarray, shape (n_hidden,), float32
        Of the hidden units.
    visible_biases : np.ndarray, shape (n_visible,), float32
    velocities : tuple of np.ndarray
        What momentum carries on, for the three arrays above.
    averages : np.ndarray or None, shape (n_hidden,), float32
        Running mean activation of the hidden units, for ``sparsity="bias"``; None before the first
        step.
    chains : np.ndarray or None, shape (n_hidden, batch_size), float32
        Hidden states of the persistent chains; None without any.
    seed : int
        Of the random numbers.
    n_steps : int
        Steps made.
    """

    weights: np.ndarray
    biases: np.ndarray
    visible_biases: np.ndarray
    velocities: tuple[np.ndarray, np.ndarray, np.ndarray]
    averages: np.ndarray | None
    chains: np.ndarray | None
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
        """Return a state at rest; all chains begin with every hidden unit off."""
        w, c, b = (np.ascontiguousarray(a, np.float32) for a in (weights, biases, visible_biases))
        resting = np.zeros_like(w), np.zeros_like(c), np.zeros_like(b)
        chains = np.zeros((len(w), n_chains), np.float32) if n_chains else None
        return cls(w, c, b, resting, None, chains, seed)


@dataclass(frozen=True)
class StepSettings:
    """What every step needs to know; see the settings of `RBM`."""

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


class Steps(ABC):
    """Steps on a state, to be used in a ``with``, after which the state is up to date.

    Parameters
    ----------
    state : RBMState
        Its arrays are changed.
    settings : StepSettings
        Unit types, chains and costs.

    Attributes
    ----------
    n_rows : int
        Rows seen.
    """

    def __init__(self, state: RBMState, settings: StepSettings) -> None:
        self.state = state
        self.settings = settings
        self.n_rows = 0
        self._draws = 0

    def step(self, rows: np.ndarray, rate: float, momentum: float) -> None:
        """Learn from one minibatch.

        Parameters
        ----------
        rows : np.ndarray, shape (n, n_visible), float32
            At most ``batch_size`` rows.
        rate : float
            The learning rate.
        momentum : float
            Share of the last step that is made again, in [0, 1).
        """
        self._learn(rows, rate, momentum)
        self.n_rows += len(rows)
        self.state.n_steps += 1
        self._draws = 0

    @abstractmethod
    def mean_activation(self) -> np.ndarray:
        """Return each hidden unit's mean over the rows seen, ``(n_hidden,)`` float64."""

    @abstractmethod
    def __enter__(self) -> Self: ...

    @abstractmethod
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    @abstractmethod
    def _learn(self, rows: np.ndarray, rate: float, momentum: float) -> None:
        """Change the state."""

    def _key(self) -> int:
        """Return 32 bits that name the next draw of random numbers."""
        self._draws += 1
        x = (
            self.state.seed + 0x9E3779B97F4A7C15 * (self.state.n_steps * 4096 + self._draws)
        ) & _MASK
        x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & _MASK
        return (x ^ (x >> 31)) & 0xFFFFFFFF


def sparsity_step(
    settings: StepSettings, averages: Any, activation: Any, slope: Any
) -> tuple[Any, Any]:
    """Return what sparsity adds to the hidden biases, and the new running averages.

    It works on numpy's arrays as on torch's.

    Parameters
    ----------
    settings : StepSettings
        ``sparsity``, ``target``, ``sparsity_cost`` and ``activation_rate`` are read.
    averages : array or None, shape (n_hidden,)
        The running averages before.
    activation, slope : arrays, shape (n_hidden,)
        Mean over the minibatch of the hidden units' means, and of their slopes.

    Returns
    -------
    step : array or float, shape (n_hidden,)
        For a learning rate of 1.
    averages : array or None, shape (n_hidden,)
        They begin with the first minibatch.
    """
    if settings.sparsity == "lee":
        gap = settings.target - activation
        return 2 * settings.sparsity_cost * gap * slope, None
    if settings.sparsity == "bias":
        share = settings.activation_rate
        averages = activation if averages is None else (1 - share) * averages + share * activation
        return settings.sparsity_cost * (settings.target - averages), averages
    return 0.0, None
