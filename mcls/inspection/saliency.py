"""Panels of a picture that say what of a track speaks for a label, each way of finding it one."""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from mcls.plots.track import Panel

if TYPE_CHECKING:
    from mcls.training.model import TrainedNet

#: Stretches of rows of one number, of each of which it is said what it adds.
_STRETCHES = 400

#: Share of the saliency that colours tell apart.
_INSIDE = 0.99


def _gradients(
    model: "TrainedNet", rows: np.ndarray, output: int, label: str, layer: str | None, read: Panel
) -> Panel:
    """Return the panel of integrated gradients, laid over what is read."""
    from mcls.training.interpret import attribution

    added, what = attribution(model, rows, output), "it"
    if rows.shape[1] == 1 and len(rows) > _STRETCHES:  # samples, say: single ones mean nothing
        n = -(-len(rows) // _STRETCHES)
        added = np.add.reduceat(added, np.arange(0, len(rows), n), axis=0)
        hop = read.hop or 1.0
        read = replace(read, hop=n * hop, start=read.start + (n - 1) / 2 * hop)
        what = f"every {1000 * n * hop:.3g} ms"
    return replace(
        read,
        title=f"what {what} adds to the logit of {label}, beyond a mean input",
        rows=added,
        unit="logit",
        codes=False,
        signed=True,
        share=_INSIDE,
    )


def _grad_cam(
    model: "TrainedNet", rows: np.ndarray, output: int, label: str, layer: str | None, read: Panel
) -> Panel:
    """Return the panel of Grad-CAM, laid over what is read."""
    from mcls.training.grad_cam import chosen_maps, grad_cam

    maps = chosen_maps(model, layer)
    seen = grad_cam(model, rows, output, maps.layer)
    places = f"{maps.n_frames} x {maps.n_dims}" if maps.n_dims > 1 else str(maps.n_frames)
    return replace(
        read,
        title=f"Grad-CAM of {label}: maps of {maps.layer}, {places} places in a segment"
        + ("" if seen.any() else "; nothing speaks for it"),
        rows=seen,
        unit="weight",
        codes=True,
        share=1.0,
    )


#: How saliency is found.
WAYS = {"gradients": _gradients, "grad-cam": _grad_cam}
