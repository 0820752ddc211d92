"""The units of a hidden layer: their maps of a segment, and the input that excites one most."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch.nn import functional

from mcls.errors import ConfigError
from mcls.training.model import TrainedNet, chosen_layers

#: Steps and learning rate of activation maximisation, the weight of its L2 penalty, and the number
#: of steps between two smoothings.
_STEPS, _RATE, _PENALTY, _EVERY = 100, 0.1, 0.01, 5


@contextmanager
def _output_of(model: TrainedNet, layer: str) -> Iterator[list[torch.Tensor]]:
    """Yield a list that gets the output of a layer at each pass, ``(batch, units, ...)``."""
    seen: list[torch.Tensor] = []
    module = model.net.get_submodule(layer)
    hook = module.register_forward_hook(lambda module, given, output: seen.append(output))
    training = model.net.training
    model.net.eval()
    try:
        yield seen
    finally:
        hook.remove()
        model.net.train(training)


def layer_of(model: TrainedNet, wanted: str | None) -> str:
    """Return the name of a hidden layer given by name or number; None: the last one.

    Raises
    ------
    ConfigError
        If there is no such layer, or several are named.
    """
    found = chosen_layers(model.hidden_layers, [] if wanted is None else [wanted])
    if len(found) != 1 or ":" in found[0]:
        raise ConfigError(f"--layer {wanted}: name one hidden layer")
    return found[0]


def feature_maps(model: TrainedNet, segments: torch.Tensor, layer: str) -> np.ndarray:
    """Return what a hidden layer makes of segments.

    Parameters
    ----------
    model : TrainedNet
        The net.
    segments : torch.Tensor, shape (n, 1, n_frames, n_dims)
        Standardised segments.
    layer : str
        Name of a hidden layer.

    Returns
    -------
    np.ndarray, shape (n, n_units), (n, n_units, frames) or (n, n_units, frames, dims), float32
    """
    with _output_of(model, layer) as seen, torch.inference_mode():
        model.net(segments)
    return seen[0].float().cpu().numpy()


def excitations(model: TrainedNet, segments: torch.Tensor, layer: str) -> np.ndarray:
    """Return the largest value of each unit of a layer in each segment, ``(n, n_units)``."""
    maps = feature_maps(model, segments, layer)
    return maps.reshape(*maps.shape[:2], -1).max(axis=2)


def maximise(model: TrainedNet, layer: str, n_units: int, *, seed: int = 0) -> np.ndarray:
    """Return inputs that excite the first units of a layer, found by gradient ascent.

    The sum of a unit's map is maximised from noise by Adam, with an L2 penalty, and the input is
    smoothed every few steps. A unit that the noise does not excite at all stays without gradient.

    Parameters
    ----------
    model : TrainedNet
        The net.
    layer : str
        Name of a hidden layer.
    n_units : int
        Number of units or maps.
    seed : int
        Seed of the noise.

    Returns
    -------
    np.ndarray, shape (n_units, n_frames, n_dims), float32
        In standard deviations from the mean of the train part.

    References
    ----------
    Erhan et al. (2009), Visualizing higher-layer features of a deep network. Yosinski et al.
    (2015), Understanding neural networks through deep visualization: smoothing.
    """
    generator = torch.Generator().manual_seed(seed)
    size = (n_units, 1, model.spec.n_frames, model.spec.n_dims)
    segments = torch.randn(size, generator=generator).to(model.device).requires_grad_()
    units = torch.arange(n_units)
    optimizer = torch.optim.Adam([segments], lr=_RATE)
    with _output_of(model, layer) as seen, torch.enable_grad():
        for step in range(_STEPS):
            seen.clear()
            model.net(segments)
            loss = _PENALTY * segments.square().sum() / 2 - seen[0][units, units].sum()
            [segments.grad] = torch.autograd.grad(loss, [segments])
            optimizer.step()
            if step % _EVERY == 0:
                smooth = functional.avg_pool2d(segments.detach(), 3, 1, 1, count_include_pad=False)
                segments.data.copy_(smooth)
    return segments.detach()[:, 0].cpu().numpy()
