"""Colours that everybody can tell apart, and maps in which equal steps look equal.

``ROWS`` is for what has a floor and a top, such as a spectrogram. ``SIGNED`` is white at 0, blue
below, brown above; ``AMOUNT`` is its white-to-blue half turned up, for codes, which are mostly 0.
The two are straight lines in CIELAB, so lightness falls evenly and equally on either side.
"""

import matplotlib
import numpy as np
from matplotlib.colors import Colormap, ListedColormap, Normalize

#: Of Okabe & Ito's palette: blue, vermilion, green, purple, orange, grey.
LINES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#666666")

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
    """Choose the map and its ends for some values.

    Parameters
    ----------
    values : np.ndarray
        Any shape; NaN is ignored.
    sparse : bool
        Whether values are mostly 0, so that 0 should be white; `share` is then of the others.
    signed : bool
        Whether 0 is the middle where values are on both sides of it; not so for a level in dB.
    share : float
        The share of the values that the ends leave inside, in (0, 1].

    Returns
    -------
    colours : Colormap
        ``SIGNED`` where values are below and above 0, symmetric about it.
    ends : Normalize
        Never of width 0.
    beyond : {'neither', 'max', 'both'}
        At which ends there are values outside.
    """
    known = values[np.isfinite(values)]
    if not known.size:
        return ROWS, Normalize(0, 1), "neither"
    low, high = float(known.min()), float(known.max())
    if sparse and low < high:
        known = known[known != 0]
    if signed and low < 0 < high:
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
