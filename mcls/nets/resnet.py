"""Residual nets of 18 to 152 layers: He, Zhang, Ren & Sun's ResNet, for one-channel segments."""

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import nn

from mcls.nets.base import Net
from mcls.nets.blocks.image import EXPANSION, BottleneckBlock, ResidualBlock, convolution
from mcls.nets.blocks.layers import (
    Init,
    Nonlinearity,
    check_settings,
    check_sizes,
    init_weights,
    name_layers,
    scaled,
    through,
)
from mcls.registry import register, register_preset

_FILTER = 7  # frames, and dimensions, of the first convolution
_MAPS = (64, 128, 256, 512)  # of the four stages; a bottleneck has four times as many at its end


@register(
    "nets", "resnet18", source="He et al. 2016", frames=224, dims=224, labels=1000, any_length=True
)
class ResNet18(Net):
    """Residual net of 18 layers: eight blocks of two convolutions.

    A strided convolution and a max-pool, residual blocks in four stages, the mean of each map. A
    net takes segments of any size from the smallest on.

    Parameters
    ----------
    residual : bool
        Add the input of each block to its output, unlike in a plain net.
    squeeze_excite : bool
        Scale each block's maps by squeeze-and-excitation before they are added.
    dropout : float
        Share of the maps' means dropped before the output; the published net has 0.
    batch_norm : bool
        Normalise each convolution over the batch.

    Attributes
    ----------
    hidden : tuple of str
        ``conv1``, ``block1``, ``block2``, ...: ``(batch, maps, frames, dims)``.

    References
    ----------
    He, Zhang, Ren & Sun (2016), Deep residual learning for image recognition. Squeeze-and-
    excitation: Hu, Shen & Sun (2018). With ``residual=false`` it is the plain net of the same depth
    that the first paper compares with.

    Differs from the paper: the input has one channel, not three.
    """

    #: Blocks of each stage, and whether a block is a bottleneck.
    blocks: ClassVar[tuple[int, ...]] = (2, 2, 2, 2)
    bottleneck: ClassVar[bool] = False

    def __init__(
        self,
        n_frames: int,
        n_dims: int,
        n_labels: int,
        *,
        width: float = 1.0,
        residual: bool = True,
        squeeze_excite: bool = False,
        nonlinearity: Nonlinearity = "relu",
        dropout: float = 0.0,
        batch_norm: bool = True,
        init: Init = "he",
    ) -> None:
        super().__init__()
        check_settings(self.registered_as, dropout=dropout, width=width)
        check_sizes(self.registered_as, self.smallest(), n_frames, n_dims, n_labels)
        maps = [scaled(n, width) for n in _MAPS]
        self.conv1 = convolution(
            1, maps[0], _FILTER, stride=2, nonlinearity=nonlinearity, batch_norm=batch_norm
        )
        self.conv1.add_module("pool", nn.MaxPool2d(3, stride=2, padding=1))
        self.hidden = (
            "conv1",
            *self._add_blocks(
                maps,
                residual=residual,
                squeeze_excite=squeeze_excite,
                nonlinearity=nonlinearity,
                batch_norm=batch_norm,
            ),
        )
        self.mean = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(maps[-1] * (EXPANSION if self.bottleneck else 1), n_labels)
        init_weights(self, init)

    def _add_blocks(self, maps: Sequence[int], **how: Any) -> tuple[str, ...]:
        """Add the blocks of the four stages and return their names."""
        kind = BottleneckBlock if self.bottleneck else ResidualBlock
        layers: list[nn.Module] = []
        n_in = maps[0]
        for stage, n_blocks in enumerate(self.blocks):
            n_out = maps[stage] * (EXPANSION if self.bottleneck else 1)
            for i in range(n_blocks):
                stride = 2 if stage > 0 and i == 0 else 1
                shortcut = 1 if (n_in, stride) != (n_out, 1) else None
                layers.append(kind(n_in, n_out, stride=stride, shortcut=shortcut, **how))
                n_in = n_out
        return name_layers(self, "block", layers)

    @staticmethod
    def smallest(**settings: object) -> tuple[int, int]:
        """Return the fewest frames and dimensions: those of the first filter."""
        return _FILTER, _FILTER

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(batch, 1, n_frames, n_dims)`` to logits ``(batch, n_labels)``."""
        x = self.mean(through(self, self.hidden, x))  # (batch, maps, 1, 1)
        return self.output(self.dropout(x.flatten(1)))


ResNet34 = register_preset(
    "nets",
    "resnet34",
    of="resnet18",
    summary="Residual net of 34 layers: sixteen blocks of two convolutions.",
    blocks=(3, 4, 6, 3),
)

ResNet50 = register_preset(
    "nets",
    "resnet50",
    of="resnet34",
    summary="Residual net of 50 layers: sixteen bottlenecks of three convolutions.",
    bottleneck=True,
)

ResNet101 = register_preset(
    "nets",
    "resnet101",
    of="resnet50",
    summary="Residual net of 101 layers: 33 bottlenecks of three convolutions.",
    blocks=(3, 4, 23, 3),
)

ResNet152 = register_preset(
    "nets",
    "resnet152",
    of="resnet50",
    summary="Residual net of 152 layers: 50 bottlenecks of three convolutions.",
    blocks=(3, 8, 36, 3),
)
