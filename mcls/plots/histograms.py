"""Histograms of gradients and activations over the epochs, layer by layer."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from mcls.plots.colours import AMOUNT, LINES
from mcls.plots.page import HEIGHT, Figure, figure

#: Cells of the value axis of a panel.
_CELLS = 80

#: Height in inches of a panel, if there is room.
_PANEL = 1.3

#: Titles of the columns by quantity.
_COLUMNS = {"gradient": "log10 |gradient|", "activation": "activation"}


@dataclass(frozen=True)
class EpochHistograms:
    """Histograms of one quantity of one layer.

    Parameters
    ----------
    epochs : np.ndarray, shape (n,)
        The epochs, ascending.
    low, high : np.ndarray, shape (n,)
        Ends of the bins; NaN where all values are 0.
    zeros : np.ndarray, shape (n,)
        Share of the values that are 0.
    shares : np.ndarray, shape (n, n_bins)
        Share of the values in each bin.
    """

    epochs: np.ndarray
    low: np.ndarray
    high: np.ndarray
    zeros: np.ndarray
    shares: np.ndarray

    def on(self, edges: np.ndarray) -> np.ndarray:
        """Return the share of the values between successive edges, ``(n, len(edges) - 1)``.

        Values are taken to be spread evenly within a bin; those of one value alone are in the cell
        that holds it.
        """
        found = np.zeros((len(self.epochs), len(edges) - 1))
        for i, (low, high) in enumerate(zip(self.low, self.high, strict=True)):
            if not np.isfinite(low):
                continue
            if high <= low:
                at = min(max(np.searchsorted(edges, low, side="right") - 1, 0), len(edges) - 2)
                found[i, at] = self.shares[i].sum()
                continue
            own = np.linspace(low, high, self.shares.shape[1] + 1)
            total = np.concatenate([[0], np.cumsum(self.shares[i])])
            found[i] = np.diff(np.interp(edges, own, total))
        return found

    def median(self) -> np.ndarray:
        """Return the median of the values that are not 0, ``(n,)``."""
        found = np.full(len(self.epochs), np.nan)
        for i, (low, high) in enumerate(zip(self.low, self.high, strict=True)):
            total = np.concatenate([[0], np.cumsum(self.shares[i])])
            if np.isfinite(low) and total[-1] > 0:
                found[i] = np.interp(total[-1] / 2, total, np.linspace(low, high, len(total)))
        return found


def draw_histograms(histograms: Mapping[tuple[str, str], EpochHistograms], *, title: str) -> Figure:
    """Plot histograms over the epochs, a line of panels per layer.

    Parameters
    ----------
    histograms : mapping of (layer, quantity) to EpochHistograms
        The quantity is ``gradient`` or ``activation``.
    title : str
        Title of the page.

    Returns
    -------
    Figure
        The darker a cell, the more values it has; the line is their median without those that are
        0, whose share in the last epoch is in the title of the panel. The panels of gradients have
        one axis, so that layers can be compared.
    """
    layers = list(dict.fromkeys(layer for layer, _ in histograms))
    page = figure(min(_PANEL * len(layers) + 0.6, HEIGHT))
    page.suptitle(title, x=0.01, ha="left")
    panels = page.subplots(len(layers), len(_COLUMNS), squeeze=False, sharex=True)
    for column, (quantity, name) in enumerate(_COLUMNS.items()):
        of_all = [one for (_, what), one in histograms.items() if what == quantity]
        shared = _ends(of_all) if quantity == "gradient" else None
        for ax, layer in zip(panels[:, column], layers, strict=True):
            one = histograms.get((layer, quantity))
            if one is None:
                ax.set_axis_off()
                continue
            _draw(ax, one, shared or _ends([one]))
            zero = f", {100 * one.zeros[-1]:.0f} % are 0" if one.zeros[-1] >= 0.005 else ""
            ax.set_title(f"{layer}{zero}", fontsize=7)
            ax.set_ylabel(name)
    for ax in panels[-1]:
        ax.set_xlabel("epoch")
        ax.xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))
    return page


def _ends(histograms: list[EpochHistograms]) -> tuple[float, float] | None:
    """Return the smallest and the largest value of some histograms; None if all are 0."""
    ends = np.concatenate([np.concatenate([one.low, one.high]) for one in histograms])
    ends = ends[np.isfinite(ends)]
    if not len(ends):
        return None
    low, high = float(ends.min()), float(ends.max())
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _draw(ax: Axes, one: EpochHistograms, ends: tuple[float, float] | None) -> None:
    if ends is None:
        ax.text(0.5, 0.5, "all values are 0", transform=ax.transAxes, ha="center", va="center")
        return
    edges = np.linspace(*ends, _CELLS + 1)
    cells = one.on(edges)
    first, last = one.epochs[0] - 0.5, one.epochs[-1] + 0.5
    ax.imshow(
        np.sqrt(cells.T),  # so that rare values are seen beside frequent ones
        cmap=AMOUNT,
        vmin=0,
        aspect="auto",
        origin="lower",
        interpolation="nearest",
        extent=(first, last, *ends),
    )
    ax.plot(one.epochs, one.median(), color=LINES[1], linewidth=0.9)
