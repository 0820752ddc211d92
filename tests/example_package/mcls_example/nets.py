"""Nets that mcls finds through the entry point in ../mcls_example-1.0.dist-info."""

from typing import Literal

import torch
from torch import nn

from mcls.registry import register, register_preset


@register(
    "nets", "mean-linear", source="Example 2026", sr=16000, hop=512, frames=16, dims=8, labels=3
)
class MeanLinear(nn.Module):
    """Mean or maximum over time, and a linear layer.

    Parameters
    ----------
    n_frames, n_dims, n_labels : int
        Size of a segment; logits.
    pool : {'mean', 'max'}
        Pooling over time.
    width : float
        Scales the number of hidden units.
    """

    hidden = ("dense1",)

    def __init__(
        self,
        n_frames: int,
        n_dims: int,
        n_labels: int,
        *,
        pool: Literal["mean", "max"] = "mean",
        width: float = 1.0,
    ) -> None:
        super().__init__()
        units = max(1, round(8 * width))
        self.pool = pool
        self.dense1 = nn.Sequential(nn.Linear(n_dims, units), nn.Tanh())
        self.output = nn.Linear(units, n_labels)

    @staticmethod
    def smallest(**settings: object) -> tuple[int, int]:
        """Return the fewest frames and dimensions."""
        return 1, 1

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(batch, 1, n_frames, n_dims)`` to logits ``(batch, n_labels)``."""
        x = x.squeeze(1)
        x = x.mean(dim=1) if self.pool == "mean" else x.amax(dim=1)
        return self.output(self.dense1(x))


NarrowFCN4 = register_preset(
    "nets",
    "fcn4-narrow",
    of="fcn4",
    summary="Fully convolutional net of 4 layers, at a sixteenth of its width.",
    facts={"source": "Example 2026", "frames": 64},
    width=0.0625,
    dropout=0.0,
)
