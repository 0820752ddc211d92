"""Small spectrograms of single tracks in a grid, each with two lines of text."""

from collections.abc import Sequence

import numpy as np

from mcls.plots.axes import draw_dim_axis
from mcls.plots.colours import scale_of
from mcls.plots.page import HEIGHT, Figure, figure
from mcls.plots.track import Panel, thinned

#: Images side by side, the height in inches of a row of them, and the cells of an image.
_BESIDE, _PANEL, _CELLS = 3, 1.75, 400


def draw_small_tracks(panels: Sequence[Panel], *, title: str, highest: float = HEIGHT) -> Figure:
    """Plot tracks in a grid, each with its own time axis and range of colours.

    Parameters
    ----------
    panels : sequence of Panel
        Images of the same dimensions.
    title : str
        Title of the page.
    highest : float
        Largest height of the page in inches.

    Returns
    -------
    Figure
    """
    n_rows = -(-len(panels) // _BESIDE)
    page = figure(_PANEL * n_rows + 0.5, highest=highest)
    page.suptitle(title, x=0.01, ha="left")
    axes = page.subplots(n_rows, _BESIDE, squeeze=False)
    for place, (ax, panel) in enumerate(zip(axes.flat, panels, strict=False)):
        hop = panel.hop or 1.0
        share = 1.0 if panel.axis.frequencies is not None else 0.99
        cells = thinned(panel.rows, _CELLS).T
        colours, ends, _ = scale_of(np.asarray(cells), signed=panel.signed, share=share)
        first = panel.start - hop / 2
        n_rows_of_track, n_dims = panel.rows.shape
        extent = (first, first + hop * n_rows_of_track, -0.5, n_dims - 0.5)
        ax.imshow(cells, cmap=colours, norm=ends, aspect="auto", origin="lower", extent=extent)
        ax.set_title(panel.title, fontsize=7)
        draw_dim_axis(ax, panel.axis, 4)
        if place % _BESIDE:
            ax.set_ylabel("")
            ax.tick_params(labelleft=False)
        if place + _BESIDE >= len(panels):
            ax.set_xlabel("time (s)")
    for ax in axes.flat[len(panels) :]:
        ax.remove()
    return page
