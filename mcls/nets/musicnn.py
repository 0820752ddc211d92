"""Musically motivated filters, convolutions in time, pooling over time: Pons & Serra's musicnn.

Any front-end goes with any mid-end and any back-end, each of which is in `mcls.nets.blocks`.
"""

from typing import ClassVar

import torch
from torch import nn

from mcls.nets.base import Net
from mcls.nets.blocks.backends import Backend, Convolutions, Midend, make_backend
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
from mcls.registry import register

_RECURRENT_UNITS = 512


@register(
    "nets",
    "musicnn",
    source="Pons & Serra 2019",
    sr=16000,
    hop=256,
    frames=187,
    dims=96,
    labels=50,
    any_length=True,
)
class Musicnn(Net):
    """Timbral and temporal filters, three residual convolutions, all of them pooled over time.

    Every layer is normalised after its nonlinearity, and the segment as a whole before all. A net
    takes segments of any length from the smallest on, unless its back-end is mlp.

    Parameters
    ----------
    frontend : str
        Layers that turn a segment into maps over time.
    envelope : {'max', 'mean'}
        Maximum over dimensions after temporal filters, or mean before them.
    midend : {'dense', 'residual', 'pons-2018', 'none'}
        Convolutions over all maps; dense joins all layers, the others give the last.
    midend_maps : int
        Maps of each convolution of the mid-end; the published large net has 512.
    residual_norm : bool
        Normalise what residual convolutions add; the published code does not.
    backend : str
        Pooling that turns maps over time into one vector.
    units : int
        Units of the dense layer; the published large net has 500.
    dropout : float
        Share of units dropped before and after the dense layer in training.
    batch_norm : bool
        Normalise each hidden layer over the batch, after its nonlinearity.

    Attributes
    ----------
    hidden : tuple of str
        ``frontend``, ``midend.conv1`` to ``midend.conv3``: ``(batch, maps, frames)``; ``dense1``:
        ``(batch, units)``. The layers of other front-ends and of the recurrent back-end have names
        of their own.

    References
    ----------
    Pons & Serra (2019), musicnn: pre-trained convolutional neural networks for music audio tagging;
    the code its first author published (musicnn-training).

    Differs from the published code: there the norms of the second and third convolution are
    computed and not used; ``residual_norm=false`` does the same. Its front-end begins with Glorot's
    weights and the rest with He's, where `init` is for all layers.
    """

    #: Whether the segment as a whole, and the vector over time, are normalised over the batch.
    normalise_input: ClassVar[bool] = True
    normalise_summary: ClassVar[bool] = True

    def __init__(
        self,
        n_frames: int,
        n_dims: int,
        n_labels: int,
        *,
        width: float = 1.0,
        frontend: FrontendName = "timbral+temporal",
        envelope: Envelope = "max",
        midend: Midend = "dense",
        midend_maps: int = 64,
        residual_norm: bool = True,
        backend: Backend = "global-pool",
        units: int = 200,
        nonlinearity: Nonlinearity = "relu",
        dropout: float = 0.5,
        batch_norm: bool = True,
        init: Init = "he",
    ) -> None:
        super().__init__()
        counts = {"midend_maps": (midend_maps, 1, None), "units": (units, 1, None)}
        check_settings(self.registered_as, dropout=dropout, width=width, counts=counts)
        smallest = self.smallest(frontend=frontend, midend=midend)
        check = check_samples if frontend == "waveform" else check_sizes
        check(self.registered_as, smallest, n_frames, n_dims, n_labels)
        self.input_norm = nn.BatchNorm2d(1) if self.normalise_input else nn.Identity()
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
        self.summary = make_backend(backend, *left, scaled(_RECURRENT_UNITS, width))
        named += [f"summary.{part}" for part in getattr(self.summary, "hidden", ())]
        n_out: int = self.summary.n_out  # type: ignore[assignment]  # every back-end has it
        normed = self.normalise_summary and batch_norm
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
        """Return the fewest frames and dimensions: one frame must be left over time."""
        return FRONTENDS[frontend].fewest(Convolutions.fewest(midend))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(batch, 1, n_frames, n_dims)`` to logits ``(batch, n_labels)``."""
        x = self.midend(self.frontend(self.input_norm(x)))  # (batch, maps, frames)
        x = self.dropout(self.summary_norm(self.summary(x)))  # (batch, n_out)
        return self.output(self.dropout(self.dense1(x)))
