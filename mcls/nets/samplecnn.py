"""Convolutions of three samples all the way: Lee, Park, Kim & Nam's SampleCNN."""

from collections import OrderedDict

import torch
from torch import nn

from mcls.nets.base import Net
from mcls.nets.blocks.layers import (
    Init,
    Nonlinearity,
    check_settings,
    conv1d,
    init_weights,
    name_layers,
    nonlinear,
    scaled,
    through,
)
from mcls.nets.blocks.stacks import check_samples
from mcls.nets.blocks.time_pooling import time_pool
from mcls.registry import register

_FIRST = 128  # maps of the first convolution and of the first two modules
_MIDDLE = 256  # maps of the other modules but the last
_N_FIRST = 2


@register(
    "nets",
    "samplecnn",
    source="Lee et al. 2017",
    sr=22050,
    hop=1,
    frames=59049,
    dims=1,
    labels=50,
    any_length=True,
)
class SampleCNN(Net):
    """A strided convolution of 3 samples and nine modules of convolution and max-pool, all of 3.

    A segment is read as samples: rows of the feature ``waveform`` are one sample each; rows of more
    are joined. 3^10 = 59049 samples become one frame; of longer segments the maximum over frames is
    taken. Every layer is normalised before its nonlinearity.

    Parameters
    ----------
    size : int
        Length of every filter and pool, in samples or frames, 2 to 9.
    modules : int
        Convolutions with a pool, 1 to 20; segments have size^(modules + 1) samples.
    last_maps : int
        Maps of the last module and the last layer; the net published for MSD has 256.
    dropout : float
        Share of the last layer's units dropped in training, in [0, 1).

    Attributes
    ----------
    hidden : tuple of str
        ``conv1``, ``conv2``, ...: ``(batch, maps, frames)``.

    References
    ----------
    Lee, Park, Kim & Nam (2017), Sample-level deep convolutional neural networks for music
    auto-tagging using raw waveforms; the code its first author published (sampleCNN) and his net
    for the Million Song Dataset (musicTagging_MSD).

    Differs from the published code: He's weights are normal there uniform, of the same variance;
    the output layer's were Glorot's.
    """

    def __init__(
        self,
        n_frames: int,
        n_dims: int,
        n_labels: int,
        *,
        width: float = 1.0,
        size: int = 3,
        modules: int = 9,
        last_maps: int = 512,
        nonlinearity: Nonlinearity = "relu",
        dropout: float = 0.5,
        batch_norm: bool = True,
        init: Init = "he",
    ) -> None:
        super().__init__()
        check_settings(
            self.registered_as,
            dropout=dropout,
            width=width,
            counts={
                "size": (size, 2, 9),
                "modules": (modules, 1, 20),
                "last_maps": (last_maps, 1, None),
            },
        )
        smallest = self.smallest(size=size, modules=modules)
        check_samples(self.registered_as, smallest, n_frames, n_dims, n_labels)
        n_first = min(_N_FIRST, modules - 1)
        published = [_FIRST] * (1 + n_first) + [_MIDDLE] * (modules - 1 - n_first)
        maps = [scaled(n, width) for n in (*published, last_maps, last_maps)]
        first: dict[str, nn.Module] = {"conv": nn.Conv1d(1, maps[0], size, stride=size)}
        if batch_norm:
            first["norm"] = nn.BatchNorm1d(maps[0])
        first["nonlinearity"] = nonlinear(nonlinearity)
        layers: list[nn.Module] = [nn.Sequential(OrderedDict(first))]
        for i in range(1, len(maps)):
            last = i == len(maps) - 1
            layers.append(
                conv1d(
                    maps[i - 1],
                    maps[i],
                    1 if last else size,
                    pool=1 if last else size,
                    nonlinearity=nonlinearity,
                    batch_norm=batch_norm,
                    pad=not last,
                )
            )
        self.hidden = name_layers(self, "conv", layers)
        self.summary = time_pool("max", maps[-1])
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(maps[-1], n_labels)
        init_weights(self, init)

    @staticmethod
    def smallest(*, size: int, modules: int, **settings: object) -> tuple[int, int]:
        """Return the fewest samples, as frames of one dim: those that become one frame."""
        return size ** (modules + 1), 1

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(batch, 1, n_frames, n_dims)`` to logits ``(batch, n_labels)``."""
        x = through(self, self.hidden, x.flatten(2))  # (batch, maps, frames)
        return self.output(self.dropout(self.summary(x)))
