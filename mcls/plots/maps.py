"""A grid of small images over time and dimensions: feature maps, or inputs of units."""

from collections.abc import Sequence

import numpy as np

from mcls.plots.axes import DimensionAxis, draw_dim_axis
from mcls.plots.colours import scale_of
from mcls.plots.page import HEIGHT, Figure, figure

#: Images side by side: few are large, and more than the second number are small.
_BESIDE, _MANY, _SMALL = 4, 24, 8


def draw_maps(
    images: Sequence[np.ndarray],
    names: Sequence[str],
    axis: DimensionAxis,
    seconds: float,
    *,
    title: str,
    signed: bool = True,
) -> Figure:
    """Plot images in a grid.

    Parameters
    ----------
    images : sequence of np.ndarray, shape (n_frames, n_dims)
        Sizes may differ. One that has not the dimensions of `axis` is stretched over it.
    names : sequence of str
        Title of each image.
    axis : DimensionAxis
        Axis of the dimensions.
    seconds : float
        Duration of an image.
    title : str
        Title of the page.
    signed : bool
        Whether colours are symmetric about 0; False for a level in dB.

    Returns
    -------
    Figure
        All images have one scale of colours.
    """
    beside = _BESIDE if len(images) <= _MANY else _SMALL
    n_rows = -(-len(images) // beside)
    page = figure(min(1.7 * n_rows + 0.6, HEIGHT))
    page.suptitle(title, x=0.01, ha="left")
    axes = page.subplots(n_rows, beside, squeeze=False, sharex=True, sharey=True)
    values = np.concatenate([np.ravel(image) for image in images])
    colours, ends, beyond = scale_of(values, signed=signed, share=0.995)
    for ax, image, name in zip(axes.flat, images, names, strict=False):
        drawn = ax.imshow(
            image.T,
            origin="lower",
            aspect="auto",
            cmap=colours,
            norm=ends,
            extent=(0, seconds, -0.5, axis.n_dims - 0.5),
        )
        ax.set_title(name, fontsize=7)
    for ax in axes.flat[len(images) :]:
        ax.set_axis_off()
    for ax in axes[:, 0]:
        draw_dim_axis(ax, axis, 4)
    for place in range(len(images)):
        below = place + beside
        if below >= len(images):
            ax = axes.flat[place]
            ax.tick_params(labelbottom=True)
            ax.set_xlabel("time (s)")
    page.colorbar(drawn, ax=axes[:, -1], extend=beyond, shrink=0.8, aspect=30)
    return page
