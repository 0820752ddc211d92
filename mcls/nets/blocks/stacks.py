"""Stacks of convolutions as front-ends: on spectrograms as on images, and on the waveform.

For what a front-end is, see `mcls.nets.blocks.frontends`. Every layer is convolution, nonlinearity,
batch norm, pool, in this order.
"""

from collections import OrderedDict
from collections.abc import Mapping
from typing import ClassVar, Literal

import torch
from torch import nn

from mcls.errors import ConfigError
from mcls.nets.blocks.layers import Nonlinearity, check_sizes, name_layers, nonlinear, scaled
from mcls.nets.blocks.map_pooling import map_pool

Envelope = Literal["max", "mean"]


def layer(
    convolution: nn.Module,
    norm: nn.Module,
    *,
    nonlinearity: Nonlinearity,
    batch_norm: bool,
    before: Mapping[str, nn.Module] | None = None,
    pool: nn.Module | None = None,
) -> nn.Sequential:
    """Return a layer that is normalised after its nonlinearity.

    Parameters
    ----------
    convolution : nn.Module
        The convolution, or a dense layer.
    norm : nn.Module
        Norm of its maps; left out without `batch_norm`.
    nonlinearity : str
        Nonlinearity between the two.
    batch_norm : bool
        Normalise the maps over the batch.
    before : mapping of str to nn.Module
        Steps before the convolution, such as zeros at the ends, by name.
    pool : nn.Module or None
        Pool after the norm.
    """
    steps: dict[str, nn.Module] = {**(before or {})}
    name = "linear" if isinstance(convolution, nn.Linear) else "conv"
    steps |= {name: convolution, "nonlinearity": nonlinear(nonlinearity)}
    if batch_norm:
        steps["norm"] = norm
    if pool is not None:
        steps["pool"] = pool
    return nn.Sequential(OrderedDict(steps))


class VGG(nn.Module):
    """Five 3 x 3 convolutions of 128 maps with small pools: musicnn's VGG baseline.

    The first pool takes 4 frames at every second frame of every second dimension, as
    published. Pools are no larger than what is left to pool. Dims that are left at the end are maps
    of their own.

    Parameters
    ----------
    n_frames, n_dims : int
        Size of a segment.
    width : float
        Factor on the number of maps.
    nonlinearity : str
        Nonlinearity of the layers.
    batch_norm : bool
        Normalise each layer over the batch, after its nonlinearity.
    dropout : float
        Share of the units dropped before each layer but the first in training.
    pool : str
        Pool of each layer: max, mean, std, lp (root mean square), lp3 and so on.
    envelope
        Ignored; there are no temporal filters.
    """

    #: Window and step of each pool: frames, dimensions.
    pools: ClassVar[tuple[tuple[tuple[int, int], tuple[int, int]], ...]] = (
        ((4, 1), (2, 2)),
        ((2, 2), (2, 2)),
        ((2, 2), (2, 2)),
        ((2, 2), (2, 2)),
        ((4, 4), (4, 4)),
    )
    n_maps: ClassVar[int] = 128

    def __init__(
        self,
        n_frames: int,
        n_dims: int,
        *,
        width: float,
        nonlinearity: Nonlinearity,
        batch_norm: bool,
        envelope: Envelope = "max",
        dropout: float = 0.0,
        pool: str = "max",
    ) -> None:
        super().__init__()
        maps, layers = scaled(self.n_maps, width), list[nn.Module]()
        frames, dims = n_frames, n_dims
        for window, step in self.pools:
            window = (min(window[0], frames), min(window[1], dims))
            frames = (frames - window[0]) // step[0] + 1
            dims = (dims - window[1]) // step[1] + 1
            layers.append(
                layer(
                    nn.Conv2d(maps if layers else 1, maps, 3, padding=1),
                    nn.BatchNorm2d(maps),
                    nonlinearity=nonlinearity,
                    batch_norm=batch_norm,
                    pool=map_pool(pool, window, step),
                )
            )
        self.hidden = name_layers(self, "conv", layers)
        self.dropout = nn.Dropout(dropout)
        self.n_out, self.frames_out = maps * dims, frames

    @classmethod
    def fewest(cls, frames_out: int = 1) -> tuple[int, int]:
        """Return the fewest frames and dimensions: those of a filter, if one frame is enough."""
        if frames_out == 1:
            return 3, 3
        frames = frames_out
        for window, step in reversed(cls.pools):
            frames = (frames - 1) * step[0] + window[0]
        return frames, 3

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(batch, 1, n_frames, n_dims)`` to ``(batch, n_out, frames_out)``."""
        for name in self.hidden:
            x = getattr(self, name)(x if name == "conv1" else self.dropout(x))
        return x.transpose(2, 3).flatten(1, 2)  # (batch, maps x dimensions left, frames)


class SampleLevel(nn.Module):
    """Seven convolutions of 3 samples, without padding: the sample-level front-end of Pons 2018.

    The first moves on by 3 samples; each of the others is followed by a max-pool of 3. A segment is
    read as samples: frame after frame, dimension after dimension.

    Parameters
    ----------
    n_frames, n_dims : int
        Size of a segment, of n_frames x n_dims samples.
    width : float
        Factor on the number of maps.
    nonlinearity : str
        Nonlinearity of the layers.
    batch_norm : bool
        Normalise each layer over the batch, after its nonlinearity.
    envelope
        Ignored; there are no temporal filters.
    """

    n_maps: ClassVar[tuple[int, ...]] = (64, 64, 64, 128, 128, 128, 256)
    size: ClassVar[int] = 3  # of filters and pools

    def __init__(
        self,
        n_frames: int,
        n_dims: int,
        *,
        width: float,
        nonlinearity: Nonlinearity,
        batch_norm: bool,
        envelope: Envelope = "max",
    ) -> None:
        super().__init__()
        maps, layers = [1, *(scaled(n, width) for n in self.n_maps)], list[nn.Module]()
        left = (n_frames * n_dims) // self.size
        for i in range(len(self.n_maps)):
            first = i == 0
            layers.append(
                layer(
                    nn.Conv1d(maps[i], maps[i + 1], self.size, stride=self.size if first else 1),
                    nn.BatchNorm1d(maps[i + 1]),
                    nonlinearity=nonlinearity,
                    batch_norm=batch_norm,
                    pool=None if first else nn.MaxPool1d(self.size),
                )
            )
            left = left if first else (left - self.size + 1) // self.size
        self.hidden = name_layers(self, "conv", layers)
        self.n_out, self.frames_out = maps[-1], left

    @classmethod
    def fewest(cls, frames_out: int = 1) -> tuple[int, int]:
        """Return the fewest samples, as frames of one dimension."""
        samples = frames_out
        for _ in cls.n_maps[1:]:
            samples = samples * cls.size + cls.size - 1
        return samples * cls.size, 1

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(batch, 1, n_frames, n_dims)`` to ``(batch, n_out, frames_out)``."""
        x = x.flatten(2)  # (batch, 1, samples)
        for name in self.hidden:
            x = getattr(self, name)(x)
        return x


def check_samples(
    name: str, smallest: tuple[int, int], n_frames: int, n_dims: int, n_labels: int
) -> None:
    """Refuse segments that a net of the waveform cannot take: of too few samples.

    Raises
    ------
    ConfigError
        If there are fewer samples than the smallest, or no labels.
    """
    n_samples = n_frames * n_dims
    if n_samples < smallest[0]:
        raise ConfigError(
            f"{name}: a segment of {n_samples} samples ({n_frames} frames x {n_dims} "
            f"dimensions) is too small; it takes at least {smallest[0]} frames x {smallest[1]} "
            "dimensions. Use longer segments, of the feature waveform"
        )
    check_sizes(name, smallest, n_samples, 1, n_labels)
