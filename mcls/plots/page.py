"""The page of a plot: its size, its style, and how it is written.

The style starts from matplotlib's own defaults, so a user's matplotlibrc changes nothing, and it
applies only while a plot is drawn. Files hold no date, so the same plot gives the same bytes.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from mcls.errors import ConfigError

#: Width and largest height of a figure in inches.
WIDTH, HEIGHT = 7.2, 9.6

#: Metadata of each format: no date and no version, so that the bytes are reproducible.
METADATA: dict[str, dict[str, Any]] = {
    ".png": {"Software": "mcls"},
    ".svg": {"Date": None, "Creator": "mcls"},
    ".pdf": {"CreationDate": None, "Creator": "mcls", "Producer": None},
}

#: The bytes of each format by which a plot of mcls is recognised.
MARKS = {
    ".png": b"Software\0mcls",
    ".svg": b"<dc:title>mcls</dc:title>",
    ".pdf": b"/Creator (mcls)",
}

_STYLE: Any = {
    "axes.grid": False,
    "axes.labelsize": 8,
    "axes.linewidth": 0.6,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 9,
    "figure.titlesize": 10,
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "image.interpolation": "auto",
    "legend.fontsize": 7,
    "legend.frameon": False,
    "lines.linewidth": 1.2,
    "lines.markersize": 3,
    "pdf.fonttype": 42,
    "savefig.dpi": 200,
    "svg.hashsalt": "mcls",
    "text.parse_math": False,
    "xtick.labelsize": 7,
    "xtick.major.width": 0.6,
    "ytick.labelsize": 7,
    "ytick.major.width": 0.6,
}


@contextmanager
def style() -> Iterator[None]:
    """Use the style of mcls within this context; restore matplotlib's settings afterwards."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        yield


def figure(height: float, width: float = WIDTH, *, highest: float = HEIGHT) -> Figure:
    """Return an empty figure of `height` and `width` inches, at most `highest` and a page wide."""
    return Figure(figsize=(min(width, WIDTH), min(height, highest)), layout="constrained")


def check_format(path: Path) -> None:
    """Refuse a file whose suffix is no known image format.

    Raises
    ------
    ConfigError
        If the suffix is not in ``METADATA``.
    """
    if path.suffix.lower() not in METADATA:
        known = ", ".join(METADATA)
        raise ConfigError(
            f"{path}: unknown image format {path.suffix!r}; use a name that ends in one of {known}"
        )


def save(page: Figure, path: Path, suffix: str | None = None) -> None:
    """Write a figure in the format given by the suffix.

    Parameters
    ----------
    page : Figure
        A figure drawn within `style`.
    path : Path
        The file to write.
    suffix : str or None
        The format, ``.png``, ``.svg`` or ``.pdf``; None uses the suffix of `path`.
    """
    suffix = (suffix or path.suffix).lower()
    with warnings.catch_warnings():
        # Characters that the font lacks are drawn as boxes; that is no reason to stop.
        warnings.filterwarnings("ignore", "Glyph .* missing from font", UserWarning)
        page.savefig(path, format=suffix.lstrip("."), metadata=METADATA[suffix])


def shortened(text: str, most: int) -> str:
    """Shorten a text to at most `most` characters by leaving out its middle.

    Examples
    --------
    >>> shortened("001 - Dog bark/1-100032-A", 15), shortened("one", 15)
    ('001 - D…00032-A', 'one')
    """
    if len(text) <= most:
        return text
    tail = (most - 1) // 2
    return f"{text[: most - 1 - tail]}…{text[len(text) - tail :]}"
