"""Building blocks of nets for images: strided convolutions and residual blocks."""

from collections import OrderedDict
from typing import Any

import torch
from torch import nn

from mcls.nets.blocks.layers import Nonlinearity, dense, nonlinear

EXPANSION = 4  # maps of a bottleneck's output for each map of its 3 x 3 convolution
_SQUEEZE = 16  # maps that become one in a squeeze-and-excitation


def two_dense(n_in: int, units: int, nonlinearity: Nonlinearity) -> list[nn.Sequential]:
    """Return the dense layers before the output of AlexNet and VGG: ``(batch, n_in)`` to units."""
    return [dense(n, units, nonlinearity=nonlinearity, batch_norm=False) for n in (n_in, units)]


def convolution(
    n_in: int,
    n_out: int,
    size: int,
    *,
    nonlinearity: Nonlinearity | None,
    batch_norm: bool,
    stride: int = 1,
    bias: bool = False,
) -> nn.Sequential:
    """Return a padded square convolution: ``(batch, n_in, frames, dims)`` to maps.

    Parameters
    ----------
    n_in, n_out : int
        Number of maps in the input and the output.
    size : int
        Size of a filter along both axes; odd.
    nonlinearity : str or None
        Nonlinearity after the norm; None: there is none.
    batch_norm : bool
        Normalise the maps over the batch.
    stride : int
        Stride of the filter along both axes.
    bias : bool
        Keep the bias before a norm too, although the norm subtracts it again.
    """
    steps: dict[str, nn.Module] = {
        "conv": nn.Conv2d(
            n_in, n_out, size, stride=stride, padding=size // 2, bias=bias or not batch_norm
        )
    }
    if batch_norm:
        steps["norm"] = nn.BatchNorm2d(n_out)
    if nonlinearity is not None:
        steps["nonlinearity"] = nonlinear(nonlinearity)
    return nn.Sequential(OrderedDict(steps))


class SqueezeExcite(nn.Module):
    """Scales each map by a number in (0, 1) that is read off the means of all maps.

    Parameters
    ----------
    n_maps : int
        Number of maps, in the input and the output.
    nonlinearity : str
        Nonlinearity of the layer between, which has a sixteenth of the maps.

    References
    ----------
    Hu, Shen & Sun (2018), Squeeze-and-excitation networks.
    """

    def __init__(self, n_maps: int, nonlinearity: Nonlinearity) -> None:
        super().__init__()
        n_squeezed = max(1, n_maps // _SQUEEZE)
        self.squeeze = nn.Linear(n_maps, n_squeezed)
        self.nonlinearity = nonlinear(nonlinearity)
        self.excite = nn.Linear(n_squeezed, n_maps)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(batch, maps, frames, dims)`` to the same."""
        scale = self.excite(self.nonlinearity(self.squeeze(x.mean((2, 3))))).sigmoid()
        return x * scale[:, :, None, None]


class BottleneckBlock(nn.Module):
    """Convolutions of 1 x 1, 3 x 3 and 1 x 1, whose output is added to the input; a nonlinearity.

    The first makes few maps, so that the 3 x 3 filters are cheap; the last makes four times as
    many.

    Parameters
    ----------
    n_in, n_out : int
        Number of maps in the input and the output; between them there are n_out / 4.
    shortcut : int or None
        Size of the filter that the input passes; None: the input is added as it is.
    stride : int
        Stride of the 3 x 3 convolution and of the shortcut.
    squeeze_excite : bool
        Scale the maps before they are added.
    residual : bool
        Add the input; without it the block is a plain one.
    nonlinearity : str
        Nonlinearity after the first two convolutions and after the sum.
    batch_norm : bool
        Normalise each convolution over the batch.

    References
    ----------
    He, Zhang, Ren & Sun (2016), Deep residual learning for image recognition.

    Differs from the paper: the stride is that of the 3 x 3 convolution, as in torchvision and in
    the authors' later code, not that of the first one, which would skip three places of four.
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        *,
        shortcut: int | None,
        nonlinearity: Nonlinearity,
        batch_norm: bool,
        stride: int = 1,
        squeeze_excite: bool = False,
        residual: bool = True,
    ) -> None:
        super().__init__()
        between = n_out // EXPANSION
        how: dict[str, Any] = {"nonlinearity": nonlinearity, "batch_norm": batch_norm}
        plain: dict[str, Any] = {**how, "nonlinearity": None}
        self.first = convolution(n_in, between, 1, **how)
        self.second = convolution(between, between, 3, stride=stride, **how)
        self.third = convolution(between, n_out, 1, **plain)
        self.scale = SqueezeExcite(n_out, nonlinearity) if squeeze_excite else nn.Identity()
        self.shortcut: nn.Module | None = None
        if residual:
            self.shortcut = (
                nn.Identity()
                if shortcut is None
                else convolution(n_in, n_out, shortcut, stride=stride, **plain)
            )
        self.nonlinearity = nonlinear(nonlinearity)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(batch, n_in, frames, dims)`` to ``(batch, n_out, fewer frames, fewer dims)``."""
        added = self.scale(self.third(self.second(self.first(x))))
        return self.nonlinearity(added if self.shortcut is None else self.shortcut(x) + added)


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions, whose output is added to the input; then a nonlinearity.

    Parameters
    ----------
    n_in, n_out : int
        Number of maps in the input and the output.
    shortcut : int or None
        Size of the filter that the input passes; None: the input is added as it is.
    stride : int
        Stride of the first convolution and of the shortcut.
    pool : nn.Module or None
        Pool after the nonlinearity.
    squeeze_excite : bool
        Scale the maps before they are added.
    residual : bool
        Add the input; without it the block is a plain one.
    bias : bool
        Keep the biases before norms; see `convolution`.
    nonlinearity : str
        Nonlinearity after the first convolution and after the sum.
    batch_norm : bool
        Normalise each convolution over the batch.

    References
    ----------
    He, Zhang, Ren & Sun (2016), Deep residual learning for image recognition.
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        *,
        shortcut: int | None,
        nonlinearity: Nonlinearity,
        batch_norm: bool,
        stride: int = 1,
        pool: nn.Module | None = None,
        squeeze_excite: bool = False,
        residual: bool = True,
        bias: bool = False,
    ) -> None:
        super().__init__()

        def layer(maps: int, size: int, stride: int, then: Nonlinearity | None) -> nn.Module:
            return convolution(
                maps,
                n_out,
                size,
                stride=stride,
                nonlinearity=then,
                batch_norm=batch_norm,
                bias=bias,
            )

        self.first = layer(n_in, 3, stride, nonlinearity)
        self.second = layer(n_out, 3, 1, None)
        self.scale = SqueezeExcite(n_out, nonlinearity) if squeeze_excite else nn.Identity()
        self.shortcut: nn.Module | None = None
        if residual:
            self.shortcut = (
                nn.Identity() if shortcut is None else layer(n_in, shortcut, stride, None)
            )
        self.nonlinearity = nonlinear(nonlinearity)
        self.pool = nn.Identity() if pool is None else pool

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(batch, n_in, frames, dims)`` to ``(batch, n_out, fewer frames, fewer dims)``."""
        added = self.scale(self.second(self.first(x)))
        summed = added if self.shortcut is None else self.shortcut(x) + added
        return self.pool(self.nonlinearity(summed))
