"""Sizes of the rows of a track, and of nets, without any values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mcls.features.pooling import parse_pool, pool_rows
from mcls.registry import find
from mcls.settings import resolve, split_spec


@dataclass(frozen=True)
class RowSize:
    """The size of the rows of one track.

    Parameters
    ----------
    n_dims : int
        Dimensions of a row.
    rate : float or None
        Rows per second; None where a row is a whole track.
    n_rows : int
        Number of rows.
    """

    n_dims: int
    rate: float | None
    n_rows: int


@dataclass(frozen=True)
class NetSize:
    """The size of a net for a segment.

    Parameters
    ----------
    n_parameters, flops : int
        Totals over the layers; see `mcls.nets.describe.describe_net`.
    layers : dict of str to int
        Units, or maps, of each hidden layer.
    """

    n_parameters: int
    flops: int
    layers: Mapping[str, int]


def pooled_size(rows: RowSize, specs: Sequence[str]) -> RowSize:
    """Return the size of rows after poolers.

    Raises
    ------
    ConfigError
        If a pooler is wrong, or needs a time axis that the rows do not have.

    Examples
    --------
    >>> pooled_size(RowSize(20, 10.0, 100), ["max@1s", "meanstd"])
    RowSize(n_dims=40, rate=None, n_rows=1)
    """
    for spec in specs:
        zeros = np.broadcast_to(np.float32(0), (rows.n_rows, rows.n_dims))
        pooled, rate = pool_rows(zeros, rows.rate, parse_pool(spec))
        rows = RowSize(pooled.shape[1], rate, len(pooled))
    return rows


def code_count(units: Sequence[int], encoder: str | None) -> int:
    """Return the codes that an encoder makes of a row.

    Parameters
    ----------
    units : sequence of int
        Atoms of a dictionary, or hidden units of each of its layers.
    encoder : str or None
        An encoder with its settings; None: the dictionary's own.

    Examples
    --------
    >>> code_count([512], "lasso:split_signs=true"), code_count([50, 50], "dbn:layer=all")
    (1024, 100)
    """
    if encoder is None:
        return units[-1]
    name, given = split_spec(encoder)
    settings = resolve(find("encoders", name), given)
    layer = settings.get("layer", "last")
    if layer == "all":
        return sum(units)
    n_codes = units[-1] if layer == "last" else units[layer - 1]
    return 2 * n_codes if settings.get("split_signs") else n_codes


def net_size(
    name: str, settings: Mapping[str, Any], n_frames: int, n_dims: int, n_outputs: int
) -> NetSize:
    """Return the size of a net, without its weights; parameters and errors as `describe_net`."""
    import torch

    from mcls.nets.describe import describe_net

    layers = describe_net(name, settings, n_frames, n_dims, n_outputs)
    entry = find("nets", name)
    with torch.device("meta"):
        net = entry.load()(n_frames, n_dims, n_outputs, **resolve(entry, settings)).eval()
    units: dict[str, int] = {}
    for layer in net.hidden:
        net.get_submodule(layer).register_forward_hook(
            lambda module, given, made, layer=layer: units.update({layer: made.shape[1]})
        )
    with torch.no_grad():
        net(torch.empty(1, 1, n_frames, n_dims, device="meta"))
    return NetSize(
        sum(layer.n_parameters for layer in layers), sum(layer.flops for layer in layers), units
    )
