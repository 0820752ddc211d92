"""The receptive fields of a net's layers, drawn on the segment that it reads."""

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.patches import Rectangle

from mcls.nets.field import ReceptiveField
from mcls.plots.page import Figure
from mcls.plots.track import Panel, draw_track


def draw_receptive_fields(panel: Panel, fields: Sequence[ReceptiveField], *, title: str) -> Figure:
    """Plot a segment with the receptive field of the middle unit of each hidden layer.

    Parameters
    ----------
    panel : Panel
        The segment.
    fields : sequence of ReceptiveField
        Fields in frames and dimensions of the segment, first layer first.
    title : str
        Title of the page.

    Returns
    -------
    Figure
        Above the segment alone, below it with a frame around each field, named at the side.
    """
    n_frames = len(panel.rows)
    hop = panel.hop or 1.0
    page = draw_track([panel, panel], title=title, seconds=panel.start + hop * (n_frames - 0.5))
    images = [ax for ax in page.axes if ax.images]
    ax = images[-1]
    ax.set_title("receptive field of the middle unit of each layer")
    colours = matplotlib.colormaps["cool"](np.linspace(0, 1, len(fields)))
    for place, (field, colour) in enumerate(zip(fields, colours, strict=True)):
        left = panel.start + hop * (field.first_frame - 0.5)
        corner = (left, field.first_dim - 0.5)
        width = hop * field.frames
        ax.add_patch(
            Rectangle(corner, width, field.dims, fill=False, edgecolor=colour, linewidth=1.5)
        )
        ax.annotate(
            field.layer,
            (0.005 + 0.11 * (place % 9), 0.97 - 0.07 * (place // 9)),
            xycoords="axes fraction",
            color=colour,
            fontsize=7,
            va="top",
            backgroundcolor="#000000a0",
        )
    return page
