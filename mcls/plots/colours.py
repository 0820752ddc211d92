"""Colours and colour maps that are perceptually uniform and safe for colour-blind readers.

``ROWS`` is sequential, for spectrograms. ``SIGNED`` is diverging: white at 0, blue below, brown
above. ``AMOUNT`` goes from white to blue, for sparse codes. The last two are straight lines in
CIELAB, so lightness falls evenly and equally on either side.
"""

import matplotlib
import numpy as np
from matplotlib.colors import Colormap, ListedColormap, Normalize

#: Blue, vermilion, green, purple, orange and grey of Okabe & Ito's palette.
LINES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#666666")

#: Colours of labels: Tol's muted palette, and three of Okabe & Ito's. None is lighter than the text
#: of a name can be.
LABELS = (
    *("#332288", "#CC6677", "#117733", "#44AA99", "#AA4499", "#999933"),
    *("#882255", "#0072B2", "#D55E00", "#666666", "#88A0EE", "#B8902A"),
)

#: Values on the other side of 0 that are smaller, by the largest, are rounding errors.
_ROUNDING = 1e-5

_WHITE, _BLUE, _BROWN = (99.0, 0.0, 0.0), (30.0, 10.0, -42.0), (30.0, 30.0, 38.0)


def lab_to_rgb(lab: np.ndarray) -> np.ndarray:
    """Convert CIELAB (D65) to sRGB.

    Parameters
    ----------
    lab : np.ndarray, shape (n, 3)
        L in 0..100, a and b.

    Returns
    -------
    np.ndarray, shape (n, 3)
        In 0..1, clipped.
    """
    f = (lab[:, :1] + 16) / 116 + lab @ np.array([[0, 0, 0], [1 / 500, 0, 0], [0, 0, -1 / 200]])
    xyz = np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29))
    xyz = xyz * np.array([0.95047, 1.0, 1.08883])
    matrix = np.array(
        [[3.2406, -1.5372, -0.4986], [-0.9689, 1.8758, 0.0415], [0.0557, -0.2040, 1.0570]]
    )
    linear = np.clip(xyz @ matrix.T, 0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def _between(name: str, *stops: tuple[float, float, float]) -> Colormap:
    at = np.linspace(0, len(stops) - 1, 257 if len(stops) > 2 else 256)
    lab = np.stack([np.interp(at, range(len(stops)), part) for part in zip(*stops, strict=True)], 1)
    made = ListedColormap(np.clip(lab_to_rgb(lab), 0, 1), name)
    return made.with_extremes(bad="white")


SIGNED: Colormap = _between("mcls-signed", _BLUE, _WHITE, _BROWN)
AMOUNT: Colormap = _between("mcls-amount", _WHITE, _BLUE)
ROWS: Colormap = matplotlib.colormaps["magma"].with_extremes(bad="white")


def scale_of(
    values: np.ndarray, *, sparse: bool = False, signed: bool = True, share: float = 1.0
) -> tuple[Colormap, Normalize, str]:
    """Choose the colour map and its range for some values.

    Parameters
    ----------
    values : np.ndarray
        Values of any shape; NaN is ignored.
    sparse : bool
        Whether values are mostly 0, which is white then; `share` refers to the others.
    signed : bool
        Whether the range is symmetric about 0 if there are values on both sides; False for dB.
    share : float
        Share of the values within the range, in (0, 1].

    Returns
    -------
    colours : Colormap
        ``SIGNED`` if values are on both sides of 0.
    ends : Normalize
        The range, never of width 0.
    beyond : {'neither', 'max', 'both'}
        The ends beyond which there are values.
    """
    known = values[np.isfinite(values)]
    if not known.size:
        return ROWS, Normalize(0, 1), "neither"
    low, high = float(known.min()), float(known.max())
    if sparse and low < high:
        known = known[known != 0]
    if signed and min(-low, high) > _ROUNDING * max(-low, high):
        largest = max(-low, high)
        end = float(np.quantile(np.abs(known), share)) or largest
        return SIGNED, Normalize(-end, end), "both" if largest > end else "neither"
    top = float(np.quantile(known, share))
    if sparse and low >= 0:
        colours, low = AMOUNT, 0.0
    else:
        colours = ROWS
    if top <= low:
        top = high if high > low else low + 1
    return colours, Normalize(low, top), "max" if high > top else "neither"
