"""Front-ends: from a segment to maps over time, each once, for any net that goes on from there.

A front-end is made as ``Frontend(n_frames, n_dims, width=..., ...)``. It takes segments
``(batch, 1, n_frames, n_dims)`` and gives ``(batch, n_out, frames_out)``; ``hidden`` names its own
layers, if there is more than one, and ``fewest(frames_out)`` returns the frames and dims it needs.

========================  =====================================================  ====
``timbral``               filters of 7 frames x 40 % of the dims                  576
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

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
from torch import nn

from mcls.errors import ConfigError
from mcls.nets.blocks import Nonlinearity, check_sizes, name_layers, nonlinear, scaled

FrontendName = Literal["timbral", "timbral+temporal", "pons-2018", "vgg", "waveform"]
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
        Or a dense layer.
    norm : nn.Module
        Of its maps; left out without `batch_norm`.
    nonlinearity : str
        Between the two.
    batch_norm : bool
        Whether to normalise.
    before : mapping of str to nn.Module
        What comes first, such as zeros at the ends, by the names of the steps.
    pool : nn.Module or None
        What comes last.
    """
    steps: dict[str, nn.Module] = {**(before or {})}
    name = "linear" if isinstance(convolution, nn.Linear) else "conv"
    steps |= {name: convolution, "nonlinearity": nonlinear(nonlinearity)}
    if batch_norm:
        steps["norm"] = norm
    if pool is not None:
        steps["pool"] = pool
    return nn.Sequential(OrderedDict(steps))


class OverDims(nn.Module):
    """The maximum or the mean over dims."""

    def __init__(self, what: Envelope) -> None:
        super().__init__()
        self.what = what
        self.described_as = {"max": "maximum over dims", "mean": "mean over dims"}[what]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(batch, maps, frames, dims)`` to ``(batch, maps, frames)``."""
        return x.amax(dim=3) if self.what == "max" else x.mean(dim=3)


class Branches(nn.Module):
    """Timbral and temporal filters that read the same spectrogram, their maps side by side.

    A timbral filter spans some frames and a share of the dims; of all its places in frequency the
    maximum is taken, so that pitch does not matter. A temporal filter is long in time and reads one
    dim, or the mean of all dims. All keep the number of frames.

    Parameters
    ----------
    n_frames, n_dims : int
        Size of a segment.
    width : float
        Scales the number of maps.
    envelope : {'max', 'mean'}
        Temporal filters: read every dim, and take the maximum over dims (musicnn's code); or read
        the mean over dims (Pons et al. 2018).
    nonlinearity : str
        Of all maps.
    batch_norm : bool
        Whether each filter's maps are normalised.
    """

    #: Frames, share of the dims and maps of timbral filters; frames and maps of temporal ones.
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
        """Return the fewest frames and dims."""
        return frames_out, 1

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(batch, 1, n_frames, n_dims)`` to ``(batch, n_out, n_frames)``."""
        return torch.cat([getattr(self, name)(x) for name in self._branches], dim=1)


def _temporal(maps: int, length: int, envelope: Envelope, **how: Any) -> nn.Module:
    """Return filters of one dim; zeros at the ends keep the number of frames."""
    before, after = (length - 1) // 2, length // 2
    if envelope == "max":
        ends: nn.Module = nn.ZeroPad2d((0, 0, before, after))
        conv, norm = nn.Conv2d(1, maps, (length, 1)), nn.BatchNorm2d(maps)
        return layer(conv, norm, before={"pad": ends}, pool=OverDims("max"), **how)
    ends = nn.ConstantPad1d((before, after), 0.0)
    first = {"mean": OverDims("mean"), "pad": ends}
    return layer(nn.Conv1d(1, maps, length), nn.BatchNorm1d(maps), before=first, **how)


class Timbral(Branches):
    """The front-end of musicnn's variants with attention and auto-pool."""

    timbral = ((7, 0.4, 576),)


class TimbralTemporal(Branches):
    """The front-end of musicnn."""

    timbral = ((7, 0.4, 204), (7, 0.7, 204))
    temporal = ((128, 51), (64, 51), (32, 51))


class Pons2018Spectrogram(Branches):
    """The front-end for spectrograms of Pons et al. (2018)."""

    timbral = ((7, 0.9, 16), (3, 0.9, 32), (1, 0.9, 64), (7, 0.4, 16), (3, 0.4, 32), (1, 0.4, 64))
    temporal = ((165, 16), (128, 32), (64, 64), (32, 128))


class VGG(nn.Module):
    """Five 3 x 3 convolutions of 128 maps with small max-pools: musicnn's VGG baseline.

    The first pool takes the maximum of 4 frames at every second frame of every second dim, as
    published. Pools are no larger than what is left to pool. Dims that are left at the end are maps
    of their own.

    Parameters
    ----------
    n_frames, n_dims : int
        Size of a segment.
    width : float
        Scales the number of maps.
    nonlinearity : str
        Of all maps.
    batch_norm : bool
        Whether each layer's maps are normalised.
    dropout : float
        Share of the units that is left out before each layer but the first in training.
    envelope
        Has no meaning here.
    """

    #: Window and step of each pool: frames, dims.
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
                    pool=nn.MaxPool2d(window, step),
                )
            )
        self.hidden = name_layers(self, "conv", layers)
        self.dropout = nn.Dropout(dropout)
        self.n_out, self.frames_out = maps * dims, frames

    @classmethod
    def fewest(cls, frames_out: int = 1) -> tuple[int, int]:
        """Return the fewest frames and dims: those of a filter, if one frame is enough."""
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
        return x.transpose(2, 3).flatten(1, 2)  # (batch, maps x dims left, frames)


class Waveform(nn.Module):
    """Seven convolutions of 3 samples, without padding: the sample-level front-end of Pons 2018.

    The first moves on by 3 samples; each of the others is followed by a max-pool of 3. A segment is
    read as samples: frame after frame, dim after dim.

    Parameters
    ----------
    n_frames, n_dims : int
        Size of a segment, of n_frames x n_dims samples.
    width : float
        Scales the number of maps.
    nonlinearity : str
        Of all maps.
    batch_norm : bool
        Whether each layer's maps are normalised.
    envelope
        Has no meaning here.
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
        """Return the fewest samples, as frames of one dim."""
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
            f"{name}: a segment of {n_samples} samples ({n_frames} frames x {n_dims} dims) is too "
            f"small; it takes at least {smallest[0]} frames x {smallest[1]} dims: take longer "
            "segments, of the feature waveform"
        )
    check_sizes(name, smallest, n_samples, 1, n_labels)


FRONTENDS: dict[FrontendName, type[Branches | VGG | Waveform]] = {
    "timbral": Timbral,
    "timbral+temporal": TimbralTemporal,
    "pons-2018": Pons2018Spectrogram,
    "vgg": VGG,
    "waveform": Waveform,
}
