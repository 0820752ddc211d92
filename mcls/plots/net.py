"""Plots of the filters of a net's first layer, with axes in milliseconds and Hz."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure, SubFigure

from mcls.plots.atoms import draw_columns, draw_patches
from mcls.plots.axes import DimensionAxis, in_order
from mcls.plots.colours import scale_of
from mcls.plots.page import HEIGHT, figure

#: Length of the Fourier transform of a filter on samples.
_N_FFT = 512

#: Height of a filter bank in inches: of patches, and of single frames or dimensions.
_PATCHES, _FLAT = 4.5, 2.6


@dataclass(frozen=True)
class FilterBank:
    """A filter bank: filters of one size.

    Parameters
    ----------
    title : str
        Title of the panel.
    weights : np.ndarray, shape (n, n_frames, n_dims)
        Weights in the order to draw them.
    """

    title: str
    weights: np.ndarray


def draw_filters(
    banks: Sequence[FilterBank], axis: DimensionAxis, *, frame_seconds: float | None, title: str
) -> Figure:
    """Plot filter banks, one above the other.

    Filters over frames and dimensions are drawn as patches, filters of one frame as columns, and
    filters of one dimension as lines over time. Filters on samples are shown by their frequency
    responses.

    Parameters
    ----------
    banks : sequence of FilterBank
        One or more.
    axis : DimensionAxis
        Axis of the rows that the net reads. A filter over all dimensions has this axis; a smaller
        one is moved along it, and its title gives its height in Hz.
    frame_seconds : float or None
        Frame period in seconds.
    title : str
        Title of the page.

    Returns
    -------
    Figure
    """
    heights = [_PATCHES if min(bank.weights.shape[1:]) > 1 else _FLAT for bank in banks]
    total = min(sum(heights) + 0.4, HEIGHT)
    page = figure(total)
    page.suptitle(title, x=0.01, ha="left")
    pages = page.subfigures(len(banks), 1, height_ratios=heights, squeeze=False)[:, 0]
    share = (total - 0.4) / sum(heights)
    for part, bank, height in zip(pages, banks, heights, strict=True):
        _draw_bank(part, bank, axis, frame_seconds, height * share)
    return page


def _draw_bank(
    part: SubFigure,
    bank: FilterBank,
    axis: DimensionAxis,
    frame_seconds: float | None,
    height: float,
) -> None:
    n_frames, n_dims = bank.weights.shape[1:]
    if axis.n_dims == 1 and frame_seconds is not None:
        _draw_responses(part, bank, 1 / frame_seconds, height)
        return
    if n_dims == 1 and n_frames > 1:
        _draw_lines(part, bank, frame_seconds)
        return
    own, title = axis, bank.title
    if n_dims != axis.n_dims:
        own = DimensionAxis("band within the filter", n_dims)
        said = spell_height(axis, n_dims)
        title += f"\n{said}" if said else ""
    if n_frames == 1:
        columns = bank.weights[:, 0]
        ax = draw_columns(part, columns, own, height=height, unit="weight", order="", title=title)
        ax.set_xlabel("filter, largest norm first")
        return
    draw_patches(part, bank.weights, own, frame_seconds=frame_seconds, height=height, title=title)


def spell_height(axis: DimensionAxis, n_dims: int) -> str:
    """Return the height in Hz of a filter of some dimensions, at both ends of an axis.

    Examples
    --------
    >>> spell_height(DimensionAxis("frequency (Hz)", 4, np.array([0.0, 100.0, 200.0, 500.0])), 2)
    '100 Hz high at the bottom, 300 Hz at the top'
    >>> spell_height(DimensionAxis("code", 4), 2)
    ''
    """
    frequencies = axis.frequencies
    if frequencies is None or axis.n_blocks > 1 or not 1 < n_dims <= len(frequencies):
        return ""
    low = frequencies[n_dims - 1] - frequencies[0]
    high = frequencies[-1] - frequencies[-n_dims]
    ends = [f"{hz:.3g} Hz" if hz < 1000 else f"{hz / 1000:.3g} kHz" for hz in (low, high)]
    return f"{ends[0]} high at the bottom, {ends[1]} at the top"


def _draw_lines(part: SubFigure, bank: FilterBank, frame_seconds: float | None) -> None:
    """Plot filters over time as lines of one image."""
    lines = bank.weights[:, :, 0]
    n, n_frames = lines.shape
    step = 1000 * frame_seconds if frame_seconds is not None else 1.0
    colours, ends, beyond = scale_of(lines, share=0.995)
    ax = part.subplots()
    image = ax.imshow(
        lines[::-1],
        cmap=colours,
        norm=ends,
        aspect="auto",
        origin="lower",
        interpolation="nearest",
        extent=(0, step * n_frames, 0.5, n + 0.5),
    )
    ax.set_yticks([])
    ax.set_ylabel("filters")
    ax.set_xlabel("time (ms)" if frame_seconds is not None else "row")
    ax.set_title(bank.title)
    bar = part.colorbar(image, ax=ax, fraction=0.03, pad=0.01, extend=beyond)
    bar.set_label("weight")
    bar.outline.set_visible(False)


def _draw_responses(part: SubFigure, bank: FilterBank, sr: float, height: float) -> None:
    """Plot the magnitude responses of filters on samples, sorted by peak frequency."""
    taps = bank.weights.reshape(len(bank.weights), -1)
    n_fft = max(_N_FFT, 1 << (taps.shape[1] - 1).bit_length())
    gains = np.abs(np.fft.rfft(taps, n_fft, axis=1))
    gains /= np.maximum(gains.max(axis=1, keepdims=True), np.finfo(np.float32).tiny)
    axis = DimensionAxis("frequency (Hz)", gains.shape[1], np.fft.rfftfreq(n_fft, 1 / sr))
    gains = gains[in_order(gains.argmax(axis=1))]
    title = bank.title
    ax = draw_columns(
        part, gains, axis, height=height, unit="magnitude (peak = 1)", order="", title=title
    )
    ax.set_xlabel("filter, by peak frequency")
