"""Pooling over time by name: maps ``(batch, maps, frames)`` to ``(batch, n * maps)``.

Several, joined by ``+``, stand side by side: ``mean+max`` gives two numbers per map. With x_t the
values of one map and T frames:

=============  ====================================================================  ===========
``mean``       sum_t x_t / T                                                         1 per map
``max``        max_t x_t                                                             1 per map
``std``        sqrt(sum_t (x_t - mean)^2 / T)                                        1 per map
``lp``         (sum_t abs(x_t)^p / T)^(1/p); p = 2, or as in ``lp4``                 1 per map
``attention``  sum_t a_t x_t, a = softmax_t(w . x_t), w learnt; ``attention4``: 4    h per map
``autopool``   sum_t a_t x_t, a = softmax_t(alpha x_t), alpha learnt per map         1 per map
=============  ====================================================================  ===========

Every one takes any number of frames from one on. ``lp`` of p = 1 is the mean of the absolute
values and tends to their maximum as p grows. ``autopool`` begins at alpha = 0, which is the mean,
as the authors' code does; it tends to the maximum as alpha grows.

References
----------
Power average: Sermanet, Chintala & LeCun (2012), Convolutional neural networks applied to house
numbers digit classification. Attention: Raffel & Ellis (2015), Feed-forward networks with attention
can solve some long-term memory problems; several heads: Lin et al. (2017), A structured
self-attentive sentence embedding. Autopool: McFee, Salamon & Bello (2018), Adaptive pooling
operators for weakly labeled sound event detection.

Differs from the papers: the power average is divided by the number of frames, so that it does not
grow with the segment; weights of attention are read off the maps by one product, without tanh or a
hidden layer; autopool is here used on hidden maps too, not on probabilities alone.
"""

import re
from collections.abc import Callable, Sequence

import torch
from torch import nn

from mcls.errors import ConfigError, suggest


def time_pool(name: str, n_maps: int) -> "TimePool":
    """Return a pooling over time by name.

    Parameters
    ----------
    name : str
        ``mean``, ``max``, ``std``, ``lp`` or ``lp3``, ``attention`` or ``attention4``,
        ``autopool``; several joined by ``+``, each once.
    n_maps : int
        Number of maps in the input.

    Returns
    -------
    TimePool
        The pooling; its ``n_out`` is the length of the vectors that it returns.

    Raises
    ------
    ConfigError
        If a name is unknown or comes twice, or its number is out of range.

    Examples
    --------
    >>> pool = time_pool("mean+max", 64)
    >>> pool.n_out, pool(torch.zeros(2, 64, 15)).shape
    (128, torch.Size([2, 128]))
    """
    words = name.split("+")
    parts = [_part(word, name, n_maps) for word in words]
    if len(set(words)) < len(words):
        raise ConfigError(f"pooling over time {name!r} names one twice; name each once")
    return TimePool(parts, n_maps)


class TimePool(nn.Module):
    """One or several poolings over time, side by side.

    Attributes
    ----------
    n_out : int
        Length of the vectors.
    """

    def __init__(self, parts: list[nn.Module], n_maps: int) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)
        self.n_out = sum(n_maps * getattr(part, "n_heads", 1) for part in parts)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(batch, maps, frames)`` to ``(batch, n_out)``."""
        return torch.cat([part(x) for part in self.parts], dim=1)


class Mean(nn.Module):
    """The mean over time."""

    described_as = "mean over time"

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(batch, maps, frames)`` to ``(batch, maps)``."""
        return x.mean(dim=2)


class Max(nn.Module):
    """The maximum over time."""

    described_as = "maximum over time"

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(batch, maps, frames)`` to ``(batch, maps)``."""
        return x.amax(dim=2)


class Std(nn.Module):
    """The standard deviation over time; its gradient is 0 where a map is constant."""

    described_as = "standard deviation over time"

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(batch, maps, frames)`` to ``(batch, maps)``."""
        away = x - x.mean(dim=2, keepdim=True)
        # a root of the variance would have an infinite slope at 0; a norm has slope 0 there
        return torch.linalg.vector_norm(away, dim=2) / x.shape[2] ** 0.5


class PowerAverage(nn.Module):
    """The power average over time; its gradient is 0 where a map is silent.

    Parameters
    ----------
    p : int
        Exponent, 1 or more.
    """

    def __init__(self, p: int) -> None:
        super().__init__()
        self.p = p
        self.described_as = f"power average over time, p = {p}"

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(batch, maps, frames)`` to ``(batch, maps)``."""
        # in units of the largest value, as large powers overflow
        largest = x.detach().abs().amax(dim=2, keepdim=True).clamp_min(torch.finfo(x.dtype).tiny)
        norm = torch.linalg.vector_norm(x / largest, ord=self.p, dim=2)
        return norm * largest.squeeze(2) / x.shape[2] ** (1 / self.p)


class AttentionPool(nn.Module):
    """Means weighted by attention: each head gives every frame a weight, read off all maps.

    Parameters
    ----------
    n_maps : int
        Number of maps in the input.
    n_heads : int
        Number of heads, each of which adds a mean per map to the output.
    """

    def __init__(self, n_maps: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.weigh = nn.Conv1d(n_maps, n_heads, 1, bias=False)  # a soft-max ignores a bias

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(batch, maps, frames)`` to ``(batch, heads * maps)``, all maps of a head together."""
        weights = self.weigh(x).softmax(dim=2)  # (batch, heads, frames)
        return (weights.unsqueeze(2) * x.unsqueeze(1)).sum(dim=3).flatten(1)


class AutoPool(nn.Module):
    """A mean weighted by the values themselves, between mean and maximum; learnt per map.

    Parameters
    ----------
    n_maps : int
        Number of maps in the input.
    """

    described_as = "autopool over time"

    def __init__(self, n_maps: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.zeros(n_maps))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(batch, maps, frames)`` to ``(batch, maps)``."""
        weights = (self.alpha[:, None] * x).softmax(dim=2)
        return (weights * x).sum(dim=2)


#: Poolings without a number, and those that take one: its default.
_PLAIN: dict[str, Callable[[int], nn.Module]] = {
    "mean": lambda n_maps: Mean(),
    "max": lambda n_maps: Max(),
    "std": lambda n_maps: Std(),
    "autopool": AutoPool,
}
_NUMBERED: dict[str, tuple[int, Callable[[int, int], nn.Module]]] = {
    "lp": (2, lambda n_maps, p: PowerAverage(p)),
    "attention": (1, AttentionPool),
}


def time_pool_part(word: str, known: Sequence[str]) -> nn.Module:
    """Return one of the poolings that are the same for every map, to pool other axes with.

    Raises
    ------
    ConfigError
        If it is not among the known ones, or its number is out of range.
    """
    if word.rstrip("0123456789") not in known:
        raise ConfigError(f"there is no pool {word!r}; {suggest(word, known)}")
    return _part(word, word, 1)


def _part(word: str, name: str, n_maps: int) -> nn.Module:
    if word in _PLAIN:
        return _PLAIN[word](n_maps)
    stem, number = re.fullmatch(r"(.*?)(\d*)", word, re.S).groups()  # type: ignore[union-attr]
    if stem not in _NUMBERED:
        known = [*_PLAIN, *_NUMBERED]
        raise ConfigError(
            f"there is no pooling over time {word!r} ({name!r}); {suggest(stem, known)}"
        )
    default, make = _NUMBERED[stem]
    if number and int(number) < 1:
        raise ConfigError(f"pooling over time {word!r}: {number}; expected 1 or more")
    return make(n_maps, int(number or default))
