"""How much of a segment a unit of each hidden layer sees: its receptive field.

Nothing is derived from kernels and strides. Part of a segment is made NaN, and a unit that is NaN
then has seen it. A product with NaN is NaN, whatever the weight, and so are a maximum, a sum and a
recurrent state; so this holds for every net, whatever it is made of. Widths do not matter to it:
the net is built as narrow as can be.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from mcls.errors import ConfigError
from mcls.nets.build import build_net
from mcls.registry import find

#: Widths that are tried, the narrowest first: some nets cannot be that narrow.
_WIDTHS = (0.01, 0.1, 0.25, 1.0)


@dataclass(frozen=True)
class Field:
    """What a unit of a hidden layer sees.

    Parameters
    ----------
    layer : str
        In the net's ``hidden``.
    frames, dims : int
        Size of the part of the segment; of the unit in the middle.
    all_frames, all_dims : bool
        Whether that is all there is.
    first_dim : int
        Where it begins, on the axis of the dims.
    over_time : bool
        Whether the layer still has frames, rather than one vector for the segment.
    """

    layer: str
    frames: int
    dims: int
    all_frames: bool
    all_dims: bool
    first_dim: int
    over_time: bool


def receptive_fields(
    name: str, settings: Mapping[str, Any], n_frames: int, n_dims: int
) -> list[Field]:
    """Return the receptive field of every hidden layer, in the net's order.

    Parameters
    ----------
    name : str
        Of the family ``nets``.
    settings : mapping of str to text or value
        Over the net's defaults.
    n_frames, n_dims : int
        Size of a segment.

    Raises
    ------
    ConfigError
        If the name or a setting is unknown or out of range, or the segment is too small.

    Examples
    --------
    >>> [(field.layer, field.frames) for field in receptive_fields("dieleman", {}, 187, 96)]
    [('conv1', 11), ('conv2', 51), ('dense1', 187)]
    """
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)  # products this small gain nothing from more
    try:
        seen = _Seen(_narrow(name, settings, n_frames, n_dims), n_frames, n_dims)
    finally:
        torch.set_num_threads(n_threads)
    return [seen.field(i, layer) for i, layer in enumerate(seen.layers)]


class _Seen:
    """Asks a net which of its middle units are NaN if some frames, or dims, are."""

    def __init__(self, net: nn.Module, n_frames: int, n_dims: int) -> None:
        self.net = net.eval()
        self.size = (n_frames, n_dims)
        self.layers: tuple[str, ...] = tuple(net.hidden)  # type: ignore[arg-type]  # the contract
        self.outputs: dict[str, torch.Tensor] = {}
        for layer in self.layers:
            net.get_submodule(layer).register_forward_hook(self._keep(layer))
        whole = [((0, 1), 0), ((n_frames - 1, n_frames), 0)]
        self._pass(whole)
        ends = [self._is_nan(layer, 0, -1) or self._is_nan(layer, 1, 0) for layer in self.layers]
        self.sees_all_time = dict(zip(self.layers, ends, strict=True))
        self.spans = [self._span(axis) for axis in (0, 1)]

    def field(self, i: int, layer: str) -> Field:
        """Return what a layer sees."""
        n_frames, n_dims = self.size
        (first, stop), (low, high) = self.spans[0][i], self.spans[1][i]
        frames = n_frames if self.sees_all_time[layer] else stop - first
        dims = high - low
        over_time = self.outputs[layer].ndim > 2 and self.outputs[layer].shape[2] > 1
        return Field(layer, frames, dims, frames == n_frames, dims == n_dims, low, over_time)

    def _keep(self, layer: str) -> Any:
        def hook(module: nn.Module, given: Any, output: torch.Tensor) -> None:
            self.outputs[layer] = output

        return hook

    def _pass(self, parts: list[tuple[tuple[int, int], int]]) -> None:
        """Pass a segment for each part of an axis, which is NaN in it."""
        segments = torch.zeros(len(parts), 1, *self.size)
        for segment, ((start, stop), axis) in zip(segments, parts, strict=True):
            segment.narrow(1 + axis, start, stop - start).fill_(torch.nan)
        with torch.no_grad():
            self.net(segments)

    def _is_nan(self, layer: str, i: int, frame: int | None = None) -> bool:
        """Say whether a unit is NaN for part `i`: the middle one, or the middle one of a frame."""
        output = self.outputs[layer][i]
        if output.ndim > 1:
            output = output[:, output.shape[1] // 2 if frame is None else frame]
        if output.ndim > 1:
            output = output[:, output.shape[1] // 2]
        return bool(output.isnan().any())

    def _span(self, axis: int) -> list[tuple[int, int]]:
        """Return where the field of each layer's middle unit begins and ends, by bisection."""
        n = self.size[axis]
        # the most that may be NaN at the beginning, and at the end, and is not seen: from, to
        low = torch.zeros(2, len(self.layers), dtype=torch.long)
        high = torch.full_like(low, n)
        while (low + 1 < high).any():
            middle = (low + high) // 2
            asked = sorted({(side, int(m)) for side in (0, 1) for m in middle[side]})
            self._pass([((0, m) if side == 0 else (n - m, n), axis) for side, m in asked])
            for side in (0, 1):
                for i, layer in enumerate(self.layers):
                    m = int(middle[side, i])
                    seen = self._is_nan(layer, asked.index((side, m)))
                    (high if seen else low)[side, i] = m
        return [(int(low[0, i]), n - int(low[1, i])) for i in range(len(self.layers))]


def _narrow(name: str, settings: Mapping[str, Any], n_frames: int, n_dims: int) -> nn.Module:
    """Build a net as narrow as it can be."""
    if "width" not in find("nets", name).settings:
        return build_net(name, settings, n_frames, n_dims, 1)
    for width in _WIDTHS[:-1]:
        try:
            return build_net(name, {**settings, "width": width}, n_frames, n_dims, 1)
        except ConfigError:
            continue
    return build_net(name, {**settings, "width": _WIDTHS[-1]}, n_frames, n_dims, 1)
