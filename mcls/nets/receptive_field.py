"""Receptive fields: the part of a segment that a unit of each hidden layer depends on.

They are measured, not derived from kernels and strides. Part of a segment is set to NaN, and a unit
that becomes NaN depends on it. A product with NaN is NaN, whatever the weight, and so are maxima,
sums and recurrent states; so this holds for every net, whatever it is made of. The number of maps
does not matter, and the net is built as narrow as possible.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from mcls.errors import ConfigError
from mcls.nets.build import build_net
from mcls.nets.field import ReceptiveField
from mcls.parallel.threads import one_torch_thread
from mcls.registry import find

#: Widths to try, the narrowest first: some nets cannot be that narrow.
_WIDTHS = (0.01, 0.1, 0.25, 1.0)


def receptive_fields(
    name: str, settings: Mapping[str, Any], n_frames: int, n_dims: int
) -> list[ReceptiveField]:
    """Return the receptive field of every hidden layer, in the net's order.

    Parameters
    ----------
    name : str
        Name of a net.
    settings : mapping of str to text or value
        Settings that differ from the net's defaults.
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
    with one_torch_thread():  # products this small gain nothing from more
        probe = _Probe(_narrow(name, settings, n_frames, n_dims), n_frames, n_dims)
    return [probe.field(i, layer) for i, layer in enumerate(probe.layers)]


class _Probe:
    """Find out which middle units of a net become NaN when some frames, or dimensions, are NaN."""

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
        self.reaches_all_frames = dict(zip(self.layers, ends, strict=True))
        self.spans = [self._span(axis) for axis in (0, 1)]

    def field(self, i: int, layer: str) -> ReceptiveField:
        """Return the receptive field of a layer."""
        n_frames, n_dims = self.size
        (first, stop), (low, high) = self.spans[0][i], self.spans[1][i]
        frames = n_frames if self.reaches_all_frames[layer] else stop - first
        dims = high - low
        over_time = self.outputs[layer].ndim > 2 and self.outputs[layer].shape[2] > 1
        first = 0 if frames == n_frames else first
        return ReceptiveField(
            layer, frames, dims, frames == n_frames, dims == n_dims, first, low, over_time
        )

    def _keep(self, layer: str) -> Any:
        def hook(module: nn.Module, given: Any, output: torch.Tensor) -> None:
            self.outputs[layer] = output

        return hook

    def _pass(self, parts: list[tuple[tuple[int, int], int]]) -> None:
        """Pass one segment for each part of an axis, with that part set to NaN."""
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
        """Find the ends of the field of each layer's middle unit by bisection."""
        n = self.size[axis]
        # bounds of the longest part at either end that the unit does not depend on
        low = torch.zeros(2, len(self.layers), dtype=torch.long)
        high = torch.full_like(low, n)
        while (low + 1 < high).any():
            middle = (low + high) // 2
            asked = sorted({(side, int(m)) for side in (0, 1) for m in middle[side]})
            self._pass([((0, m) if side == 0 else (n - m, n), axis) for side, m in asked])
            for side in (0, 1):
                for i, layer in enumerate(self.layers):
                    m = int(middle[side, i])
                    reached = self._is_nan(layer, asked.index((side, m)))
                    (high if reached else low)[side, i] = m
        return [(int(low[0, i]), n - int(low[1, i])) for i in range(len(self.layers))]


def _narrow(name: str, settings: Mapping[str, Any], n_frames: int, n_dims: int) -> nn.Module:
    """Build a net with as few maps as possible."""
    if "width" not in find("nets", name).settings:
        return build_net(name, settings, n_frames, n_dims, 1)
    for width in _WIDTHS[:-1]:
        try:
            return build_net(name, {**settings, "width": width}, n_frames, n_dims, 1)
        except ConfigError:
            continue
    return build_net(name, {**settings, "width": _WIDTHS[-1]}, n_frames, n_dims, 1)
