"""What all pictures share: the page, its style, and how it is written.

The style starts from matplotlib's own defaults, so a user's matplotlibrc changes nothing, and it
holds only while a picture is drawn. Files hold no date, so the same picture gives the same bytes.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from mcls.errors import ConfigError

#: Inches of a page's text: figures are as wide and at most as high.
WIDTH, HEIGHT = 7.2, 9.6

#: What each format is told, so that it names neither the day nor the program.
METADATA: dict[str, dict[str, Any]] = {
    ".png": {"Software": None},
    ".svg": {"Date": None, "Creator": None},
    ".pdf": {"CreationDate": None, "Creator": None, "Producer": None},
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
    """Draw and save within this; afterwards matplotlib's settings are what they were."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        yield


def figure(height: float, width: float = WIDTH) -> Figure:
    """Return an empty figure of `height` and `width` inches, at most a page."""
    return Figure(figsize=(min(width, WIDTH), min(height, HEIGHT)), layout="constrained")


def check_format(path: Path) -> None:
    """Refuse a file that no picture can be written to.

    Raises
    ------
    ConfigError
        If the suffix is none of ``METADATA``.
    """
    if path.suffix.lower() not in METADATA:
        known = ", ".join(METADATA)
        raise ConfigError(
            f"{path}: a picture of the suffix {path.suffix!r} cannot be written; end its name in "
            f"one of {known}"
        )


def save(page: Figure, path: Path, suffix: str | None = None) -> None:
    """Write a figure in the format its suffix says.

    Parameters
    ----------
    page : Figure
        Drawn within `style`.
    path : Path
        The file to write.
    suffix : str or None
        The format, ``.png``, ``.svg`` or ``.pdf``; None: the suffix of `path`.
    """
    suffix = (suffix or path.suffix).lower()
    with warnings.catch_warnings():
        # A name in a script the font does not have is drawn as boxes; that is no reason to stop.
        warnings.filterwarnings("ignore", "Glyph .* missing from font", UserWarning)
        page.savefig(path, format=suffix.lstrip("."), metadata=METADATA[suffix])


def shortened(text: str, most: int) -> str:
    """Return a text of at most `most` characters, its middle left out.

    Examples
    --------
    >>> shortened("001 - Dog bark/1-100032-A", 15), shortened("one", 15)
    ('001 - D…00032-A', 'one')
    """
    if len(text) <= most:
        return text
    tail = (most - 1) // 2
    return f"{text[: most - 1 - tail]}…{text[len(text) - tail :]}"
