"""The rate of a training over its epochs, before anything is trained."""

import numpy as np
from matplotlib.ticker import MaxNLocator

from mcls.plots.colours import LINES
from mcls.plots.curves import log_ticks
from mcls.plots.page import Figure, figure

#: A rate that falls in steps by more than this in all is drawn on a log axis.
_WIDE = 20


def draw_rates(
    rates: np.ndarray, n_epochs: int, *, title: str, unit: str, in_steps: bool = False
) -> Figure:
    """Draw the rate at every step.

    Parameters
    ----------
    rates : np.ndarray, shape (n_steps,)
        0 where the schedule has ended the training.
    n_epochs : int
        In how many epochs these steps are.
    title : str
        Above all.
    unit : str
        What the rate is counted in.
    in_steps : bool
        Whether it changes between epochs only.

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
    ax.set_xlabel("epochs done")
    ax.set_ylabel(unit)
    return page
