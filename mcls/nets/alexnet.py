"""Five convolutions in two towers and three dense layers: Krizhevsky, Sutskever & Hinton's net."""

from collections import OrderedDict
from dataclasses import dataclass

import torch
from torch import nn

from mcls.nets.base import Net
from mcls.nets.blocks.image import two_dense
from mcls.nets.blocks.layers import (
    Init,
    Nonlinearity,
    check_settings,
    check_sizes,
    init_weights,
    name_layers,
    nonlinear,
    scaled,
    through,
)
from mcls.registry import register


@dataclass(frozen=True)
class _Convolution:
    maps: int
    size: int  # frames, and dimensions, of a filter
    stride: int
    pad: int
    apart: bool  # whether each tower reads its own maps only
    response_norm: bool
    pool: bool


_LAYERS = (
    _Convolution(96, 11, 4, 2, False, True, True),
    _Convolution(256, 5, 1, 2, True, True, True),
    _Convolution(384, 3, 1, 1, False, False, False),
    _Convolution(384, 3, 1, 1, True, False, False),
    _Convolution(256, 3, 1, 1, True, False, True),
)
_POOL, _STEP = 3, 2  # a max-pool overlaps the next
_LEFT = 6  # frames, and dimensions, that the first dense layer reads
_UNITS = 4096
_NEIGHBOURS = 5  # maps that a response is normalised by


@register(
    "nets",
    "alexnet",
    source="Krizhevsky et al. 2012",
    frames=224,
    dims=224,
    labels=1000,
    any_length=True,
)
class AlexNet(Net):
    """Five convolutions, three overlapping max-pools, two dense layers of 4096 units.

    The second, fourth and fifth convolution fall into two towers, each of which reads its own half
    of the maps. The output of the last pool becomes 6 x 6 by means over parts, the size that it has
    in the published net.

    Parameters
    ----------
    towers : int
        Number of towers: 2 as published, or 1, where every convolution reads all maps.
    dropout : float
        Share of the units dropped after each dense layer in training, in [0, 1).
    batch_norm : bool
        Normalise convolutions over the batch, in place of neighbouring maps. The published net
        normalises by neighbouring maps, after the first and the second convolution.

    Attributes
    ----------
    hidden : tuple of str
        ``conv1`` to ``conv5``: ``(batch, maps, frames, dims)``; ``dense1``, ``dense2``:
        ``(batch, units)``.

    References
    ----------
    Krizhevsky, Sutskever & Hinton (2012), ImageNet classification with deep convolutional neural
    networks.

    Differs from the paper: the input has one channel, not three, and zeros around it, two at each
    side, without which 224 x 224 do not give the 55 x 55 places of the paper; first weights are
    He's and biases 0, where the paper has weights of deviation 0.01 and some biases of 1. The mean
    over ten crops of the paper is `mcls train --five-crop`, for all nets.
    """

    def __init__(
        self,
        n_frames: int,
        n_dims: int,
        n_labels: int,
        *,
        width: float = 1.0,
        towers: int = 2,
        nonlinearity: Nonlinearity = "relu",
        dropout: float = 0.5,
        batch_norm: bool = False,
        init: Init = "he",
    ) -> None:
        super().__init__()
        counts = {"towers": (towers, 1, 2)}
        check_settings(self.registered_as, dropout=dropout, width=width, counts=counts)
        check_sizes(self.registered_as, self.smallest(), n_frames, n_dims, n_labels)
        layers = []
        n_in = 1
        for layer in _LAYERS:
            n_maps = towers * scaled(layer.maps // towers, width)
            steps: dict[str, nn.Module] = {
                "conv": nn.Conv2d(
                    n_in,
                    n_maps,
                    layer.size,
                    stride=layer.stride,
                    padding=layer.pad,
                    groups=towers if layer.apart else 1,
                )
            }
            if batch_norm:
                steps["norm"] = nn.BatchNorm2d(n_maps)
            steps["nonlinearity"] = nonlinear(nonlinearity)
            if layer.response_norm and not batch_norm:
                steps["response_norm"] = response_norm()
            if layer.pool:
                steps["pool"] = nn.MaxPool2d(_POOL, stride=_STEP)
            layers.append(nn.Sequential(OrderedDict(steps)))
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
        """Return the fewest frames and dimensions: one of each must be left after the last pool."""
        n = 1
        for layer in reversed(_LAYERS):
            n = (n - 1) * _STEP + _POOL if layer.pool else n
            n = (n - 1) * layer.stride + layer.size - 2 * layer.pad
        return n, n

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(batch, 1, n_frames, n_dims)`` to logits ``(batch, n_labels)``."""
        x = self.parts(through(self, self._convolutions, x))  # (batch, maps, 6, 6)
        return self.output(through(self, self._dense, x.flatten(1), after=self.dropout))


def response_norm() -> nn.Module:
    """Return Krizhevsky's normalisation of a map by its neighbours.

    b_i = a_i / (2 + 1e-4 sum_j a_j^2)^0.75 over the five maps j around map i, place by place.
    """
    # torch divides alpha by the number of maps, the paper does not
    return nn.LocalResponseNorm(_NEIGHBOURS, alpha=1e-4 * _NEIGHBOURS, beta=0.75, k=2.0)
