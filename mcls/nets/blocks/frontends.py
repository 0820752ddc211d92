"""Front-ends, which turn a segment into maps over time, for nets that are made of parts.

A front-end is made as ``Frontend(n_frames, n_dims, width=..., ...)``. It takes segments ``(batch,
1, n_frames, n_dims)`` and gives ``(batch, n_out, frames_out)``; ``hidden`` names its own layers, if
there is more than one, and ``fewest(frames_out)`` returns the frames and dimensions it needs.

========================  =====================================================  ====
``timbral``               filters of 7 frames x 40 % of the dimensions           576
``timbral+temporal``      7 frames x 70 % and 40 %; 128, 64 and 32 frames x 1     561
``pons-2018``             1, 3, 7 frames x 90 % and 40 %; 165, 128, 64, 32 x 1    464
``vgg``                   five convolutions of 3 x 3                              128
``waveform``              seven convolutions of 3 samples                         256
========================  =====================================================  ====

The numbers are maps. Every layer is convolution, nonlinearity, batch norm, pool, in this order.

References
----------
Pons, Nieto, Prockup, Schmidt, Ehmann & Serra (2018), End-to-end learning for music audio tagging
at scale, and its code (music-audio-tagging-at-scale-models). Pons & Serra (2019), musicnn, and its
code (musicnn-training).
"""

from typing import Any, ClassVar, Literal

import torch
from torch import nn

from mcls.nets.blocks.layers import Nonlinearity, name_layers, scaled
from mcls.nets.blocks.stacks import VGG, Envelope, SampleLevel, layer

FrontendName = Literal["timbral", "timbral+temporal", "pons-2018", "vgg", "waveform"]


class OverDims(nn.Module):
    """The maximum or the mean over dimensions."""

    def __init__(self, what: Envelope) -> None:
        super().__init__()
        self.what = what
        self.described_as = {"max": "maximum over dims", "mean": "mean over dims"}[what]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(batch, maps, frames, dims)`` to ``(batch, maps, frames)``."""
        return x.amax(dim=3) if self.what == "max" else x.mean(dim=3)


class SpectrogramFrontend(nn.Module):
    """Timbral and temporal filters that read the same spectrogram, their maps side by side.

    A timbral filter spans some frames and a share of the dimensions; of all its places in frequency
    the maximum is taken, so that pitch does not matter. A temporal filter is long in time and reads
    one dimension, or the mean of all dimensions. All keep the number of frames.

    Parameters
    ----------
    n_frames, n_dims : int
        Size of a segment.
    width : float
        Factor on the number of maps.
    envelope : {'max', 'mean'}
        Temporal filters: read every dimension, and take the maximum over dimensions (musicnn's
        code); or read the mean over dimensions (Pons et al. 2018).
    nonlinearity : str
        Nonlinearity of the filters.
    batch_norm : bool
        Normalise each filter's maps over the batch, after the nonlinearity.
    """

    #: Frames, share of dimensions and maps of timbral filters; frames and maps of temporal ones.
    timbral: ClassVar[tuple[tuple[int, float, int], ...]]
    temporal: ClassVar[tuple[tuple[int, int], ...]] = ()
    hidden: tuple[str, ...] = ()

    def __init__(
        self,
        n_frames: int,
        n_dims: int,
        *,
        width: float,
        envelope: Envelope,
        nonlinearity: Nonlinearity,
        batch_norm: bool,
    ) -> None:
        super().__init__()
        how: dict[str, Any] = {"nonlinearity": nonlinearity, "batch_norm": batch_norm}
        branches: list[nn.Module] = []
        self.n_out, self.frames_out = 0, n_frames
        for length, share, n_maps in self.timbral:
            maps, bands = scaled(n_maps, width), max(1, int(share * n_dims))
            conv = nn.Conv2d(1, maps, (length, bands), padding=((length - 1) // 2, 0))
            branches.append(layer(conv, nn.BatchNorm2d(maps), pool=OverDims("max"), **how))
            self.n_out += maps
        for length, n_maps in self.temporal:
            maps = scaled(n_maps, width)
            branches.append(_temporal(maps, length, envelope, **how))
            self.n_out += maps
        self._branches = name_layers(self, "branch", branches)

    @classmethod
    def fewest(cls, frames_out: int = 1) -> tuple[int, int]:
        """Return the fewest frames and dimensions."""
        return frames_out, 1

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(batch, 1, n_frames, n_dims)`` to ``(batch, n_out, n_frames)``."""
        return torch.cat([getattr(self, name)(x) for name in self._branches], dim=1)


def _temporal(maps: int, length: int, envelope: Envelope, **how: Any) -> nn.Module:
    """Return filters of one dimension; zeros at the ends keep the number of frames."""
    before, after = (length - 1) // 2, length // 2
    if envelope == "max":
        ends: nn.Module = nn.ZeroPad2d((0, 0, before, after))
        conv, norm = nn.Conv2d(1, maps, (length, 1)), nn.BatchNorm2d(maps)
        return layer(conv, norm, before={"pad": ends}, pool=OverDims("max"), **how)
    ends = nn.ConstantPad1d((before, after), 0.0)
    first = {"mean": OverDims("mean"), "pad": ends}
    return layer(nn.Conv1d(1, maps, length), nn.BatchNorm1d(maps), before=first, **how)


class Timbral(SpectrogramFrontend):
    """The front-end of musicnn's variants with attention and auto-pool."""

    timbral = ((7, 0.4, 576),)


class TimbralTemporal(SpectrogramFrontend):
    """The front-end of musicnn."""

    timbral = ((7, 0.4, 204), (7, 0.7, 204))
    temporal = ((128, 51), (64, 51), (32, 51))


class Pons2018Spectrogram(SpectrogramFrontend):
    """The front-end for spectrograms of Pons et al. (2018)."""

    timbral = ((7, 0.9, 16), (3, 0.9, 32), (1, 0.9, 64), (7, 0.4, 16), (3, 0.4, 32), (1, 0.4, 64))
    temporal = ((165, 16), (128, 32), (64, 64), (32, 128))


FRONTENDS: dict[FrontendName, type[SpectrogramFrontend | VGG | SampleLevel]] = {
    "timbral": Timbral,
    "timbral+temporal": TimbralTemporal,
    "pons-2018": Pons2018Spectrogram,
    "vgg": VGG,
    "waveform": SampleLevel,
}
