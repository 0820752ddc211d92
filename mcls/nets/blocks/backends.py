"""Mid-ends and back-ends, which turn maps over time into one vector, for any front-end.

A *mid-end* is three convolutions in time over all maps. A *back-end* turns
maps ``(batch, maps, frames)`` into one vector, ``(batch, n_out)``.

===============  ================================================================
``global-pool``  maximum and mean over time, side by side
``rnn``          two layers of LSTM units; the output of the last step
``mlp``          every frame of every map; segments of one length only
``attention``    weights over time per map, from three frames and their places
``autopool``     between mean and maximum, learnt per map
===============  ================================================================

References
----------
Pons & Serra (2019), musicnn, and its code (musicnn-training). Pons et al. (2018), End-to-end
learning for music audio tagging at scale, and its code.
"""

from typing import ClassVar, Literal

import torch
from torch import nn

from mcls.nets.blocks.layers import Nonlinearity, name_layers, through
from mcls.nets.blocks.stacks import layer
from mcls.nets.blocks.time_pooling import time_pool

Midend = Literal["dense", "residual", "pons-2018", "none"]
Backend = Literal["global-pool", "rnn", "mlp", "attention", "autopool"]

_LENGTH = 7  # frames of a filter


class Residual(nn.Module):
    """A layer whose output is added to its input, and a max-pool in time.

    Parameters
    ----------
    inner : nn.Module
        Layer from ``(batch, maps, frames)`` to the same.
    pool : int
        Frames that become one; 1 does not pool.
    """

    def __init__(self, inner: nn.Module, pool: int = 1) -> None:
        super().__init__()
        self.inner = inner
        self.pool = nn.MaxPool1d(pool) if pool > 1 else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(batch, maps, frames)`` to the same, or fewer frames."""
        return self.pool(x + self.inner(x))


class Convolutions(nn.Module):
    """Three convolutions of 7 frames over all maps, the second and third residual.

    Parameters
    ----------
    n_in, n_frames : int
        Number of maps and frames in the input.
    n_maps : int
        Number of maps of each convolution.
    kind : {'dense', 'residual', 'pons-2018'}
        ``residual`` gives the last layer; ``dense`` the input and all layers, side by side.
        ``pons-2018`` gives the last; its first convolution is not padded and after the second a
        max-pool halves the number of frames.
    residual_norm : bool
        Normalise the second and third convolution before they are added.
    nonlinearity : str
        Nonlinearity of the convolutions.
    batch_norm : bool
        Normalise the convolutions over the batch.
    """

    def __init__(
        self,
        n_in: int,
        n_frames: int,
        n_maps: int,
        *,
        kind: Midend,
        residual_norm: bool,
        nonlinearity: Nonlinearity,
        batch_norm: bool,
    ) -> None:
        super().__init__()
        shrinks = kind == "pons-2018"

        def convolution(maps: int, pad: int, norm: bool) -> nn.Module:
            return layer(
                nn.Conv1d(maps, n_maps, _LENGTH, padding=pad),
                nn.BatchNorm1d(n_maps),
                nonlinearity=nonlinearity,
                batch_norm=norm,
            )

        same, norm = _LENGTH // 2, batch_norm and residual_norm
        layers = [
            convolution(n_in, 0 if shrinks else same, batch_norm),
            Residual(convolution(n_maps, same, norm), pool=2 if shrinks else 1),
            Residual(convolution(n_maps, same, norm)),
        ]
        self.hidden = name_layers(self, "conv", layers)
        self._joins = kind == "dense"
        self.n_out = n_maps + (n_in + 2 * n_maps if self._joins else 0)
        self.frames_out = (n_frames - _LENGTH + 1) // 2 if shrinks else n_frames

    @staticmethod
    def fewest(kind: Midend) -> int:
        """Return the fewest frames."""
        return _LENGTH + 1 if kind == "pons-2018" else 1

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(batch, n_in, frames)`` to ``(batch, n_out, frames_out)``."""
        made = [x]
        for name in self.hidden:
            made.append(getattr(self, name)(made[-1]))
        return torch.cat(made, dim=1) if self._joins else made[-1]


class LongShortTerm(nn.Module):
    """A layer of LSTM units over time."""

    def __init__(self, n_in: int, n_units: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(n_in, n_units, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(batch, n_in, steps)`` to ``(batch, n_units, steps)``."""
        return self.lstm(x.transpose(1, 2))[0].transpose(1, 2)


class LastStep(nn.Module):
    """Two layers of LSTM units, of which the last step is kept.

    Parameters
    ----------
    n_in : int
        Number of maps in the input.
    n_units : int
        Units of each layer.
    """

    def __init__(self, n_in: int, n_units: int) -> None:
        super().__init__()
        layers = [LongShortTerm(n_in, n_units), LongShortTerm(n_units, n_units)]
        self.hidden = name_layers(self, "lstm", layers)
        self.n_out = n_units

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(batch, n_in, steps)`` to ``(batch, n_units)``."""
        return through(self, self.hidden, x)[:, :, -1]


class Attention(nn.Module):
    """Weighted mean over time; each map has its own weights, read off three frames of all maps.

    The places of the frames are added to the maps first, as sines and cosines. The weights are a
    soft-max over time of a convolution of three frames.

    Parameters
    ----------
    n_maps : int
        Number of maps, in the input and the output.

    References
    ----------
    Pons & Serra (2019), musicnn; positions of Vaswani et al. (2017), Attention is all you need.

    Differs from the published code: there a cosine has a longer wave than its sine.
    """

    described_as: ClassVar[str] = "mean, weighted by attention"

    def __init__(self, n_maps: int) -> None:
        super().__init__()
        self.weights = nn.Conv1d(n_maps, n_maps, 3, padding=1)
        self.n_out = n_maps

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(batch, maps, frames)`` to ``(batch, maps)``."""
        x = x + positions(x.shape[2], x.shape[1], x.device).T.to(x.dtype)
        return (x * self.weights(x).softmax(dim=2)).sum(dim=2)


def positions(n_frames: int, n_maps: int, device: torch.device | None = None) -> torch.Tensor:
    """Return the places of frames as sines and cosines of growing wave length.

    Returns
    -------
    torch.Tensor, shape (n_frames, n_maps)
        sin(t / 10000^(2i / n_maps)) for map 2i and the cosine of the same for map 2i + 1.
    """
    maps = torch.arange(n_maps, device=device)
    angles = torch.arange(n_frames, device=device)[:, None] / 1e4 ** (maps // 2 * 2 / n_maps)
    return torch.where(maps % 2 == 0, angles.sin(), angles.cos())


class Every(nn.Module):
    """All frames of all maps as one vector."""

    def __init__(self, n_maps: int, n_frames: int) -> None:
        super().__init__()
        self.n_out = n_maps * n_frames

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(batch, maps, frames)`` to ``(batch, maps x frames)``."""
        return x.flatten(1)


def make_backend(kind: Backend, n_maps: int, n_frames: int, n_units: int) -> nn.Module:
    """Return a back-end by name, with its ``n_out``.

    Parameters
    ----------
    kind : str
        Name of the back-end.
    n_maps, n_frames : int
        Number of maps and frames in the input.
    n_units : int
        Units of each recurrent layer.
    """
    makers = {
        "global-pool": lambda: time_pool("max+mean", n_maps),
        "rnn": lambda: LastStep(n_maps, n_units),
        "mlp": lambda: Every(n_maps, n_frames),
        "attention": lambda: Attention(n_maps),
        "autopool": lambda: time_pool("autopool", n_maps),
    }
    return makers[kind]()
