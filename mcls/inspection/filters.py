"""Plot the filters of a net: of its first layer on the axes of the rows, or of any other layer."""

from contextlib import suppress
from pathlib import Path

import numpy as np

from mcls.errors import ConfigError
from mcls.inspection.units import NetRun, net_of
from mcls.plots.kernels import KernelBank, draw_kernels
from mcls.plots.net import FilterBank, draw_filters
from mcls.plots.page import Figure
from mcls.training.interpret import Filters, first_filters
from mcls.training.kernels import kernels_of
from mcls.training.units import layer_of

#: Default numbers of filters of the first layer, and of a later one; of maps of each of these.
_FILTERS, _LATER, _MAPS = 64, 12, 16

#: Sizes of filters, or convolutions of a layer, on a page.
_BANKS = 5


def plot_filters(
    path: Path, *, top: int | None = None, layer: str | None = None
) -> tuple[Figure, str]:
    """Plot the filters of a layer, those of the largest norm of each size.

    Parameters
    ----------
    path : Path
        A run folder of a net.
    top : int or None
        Largest number of filters; None: 64 of the first layer, 12 of another.
    layer : str or None
        A hidden layer by name or number; None: all that read the segment itself.

    Returns
    -------
    page : Figure
        For the first layer, filters in the units of the rows. Behind it a filter has a kernel on
        every map of the layer before: the kernels of the largest norm, the strongest first.
    shows : str

    Raises
    ------
    ConfigError
        If the model is not a net, has no such layer, or the layer has no filters over frames and
        dimensions.
    """
    net = net_of(path)
    if layer is None:
        return _first(path, net, first_filters(net.model), top)
    layer = layer_of(net.model, layer)
    found: list[Filters] = []
    with suppress(ConfigError):  # no layer reads the segment itself
        found = first_filters(net.model)
    first = [one for one in found if f"{one.layer}.".startswith(f"{layer}.")]
    return _first(path, net, first, top) if first else _later(path, net, layer, top)


def _first(path: Path, net: NetRun, found: list[Filters], top: int | None) -> tuple[Figure, str]:
    model, step = net.model, net.axes.hop
    most = max(1, (top or _FILTERS) // min(len(found), _BANKS))
    banks = []
    for filters in found[:_BANKS]:
        n, n_frames, n_dims = filters.weights.shape
        chosen = _strongest(filters.weights)[:most]
        of = f"{len(chosen)} of {n} filters" if len(chosen) < n else f"{n} filters"
        size = f"{n_frames} frames x {n_dims} of {model.spec.n_dims} dimensions"
        if model.spec.n_dims == 1:
            size = f"{n_frames} frames" + (f", {1000 * n_frames * step:.3g} ms" if step else "")
        banks.append(FilterBank(f"{filters.layer}: {of}, {size}", filters.weights[chosen]))
    title = f"{path.name}: first filters of {model.spec.net}"
    page = draw_filters(banks, net.axes.dimensions, frame_seconds=step, title=title)
    n_shown = sum(len(bank.weights) for bank in banks)
    left = f" of {len(found)} banks, {len(banks)}" if len(found) > len(banks) else ""
    return page, f"{n_shown} filters of the first layer{left}"


def _later(path: Path, net: NetRun, layer: str, top: int | None) -> tuple[Figure, str]:
    found = kernels_of(net.model, layer)
    most = max(1, (top or _LATER) // min(len(found), _BANKS))
    banks = []
    for kernels in found[:_BANKS]:
        n, n_maps, n_frames, n_dims = kernels.weights.shape
        chosen = _strongest(kernels.weights)[:most]
        weights = kernels.weights[chosen]
        size, along = f"{n_frames} frames", "input map"
        if n_dims > 1:
            shown = [one[_strongest(one)[:_MAPS]] for one in weights]
            weights, size = np.stack(shown), f"{n_frames} frames x {n_dims} dimensions of a map"
            of = "all" if n_maps <= _MAPS else f"{_MAPS} of"
            along = f"its kernels on {of} {n_maps} input maps, the strongest first"
        names = tuple(str(1 + i) for i in chosen)
        title = f"{kernels.layer}: {len(chosen)} of {n} filters, {size}"
        banks.append(KernelBank(title, names, weights, along))
    title = f"{path.name}: filters of {layer} of {net.model.spec.net}"
    page = draw_kernels(banks, title=title)
    n_shown = sum(len(bank.names) for bank in banks)
    left = f", {len(banks)} of {len(found)} convolutions" if len(found) > len(banks) else ""
    return page, f"{n_shown} filters of {layer}{left}"


def _strongest(weights: np.ndarray) -> np.ndarray:
    """Return the order of filters or kernels by norm, the largest first."""
    strength = np.square(weights).reshape(len(weights), -1).sum(axis=1)
    return np.argsort(-strength, kind="stable")
