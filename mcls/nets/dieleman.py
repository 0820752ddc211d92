"""Two convolutions in time and a dense layer: Dieleman & Schrauwen's net for spectrograms."""

import torch
from torch import nn

from mcls.nets.base import Net
from mcls.nets.blocks.layers import (
    Init,
    Nonlinearity,
    check_settings,
    check_sizes,
    conv1d,
    dense,
    frames_needed,
    init_weights,
    name_layers,
    scaled,
    through,
)
from mcls.registry import register

_MAPS = 32
_LENGTH = 8  # frames of a filter
_POOL = 4  # frames
_UNITS = 100


@register(
    "nets",
    "dieleman",
    source="Dieleman & Schrauwen 2014",
    sr=16000,
    hop=256,
    frames=187,
    dims=96,
    labels=50,
)
class Dieleman(Net):
    """Two 1-D convolutions of 8 frames with max-pools of 4, and a dense layer of 100 units.

    The segment is normalised as a whole by one batch norm. The dense layer reads every frame that
    is left, so a net takes segments of one length.

    Parameters
    ----------
    dropout : float
        Share of the dense layer's units dropped in training, in [0, 1).

    Attributes
    ----------
    hidden : tuple of str
        ``conv1``, ``conv2``: ``(batch, maps, frames)``; ``dense1``: ``(batch, units)``.

    References
    ----------
    Dieleman & Schrauwen (2014), End-to-end learning for music audio. The batch norm of the input
    and the initialisation are those of Pons & Serra (2019), musicnn, who re-coded it.

    Differs from the paper: 96 mel bands and the batch norm, as re-coded.
    """

    def __init__(
        self,
        n_frames: int,
        n_dims: int,
        n_labels: int,
        *,
        width: float = 1.0,
        nonlinearity: Nonlinearity = "relu",
        dropout: float = 0.0,
        batch_norm: bool = False,
        init: Init = "he",
    ) -> None:
        super().__init__()
        check_settings(self.registered_as, dropout=dropout, width=width)
        check_sizes(self.registered_as, self.smallest(), n_frames, n_dims, n_labels)
        maps, units = scaled(_MAPS, width), scaled(_UNITS, width)
        left = n_frames
        for _ in range(2):
            left = (left - _LENGTH + 1) // _POOL
        convolutions = [
            conv1d(
                n_in, maps, _LENGTH, pool=_POOL, nonlinearity=nonlinearity, batch_norm=batch_norm
            )
            for n_in in (n_dims, maps)
        ]
        self.input_norm = nn.BatchNorm2d(1)
        self._convolutions = name_layers(self, "conv", convolutions)
        self.dense1 = dense(left * maps, units, nonlinearity=nonlinearity, batch_norm=batch_norm)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(units, n_labels)
        self.hidden = (*self._convolutions, "dense1")
        init_weights(self, init)

    @staticmethod
    def smallest(**settings: object) -> tuple[int, int]:
        """Return the fewest frames and dimensions: one frame must reach the dense layer."""
        return frames_needed([_LENGTH] * 2, [_POOL] * 2), 1

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(batch, 1, n_frames, n_dims)`` to logits ``(batch, n_labels)``."""
        x = self.input_norm(x).squeeze(1).transpose(1, 2)  # (batch, n_dims, n_frames)
        x = through(self, self._convolutions, x)  # (batch, maps, frames)
        return self.output(self.dropout(self.dense1(x.flatten(1))))
