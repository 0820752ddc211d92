"""Plot the histograms of gradients and activations that a training recorded."""

import csv
from pathlib import Path

import numpy as np

from mcls.disk.run import open_run
from mcls.errors import DataError, FormatError
from mcls.plots.histograms import EpochHistograms, draw_histograms
from mcls.plots.page import Figure


def plot_histograms(path: Path) -> tuple[Figure, str]:
    """Plot the gradients and the activations of each layer over the epochs.

    Parameters
    ----------
    path : Path
        A run folder of a net that was trained with ``--histograms``.

    Returns
    -------
    page : Figure
        A line of panels per layer: log10 of the absolute gradients, and the outputs.
    shows : str

    Raises
    ------
    DataError
        If no histograms were recorded.
    FormatError
        If histograms.csv is corrupt.
    """
    open_run(path)
    file = path / "histograms.csv"
    if not file.is_file():
        raise DataError(f"{path}: it has no histograms; train the net with --histograms")
    found = _read(file)
    n_layers = len({layer for layer, _ in found})
    n_epochs = max(int(one.epochs.max()) for one in found.values())
    title = f"{path.name}: gradients and activations over {n_epochs} epochs"
    return draw_histograms(found, title=title), f"histograms of {n_layers} layers"


def _read(file: Path) -> dict[tuple[str, str], EpochHistograms]:
    """Return the histograms by layer and quantity, in the order of the file."""
    try:
        with file.open(encoding="utf-8", newline="") as lines:
            rows = list(csv.DictReader(lines, strict=True))
        bins = [name for name in rows[0] if name.startswith("bin")]
        grouped: dict[tuple[str, str], list[dict[str, str]]] = {}
        for row in rows:
            grouped.setdefault((row["layer"], row["quantity"]), []).append(row)
        return {key: _epochs(own, bins) for key, own in grouped.items()}
    except (IndexError, KeyError, TypeError, ValueError, csv.Error) as error:
        raise FormatError(f"{file} is corrupt ({error})") from error


def _epochs(rows: list[dict[str, str]], bins: list[str]) -> EpochHistograms:
    columns = ("epoch", "low", "high", "zeros")
    epochs, low, high, zeros = (np.array([float(row[name]) for row in rows]) for name in columns)
    shares = np.array([[float(row[name]) for name in bins] for row in rows])
    return EpochHistograms(epochs, low, high, zeros, shares)
