"""Inception modules: Szegedy et al.'s GoogLeNet, with auxiliary outputs if asked for."""

import math
from collections import OrderedDict
from typing import Any

import torch
from torch import nn

from mcls.errors import ConfigError
from mcls.nets.alexnet import response_norm
from mcls.nets.base import Net
from mcls.nets.blocks.image import convolution
from mcls.nets.blocks.layers import (
    Init,
    Nonlinearity,
    check_settings,
    check_sizes,
    dense,
    init_weights,
    scaled,
)
from mcls.registry import register

_POOL, _STEP = 3, 2
#: Name, maps of: 1x1; 1x1 and then 3x3; 1x1 and then 5x5; max-pool and then 1x1; a pool follows.
_MODULES = (
    ("inception3a", (64, 96, 128, 16, 32, 32), False),
    ("inception3b", (128, 128, 192, 32, 96, 64), True),
    ("inception4a", (192, 96, 208, 16, 48, 64), False),
    ("inception4b", (160, 112, 224, 24, 64, 64), False),
    ("inception4c", (128, 128, 256, 24, 64, 64), False),
    ("inception4d", (112, 144, 288, 32, 64, 64), False),
    ("inception4e", (256, 160, 320, 32, 128, 128), True),
    ("inception5a", (256, 160, 320, 32, 128, 128), False),
    ("inception5b", (384, 192, 384, 48, 128, 128), False),
)
_N_POOLS = 4
_READ = ("inception4a", "inception4d")  # what the auxiliary outputs read
_AUXILIARY_PARTS, _AUXILIARY_MAPS, _AUXILIARY_UNITS, _AUXILIARY_DROPOUT = 4, 128, 1024, 0.7


class Inception(nn.Module):
    """Filters of 1 x 1, 3 x 3 and 5 x 5 and a max-pool of 3 x 3, side by side.

    Parameters
    ----------
    n_in : int
        Number of maps in the input.
    maps : (int, int, int, int, int, int)
        Maps of 1x1; of 1x1 and then 3x3; of 1x1 and then 5x5; of 1x1 after the max-pool.
    pool : bool
        Add a max-pool of every second frame and dimension.
    **how
        Nonlinearity and batch norm of every convolution.
    """

    def __init__(
        self, n_in: int, maps: tuple[int, int, int, int, int, int], *, pool: bool, **how: Any
    ) -> None:
        super().__init__()
        one, three_in, three, five_in, five, pooled = maps
        self.one = convolution(n_in, one, 1, **how)
        self.three = _in_turn(
            before=convolution(n_in, three_in, 1, **how),
            filters=convolution(three_in, three, 3, **how),
        )
        self.five = _in_turn(
            before=convolution(n_in, five_in, 1, **how),
            filters=convolution(five_in, five, 5, **how),
        )
        self.pooled = _in_turn(
            maximum=nn.MaxPool2d(3, stride=1, padding=1),
            filters=convolution(n_in, pooled, 1, **how),
        )
        self.pool = _pool() if pool else nn.Identity()
        self.n_out = one + three + five + pooled

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(batch, n_in, frames, dims)`` to ``(batch, n_out, frames, dims)``."""
        branches = [self.one(x), self.three(x), self.five(x), self.pooled(x)]
        return self.pool(torch.cat(branches, dim=1))


class AuxiliaryOutput(nn.Module):
    """Logits that are read off a hidden layer, for the gradient of the layers below it.

    Means of 4 x 4 parts, 128 filters of 1 x 1, a dense layer of 1024 units, dropout of 0.7.

    Parameters
    ----------
    n_in, n_labels : int
        Number of maps in the input, and number of labels.
    width : float
        Factor on the maps and units.
    **how
        Nonlinearity and batch norm of the convolution.
    """

    def __init__(self, n_in: int, n_labels: int, width: float, **how: Any) -> None:
        super().__init__()
        maps, units = scaled(_AUXILIARY_MAPS, width), scaled(_AUXILIARY_UNITS, width)
        self.parts = nn.AdaptiveAvgPool2d(_AUXILIARY_PARTS)
        self.conv = convolution(n_in, maps, 1, **how)
        self.dense = dense(
            maps * _AUXILIARY_PARTS**2, units, nonlinearity=how["nonlinearity"], batch_norm=False
        )
        self.dropout = nn.Dropout(_AUXILIARY_DROPOUT)
        self.output = nn.Linear(units, n_labels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(batch, n_in, frames, dims)`` to logits ``(batch, n_labels)``."""
        x = self.dense(self.conv(self.parts(x)).flatten(1))
        return self.output(self.dropout(x))


@register(
    "nets",
    "googlenet",
    source="Szegedy et al. 2015",
    frames=224,
    dims=224,
    labels=1000,
    any_length=True,
)
class GoogLeNet(Net):
    """Three convolutions, nine Inception modules, the mean of each map.

    Parameters
    ----------
    auxiliary : float
        Weight of the loss of each auxiliary output in training. It is 0.3 as published;
        0 has no such outputs.
    dropout : float
        Share of the maps' means dropped before the output in training, in [0, 1).
    batch_norm : bool
        Normalise convolutions over the batch, in place of neighbouring maps. The published net
        normalises by neighbouring maps, after the first and the third convolution.

    Attributes
    ----------
    hidden : tuple of str
        ``conv1`` to ``conv3``, ``inception3a`` to ``inception5b``:
        ``(batch, maps, frames, dims)``.

    References
    ----------
    Szegedy et al. (2015), Going deeper with convolutions. Batch norm: Ioffe & Szegedy (2015).

    Differs from the paper: the input has one channel, not three. Auxiliary outputs, which are there
    for the gradient of the lower layers and do not score, are left out by default, as batch norm
    does that work; they read means of 4 x 4 parts, as in torchvision, where the paper has 5 x 5
    windows every 3. ``batch_norm=false`` and ``auxiliary=0.3`` are the published net.
    """

    def __init__(
        self,
        n_frames: int,
        n_dims: int,
        n_labels: int,
        *,
        width: float = 1.0,
        auxiliary: float = 0.0,
        nonlinearity: Nonlinearity = "relu",
        dropout: float = 0.4,
        batch_norm: bool = True,
        init: Init = "he",
    ) -> None:
        super().__init__()
        check_settings(self.registered_as, dropout=dropout, width=width)
        if not (auxiliary >= 0 and math.isfinite(auxiliary)):
            raise ConfigError(f"{self.registered_as}: auxiliary={auxiliary}; expected 0 or more")
        check_sizes(self.registered_as, self.smallest(), n_frames, n_dims, n_labels)
        how: dict[str, Any] = {"nonlinearity": nonlinearity, "batch_norm": batch_norm}
        first, last = scaled(64, width), scaled(192, width)
        self.conv1 = convolution(1, first, 7, stride=2, **how)
        self.conv1.add_module("pool", _pool())
        self.conv2 = convolution(first, first, 1, **how)
        self.conv3 = convolution(first, last, 3, **how)
        if not batch_norm:
            self.conv1.add_module("response_norm", response_norm())
            self.conv3.add_module("response_norm", response_norm())
        self.conv3.add_module("pool", _pool())
        n_in = last
        self.auxiliary_weight = auxiliary
        self.auxiliary = nn.ModuleDict()
        for name, maps, pool in _MODULES:
            one, three_in, three, five_in, five, pooled = (scaled(n, width) for n in maps)
            widths = (one, three_in, three, five_in, five, pooled)
            module = Inception(n_in, widths, pool=pool, **how)
            self.add_module(name, module)
            n_in = module.n_out
            if auxiliary and name in _READ:
                self.auxiliary[name] = AuxiliaryOutput(n_in, n_labels, width, **how)
        self.hidden = ("conv1", "conv2", "conv3", *(name for name, _, _ in _MODULES))
        self.mean = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(n_in, n_labels)
        init_weights(self, init)

    @staticmethod
    def smallest(**settings: object) -> tuple[int, int]:
        """Return the fewest frames and dimensions: two of each must reach the last pool."""
        n = 2**_N_POOLS  # a pool of n makes n / 2, as it may reach over the end
        return 2 * n - 1, 2 * n - 1

    def forward(self, x: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
        """``(batch, 1, n_frames, n_dims)`` to logits ``(batch, n_labels)``.

        In training the logits of the auxiliary outputs follow, if there are any.
        """
        others = []
        for name in self.hidden:
            x = getattr(self, name)(x)
            if self.training and name in self.auxiliary:
                others.append(self.auxiliary[name](x))
        x = self.mean(x)  # (batch, maps, 1, 1)
        logits = self.output(self.dropout(x.flatten(1)))
        return (logits, *others) if others else logits


def _in_turn(**steps: nn.Module) -> nn.Sequential:
    return nn.Sequential(OrderedDict(steps))


def _pool() -> nn.Module:
    return nn.MaxPool2d(_POOL, stride=_STEP, ceil_mode=True)
