"""The up-down algorithm: fine-tuning of a whole deep belief network, with labels at the top.

Between the layers below the top there are recognition weights, which turn rows into hidden units,
and generative weights, which turn hidden units back into rows; they begin equal. The two uppermost
layers are an RBM, whose visible units are those of the layer below and a softmax unit of labels. In
a step

1. a row goes up, each layer drawn given the one below; the generative weights learn to return it;
2. the RBM goes `n_gibbs` steps from there and learns by contrastive divergence;
3. the end of that chain goes down, and the recognition weights learn to find what it came from.

References
----------
G. Hinton, S. Osindero, Y. Teh, "A fast learning algorithm for deep belief nets", Neural Computation
18, 2006: section 5 and the code of appendix B, for any number of layers.
Differs from the paper: visible units may be Gaussian; the gradient is the mean over a minibatch.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, softmax

from mcls.dictionaries.batches import Source, shuffled
from mcls.dictionaries.rbm_units import means
from mcls.errors import DataError
from mcls.parallel.threads import one_blas_thread

#: One row of so many is measured after an epoch.
_EVERY = 8


@dataclass
class Directed:
    """The weights between two layers below the top.

    Parameters
    ----------
    weights : np.ndarray, shape (n_above, n_below)
        Recognition weights.
    biases : np.ndarray, shape (n_above,)
        Recognition biases.
    generative_weights : np.ndarray, shape (n_above, n_below)
        Generative weights.
    visible_biases : np.ndarray, shape (n_below,)
        Generative biases.
    """

    weights: np.ndarray
    biases: np.ndarray
    generative_weights: np.ndarray
    visible_biases: np.ndarray


@dataclass
class Memory:
    """The RBM at the top.

    Parameters
    ----------
    weights : np.ndarray, shape (n_top, n_below)
        Weights to the layer below.
    label_weights : np.ndarray, shape (n_top, n_labels)
        Weights to the labels; no columns without labels.
    biases : np.ndarray, shape (n_top,)
        Hidden biases.
    visible_biases : np.ndarray, shape (n_below,)
        Biases of the layer below.
    label_biases : np.ndarray, shape (n_labels,)
        Biases of the labels.
    """

    weights: np.ndarray
    label_weights: np.ndarray
    biases: np.ndarray
    visible_biases: np.ndarray
    label_biases: np.ndarray


@dataclass
class Network:
    """A deep belief network with untied weights.

    Parameters
    ----------
    layers : list of Directed
        The layers below the top, from the lowest; one or more.
    memory : Memory
        The top.
    visible : {'gaussian', 'binary'}
        Type of the visible units; all hidden units are binary.
    """

    layers: list[Directed]
    memory: Memory
    visible: str

    def up(self, rows: np.ndarray) -> np.ndarray:
        """Return the means of the units below the top, layer by layer without drawing."""
        for layer in self.layers:
            rows = expit(rows @ layer.weights.T + layer.biases)
        return rows

    def codes(self, rows: np.ndarray) -> np.ndarray:
        """Return the means of the top units, without labels, ``(n_rows, n_top)``."""
        top = self.memory
        return np.asarray(expit(self.up(rows) @ top.weights.T + top.biases))

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the weights by the names of a DBN's arrays."""
        found: dict[str, np.ndarray] = {}
        for i, layer in enumerate(self.layers, 1):
            found |= {f"{name}_{i}": array for name, array in vars(layer).items()}
        top, n = self.memory, len(self.layers) + 1
        for name in ("weights", "biases", "visible_biases"):
            found[f"{name}_{n}"] = getattr(top, name)
        if len(top.label_biases):
            found |= {"label_weights": top.label_weights, "label_biases": top.label_biases}
        return found

    def free_energies(self, rows: np.ndarray) -> np.ndarray:
        """Return the free energy of each label with each row, ``(n_rows, n_labels)``.

        The label of the lowest is the likeliest. The top units are summed out, given the means of
        the units below them.
        """
        top, units = self.memory, self.up(rows)
        drive = units @ top.weights.T + top.biases
        common = -(units @ top.visible_biases)
        columns = [
            common - bias - np.logaddexp(0, drive + weights).sum(axis=1)
            for weights, bias in zip(top.label_weights.T, top.label_biases, strict=True)
        ]
        return np.stack(columns, axis=1)

    def reconstruct(self, rows: np.ndarray) -> np.ndarray:
        """Return rows that went up and down by means, without drawing and without labels."""
        top = self.memory
        units = self.codes(rows)
        units = expit(units @ top.weights + top.visible_biases)
        for i in range(len(self.layers) - 1, -1, -1):
            units = self._below(i, units)
        return units

    def _below(self, i: int, units: np.ndarray) -> np.ndarray:
        """Return the means that the generative weights of a layer give the layer below."""
        layer = self.layers[i]
        kind = "binary" if i else self.visible
        return means(units @ layer.generative_weights + layer.visible_biases, kind)

    def step(
        self,
        rows: np.ndarray,
        targets: np.ndarray,
        *,
        n_gibbs: int,
        learning_rate: float,
        draw: Callable[[np.ndarray], np.ndarray],
        top_only: bool = False,
    ) -> None:
        """Learn from a minibatch.

        Parameters
        ----------
        rows : np.ndarray, shape (n, n_visible)
            The rows.
        targets : np.ndarray, shape (n, n_labels)
            1 for the label of a row, 0 elsewhere; all 0 for a row without a known label.
        n_gibbs : int
            Steps of the chain at the top.
        learning_rate : float
            Step size along the mean gradient.
        draw : callable
            Draws binary states given their probabilities.
        top_only : bool
            Leave all weights below the top as they are.
        """
        rate = learning_rate / len(rows)
        wake = [rows]
        for layer in self.layers:
            wake.append(draw(expit(wake[-1] @ layer.weights.T + layer.biases)))
        dream = self._learn_memory(wake[-1], targets, n_gibbs, rate, draw)
        if top_only:
            return
        sleep = [dream]
        for i in range(len(self.layers) - 1, -1, -1):
            probabilities = self._below(i, sleep[0])
            sleep.insert(0, draw(probabilities) if i else probabilities)
        given = [self._below(i, wake[i + 1]) for i in range(len(self.layers))]
        found = [
            expit(sleep[i] @ layer.weights.T + layer.biases) for i, layer in enumerate(self.layers)
        ]
        for i, layer in enumerate(self.layers):
            gap = wake[i] - given[i]
            layer.generative_weights += rate * (wake[i + 1].T @ gap)
            layer.visible_biases += rate * gap.sum(axis=0)
            gap = sleep[i + 1] - found[i]
            layer.weights += rate * (gap.T @ sleep[i])
            layer.biases += rate * gap.sum(axis=0)

    def _learn_memory(
        self,
        below: np.ndarray,
        targets: np.ndarray,
        n_gibbs: int,
        rate: float,
        draw: Callable[[np.ndarray], np.ndarray],
    ) -> np.ndarray:
        """Learn at the top by contrastive divergence; return the states below at its end."""
        top = self.memory
        labelled = targets.sum(axis=1, keepdims=True)
        states = draw(expit(below @ top.weights.T + targets @ top.label_weights.T + top.biases))
        first = states
        units, labels = below, targets
        for _ in range(n_gibbs):
            units = draw(expit(states @ top.weights + top.visible_biases))
            if targets.shape[1]:
                labels = labelled * softmax(states @ top.label_weights + top.label_biases, axis=1)
            drive = units @ top.weights.T + labels @ top.label_weights.T + top.biases
            states = draw(expit(drive))
        top.label_weights += rate * (first.T @ targets - states.T @ labels)
        top.label_biases += rate * (targets - labels).sum(axis=0)
        top.weights += rate * (first.T @ below - states.T @ units)
        top.visible_biases += rate * (below - units).sum(axis=0)
        top.biases += rate * (first - states).sum(axis=0)
        return units


@dataclass(frozen=True)
class UpDownSettings:
    """How a network is fine-tuned; see `mcls.dictionaries.dbn.DBN`."""

    n_epochs: int
    label_epochs: int
    batch_size: int
    learning_rate: float
    n_gibbs: int


def fine_tune(
    network: Network,
    source: Source,
    valid: Source | None,
    settings: UpDownSettings,
    rng: np.random.RandomState,
) -> list[dict[str, float]]:
    """Fine-tune a network, first the top alone where there are labels.

    Parameters
    ----------
    network : Network
        Changed in place.
    source, valid : callable
        ``source()`` yields rows with their targets behind them, ``(n, n_visible + n_labels)``.
    settings : UpDownSettings
        Numbers of epochs, and the steps.
    rng : np.random.RandomState
        Draws the order of the rows, and all units.

    Returns
    -------
    list of dict
        For each epoch ``up_down``, its number (0 while the top learns alone), ``reconstruction``,
        the mean squared error by means, and ``accuracy``, the share of rows whose label has the
        lowest free energy; both are measured on every eighth row of the train part, and as
        ``valid_...`` of the valid part.

    Raises
    ------
    DataError
        If learning diverges.
    """
    history = []
    n_visible = network.layers[0].weights.shape[1]
    turns = [0] * settings.label_epochs + [1 + i for i in range(settings.n_epochs)]

    def draw(probabilities: np.ndarray) -> np.ndarray:
        return (rng.uniform(size=probabilities.shape) < probabilities).astype(probabilities.dtype)

    with one_blas_thread():  # the same bytes for any number of threads
        for turn in turns:
            for both in shuffled(source(), settings.batch_size, rng):
                network.step(
                    both[:, :n_visible],
                    both[:, n_visible:],
                    n_gibbs=settings.n_gibbs,
                    learning_rate=settings.learning_rate,
                    draw=draw,
                    top_only=turn == 0,
                )
            row = {"up_down": float(turn), **_measured(network, source)}
            if not np.isfinite(row["reconstruction"]):
                raise DataError(
                    f"up-down diverged in epoch {turn} at a learning rate of "
                    f"{settings.learning_rate:g}; try a lower up_down_rate"
                )
            if valid is not None:
                row |= {f"valid_{name}": value for name, value in _measured(network, valid).items()}
            history.append(row)
    return history


def _measured(network: Network, source: Source) -> dict[str, float]:
    """Return the mean squared error of reconstructions and the share of labels that are found."""
    n_visible = network.layers[0].weights.shape[1]
    rows = np.concatenate([both[::_EVERY] for both in source()])
    targets = rows[:, n_visible:]
    with np.errstate(all="ignore"):  # an error follows if a number is not finite
        gap = network.reconstruct(rows[:, :n_visible]) - rows[:, :n_visible]
        found = {"reconstruction": float(np.mean(np.square(gap), dtype=np.float64))}
        known = targets.any(axis=1)
        if known.any():
            likeliest = network.free_energies(rows[known, :n_visible]).argmin(axis=1)
            found["accuracy"] = float(np.mean(likeliest == targets[known].argmax(axis=1)))
    return found
