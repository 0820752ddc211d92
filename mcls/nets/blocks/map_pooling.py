"""Pools over rectangles of maps by name: ``(batch, maps, frames, dims)`` to fewer frames and dims.

``max``, ``mean``, ``std`` and ``lp`` (``lp3``, ...) are those of `mcls.nets.blocks.time_pooling`,
over the values of a rectangle in place of those of all frames. Rectangles lie side by side, or a
step apart; frames and dimensions that fill no rectangle are left out.

References
----------
Power average: Sermanet, Chintala & LeCun (2012), Convolutional neural networks applied to house
numbers digit classification.
"""

import torch
from torch import nn

from mcls.nets.blocks.layers import MaxOver
from mcls.nets.blocks.time_pooling import time_pool_part

_KINDS = ("max", "mean", "std", "lp")


def map_pool(name: str, size: tuple[int, int], step: tuple[int, int] | None = None) -> nn.Module:
    """Return a pool of rectangles of `size`, (frames, dims), which lie `step` apart, or `size`.

    Raises
    ------
    ConfigError
        If there is no such pool, or its number is out of range.

    Examples
    --------
    >>> map_pool("std", (4, 2))(torch.zeros(1, 8, 43, 40)).shape
    torch.Size([1, 8, 10, 20])
    """
    part = time_pool_part(name, _KINDS)
    if name == "max":
        return nn.MaxPool2d(size, step)
    return nn.AvgPool2d(size, step) if name == "mean" else MapPool(part, name, size, step)


def pool_the_rest(name: str) -> nn.Module:
    """Return a pool of all frames and dimensions that are left, which become one of each."""
    part = time_pool_part(name, _KINDS)
    return MaxOver(2, 3) if name == "max" else MapPool(part, name, None)


class MapPool(nn.Module):
    """A pooling over time, applied to rectangles of maps.

    Parameters
    ----------
    part : nn.Module
        Maps ``(batch, maps, values)`` to ``(batch, maps)``.
    name : str
        Its name.
    size : (int, int) or None
        Frames and dimensions of a rectangle; None: all of them.
    step : (int, int) or None
        Frames and dimensions from one rectangle to the next; None: `size`.
    """

    def __init__(
        self,
        part: nn.Module,
        name: str,
        size: tuple[int, int] | None,
        step: tuple[int, int] | None = None,
    ) -> None:
        super().__init__()
        self._pool = part.forward  # no module of its own: it learns nothing
        self.size, self.step = size, step or size
        over = "all that is left" if size is None else "x".join(map(str, size))
        self.described_as = f"{name} of {over}"

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(batch, maps, frames, dims)`` to ``(batch, maps, frames / size, dims / size)``."""
        height, width = self.size or x.shape[2:]
        down, right = self.step or x.shape[2:]
        x = x.unfold(2, height, down).unfold(3, width, right)
        pooled = self._pool(x.flatten(4).flatten(1, 3))  # (batch, maps * rows * columns)
        return pooled.view(*x.shape[:4])
