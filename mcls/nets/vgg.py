"""Many small convolutions and three dense layers: Simonyan & Zisserman's VGG-16 and VGG-19."""

from typing import ClassVar

import torch
from torch import nn

from mcls.nets.base import Net
from mcls.nets.blocks.image import two_dense
from mcls.nets.blocks.layers import (
    Init,
    Nonlinearity,
    check_settings,
    check_sizes,
    conv2d,
    init_weights,
    name_layers,
    scaled,
    through,
)
from mcls.nets.blocks.map_pooling import map_pool
from mcls.registry import register, register_preset

_FILTER = 3  # frames, and dimensions
_MAPS = (64, 128, 256, 512, 512)  # of the convolutions before each pool
_LEFT = 7  # frames, and dimensions, that the first dense layer reads
_UNITS = 4096


@register(
    "nets",
    "vgg16",
    source="Simonyan & Zisserman 2015",
    frames=224,
    dims=224,
    labels=1000,
    any_length=True,
)
class VGG16(Net):
    """Thirteen 3 x 3 convolutions, of 64 to 512 maps, with five max-pools; two dense layers.

    The output of the last pool becomes 7 x 7 by means over parts, the size that it has in the
    published net.

    Parameters
    ----------
    pool : str
        Pool of each stage: max, mean, std, lp (root mean square), lp3 and so on.
    dropout : float
        Share of the units dropped after each dense layer in training, in [0, 1).
    batch_norm : bool
        Normalise each convolution over the batch; the published net does not.

    Attributes
    ----------
    hidden : tuple of str
        ``conv1``, ``conv2``, ...: ``(batch, maps, frames, dims)``; ``dense1``, ``dense2``:
        ``(batch, units)``.

    References
    ----------
    Simonyan & Zisserman (2015), Very deep convolutional networks for large-scale image recognition,
    configurations D (16 layers) and E (19). Batch norm: Ioffe & Szegedy (2015).

    Differs from the paper: the input has one channel, not three; with batch norm the net learns
    without first weights from a shallower one.
    """

    #: Convolutions before each pool.
    convolutions: ClassVar[tuple[int, ...]] = (2, 2, 3, 3, 3)

    def __init__(
        self,
        n_frames: int,
        n_dims: int,
        n_labels: int,
        *,
        width: float = 1.0,
        pool: str = "max",
        nonlinearity: Nonlinearity = "relu",
        dropout: float = 0.5,
        batch_norm: bool = True,
        init: Init = "he",
    ) -> None:
        super().__init__()
        check_settings(self.registered_as, dropout=dropout, width=width)
        check_sizes(self.registered_as, self.smallest(), n_frames, n_dims, n_labels)
        layers = []
        n_in = 1
        for n_published, n_convolutions in zip(_MAPS, self.convolutions, strict=True):
            n_maps = scaled(n_published, width)
            for i in range(n_convolutions):
                last = i == n_convolutions - 1
                layers.append(
                    conv2d(
                        n_in,
                        n_maps,
                        _FILTER,
                        pool=map_pool(pool, (2, 2)) if last else None,
                        nonlinearity=nonlinearity,
                        batch_norm=batch_norm,
                    )
                )
                n_in = n_maps
        units = scaled(_UNITS, width)
        self._convolutions = name_layers(self, "conv", layers)
        self.parts = nn.AdaptiveAvgPool2d(_LEFT)
        layers = two_dense(n_in * _LEFT * _LEFT, units, nonlinearity)
        self._dense = name_layers(self, "dense", layers)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(units, n_labels)
        self.hidden = self._convolutions + self._dense
        init_weights(self, init)

    @staticmethod
    def smallest(**settings: object) -> tuple[int, int]:
        """Return the fewest frames and dimensions: five pools halve them."""
        return 2 ** len(_MAPS), 2 ** len(_MAPS)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(batch, 1, n_frames, n_dims)`` to logits ``(batch, n_labels)``."""
        x = self.parts(through(self, self._convolutions, x))  # (batch, maps, 7, 7)
        return self.output(through(self, self._dense, x.flatten(1), after=self.dropout))


VGG19 = register_preset(
    "nets",
    "vgg19",
    of="vgg16",
    summary="Sixteen 3 x 3 convolutions, of 64 to 512 maps, with five max-pools; two dense layers.",
    convolutions=(2, 2, 4, 4, 4),
)
