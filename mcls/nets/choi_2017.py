"""The convolutional nets that Choi, Fazekas, Sandler & Cho compared with their CRNN.

In the names k is the dimension of the kernels (filters), and c that of the convolution: ``k1c2``
has filters over time that move along time and frequency, ``k2c1`` first filters over all of
frequency that move along time, ``k2c2`` filters of 3 x 3 that move along both. The paper compares
them at equal numbers of parameters; `mcls.nets.budget.width_for` finds the width.
"""

from collections import OrderedDict
from itertools import pairwise
from typing import ClassVar

import torch
from torch import nn

from mcls.nets.base import Net
from mcls.nets.blocks.layers import (
    Init,
    Nonlinearity,
    check_settings,
    check_sizes,
    dense,
    init_weights,
    name_layers,
    nonlinear,
    pools_that_fit,
    scaled,
    through,
)
from mcls.nets.blocks.map_pooling import map_pool
from mcls.registry import register, register_preset

_LENGTH = 4  # frames of a filter


@register(
    "nets",
    "k1c2",
    source="Choi et al. 2017",
    sr=12000,
    hop=256,
    frames=1366,
    dims=96,
    labels=50,
)
class K1C2(Net):
    """Four convolutions over time, the same for every band, then two dense layers.

    Pools shorten time to one frame of the published segment; no more frames are pooled than are
    left. The dense layers read all bands. A net takes segments of one length.

    Parameters
    ----------
    pool : str
        Pool of each convolution: max, mean, std, lp (root mean square), lp3 and so on.
    dropout : float
        Share of the units dropped after each dense layer in training, in [0, 1).

    Attributes
    ----------
    hidden : tuple of str
        ``conv1`` to ``conv4``: ``(batch, maps, frames, dims)``; ``dense1``, ``dense2``:
        ``(batch, units)``.

    References
    ----------
    Choi, Fazekas, Sandler & Cho (2017), Convolutional recurrent neural networks for music
    classification, section 2.

    Differs from the paper: widths and the pools of ``k2c1`` are from memory. Width 1 is the
    paper's net of one million parameters; the counts of all three are within a tenth of that.
    """

    #: Maps of each convolution, frames of the pool after it, units of each dense layer.
    maps: ClassVar[tuple[int, ...]] = (47, 47, 95, 95)
    pools: ClassVar[tuple[int, ...]] = (4, 5, 8, 8)
    units: ClassVar[tuple[int, ...]] = (95, 95)
    #: Whether the filters of the first convolution span all dimensions, or one.
    spans_dims: ClassVar[bool] = False

    def __init__(
        self,
        n_frames: int,
        n_dims: int,
        n_labels: int,
        *,
        width: float = 1.0,
        pool: str = "max",
        nonlinearity: Nonlinearity = "elu",
        dropout: float = 0.5,
        batch_norm: bool = True,
        init: Init = "xavier",
    ) -> None:
        super().__init__()
        check_settings(self.registered_as, dropout=dropout, width=width)
        check_sizes(self.registered_as, self.smallest(), n_frames, n_dims, n_labels)
        bands = 1 if self.spans_dims else n_dims
        fitting, left = pools_that_fit([(frames, 1) for frames in self.pools], n_frames, bands)
        maps = [1, *(scaled(n, width) for n in self.maps)]
        layers = []
        for i, size in enumerate(fitting):
            steps: dict[str, nn.Module] = {
                "pad": nn.ZeroPad2d((0, 0, (_LENGTH - 1) // 2, _LENGTH // 2)),
                "conv": nn.Conv2d(maps[i], maps[i + 1], (_LENGTH, 1 if i else n_dims // bands)),
            }
            if batch_norm:
                steps["norm"] = nn.BatchNorm2d(maps[i + 1])
            steps["nonlinearity"] = nonlinear(nonlinearity)
            steps["pool"] = map_pool(pool, size)
            layers.append(nn.Sequential(OrderedDict(steps)))
        units = [maps[-1] * left[0] * left[1], *(scaled(n, width) for n in self.units)]
        denses = [
            dense(n_in, n_out, nonlinearity=nonlinearity, batch_norm=batch_norm)
            for n_in, n_out in pairwise(units)
        ]
        self._convolutions = name_layers(self, "conv", layers)
        self._denses = name_layers(self, "dense", denses)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(units[-1], n_labels)
        self.hidden = self._convolutions + self._denses
        init_weights(self, init)

    @staticmethod
    def smallest(**settings: object) -> tuple[int, int]:
        """Return the fewest frames and dimensions: those of a filter."""
        return _LENGTH, 1

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(batch, 1, n_frames, n_dims)`` to logits ``(batch, n_labels)``."""
        x = through(self, self._convolutions, x)  # (batch, maps, frames, bands)
        return self.output(through(self, self._denses, x.flatten(1), after=self.dropout))


K2C1 = register_preset(
    "nets",
    "k2c1",
    of="k1c2",
    summary="A convolution over all bands, three over time, then two dense layers.",
    maps=(152, 152, 304, 304),
    pools=(4, 4, 5, 8),
    units=(304, 304),
    spans_dims=True,
)

K2C2 = register_preset(
    "nets",
    "k2c2",
    of="fcn5",
    summary="Fully convolutional, 5 layers of 67, 135, 135, 203 and 271 maps.",
    facts={"source": "Choi et al. 2017"},
    maps=(67, 135, 135, 203, 271),
    nonlinearity="elu",
    dropout=0.0,
)
