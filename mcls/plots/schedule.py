"""The plot of a learning rate schedule."""

import numpy as np
from matplotlib.ticker import MaxNLocator

from mcls.plots.colours import LINES
from mcls.plots.curves import log_ticks
from mcls.plots.page import Figure, figure

#: Ratio of largest to smallest rate from which on a stepwise schedule gets a log axis.
_WIDE = 20


def draw_rates(
    rates: np.ndarray, n_epochs: int, *, title: str, unit: str, in_steps: bool = False
) -> Figure:
    """Plot the learning rate at every step.

    Parameters
    ----------
    rates : np.ndarray, shape (n_steps,)
        Learning rates; 0 after the schedule has ended the training.
    n_epochs : int
        Number of epochs that these steps make.
    title : str
        Title of the page.
    unit : str
        Label of the y axis.
    in_steps : bool
        Whether the rate changes between epochs only.

    Returns
    -------
    Figure
    """
    page = figure(3.0)
    page.suptitle(title, x=0.01, ha="left")
    ax = page.subplots()
    ended = np.flatnonzero(rates <= 0)
    n_steps = int(ended[0]) if len(ended) else len(rates)
    epochs = np.arange(len(rates) + 1) * n_epochs / len(rates)
    ax.stairs(rates[:n_steps], epochs[: n_steps + 1], baseline=None, color=LINES[0], linewidth=1.2)
    if n_steps < len(rates):
        end = epochs[n_steps]
        ax.axvline(end, color=LINES[-1], linewidth=0.8, linestyle="--", label=f"ends after {end:g}")
        ax.legend()
    shown = rates[:n_steps]
    if in_steps and shown.max() > _WIDE * shown.min():
        ax.set_yscale("log")
        log_ticks(ax, lambda value: f"{value:.6g}")
    else:
        ax.set_ylim(0, 1.05 * shown.max())
        ax.ticklabel_format(axis="y", style="plain", useOffset=False)
    ax.xaxis.set_major_locator(MaxNLocator(10, integer=True, min_n_ticks=1))
    ax.set_xlim(0, n_epochs)
    ax.set_xlabel("epoch")
    ax.set_ylabel(unit)
    return page
