"""Plots of atoms: patches in a grid, or single frames as the columns of one image."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from mcls.plots.axes import DimensionAxis, dim_ticks, draw_dim_axis, ticks_from_one
from mcls.plots.colours import scale_of

#: Frequency ticks per inch.
_PER_INCH = 7.0

#: Share of a patch's values within the colour range; the rest is clipped.
_INSIDE = 0.99

#: Cells across a grid at least, so that resampling does not blur one frame into the next.
_FINE = 1200

#: Patches of fewer dimensions are also enlarged vertically.
_LOW = 8


def grid_shape(n: int) -> tuple[int, int]:
    """Return rows and columns for `n` patches: about square, never an empty row.

    Examples
    --------
    >>> grid_shape(100), grid_shape(1), grid_shape(7)
    ((10, 10), (1, 1), (3, 3))
    """
    n_columns = int(np.ceil(np.sqrt(n)))
    return -(-n // n_columns), n_columns


def mosaic(patches: np.ndarray) -> np.ndarray:
    """Arrange patches in a grid, the first one top left, each scaled to its own range.

    A patch is divided by the 99th percentile of its magnitudes and clipped there, so that one
    outlying band does not leave the rest blank.

    Parameters
    ----------
    patches : np.ndarray, shape (n, n_frames, n_dims)
        The patches; a patch of zeros stays zero.

    Returns
    -------
    np.ndarray, shape (n_grid_rows * n_dims, n_grid_columns * n_frames)
        The lowest dimension of the last row of patches first, for an image with its origin below;
        NaN where there is no patch.
    """
    n, n_frames, n_dims = patches.shape
    n_rows, n_columns = grid_shape(n)
    sizes = np.abs(patches)
    largest = np.quantile(sizes, _INSIDE, axis=(1, 2), keepdims=True, method="higher")
    largest = np.where(largest > 0, largest, sizes.max(axis=(1, 2), keepdims=True))
    cells = np.full((n_rows * n_columns, n_frames, n_dims), np.nan)
    cells[:n] = np.clip(patches / np.where(largest > 0, largest, 1), -1, 1)
    ordered = cells.reshape(n_rows, n_columns, n_frames, n_dims)[::-1]
    return ordered.transpose(0, 3, 1, 2).reshape(n_rows * n_dims, n_columns * n_frames)


def draw_patches(
    page: Figure | SubFigure,
    patches: np.ndarray,
    axis: DimensionAxis,
    *,
    frame_seconds: float | None,
    height: float,
    title: str,
) -> Axes:
    """Draw patches in a grid, each in colours of its own range.

    Parameters
    ----------
    page : Figure or SubFigure
        Figure to draw on.
    patches : np.ndarray, shape (n, n_frames, n_dims)
        Patches in the order to draw them: row by row from the top left.
    axis : DimensionAxis
        Axis of the dimensions.
    frame_seconds : float or None
        Frame period; None if it is unknown.
    height : float
        Height of `page` in inches.
    title : str
        Title above the grid.

    Returns
    -------
    Axes
        The axes of the grid.
    """
    n, n_frames, n_dims = patches.shape
    n_rows, n_columns = grid_shape(n)
    picture = mosaic(patches)
    colours, ends, _ = scale_of(picture)
    ax = page.subplots()
    fine = np.repeat(picture, -(-_FINE // picture.shape[1]), axis=1)
    if n_dims < _LOW:  # nor one band of a low patch into the next
        fine = np.repeat(fine, -(-_FINE // picture.shape[0]), axis=0)
    extent = (-0.5, picture.shape[1] - 0.5, -0.5, picture.shape[0] - 0.5)
    image = ax.imshow(fine, cmap=colours, norm=ends, aspect="auto", origin="lower", extent=extent)
    for block in range(n_rows * axis.n_blocks):
        ax.axhline(block * n_dims / axis.n_blocks - 0.5, color="white", linewidth=0.5)
    for row in range(1, n_rows):
        ax.axhline(row * n_dims - 0.5, color="white", linewidth=2)
    for column in range(1, n_columns):
        ax.axvline(column * n_frames - 0.5, color="white", linewidth=2)
    inches = (height - 0.8) / n_rows
    _mark_rows(ax, axis, n_rows, max(1, int(inches * _PER_INCH)))
    _mark_columns(ax, n_frames, n_columns, frame_seconds)
    ax.spines[:].set_visible(False)
    ax.set_title(title)
    bar = page.colorbar(image, ax=ax, fraction=0.03, pad=0.01, aspect=30)
    bar.set_label("value, scaled per patch")
    bar.outline.set_visible(False)
    return ax


def _mark_rows(ax: Axes, axis: DimensionAxis, n_rows: int, most: int) -> None:
    """Label the frequencies of every row of patches."""
    inside, text = dim_ticks(axis, most)
    if len(inside) > 1 and inside[0] + axis.n_dims - inside[-1] < axis.n_dims / (most + 0.5):
        inside, text = inside[1:], text[1:]  # its label would overlap the row below
    starts = [row * axis.n_dims for row in range(n_rows)]
    ax.set_yticks([s + at for s in starts for at in inside], text * n_rows)
    ax.tick_params(axis="y", labelsize=6)
    ax.set_ylabel(axis.label)


def _mark_columns(ax: Axes, n_frames: int, n_columns: int, seconds: float | None) -> None:
    """Label the duration of the patches."""
    starts = [column * n_frames - 0.5 for column in range(n_columns)]
    ax.set_xticks([*starts, starts[-1] + n_frames], [""] * (n_columns + 1))
    if seconds is None:
        ax.set_xlabel(f"patches of {n_frames} rows")
        return
    milliseconds = 1000 * seconds * n_frames
    ax.set_xlabel(f"time within a patch ({n_frames} frames = {milliseconds:.0f} ms between ticks)")


def draw_columns(
    page: Figure | SubFigure,
    frames: np.ndarray,
    axis: DimensionAxis,
    *,
    height: float,
    unit: str,
    order: str,
    title: str,
) -> Axes:
    """Draw single-frame atoms as the columns of one image.

    Parameters
    ----------
    page : Figure or SubFigure
        Figure to draw on.
    frames : np.ndarray, shape (n, n_dims)
        Atoms in the order to draw them, from the left.
    axis : DimensionAxis
        Axis of the dimensions.
    height : float
        Height of `page` in inches.
    unit : str
        Unit of the values, for the colour bar.
    order : str
        Description of the order, for the axis label.
    title : str
        Title above the image.

    Returns
    -------
    Axes
        The axes of the image.
    """
    colours, ends, beyond = scale_of(frames, share=0.995)
    ax = page.subplots()
    image = ax.imshow(
        frames.T, cmap=colours, norm=ends, aspect="auto", origin="lower", interpolation="nearest"
    )
    draw_dim_axis(ax, axis, max(2, int((height - 0.8) * _PER_INCH / 2)))
    at = ticks_from_one(len(frames), 10)
    ax.set_xticks([i - 1 for i in at], [str(i) for i in at])
    ax.set_xlabel(f"atom, {order}")
    ax.spines[:].set_visible(False)
    ax.set_title(title)
    bar = page.colorbar(image, ax=ax, fraction=0.03, pad=0.01, aspect=30, extend=beyond)
    bar.set_label(unit)
    bar.outline.set_visible(False)
    return ax
