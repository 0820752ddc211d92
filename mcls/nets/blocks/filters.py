"""Filters of any shape in time and frequency, with their pools, and the parsing of shapes."""

import re
from collections import OrderedDict

import torch
from torch import nn

from mcls.errors import ConfigError
from mcls.nets.blocks.layers import MaxOver, Nonlinearity, nonlinear
from mcls.nets.blocks.long_filters import LongFilters

#: Most frames, and most dimensions, of a filter.
_LARGEST = 10_000


def filters(
    n_in: int,
    n_out: int,
    shape: tuple[int, int],
    *,
    pool: nn.Module | None,
    nonlinearity: Nonlinearity,
    batch_norm: bool,
    pad: bool = False,
) -> nn.Sequential:
    """Return filters of one shape and their pool: ``(batch, n_in, frames, dims)`` to maps.

    Parameters
    ----------
    n_in, n_out : int
        Number of maps in the input and the output.
    shape : (frames, dims)
        Size of each filter.
    pool : nn.Module or None
        Pool after the nonlinearity.
    nonlinearity : str
        Nonlinearity after the norm.
    batch_norm : bool
        Normalise the maps over the batch.
    pad : bool
        Keep the number of frames by zeros before and after; `shape` must have odd frames.
    """
    padding = (shape[0] // 2, 0) if pad else (0, 0)
    kind = LongFilters if LongFilters.suits(n_in, n_out, shape) else nn.Conv2d
    steps: dict[str, nn.Module] = {"conv": kind(n_in, n_out, shape, padding=padding)}
    if batch_norm:
        steps["norm"] = nn.BatchNorm2d(n_out)
    steps["nonlinearity"] = nonlinear(nonlinearity)
    if pool is not None:
        steps["pool"] = pool
    return nn.Sequential(OrderedDict(steps))


def maximum_over(axis: str) -> nn.Module:
    """Return the maximum over ``frames`` or ``dims``, which are kept with size 1."""
    pool = MaxOver(2 if axis == "frames" else 3)
    pool.described_as = f"maximum over {axis}"
    return pool


class SideBySide(nn.Module):
    """Layers that read the same input, their outputs side by side.

    Parameters
    ----------
    layers : list of nn.Module
        Layers that give ``(batch, maps, ...)`` of the same size but for the maps.
    """

    def __init__(self, layers: list[nn.Module]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return all maps, those of the first layer first."""
        return torch.cat([layer(x) for layer in self.layers], dim=1)


def parse_shapes(net: str, text: str) -> list[tuple[int, int]]:
    """Read the shapes of filters, each ``FRAMESxDIMENSIONS``, separated by commas.

    Parameters
    ----------
    net : str
        Name of the net, for messages.
    text : str
        Shapes such as ``60x1,1x32``.

    Raises
    ------
    ConfigError
        If a shape is not of this form, or has no frames or no dimensions.

    Examples
    --------
    >>> parse_shapes("pons-parallel", "9x1,3x3,1x9")
    [(9, 1), (3, 3), (1, 9)]
    """
    shapes, bad = [], []
    for word in text.split(","):
        found = re.fullmatch(r"\s*(\d{1,6})x(\d{1,6})\s*", word)
        frames, dims = map(int, found.groups()) if found else (0, 0)
        if not (1 <= frames <= _LARGEST and 1 <= dims <= _LARGEST):
            bad.append(repr(word))
        shapes.append((frames, dims))
    if bad:
        raise ConfigError(
            f"{net}: shapes={text}: {', '.join(bad)}; expected FRAMESxDIMENSIONS, each 1 "
            "or more, separated by commas, as in 9x1,3x3,1x9"
        )
    return shapes
