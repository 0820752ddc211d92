"""A front-end, a mid-end, a back-end, a dense layer: what musicnn and Pons 2018 share."""

from typing import ClassVar

import torch
from torch import nn

from mcls.nets.blocks.backends import Backend, Convolutions, Midend, summary
from mcls.nets.blocks.frontends import FRONTENDS, FrontendName
from mcls.nets.blocks.layers import (
    Init,
    Nonlinearity,
    check_settings,
    check_sizes,
    init_weights,
    scaled,
)
from mcls.nets.blocks.stacks import Envelope, check_samples, layer

_RECURRENT_UNITS = 512


class FrontBack(nn.Module):
    """Any front-end with any mid-end and any back-end.

    Parameters
    ----------
    n_frames, n_dims, n_labels : int
        Size of a segment; logits.
    width : float
        Scales every hidden layer.
    frontend, midend, backend : str
        See `mcls.nets.blocks.frontends` and `mcls.nets.blocks.backends`.
    envelope : {'max', 'mean'}
        See `mcls.nets.blocks.frontends.Branches`.
    midend_maps, units : int
        Of each convolution of the mid-end; of the dense layer.
    residual_norm : bool
        See `mcls.nets.blocks.backends.Convolutions`.
    input_norm, summary_norm : bool
        Whether the segment as a whole, and the vector over time, are normalised.
    nonlinearity, dropout, batch_norm, init
        As in every net.
    """

    registered_as: ClassVar[str]

    def __init__(
        self,
        n_frames: int,
        n_dims: int,
        n_labels: int,
        *,
        width: float,
        frontend: FrontendName,
        envelope: Envelope,
        midend: Midend,
        midend_maps: int,
        residual_norm: bool,
        backend: Backend,
        units: int,
        input_norm: bool,
        summary_norm: bool,
        nonlinearity: Nonlinearity,
        dropout: float,
        batch_norm: bool,
        init: Init,
    ) -> None:
        super().__init__()
        counts = {"midend_maps": (midend_maps, 1, None), "units": (units, 1, None)}
        check_settings(self.registered_as, dropout=dropout, width=width, counts=counts)
        smallest = self.smallest(frontend=frontend, midend=midend)
        check = check_samples if frontend == "waveform" else check_sizes
        check(self.registered_as, smallest, n_frames, n_dims, n_labels)
        self.input_norm = nn.BatchNorm2d(1) if input_norm else nn.Identity()
        self.frontend = FRONTENDS[frontend](
            n_frames,
            n_dims,
            width=width,
            envelope=envelope,
            nonlinearity=nonlinearity,
            batch_norm=batch_norm,
        )
        left = self.frontend.n_out, self.frontend.frames_out
        named = [f"frontend.{part}" for part in self.frontend.hidden] or ["frontend"]
        self.midend: nn.Module = nn.Identity()
        if midend != "none":
            self.midend = Convolutions(
                *left,
                scaled(midend_maps, width),
                kind=midend,
                residual_norm=residual_norm,
                nonlinearity=nonlinearity,
                batch_norm=batch_norm,
            )
            left = self.midend.n_out, self.midend.frames_out
            named += [f"midend.{part}" for part in self.midend.hidden]
        self.summary = summary(backend, *left, scaled(_RECURRENT_UNITS, width))
        named += [f"summary.{part}" for part in getattr(self.summary, "hidden", ())]
        n_out: int = self.summary.n_out  # type: ignore[assignment]  # every back-end has it
        normed = summary_norm and batch_norm
        self.summary_norm = nn.BatchNorm1d(n_out) if normed else nn.Identity()
        units = scaled(units, width)
        self.dense1 = layer(
            nn.Linear(n_out, units),
            nn.BatchNorm1d(units),
            nonlinearity=nonlinearity,
            batch_norm=batch_norm,
        )
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(units, n_labels)
        self.hidden = (*named, "dense1")
        init_weights(self, init)

    @staticmethod
    def smallest(*, frontend: FrontendName, midend: Midend, **settings: object) -> tuple[int, int]:
        """Return the fewest frames and dims: one frame must be left over time."""
        return FRONTENDS[frontend].fewest(Convolutions.fewest(midend))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(batch, 1, n_frames, n_dims)`` to logits ``(batch, n_labels)``."""
        x = self.midend(self.frontend(self.input_norm(x)))  # (batch, maps, frames)
        x = self.dropout(self.summary_norm(self.summary(x)))  # (batch, n_out)
        return self.output(self.dropout(self.dense1(x)))
