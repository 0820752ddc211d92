"""The learning curves of several trainings in one picture."""

from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from mcls.plots.curves import Series, by_quantity, log_ticks, name_curves, without_constants
from mcls.plots.page import HEIGHT, Figure, figure

#: Ratio of largest to smallest value from which on the axis is logarithmic.
_WIDE = 100

#: Height in inches of a panel.
_PANEL = 2.1

History = Sequence[Mapping[str, float]]


def draw_training_curves(
    histories: Mapping[str, History], kept: Mapping[str, float | None], *, title: str
) -> Figure:
    """Plot the same quantity of several trainings in one panel, each named beside its curve.

    Parameters
    ----------
    histories : mapping of str to sequence of mapping
        The measurements of each epoch, by the name of the run.
    kept : mapping of str to float or None
        The epoch whose model was kept; marked by a dot.
    title : str
        Title of the page.

    Returns
    -------
    Figure
        Panels of losses and validation metrics, then the gradient norm of each layer in the last
        epoch. Quantities that are constant stand in the title.
    """
    curves, constant = without_constants(_curves(histories))
    gradients = {run: _last_gradients(history) for run, history in histories.items()}
    gradients = {run: found for run, found in gradients.items() if found}
    n_panels = len(curves) + bool(gradients)
    colours = dict(
        zip(
            histories,
            matplotlib.colormaps["viridis"](np.linspace(0, 0.85, len(histories))),
            strict=True,
        )
    )
    n_rows = -(-n_panels // 2)
    page = figure(min(_PANEL * n_rows + 0.4, HEIGHT))
    page.suptitle("\n".join([title, *constant]), x=0.01, ha="left")
    axes = list(page.subplots(n_rows, 2, squeeze=False).flat)
    for ax, (quantity, runs) in zip(axes, curves.items(), strict=False):
        for run, (epochs, values) in runs.items():
            ax.plot(epochs, values, color=colours[run])
            here = kept[run]
            if here is not None and here in epochs:
                value = values[list(epochs).index(here)]
                ax.plot([here], [value], "o", color=colours[run])
        _finish(ax, quantity.replace("_", " "), "epoch")
        name_curves(ax, {run: values[-1] for run, (_, values) in runs.items()}, colours)
    if gradients:
        ax = axes[len(curves)]
        for run, found in gradients.items():
            ax.plot(range(1, len(found) + 1), list(found.values()), color=colours[run], marker="o")
        _finish(ax, "gradient norm of each layer, last epoch", "layer, from the input")
        name_curves(ax, {run: [*found.values()][-1] for run, found in gradients.items()}, colours)
    for spare in axes[n_panels:]:
        spare.remove()
    return page


def _curves(histories: Mapping[str, History]) -> dict[str, dict[str, Series]]:
    """Return the series of each quantity by run, those of layers left out."""
    found: dict[str, dict[str, Series]] = {}
    for run, history in histories.items():
        for quantity, parts in by_quantity([_of_all_layers(row) for row in history]).items():
            for part, series in parts.items():
                name = f"{part} {quantity}" if part else quantity
                found.setdefault(name, {})[run] = series
    return found


def _of_all_layers(row: Mapping[str, float]) -> dict[str, float]:
    """Return the measurements of an epoch that are not of one layer, nor its duration."""
    left_out = ("grad_", "dead_", "seconds")
    return {name: value for name, value in row.items() if not name.startswith(left_out)}


def _last_gradients(history: History) -> dict[str, float]:
    """Return the gradient norm of each layer in the last epoch, in the order of the layers."""
    last = history[-1] if history else {}
    return {name: value for name, value in last.items() if name.startswith("grad_")}


def _finish(ax: Axes, title: str, along: str) -> None:
    values = np.concatenate([np.asarray(line.get_ydata(), float) for line in ax.lines])
    if values.min() > 0 and values.max() > _WIDE * values.min():
        ax.set_yscale("log")
        log_ticks(ax, lambda value: f"{value:.6g}")
    ax.xaxis.set_major_locator(MaxNLocator(5, integer=True, min_n_ticks=1))
    ax.set_xlabel(along)
    ax.set_title(title)
