"""The plot of a dictionary: its atoms, and below them their usage and the learning curves."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure, SubFigure

from mcls.plots.atoms import draw_columns, draw_patches, grid_shape
from mcls.plots.axes import DimensionAxis
from mcls.plots.curves import by_quantity, draw_curve, draw_usage
from mcls.plots.page import HEIGHT, figure

#: Panels per row below the atoms, and the height of a row in inches.
_BESIDE, _ROW = 3, 1.7


def draw_dictionary(
    patches: np.ndarray,
    axis: DimensionAxis,
    *,
    frame_seconds: float | None = None,
    unit: str = "value",
    order: str = "in the order of the dictionary",
    title: str = "atoms",
    usage: np.ndarray | None = None,
    perplexity: float | None = None,
    history: Sequence[Mapping[str, Any]] = (),
) -> Figure:
    """Plot a dictionary.

    Parameters
    ----------
    patches : np.ndarray, shape (n_shown, n_frames, n_dims)
        The atoms to show, in order. Atoms of one frame become the columns of one image.
    axis : DimensionAxis
        Axis of the dimensions.
    frame_seconds : float or None
        Frame period in seconds.
    unit : str
        Unit of the values.
    order : str
        Description of the order.
    title : str
        Title above the atoms.
    usage : np.ndarray, shape (n_atoms,), or None
        Usage of each atom of the whole dictionary.
    perplexity : float or None
        See `draw_usage`.
    history : sequence of mapping
        See `by_quantity`.

    Returns
    -------
    Figure
    """
    quantities = by_quantity(history)
    n_panels = (usage is not None) + len(quantities)
    n_rows = -(-n_panels // _BESIDE)
    low = _ROW * n_rows
    n, n_frames, _ = patches.shape
    high = 3.4 if n_frames == 1 else 0.9 + 5.6 * min(1.0, grid_shape(n)[0] / 5)
    high = max(min(high, HEIGHT - low), HEIGHT / 3)
    low = min(low, HEIGHT - high)
    page = figure(high + low)
    top: Figure | SubFigure = page
    bottom: SubFigure | None = None
    if n_panels:
        halves: Any = page.subfigures(2, 1, height_ratios=[high, low])
        top, bottom = halves
    if n_frames == 1:
        draw_columns(top, patches[:, 0], axis, height=high, unit=unit, order=order, title=title)
    else:
        draw_patches(
            top, patches, axis, frame_seconds=frame_seconds, height=high, title=f"{title}, {order}"
        )
    if bottom is not None:
        panels = iter(bottom.subplots(n_rows, min(_BESIDE, n_panels), squeeze=False).flat)
        if usage is not None:
            draw_usage(next(panels), usage, perplexity)
        for quantity, parts in quantities.items():
            draw_curve(next(panels), quantity, parts)
        for spare in panels:
            spare.remove()
    return page
