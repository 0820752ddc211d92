"""A slice through the loss of a trained net: its loss over two random directions of the weights."""

from collections.abc import Callable

import numpy as np
import torch
from torch.func import functional_call

from mcls.explain.surfaces import Array
from mcls.parallel.progress import Progress
from mcls.training.model import TrainedNet


def directions(model: TrainedNet, seed: int) -> list[dict[str, torch.Tensor]]:
    """Return two random directions in the space of the weights, filter-normalised.

    Every filter (row of a weight matrix) of a direction has the norm of that filter of the net.
    Biases and norms, whose parameters have one axis, do not move.

    References
    ----------
    Li et al. (2018), Visualizing the loss landscape of neural nets, section 4.
    """
    generator = torch.Generator().manual_seed(seed)
    found: list[dict[str, torch.Tensor]] = []
    for _ in range(2):
        direction = {}
        for name, weights in model.net.named_parameters():
            if weights.ndim < 2:
                continue
            drawn = torch.randn(weights.shape, generator=generator).to(weights)
            filters = drawn.flatten(1)
            scale = weights.detach().flatten(1).norm(dim=1) / filters.norm(dim=1)
            direction[name] = (filters * scale[:, None]).view_as(weights)
        found.append(direction)
    return found


def loss_slice(
    model: TrainedNet,
    segments: torch.Tensor,
    loss: Callable[[torch.Tensor], torch.Tensor],
    *,
    n_points: int = 25,
    extent: float = 1.0,
    seed: int = 0,
    progress: Progress | None = None,
) -> tuple[Array, Array]:
    """Return the loss over two directions of the weights, with the trained net in the middle.

    Parameters
    ----------
    model : TrainedNet
        The net.
    segments : torch.Tensor, shape (n, 1, n_frames, n_dims)
        Standardised segments.
    loss : callable
        Logits ``(n, n_outputs)`` → losses ``(n,)``.
    n_points : int
        Points along each direction, 4 or more; an odd number has the trained net among them.
    extent : float
        The slice goes from -extent to extent; at 1 every filter has moved by its own norm.
    seed : int
        Seed of the directions.
    progress : callable or None
        Called with the number of points done, of all points, and 0.

    Returns
    -------
    axis : np.ndarray, shape (n_points,)
    losses : np.ndarray, shape (n_points, n_points)
        Mean loss at ``(axis[i], axis[j])``.
    """
    axis = np.linspace(-extent, extent, n_points)
    along, across = directions(model, seed)
    weights = dict(model.net.named_parameters())
    losses = np.empty((n_points, n_points))
    training = model.net.training
    model.net.eval()
    try:
        with torch.inference_mode():
            for place in range(n_points**2):
                i, j = divmod(place, n_points)
                moved = {
                    name: weights[name] + axis[i] * along[name] + axis[j] * across[name]
                    for name in along
                }
                logits = functional_call(model.net, moved, (segments,))
                losses[i, j] = float(loss(logits).mean())
                if progress is not None:
                    progress(place + 1, n_points**2, 0.0)
    finally:
        model.net.train(training)
    return axis, losses
