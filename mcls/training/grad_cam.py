"""Grad-CAM: the regions of a track in which the maps of a layer support a label."""

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.functional import interpolate

from mcls.errors import ConfigError
from mcls.training.interpret import over_track
from mcls.training.model import TrainedNet


@dataclass(frozen=True)
class Maps:
    """A hidden layer whose output has a time axis.

    Parameters
    ----------
    layer : str
        Name of the layer.
    n_frames, n_dims : int
        Size of its maps of a segment; `n_dims` is 1 if the maps have a time axis only.
    """

    layer: str
    n_frames: int
    n_dims: int


def layers_with_maps(model: TrainedNet) -> list[Maps]:
    """Return the hidden layers with two or more frames, in the order of the net."""
    sizes: dict[str, torch.Size] = {}
    names: tuple[str, ...] = tuple(model.net.hidden)  # type: ignore[arg-type]  # the contract
    hooks = [
        model.net.get_submodule(name).register_forward_hook(
            lambda _, __, made, name=name: sizes.update({name: made.shape})
        )
        for name in names
    ]
    try:
        model.logits(np.zeros((model.spec.n_frames, model.spec.n_dims), np.float32))
    finally:
        for hook in hooks:
            hook.remove()
    return [
        Maps(name, size[2], size[3] if len(size) == 4 else 1)
        for name, size in sizes.items()
        if len(size) > 2 and size[2] > 1
    ]


def chosen_maps(model: TrainedNet, layer: str | None = None) -> Maps:
    """Return the layer whose maps are shown.

    Parameters
    ----------
    model : TrainedNet
        A net on any device.
    layer : str or None
        Name of the layer. None takes the last layer with two or more frames and dimensions, or if
        there is none the last one with two or more frames.

    Raises
    ------
    ConfigError
        If the net has no such layer, or no layer with maps.
    """
    known = layers_with_maps(model)
    if not known:
        raise ConfigError(
            f"{model.spec.net}: no hidden layer has maps over time, so there is nothing for "
            "grad-cam to show; use --how gradients"
        )
    if layer is None:
        flat = [maps for maps in known if maps.n_dims > 1]
        return (flat or known)[-1]
    for maps in known:
        if maps.layer == layer:
            return maps
    names = ", ".join(maps.layer for maps in known)
    raise ConfigError(f"--layer {layer}: no layer of {model.spec.net} with maps; it has {names}")


def grad_cam(model: TrainedNet, rows: np.ndarray, output: int, layer: str) -> np.ndarray:
    """Return the support of a layer's maps for a label, for every value of a track.

    Maps are weighted by their mean gradient and summed; negative values become 0. The result is
    interpolated linearly to the size of a segment.

    Parameters
    ----------
    model : TrainedNet
        A net on any device.
    rows : np.ndarray, shape (n_rows, n_dims)
        Rows of a track.
    output : int
        Index of the logit.
    layer : str
        Name of one of `layers_with_maps`.

    Returns
    -------
    np.ndarray, shape (n_rows, n_dims), float32
        0 or more; the same for all dimensions if the layer's maps have a time axis only.

    References
    ----------
    Selvaraju, Cogswell, Das, Vedantam, Parikh & Batra (2017), Grad-CAM: visual explanations from
    deep networks via gradient-based localization.

    Differs from the paper: maps are not scaled to a maximum of 1, since a track has several
    segments; any hidden layer can be shown, not only the last convolution.
    """
    return over_track(model, rows, lambda x: _of_segments(model, x, output, layer))


def _of_segments(model: TrainedNet, x: np.ndarray, output: int, layer: str) -> np.ndarray:
    """Return Grad-CAM of segments ``(n, n_frames, n_dims)``."""
    net = model.net
    kept: list[torch.Tensor] = []
    hook = net.get_submodule(layer).register_forward_hook(lambda _, __, made: kept.append(made))
    training = net.training
    net.eval()
    try:
        with torch.enable_grad(), torch.backends.cudnn.flags(enabled=False):
            segments = torch.from_numpy(np.asarray(x, np.float32))[:, None].to(model.device)
            segments.requires_grad_()  # weights may not need gradients
            logit = net(model.standardise(segments))[:, output].sum()
            (slope,) = torch.autograd.grad(logit, kept[-1])
    finally:
        hook.remove()
        net.train(training)
    maps, slope = _with_dims(kept[-1].detach()), _with_dims(slope)
    weights = slope.mean((2, 3), keepdim=True)
    seen = (weights * maps).sum(1, keepdim=True).clamp(min=0)  # (n, 1, frames, dims)
    return interpolate(seen, x.shape[1:], mode="bilinear")[:, 0].cpu().numpy()


def _with_dims(maps: torch.Tensor) -> torch.Tensor:
    """Return maps with a time axis only as maps of one dimension; others unchanged."""
    return maps.unsqueeze(3) if maps.ndim == 3 else maps
