"""The multi-layer perceptron: dense layers on all frames of a segment at once."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import nn

from mcls.errors import ConfigError
from mcls.nets.base import Net
from mcls.nets.blocks.layers import (
    Init,
    Nonlinearity,
    check_settings,
    check_sizes,
    dense,
    init_weights,
    name_layers,
    through,
)
from mcls.registry import register


@register("nets", "mlp", source="Rumelhart et al. 1986", frames=1, dims=513, labels=10)
class MLP(Net):
    """Multi-layer perceptron: dense layers with dropout after each.

    A segment of several frames is read as one vector, frame after frame.

    Parameters
    ----------
    layers : tuple of int
        Number of units of each hidden layer.
    nonlinearity : str
        Nonlinearity of the hidden units.
    dropout : float
        Share of the hidden units dropped in training, in [0, 1).

    Attributes
    ----------
    hidden : tuple of str
        ``dense1``, ``dense2``, ...: ``(batch, units)``.

    References
    ----------
    Rumelhart, Hinton & Williams (1986), Learning representations by back-propagating errors;
    Hinton et al. (2012), Improving neural networks by preventing co-adaptation of feature
    detectors.
    """

    def __init__(
        self,
        n_frames: int,
        n_dims: int,
        n_labels: int,
        *,
        layers: tuple[int, ...] = (512, 512),
        nonlinearity: Nonlinearity = "relu",
        dropout: float = 0.5,
        batch_norm: bool = False,
        init: Init = "he",
    ) -> None:
        super().__init__()
        check_settings(self.registered_as, dropout=dropout, layers=layers)
        check_sizes(self.registered_as, self.smallest(), n_frames, n_dims, n_labels)
        sizes = [n_frames * n_dims, *layers]
        made = [
            dense(n_in, n_out, nonlinearity=nonlinearity, batch_norm=batch_norm)
            for n_in, n_out in pairwise(sizes)
        ]
        self.hidden = name_layers(self, "dense", made)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(sizes[-1], n_labels)
        init_weights(self, init)

    @staticmethod
    def smallest(**settings: object) -> tuple[int, int]:
        """Return the fewest frames and dimensions: one each."""
        return 1, 1

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(batch, 1, n_frames, n_dims)`` to logits ``(batch, n_labels)``."""
        x = through(self, self.hidden, x.flatten(1), after=self.dropout)
        return self.output(x)

    def load_layers(self, weights: Sequence[np.ndarray], biases: Sequence[np.ndarray]) -> None:
        """Start hidden layers, from the first, at weights learnt elsewhere, such as a DBN's.

        Parameters
        ----------
        weights : sequence of np.ndarray, shape (n_units, n_inputs)
            One per layer, as many as there are hidden layers or fewer.
        biases : sequence of np.ndarray, shape (n_units,)
            Biases of the same units.

        Raises
        ------
        ConfigError
            If there are more layers than here, or a layer has another shape. Nothing is changed.
        """
        if len(weights) != len(biases):
            raise ConfigError(
                f"mlp: {len(weights)} layers of weights but {len(biases)} of biases were given"
            )
        if len(weights) > len(self.hidden):
            raise ConfigError(
                f"mlp: {len(weights)} layers were given and the net has {len(self.hidden)} hidden "
                "layers; set layers= to the sizes of those that are given"
            )
        names = self.hidden[: len(weights)]
        linears = [getattr(self, name).linear for name in names]
        bad = []
        for name, linear, weight, bias in zip(names, linears, weights, biases, strict=True):
            shape = tuple(linear.weight.shape)
            if np.shape(weight) != shape or np.shape(bias) != shape[:1]:
                bad.append(
                    f"{name} has weights {shape} and biases {shape[:1]}, given are "
                    f"{np.shape(weight)} and {np.shape(bias)}"
                )
        if bad:
            raise ConfigError(
                "mlp: the given layers do not fit: "
                + "; ".join(bad)
                + "; set layers= to their sizes, and read the rows they were learnt from"
            )
        with torch.no_grad():
            for linear, weight, bias in zip(linears, weights, biases, strict=True):
                linear.weight.copy_(torch.tensor(np.asarray(weight)))
                linear.bias.copy_(torch.tensor(np.asarray(bias)))
