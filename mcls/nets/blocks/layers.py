"""Building blocks of nets: nonlinearities, initial weights, convolutions with pooling."""

import math
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import torch
from torch import nn

from mcls.errors import ConfigError

Nonlinearity = Literal["sigmoid", "tanh", "relu", "leaky-relu", "prelu", "elu", "selu", "gelu"]
Init = Literal["xavier", "he", "orthogonal", "default"]

_NONLINEARITIES: dict[str, type[nn.Module]] = {
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "leaky-relu": nn.LeakyReLU,
    "prelu": nn.PReLU,  # one slope per layer: He et al.'s channel-shared variant
    "elu": nn.ELU,
    "selu": nn.SELU,
    "gelu": nn.GELU,
}


def nonlinear(name: Nonlinearity) -> nn.Module:
    """Return a nonlinearity by name."""
    return _NONLINEARITIES[name]()


def init_weights(net: nn.Module, init: Init) -> None:
    """Draw the weights of every linear, convolutional and recurrent layer; set biases to 0.

    Parameters
    ----------
    net : nn.Module
        The net, changed in place.
    init : {'xavier', 'he', 'orthogonal', 'default'}
        ``xavier``: uniform, of variance 2 / (inputs + outputs). ``he``: normal, of variance
        2 / inputs. ``orthogonal``: rows (or columns) orthonormal. ``default``: all is left as
        torch drew it. A recurrent layer's square matrices are orthogonal, one per gate.

    References
    ----------
    Glorot & Bengio (2010); He et al. (2015); Saxe et al. (2014).
    """
    if init == "default":
        return
    for module in net.modules():
        if isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d):
            _draw(module.weight, init)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.GRU | nn.LSTM):
            n_gates = 3 if isinstance(module, nn.GRU) else 4
            for name, parameter in module.named_parameters():
                if name.startswith("bias"):
                    nn.init.zeros_(parameter)
                    continue
                for gate in parameter.chunk(n_gates):
                    _draw(gate, "orthogonal" if "_hh" in name else init)


def _draw(weight: torch.Tensor, init: Init) -> None:
    if init == "xavier":
        nn.init.xavier_uniform_(weight)
    elif init == "he":
        nn.init.kaiming_normal_(weight, nonlinearity="relu")
    else:
        nn.init.orthogonal_(weight)


def check_sizes(
    name: str, smallest: tuple[int, int], n_frames: int, n_dims: int, n_labels: int
) -> None:
    """Refuse segments that a net cannot take.

    Raises
    ------
    ConfigError
        If there are fewer frames or dimensions than the smallest, or no labels.
    """
    if n_frames < smallest[0] or n_dims < smallest[1]:
        raise ConfigError(
            f"{name}: a segment of {n_frames} frames x {n_dims} dimensions is too small; it takes "
            f"at least {smallest[0]} frames x {smallest[1]} dimensions. Use longer segments, or a "
            "feature with a shorter hop or more dimensions"
        )
    if n_labels < 1:
        raise ConfigError(f"{name}: {n_labels} labels; expected 1 or more")


def check_settings(
    name: str,
    *,
    dropout: float = 0.0,
    width: float = 1.0,
    output_dropout: float = 0.0,
    layers: Iterable[int] = (),
    counts: Mapping[str, tuple[int, int, int | None]] | None = None,
) -> None:
    """Refuse settings that are out of range, all at once.

    Parameters
    ----------
    name : str
        Name of the net.
    dropout, output_dropout : float
        Shares of units.
    width : float
        Factor on maps and units.
    layers : iterable of int
        Units of each layer.
    counts : mapping of str to (value, least, most)
        Other settings that are whole numbers.

    Raises
    ------
    ConfigError
        If any is out of range; the message names each.
    """
    bad = []
    for key, share in (("dropout", dropout), ("output_dropout", output_dropout)):
        if not 0 <= share < 1:
            bad.append(f"{key}={share}; expected 0 or more and below 1")
    if not (width > 0 and math.isfinite(width)):
        bad.append(f"width={width}; expected above 0")
    layers = tuple(layers)
    if any(units < 1 for units in layers):
        bad.append(f"layers={'x'.join(map(str, layers))}; expected 1 unit or more in each")
    for key, (n, least, most) in (counts or {}).items():
        if n < least or (most is not None and n > most):
            upwards = "or more" if most is None else f"to {most}"
            bad.append(f"{key}={n}; expected {least} {upwards}")
    if bad:
        raise ConfigError(f"{name}: " + "; ".join(bad))


def scaled(n: int, width: float) -> int:
    """Return a layer's width times `width`, at least 1."""
    return max(1, round(n * width))


def frames_needed(filters: Sequence[int], pools: Sequence[int]) -> int:
    """Return the fewest frames that a sequence of filters and pools reduces to one.

    Parameters
    ----------
    filters : sequence of int
        Frames of each filter, first to last, without padding.
    pools : sequence of int
        Frames of the pool after each filter.

    Examples
    --------
    >>> frames_needed([8, 8], [4, 4])  # 51 - 7 = 44, 44 / 4 = 11, 11 - 7 = 4, 4 / 4 = 1
    51
    """
    frames = 1
    for length, pool in zip(reversed(filters), reversed(pools), strict=True):
        frames = frames * pool + length - 1
    return frames


def dense(n_in: int, n_out: int, *, nonlinearity: Nonlinearity, batch_norm: bool) -> nn.Sequential:
    """Return a dense layer: ``(batch, n_in)`` to ``(batch, n_out)``."""
    steps: dict[str, nn.Module] = {"linear": nn.Linear(n_in, n_out)}
    if batch_norm:
        steps["norm"] = nn.BatchNorm1d(n_out)
    steps["nonlinearity"] = nonlinear(nonlinearity)
    return nn.Sequential(OrderedDict(steps))


def conv1d(
    n_in: int,
    n_out: int,
    length: int,
    *,
    pool: int,
    nonlinearity: Nonlinearity,
    batch_norm: bool,
    pad: bool = False,
) -> nn.Sequential:
    """Return a convolution in time and a max-pool: ``(batch, n_in, frames)`` to maps and frames.

    Parameters
    ----------
    n_in, n_out : int
        Number of maps in the input (its dimensions, if it is a segment) and the output.
    length : int
        Frames of a filter.
    pool : int
        Frames that become one; 1 does not pool.
    nonlinearity : str
        Nonlinearity before the pool.
    batch_norm : bool
        Normalise the maps over the batch, before the nonlinearity.
    pad : bool
        Keep the number of frames by zeros before and after.
    """
    steps: dict[str, nn.Module] = {}
    if pad:  # torch's own padding of even filters warns of the copy it makes
        steps["pad"] = nn.ConstantPad1d(((length - 1) // 2, length // 2), 0.0)
    steps["conv"] = nn.Conv1d(n_in, n_out, length)
    if batch_norm:
        steps["norm"] = nn.BatchNorm1d(n_out)
    steps["nonlinearity"] = nonlinear(nonlinearity)
    if pool > 1:
        steps["pool"] = nn.MaxPool1d(pool)
    return nn.Sequential(OrderedDict(steps))


def conv2d(
    n_in: int,
    n_out: int,
    size: int,
    *,
    pool: nn.Module | None,
    nonlinearity: Nonlinearity,
    batch_norm: bool,
) -> nn.Sequential:
    """Return a padded square convolution and a pool: ``(batch, n_in, frames, dims)`` to maps.

    Parameters
    ----------
    n_in, n_out : int
        Number of maps in the input and the output.
    size : int
        Size of a filter along both axes; odd.
    pool : nn.Module or None
        Pool after the nonlinearity.
    nonlinearity : str
        Nonlinearity after the norm.
    batch_norm : bool
        Normalise the maps over the batch.
    """
    steps: dict[str, nn.Module] = {"conv": nn.Conv2d(n_in, n_out, size, padding=size // 2)}
    if batch_norm:
        steps["norm"] = nn.BatchNorm2d(n_out)
    steps["nonlinearity"] = nonlinear(nonlinearity)
    if pool is not None:
        steps["pool"] = pool
    return nn.Sequential(OrderedDict(steps))


class MaxOver(nn.Module):
    """The maximum over some axes, which are kept with size 1."""

    described_as = "maximum of all that is left"

    def __init__(self, *axes: int) -> None:
        super().__init__()
        self.axes = axes

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the maximum."""
        return x.amax(self.axes, keepdim=True)


def pools_that_fit(
    pools: Sequence[tuple[int, int]], n_frames: int, n_dims: int
) -> tuple[list[tuple[int, int]], tuple[int, int]]:
    """Shrink pools to what is left to pool, frames and dimensions apart.

    Parameters
    ----------
    pools : sequence of (frames, dims)
        Published sizes.
    n_frames, n_dims : int
        Size of the first pool's input.

    Returns
    -------
    pools : list of (frames, dims)
        None larger than its input.
    left : (frames, dims)
        Size after the last.

    Examples
    --------
    >>> pools_that_fit([(4, 2), (5, 4), (8, 3)], 43, 40)
    ([(4, 2), (5, 4), (2, 3)], (1, 1))
    """
    fitting, left = [], (n_frames, n_dims)
    for frames, dims in pools:
        fitting.append((min(frames, left[0]), min(dims, left[1])))
        left = (left[0] // fitting[-1][0], left[1] // fitting[-1][1])
    return fitting, left


def name_layers(net: nn.Module, kind: str, layers: Sequence[nn.Module]) -> tuple[str, ...]:
    """Add layers to a net as ``kind1``, ``kind2``, ... and return these names."""
    names = tuple(f"{kind}{i}" for i in range(1, len(layers) + 1))
    for name, layer in zip(names, layers, strict=True):
        net.add_module(name, layer)
    return names


def through(net: nn.Module, names: Sequence[str], x: torch.Tensor, *, after: Any = None) -> Any:
    """Pass through named layers, each followed by `after`."""
    for name in names:
        x = getattr(net, name)(x)
        if after is not None:
            x = after(x)
    return x
