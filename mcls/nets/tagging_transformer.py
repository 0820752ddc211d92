"""Convolutions, then self-attention over time: Won, Choi & Serra's music tagging transformer."""

from typing import ClassVar

import torch
from torch import nn
from torch.nn.functional import interpolate, scaled_dot_product_attention

from mcls.nets.base import Net
from mcls.nets.blocks.image import ResidualBlock
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
from mcls.nets.blocks.map_pooling import map_pool
from mcls.registry import register

_MAPS = 128
_POOLS = ((2, 2), (2, 2), (1, 2))  # frames, dimensions
_FRAMES, _DIMS = 4, 8  # that become one
_UNITS = 256
_FORWARD = 4  # units of a feed-forward layer, as a multiple


@register(
    "nets",
    "tagging-transformer",
    source="Won et al. 2021",
    sr=22050,
    hop=512,
    frames=431,
    dims=128,
    labels=50,
    any_length=True,
)
class TaggingTransformer(Net):
    """Three residual blocks on time and frequency, four layers of self-attention over time.

    Every four frames become a step; a learnt vector, the class token, stands before the first step,
    and the output reads what has become of it.

    Parameters
    ----------
    layers : int
        Layers of self-attention.
    heads : int
        Attention heads of each layer, among which its units are divided.
    places : int
        Steps with learnt positions, which are interpolated for longer segments.
    pool : str
        Pool of each block: max, mean, std, lp (root mean square), lp3 and so on.
    nonlinearity : str
        Nonlinearity of the convolutions; the attention layers use gelu.
    dropout : float
        Share of the attention layers' units dropped in training, in [0, 1).

    Attributes
    ----------
    hidden : tuple of str
        ``conv1`` to ``conv3``: ``(batch, maps, frames, dims)``; ``attention1`` to ``attention4``:
        ``(batch, units, 1 + steps)``; ``summary``: ``(batch, units)``.

    References
    ----------
    Won, Choi & Serra (2021), Semi-supervised music tagging transformer; the code its first author
    published. Vaswani et al. (2017), Attention is all you need. Dosovitskiy et al. (2021), An image
    is worth 16x16 words.

    Differs from the published code: segments of more than 512 steps are taken.
    """

    def __init__(
        self,
        n_frames: int,
        n_dims: int,
        n_labels: int,
        *,
        width: float = 1.0,
        layers: int = 4,
        heads: int = 8,
        places: int = 512,
        pool: str = "max",
        nonlinearity: Nonlinearity = "relu",
        dropout: float = 0.1,
        batch_norm: bool = True,
        init: Init = "default",
    ) -> None:
        super().__init__()
        counts = {
            "layers": (layers, 1, None),
            "heads": (heads, 1, _UNITS),
            "places": (places, 1, None),
        }
        check_settings(self.registered_as, dropout=dropout, width=width, counts=counts)
        check_sizes(self.registered_as, self.smallest(), n_frames, n_dims, n_labels)
        maps = scaled(_MAPS, width)
        units = heads * scaled(_UNITS // heads, width)
        blocks = [
            ResidualBlock(
                1 if i == 0 else maps,
                maps,
                shortcut=3 if i == 0 else None,
                pool=map_pool(pool, size),
                bias=True,
                nonlinearity=nonlinearity,
                batch_norm=batch_norm,
            )
            for i, size in enumerate(_POOLS)
        ]
        self.input_norm = nn.BatchNorm2d(1)
        self._convolutions = name_layers(self, "conv", blocks)
        self.steps = nn.Linear(maps * (n_dims // _DIMS), units)
        self.places = Places(units, places)
        self.dropout = nn.Dropout(dropout)
        encoder = [Encoder(units, heads, dropout) for _ in range(layers)]
        self._encoder = name_layers(self, "attention", encoder)
        self.summary = nn.LayerNorm(units)
        self.output = nn.Linear(units, n_labels)
        self.hidden = (*self._convolutions, *self._encoder, "summary")
        init_weights(self, init)

    @staticmethod
    def smallest(**settings: object) -> tuple[int, int]:
        """Return the fewest frames and dimensions: those that the pools make one."""
        return _FRAMES, _DIMS

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(batch, 1, n_frames, n_dims)`` to logits ``(batch, n_labels)``."""
        x = through(self, self._convolutions, self.input_norm(x))  # (batch, maps, steps, dims)
        x = self.steps(x.transpose(1, 2).flatten(2))  # (batch, steps, units)
        x = self.dropout(self.places(x)).transpose(1, 2)  # (batch, units, 1 + steps)
        x = through(self, self._encoder, x)
        return self.output(self.summary(x[:, :, 0]))


class Places(nn.Module):
    """Put the class token before the first step, and add its learnt position to each step.

    Parameters
    ----------
    n_units : int
        Units of a step.
    n_places : int
        Number of positions, without that of the class token.
    """

    described_as = "class token, places"
    time_first: ClassVar[bool] = True

    def __init__(self, n_units: int, n_places: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.randn(1 + n_places, n_units))
        self.token = nn.Parameter(torch.randn(n_units))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(batch, steps, units)`` to ``(batch, 1 + steps, units)``."""
        token = self.token.expand(x.shape[0], 1, -1)
        return torch.cat([token, x], dim=1) + self.of(x.shape[1])

    def of(self, n_steps: int) -> torch.Tensor:
        """Return the positions, ``(1 + n_steps, units)``, interpolated if they are too few."""
        if n_steps < len(self.table):
            return self.table[: 1 + n_steps]
        drawn_out = interpolate(self.table[1:].T[None], n_steps, mode="linear", align_corners=True)
        return torch.cat([self.table[:1], drawn_out[0].T])

    def products(self, n_steps: int, n_units: int) -> int:
        """Return multiply-adds: there are none."""
        return 0


class Encoder(nn.Module):
    """Self-attention and a feed-forward net, each with a layer norm before and a sum after it.

    Parameters
    ----------
    n_units : int
        Units of a step.
    n_heads : int
        Number of heads, among which the units are divided.
    dropout : float
        Share of the units dropped in what is added, and in the layer between.
    """

    def __init__(self, n_units: int, n_heads: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(n_units)
        self.queries_keys_values = nn.Linear(n_units, 3 * n_units, bias=False)
        self.attend = Attend(n_heads)
        self.join = nn.Linear(n_units, n_units)
        self.forward_norm = nn.LayerNorm(n_units)
        self.widen = nn.Linear(n_units, _FORWARD * n_units)
        self.nonlinearity = nn.GELU()
        self.narrow = nn.Linear(_FORWARD * n_units, n_units)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(batch, units, steps)`` to the same."""
        x = x.transpose(1, 2)
        heads = self.attend(self.queries_keys_values(self.norm(x)))
        x = x + self.dropout(self.join(heads))
        between = self.dropout(self.nonlinearity(self.widen(self.forward_norm(x))))
        x = x + self.dropout(self.narrow(between))
        return x.transpose(1, 2)


class Attend(nn.Module):
    """For each step the mean of the values of all steps, weighted by its query and their keys.

    Parameters
    ----------
    n_heads : int
        Number of heads, among which queries, keys and values are divided.
    """

    described_as = "attention"
    time_first: ClassVar[bool] = True

    def __init__(self, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(batch, steps, 3 units)``, queries, keys, values, to ``(batch, steps, units)``."""
        n, n_steps, _ = x.shape
        query, key, value = x.view(n, n_steps, 3, self.n_heads, -1).permute(2, 0, 3, 1, 4)
        return scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)

    def products(self, n_steps: int, n_units: int) -> int:
        """Return multiply-adds: of queries with keys, and of weights with values."""
        return 2 * n_steps * n_steps * n_units
