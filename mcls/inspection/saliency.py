"""Saliency panels: the parts of a track from which a net's score of a label comes."""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from mcls.plots.track import Panel

if TYPE_CHECKING:
    from mcls.training.model import TrainedNet

#: Number of groups into which the samples of a waveform are summed.
_STRETCHES = 400

#: Share of the saliency within the colour range.
_INSIDE = 0.99


def _gradients(
    model: "TrainedNet", rows: np.ndarray, output: int, label: str, layer: str | None, read: Panel
) -> Panel:
    """Return a panel with the integrated gradients of the input."""
    from mcls.training.interpret import attribution

    added, of = attribution(model, rows, output), ""
    if rows.shape[1] == 1 and len(rows) > _STRETCHES:  # such as samples: single ones mean nothing
        n = -(-len(rows) // _STRETCHES)
        added = np.add.reduceat(added, np.arange(0, len(rows), n), axis=0)
        hop = read.hop or 1.0
        read = replace(read, hop=n * hop, start=read.start + (n - 1) / 2 * hop)
        of = f", summed over {1000 * n * hop:.3g} ms"
    return replace(
        read,
        title=f"integrated gradients of the logit of {label}{of}",
        rows=added,
        unit="logit",
        codes=False,
        signed=True,
        share=_INSIDE,
    )


def _grad_cam(
    model: "TrainedNet", rows: np.ndarray, output: int, label: str, layer: str | None, read: Panel
) -> Panel:
    """Return a panel with the Grad-CAM weights of the input."""
    from mcls.training.grad_cam import chosen_maps, grad_cam

    maps = chosen_maps(model, layer)
    seen = grad_cam(model, rows, output, maps.layer)
    places = f"{maps.n_frames} x {maps.n_dims}" if maps.n_dims > 1 else str(maps.n_frames)
    return replace(
        read,
        title=f"Grad-CAM of {label}: {maps.layer}, {places} cells per segment"
        + ("" if seen.any() else "; no positive weights"),
        rows=seen,
        unit="weight",
        codes=True,
        share=1.0,
    )


#: The methods of `--how`.
METHODS = {"gradients": _gradients, "grad-cam": _grad_cam}
