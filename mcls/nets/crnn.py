"""Convolutions, then a recurrent net over time: Choi, Fazekas, Sandler & Cho's CRNN."""

import math
from typing import Literal

import torch
from torch import nn
from torch.nn.functional import pad

from mcls.nets.base import Net
from mcls.nets.blocks.layers import (
    Init,
    Nonlinearity,
    check_settings,
    check_sizes,
    conv2d,
    init_weights,
    name_layers,
    pools_that_fit,
    scaled,
    through,
)
from mcls.nets.blocks.map_pooling import map_pool
from mcls.registry import register

_FILTER = 3  # frames, and dimensions
_MAPS = (64, 128, 128, 128)
_POOLS = ((2, 2), (3, 3), (4, 4), (4, 4))  # frames, dimensions
_STRIDE = math.prod(frames for frames, _ in _POOLS)  # frames that become one step
_UNITS = (32, 32)


@register(
    "nets",
    "crnn",
    source="Choi et al. 2017",
    sr=12000,
    hop=256,
    frames=1366,
    dims=96,
    labels=50,
    any_length=True,
)
class CRNN(Net):
    """Four convolutions with pools, then two recurrent layers that read them step by step.

    Segments get zeros at both ends up to a multiple of 96 frames, each of which is a step of the
    recurrent layers. A pool is no larger than the dimensions that are left, and the last takes all
    of them.

    Parameters
    ----------
    input_norm : {'dims', 'frames'}
        Normalise each dimension of the input, or each frame, as published.
    pool : str
        Pool of each convolution: max, mean, std, lp (root mean square), lp3 and so on.
    nonlinearity : str
        Nonlinearity of the convolutions.
    dropout : float
        Share of the units dropped after each convolution in training, in [0, 1).
    output_dropout : float
        Share of the last recurrent layer's units dropped in training, in [0, 1).

    Attributes
    ----------
    hidden : tuple of str
        ``conv1`` to ``conv4``: ``(batch, maps, frames, dims)``; ``gru1``, ``gru2``:
        ``(batch, units, steps)``.

    References
    ----------
    Choi, Fazekas, Sandler & Cho (2017), Convolutional recurrent neural networks for music
    classification; sizes as in the code its first author published.

    Differs from the paper: that code means to normalise frequency bands and normalises places in
    time; ``input_norm=frames`` does so as well, and takes segments of one length. Torch's recurrent
    units have a second bias per gate, 192 numbers more, and reset the state after its product with
    the weights.
    """

    def __init__(
        self,
        n_frames: int,
        n_dims: int,
        n_labels: int,
        *,
        width: float = 1.0,
        input_norm: Literal["dims", "frames"] = "dims",
        pool: str = "max",
        nonlinearity: Nonlinearity = "elu",
        dropout: float = 0.1,
        output_dropout: float = 0.3,
        batch_norm: bool = True,
        init: Init = "xavier",
    ) -> None:
        super().__init__()
        check_settings(
            self.registered_as, dropout=dropout, width=width, output_dropout=output_dropout
        )
        check_sizes(self.registered_as, self.smallest(), n_frames, n_dims, n_labels)
        padded = n_frames + sum(_ends(n_frames))
        fitting, left = pools_that_fit(_POOLS[:-1], padded, n_dims)
        pools = [*fitting, (_POOLS[-1][0], left[1])]
        maps = [1, *(scaled(n, width) for n in _MAPS)]
        units = [maps[-1], *(scaled(n, width) for n in _UNITS)]
        convolutions = [
            conv2d(
                maps[i],
                maps[i + 1],
                _FILTER,
                pool=map_pool(pool, size),
                nonlinearity=nonlinearity,
                batch_norm=batch_norm,
            )
            for i, size in enumerate(pools)
        ]
        self._over_dims = input_norm == "dims"
        self.input_norm = nn.BatchNorm2d(n_dims if self._over_dims else padded)
        self._convolutions = name_layers(self, "conv", convolutions)
        self.dropout = nn.Dropout(dropout)
        recurrent = [Recurrent(units[i], units[i + 1]) for i in range(len(_UNITS))]
        self._recurrent = name_layers(self, "gru", recurrent)
        self.output_dropout = nn.Dropout(output_dropout)
        self.output = nn.Linear(units[-1], n_labels)
        self.hidden = self._convolutions + self._recurrent
        init_weights(self, init)

    @staticmethod
    def smallest(**settings: object) -> tuple[int, int]:
        """Return the fewest frames and dimensions: those of a filter."""
        return _FILTER, _FILTER

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(batch, 1, n_frames, n_dims)`` to logits ``(batch, n_labels)``."""
        x = pad(x, (0, 0, *_ends(x.shape[2])))
        axis = 3 if self._over_dims else 2  # batch norm wants what it normalises as axis 1
        x = self.input_norm(x.transpose(1, axis)).transpose(1, axis)
        x = through(self, self._convolutions, x, after=self.dropout)  # (batch, maps, steps, 1)
        x = through(self, self._recurrent, x.squeeze(3))  # (batch, units, steps)
        return self.output(self.output_dropout(x[:, :, -1]))


class Recurrent(nn.Module):
    """Gated recurrent units over time."""

    def __init__(self, n_in: int, n_units: int) -> None:
        super().__init__()
        self.gru = nn.GRU(n_in, n_units, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(batch, n_in, steps)`` to ``(batch, n_units, steps)``."""
        return self.gru(x.transpose(1, 2))[0].transpose(1, 2)


def _ends(n_frames: int) -> tuple[int, int]:
    """Return how many frames of zeros go before and after a segment."""
    missing = -n_frames % _STRIDE
    return missing // 2, missing - missing // 2
