"""Rows beside what a dictionary reconstructs of them."""

from collections.abc import Sequence

import numpy as np

from mcls.plots.axes import DimensionAxis, dim_ticks
from mcls.plots.colours import LINES
from mcls.plots.maps import draw_maps
from mcls.plots.page import HEIGHT, Figure, figure

#: Panels of single frames side by side.
_BESIDE = 3


def draw_pairs(
    rows: np.ndarray,
    reconstructions: np.ndarray,
    errors: Sequence[str],
    axis: DimensionAxis,
    *,
    seconds: float | None,
    unit: str,
    title: str,
    signed: bool,
) -> Figure:
    """Plot rows, each beside its reconstruction.

    Parameters
    ----------
    rows, reconstructions : np.ndarray, shape (n, n_frames, n_dims)
        Patches of frames are drawn as images, single frames as curves.
    errors : sequence of str
        The error of each, for the title of its panel.
    axis : DimensionAxis
        Axis of the dimensions.
    seconds : float or None
        Duration of a patch; None counts frames.
    unit : str
        Unit of the values.
    title : str
        Title of the page.
    signed : bool
        Whether colours are symmetric about 0; False for a level in dB.

    Returns
    -------
    Figure
    """
    n, n_frames, _ = rows.shape
    if n_frames > 1:
        pairs = [image for pair in zip(rows, reconstructions, strict=True) for image in pair]
        names = [name for i in range(n) for name in (f"row {i + 1}", errors[i])]
        length = float(n_frames) if seconds is None else seconds
        return draw_maps(pairs, names, axis, length, title=title, signed=signed)
    n_lines = -(-n // _BESIDE)
    page = figure(min(1.5 * n_lines + 0.8, HEIGHT))
    page.suptitle(title, x=0.01, ha="left")
    panels = page.subplots(n_lines, _BESIDE, squeeze=False, sharex=True, sharey=True)
    for ax, row, again, error in zip(
        panels.flat, rows[:, 0], reconstructions[:, 0], errors, strict=False
    ):
        ax.plot(row, color=LINES[0], label="row")
        ax.plot(again, color=LINES[1], linewidth=0.9, label="reconstruction")
        ax.set_title(error, fontsize=7)
    for spare in panels.flat[n:]:
        spare.set_axis_off()
    positions, labels = dim_ticks(axis, 5)
    panels[0, 0].set_xticks(positions, labels)
    panels[0, 0].legend()
    for ax in panels[:, 0]:
        ax.set_ylabel(unit)
    for place in range(max(0, n - _BESIDE), n):
        panels.flat[place].tick_params(labelbottom=True)
        panels.flat[place].set_xlabel(axis.label)
    return page
