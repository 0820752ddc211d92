"""The plot of a track: panels of its rows, codes and pooled vector, one above the other."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mcls.plots.axes import DimensionAxis, dim_ticks, draw_dim_axis
from mcls.plots.colours import LINES, scale_of
from mcls.plots.page import HEIGHT, figure

#: Cells of an image along either axis, at most; more would be thinner than a dot.
MOST_CELLS = 1200

#: Cells per inch of height: of rows, and of codes, whose lines must not be too thin.
_DENSITY, _CODES = 200, 90

#: Share of the values within the colour range for codes, and for features such as MFCC.
_INSIDE = 0.95

#: Height in inches of a panel with an image, and of one with a vector.
_IMAGE, _VECTOR = 2.0, 1.5


@dataclass(frozen=True)
class Panel:
    """A panel: the rows of a track after one step of a chain.

    Parameters
    ----------
    title : str
        Title of the panel.
    rows : np.ndarray, shape (n_rows, n_dims)
        Row t is at the time ``start + t * hop``. One dimension without a name is drawn as a curve.
    axis : DimensionAxis
        Axis of the dimensions.
    hop : float or None
        Seconds from row to row; None: one row for the whole track, drawn as bars.
    start : float
        Time of the middle of the first row, in seconds.
    unit : str
        Unit of the values.
    codes : bool
        Whether the values are codes, mostly 0, which is white then.
    signed : bool
        Whether colours are symmetric about 0; False for a level in dB.
    share : float or None
        Share of the values within the colour range, in (0, 1]; None: all for frequencies, 95 %
        for other dimensions.
    height : float or None
        Height of the panel in inches; None chooses it.
    """

    title: str
    rows: np.ndarray
    axis: DimensionAxis
    hop: float | None
    start: float = 0.0
    unit: str = ""
    codes: bool = False
    signed: bool = True
    share: float | None = None
    height: float | None = None


def thinned(rows: np.ndarray, most: int = MOST_CELLS, *, peaks: bool = False) -> np.ndarray:
    """Reduce rows to at most `most`, each from several successive rows.

    Parameters
    ----------
    rows : np.ndarray, shape (n_rows, n_dims)
        The rows; if they are few enough they are returned as they are.
    most : int
        Largest number of rows.
    peaks : bool
        Take the value of the largest magnitude, so that sparse codes stay visible, rather than the
        mean.

    Returns
    -------
    np.ndarray, shape (n, n_dims)

    Examples
    --------
    >>> thinned(np.array([[1.0], [3.0], [-8.0], [0.0]]), 2, peaks=True).tolist()
    [[3.0], [-8.0]]
    >>> thinned(np.array([[1.0], [3.0], [-8.0], [0.0]]), 2).tolist()
    [[2.0], [-4.0]]
    """
    if len(rows) <= most:
        return rows
    edges = np.linspace(0, len(rows), most + 1).astype(int)
    if not peaks:
        sums = np.add.reduceat(rows, edges[:-1], axis=0, dtype=np.float64)
        return sums / np.diff(edges)[:, None]
    high = np.maximum.reduceat(rows, edges[:-1], axis=0)
    low = np.minimum.reduceat(rows, edges[:-1], axis=0)
    return np.where(high >= -low, high, low)


def draw_track(
    panels: Sequence[Panel], *, title: str, seconds: float, highest: float = HEIGHT
) -> Figure:
    """Plot a track.

    Parameters
    ----------
    panels : sequence of Panel
        Panels from the top. Those with a time share the time axis.
    title : str
        Title of the page.
    seconds : float
        Duration of the track.
    highest : float
        Largest height of the page in inches.

    Returns
    -------
    Figure
    """
    heights = [panel.height or (_VECTOR if panel.hop is None else _IMAGE) for panel in panels]
    page = figure(sum(heights) + 0.4, highest=highest)
    page.suptitle(title, x=0.01, ha="left")
    grid = page.add_gridspec(len(panels), 1, height_ratios=heights)
    timed: list[Axes] = []
    share = min(1.0, (highest - 0.4) / sum(heights))
    for i, (panel, height) in enumerate(zip(panels, heights, strict=True)):
        place = grid[i]
        if panel.hop is None:
            _draw_vector(page.add_subplot(place), panel)
            continue
        ax = page.add_subplot(place, sharex=timed[0] if timed else None)
        timed.append(ax)
        if panel.rows.shape[1] == 1 and not panel.axis.names:
            _draw_curve(ax, panel)
        else:
            _draw_image(page, ax, panel, height * share)
    if timed:
        timed[0].set_xlim(0, seconds)
        for ax in timed[:-1]:
            ax.tick_params(labelbottom=False)
        timed[-1].set_xlabel("time (s)")
    return page


def _draw_image(page: Figure, ax: Axes, panel: Panel, height: float) -> None:
    assert panel.hop is not None
    rows = thinned(panel.rows, peaks=panel.codes)
    density = _CODES if panel.codes else _DENSITY
    cells = thinned(rows.T, int((height - 0.4) * density), peaks=panel.codes)
    share = 1.0 if panel.axis.frequencies is not None else _INSIDE
    share = share if panel.share is None else panel.share
    colours, ends, beyond = scale_of(cells, sparse=panel.codes, signed=panel.signed, share=share)
    first = panel.start - panel.hop / 2
    image = ax.imshow(
        cells,
        cmap=colours,
        norm=ends,
        aspect="auto",
        origin="lower",
        interpolation="nearest",
        extent=(first, first + panel.hop * len(panel.rows), -0.5, panel.rows.shape[1] - 0.5),
    )
    draw_dim_axis(ax, panel.axis, max(2, int((height - 0.4) * 5)))
    ax.set_title(panel.title)
    bar = page.colorbar(image, ax=ax, fraction=0.03, pad=0.01, aspect=15, extend=beyond)
    bar.set_label(panel.unit)
    bar.outline.set_visible(False)


def _draw_curve(ax: Axes, panel: Panel) -> None:
    """Plot rows of one number over time; if there are many, as a band from lowest to highest."""
    assert panel.hop is not None
    values = panel.rows[:, 0]
    edges = np.linspace(0, len(values), min(len(values), MOST_CELLS) + 1).astype(int)
    times = panel.start + panel.hop * ((edges[:-1] + edges[1:] - 1) / 2)
    if len(times) == len(values):
        ax.plot(times, values, color=LINES[0], linewidth=0.9)
    else:
        low, high = (ufunc.reduceat(values, edges[:-1]) for ufunc in (np.minimum, np.maximum))
        ax.fill_between(times, low, high, color=LINES[0], linewidth=0.4)
    if values.min() < 0 < values.max():
        ax.axhline(0, color="black", linewidth=0.6)
    ax.set_title(panel.title)
    ax.set_ylabel(panel.unit)


def _draw_vector(ax: Axes, panel: Panel) -> None:
    vector = np.asarray(panel.rows[0], np.float64)
    n = len(vector)
    ax.stairs(vector, np.arange(n + 1) - 0.5, baseline=0, fill=True, color=LINES[0])
    if vector.min() < 0 < vector.max():
        ax.axhline(0, color="black", linewidth=0.6)
    positions, labels = dim_ticks(panel.axis, 10)
    ax.set_xticks(positions, labels)
    ax.set_xlim(-0.5, n - 0.5)
    ax.set_xlabel(panel.axis.name)
    ax.set_ylabel(panel.unit)
    ax.set_title(panel.title)
