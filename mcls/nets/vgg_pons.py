"""Five small convolutions on a spectrogram: Pons & Serra's VGG baseline of musicnn."""

import torch
from torch import nn

from mcls.nets.base import Net
from mcls.nets.blocks.layers import Init, Nonlinearity, check_settings, check_sizes, init_weights
from mcls.nets.blocks.stacks import VGG
from mcls.registry import register


@register(
    "nets",
    "vgg-pons",
    source="Pons & Serra 2019",
    sr=16000,
    hop=256,
    frames=187,
    dims=96,
    labels=50,
)
class VGGPons(Net):
    """Five 3 x 3 convolutions of 128 maps with small pools; the output reads what is left.

    Every layer is normalised after its nonlinearity, and the segment as a whole before all. A net
    takes segments of one length.

    Parameters
    ----------
    pool : str
        Pool of each convolution: max, mean, std, lp (root mean square), lp3 and so on.
    dropout : float
        Share of the units dropped between convolutions in training, in [0, 1).
    output_dropout : float
        Share of the units dropped before the output in training, in [0, 1).
    batch_norm : bool
        Normalise each hidden layer over the batch, after its nonlinearity.

    Attributes
    ----------
    hidden : tuple of str
        ``layers.conv1`` to ``layers.conv5``: ``(batch, maps, frames, dims)``.

    References
    ----------
    The baseline VGG of Pons & Serra (2019), musicnn, in the sizes of the code its first author
    published (musicnn-training); after Choi et al. (2016).
    """

    def __init__(
        self,
        n_frames: int,
        n_dims: int,
        n_labels: int,
        *,
        width: float = 1.0,
        pool: str = "max",
        nonlinearity: Nonlinearity = "relu",
        dropout: float = 0.25,
        output_dropout: float = 0.5,
        batch_norm: bool = True,
        init: Init = "he",
    ) -> None:
        super().__init__()
        check_settings(
            self.registered_as, dropout=dropout, width=width, output_dropout=output_dropout
        )
        check_sizes(self.registered_as, self.smallest(), n_frames, n_dims, n_labels)
        self.input_norm = nn.BatchNorm2d(1)
        self.layers = VGG(
            n_frames,
            n_dims,
            width=width,
            pool=pool,
            nonlinearity=nonlinearity,
            batch_norm=batch_norm,
            dropout=dropout,
        )
        self.dropout = nn.Dropout(output_dropout)
        self.output = nn.Linear(self.layers.n_out * self.layers.frames_out, n_labels)
        self.hidden = tuple(f"layers.{name}" for name in self.layers.hidden)
        init_weights(self, init)

    @staticmethod
    def smallest(**settings: object) -> tuple[int, int]:
        """Return the fewest frames and dimensions: those of a filter."""
        return VGG.fewest()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(batch, 1, n_frames, n_dims)`` to logits ``(batch, n_labels)``."""
        x = self.layers(self.input_norm(x))  # (batch, maps x dimensions, frames)
        return self.output(self.dropout(x.flatten(1)))
