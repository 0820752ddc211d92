"""The kernels of convolutions behind the first layer, filter by filter."""

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import SubFigure

from mcls.plots.axes import whole_ticks
from mcls.plots.colours import scale_of
from mcls.plots.page import HEIGHT, Figure, figure

#: Height in inches of a line of kernels, and of what stands around the lines.
_LINE, _AROUND = 0.42, 0.9


@dataclass(frozen=True)
class KernelBank:
    """The kernels of some filters.

    Parameters
    ----------
    title : str
        Title of the panel.
    names : tuple of str
        Names of the filters.
    weights : np.ndarray, shape (n_filters, n_maps, n_frames, n_dims)
        Kernels of each filter, in the order to draw them. With ``n_dims`` 1 they are drawn as one
        image per filter, a line per map.
    along : str
        Description of the maps, for the axis.
    """

    title: str
    names: tuple[str, ...]
    weights: np.ndarray
    along: str


def draw_kernels(banks: list[KernelBank], *, title: str) -> Figure:
    """Plot kernels, a line of them for each filter, each filter in colours of its own range.

    Parameters
    ----------
    banks : list of KernelBank
        One or more.
    title : str
        Title of the page.

    Returns
    -------
    Figure
    """
    heights = [_AROUND + _LINE * len(bank.names) for bank in banks]
    total = min(sum(heights) + 0.4, HEIGHT)
    page = figure(total)
    page.suptitle(title, x=0.01, ha="left")
    parts = page.subfigures(len(banks), 1, height_ratios=heights, squeeze=False)[:, 0]
    for part, bank in zip(parts, banks, strict=True):
        _draw_bank(part, bank)
    return page


def _draw_bank(part: SubFigure, bank: KernelBank) -> None:
    largest = np.abs(bank.weights).max(axis=(1, 2, 3), keepdims=True)
    scaled = bank.weights / np.where(largest > 0, largest, 1)
    n, n_maps, n_frames, n_dims = scaled.shape
    ax = part.subplots()
    if n_dims == 1:  # over time alone: one image of maps and frames, filters side by side
        picture = scaled[..., 0].transpose(1, 0, 2).reshape(n_maps, n * n_frames)
        image = _show(ax, picture, n_frames, n_maps, bank.title)
        ax.set_xticks([(i + 0.5) * n_frames - 0.5 for i in range(n)], bank.names, rotation=90)
        at = whole_ticks(n_maps, 6)
        ax.set_yticks(at, [str(i + 1) for i in at])
        ax.set_ylabel(bank.along)
        ax.set_xlabel(f"filter ({n_frames} frames each)")
    else:
        ordered = scaled[::-1].transpose(0, 3, 1, 2)  # the first filter on top
        picture = ordered.reshape(n * n_dims, n_maps * n_frames)
        image = _show(ax, picture, n_frames, n_dims, bank.title)
        ax.set_yticks([(i + 0.5) * n_dims - 0.5 for i in range(n)], bank.names[::-1])
        ax.set_ylabel("filter")
        ax.set_xticks([])
        ax.set_xlabel(bank.along)
    bar = part.colorbar(image, ax=ax, fraction=0.03, pad=0.01, aspect=30)
    bar.set_label("weight, scaled per filter")
    bar.outline.set_visible(False)


def _show(ax: Axes, picture: np.ndarray, n_frames: int, n_dims: int, title: str):  # type: ignore[no-untyped-def]  # matplotlib has no types
    """Draw a mosaic with white lines between its kernels."""
    colours, ends, _ = scale_of(picture)
    image = ax.imshow(
        picture, cmap=colours, norm=ends, aspect="auto", origin="lower", interpolation="nearest"
    )
    for column in range(1, picture.shape[1] // n_frames):
        ax.axvline(column * n_frames - 0.5, color="white", linewidth=1.5)
    for line in range(1, picture.shape[0] // n_dims):
        ax.axhline(line * n_dims - 0.5, color="white", linewidth=1.5)
    ax.spines[:].set_visible(False)
    ax.set_title(title)
    return image
