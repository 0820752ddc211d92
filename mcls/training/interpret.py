"""Interpretation of a trained net: its first filters, attributions and scores over time."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from mcls.errors import ConfigError
from mcls.training.model import TrainedNet
from mcls.training.segments import cut, grid

#: Batch size.
_BATCH = 16

#: Names of layers with weights in the graph of gradients of torch.
_WEIGHTED = ("Convolution", "Addmm", "MmBackward", "Bmm", "Lstm", "Gru", "Rnn")


@dataclass(frozen=True)
class Filters:
    """The filters of a layer that reads the segment itself.

    Parameters
    ----------
    layer : str
        Name of the layer.
    weights : np.ndarray, shape (n, n_frames, n_dims)
        Weights, applied to the standardised segment.
    """

    layer: str
    weights: np.ndarray


def first_filters(model: TrainedNet) -> list[Filters]:
    """Return the filters of every layer that has no layer with weights before it.

    A batch norm of the input does not count as a layer with weights. If segments are whitened
    first, filters are transformed back to the standardised input.

    Raises
    ------
    ConfigError
        If no layer reads frames and dimensions.
    """
    spec, whitening = model.spec, model.standardise.whitening
    kinds = (nn.Conv1d, nn.Conv2d, nn.Linear)
    found: dict[str, nn.Module] = {}

    def note(name: str) -> Any:
        def hook(module: nn.Module, given: tuple[torch.Tensor, ...]) -> None:
            if not _comes_after_weights(given[0]):
                found[name] = module

        return hook

    modules = [(name, m) for name, m in model.net.named_modules() if isinstance(m, kinds)]
    hooks = [module.register_forward_pre_hook(note(name)) for name, module in modules]
    training = model.net.training
    model.net.eval()
    try:
        segment = torch.zeros(1, 1, spec.n_frames, spec.n_dims, device=model.device)
        with torch.enable_grad():
            model.net(model.standardise(segment))
    finally:
        model.net.train(training)
        for hook in hooks:
            hook.remove()
    filters = []
    for name, module in found.items():
        weights = module.weight.detach().float().cpu()  # type: ignore[operator]
        if isinstance(module, nn.Linear) and whitening is not None:
            weights = weights @ whitening.cpu().T
        patches = _patches(weights, spec.n_frames, spec.n_dims)
        if patches is not None:
            filters.append(Filters(name, patches.numpy()))
    if not filters:
        raise ConfigError(
            f"{spec.net}: it has no filters that read frames and dimensions of a segment"
        )
    return filters


def _patches(weights: torch.Tensor, n_frames: int, n_dims: int) -> torch.Tensor | None:
    """Return weights as ``(n, n_frames, n_dims)``, or None if they do not read the segment."""
    n = len(weights)
    if weights.ndim == 2:
        return (
            weights.view(n, n_frames, n_dims) if weights[0].numel() == n_frames * n_dims else None
        )
    if weights.ndim == 4 and weights.shape[1] == 1:
        return weights[:, 0]
    if weights.ndim == 4 and weights.shape[3] == 1:
        weights = weights[..., 0]
    if weights.ndim == 3 and weights.shape[1] in (1, n_dims):
        return weights.transpose(1, 2)
    return None


def _comes_after_weights(x: torch.Tensor) -> bool:
    """Return whether a tensor was computed by a layer with weights."""
    left, known = [x.grad_fn], set()
    while left:
        step = left.pop()
        if step is None or step in known:
            continue
        known.add(step)
        if any(name in step.name() for name in _WEIGHTED):
            return True
        left += [before for before, _ in step.next_functions]
    return False


def attribution(model: TrainedNet, rows: np.ndarray, output: int, *, steps: int = 16) -> np.ndarray:
    """Return the attribution of a logit to each value of a track, by integrated gradients.

    The attribution is gradient times input, relative to the mean of the train part, with the
    gradient averaged over points on the line from the mean input to the segment. The attributions
    of a segment sum up to its logit minus that of the mean input.

    Parameters
    ----------
    model : TrainedNet
        A net on any device.
    rows : np.ndarray, shape (n_rows, n_dims)
        Rows of a track.
    output : int
        Index of the logit.
    steps : int
        Number of points on the line, 1 or more; with 1 the gradient at its middle is taken.

    Returns
    -------
    np.ndarray, shape (n_rows, n_dims), float32
        Mean over the segments that a row is part of.

    References
    ----------
    Sundararajan, Taly & Yan (2017), Axiomatic attribution for deep networks.
    """
    mean = mean_segment(model)
    return over_track(model, rows, lambda x: _integrated(model, x, mean, output, steps))


def mean_segment(model: TrainedNet) -> np.ndarray:
    """Return the mean input: of a row, or of every value of a segment."""
    mean = model.standardise.mean.cpu().numpy()
    return mean.reshape(model.spec.n_frames, -1) if model.standardise.joined else mean


def over_track(
    model: TrainedNet, rows: np.ndarray, explain: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """Explain the segments of a track and average the results per row.

    Parameters
    ----------
    model : TrainedNet
        The net; it defines how segments are cut.
    rows : np.ndarray, shape (n_rows, n_dims)
        Rows of a track.
    explain : callable
        Function from segments ``(n, n_frames, n_dims)`` to an array of the same shape.

    Returns
    -------
    np.ndarray, shape (n_rows, n_dims), float32
        Mean over the segments that a row is part of.
    """
    spec, n = model.spec, len(rows)
    offsets = grid(n, spec.n_frames)
    stops, mean = np.full_like(offsets, n), mean_segment(model)
    x = cut(
        rows, np.zeros_like(offsets), stops, offsets, spec.n_frames, short=spec.short, mean=mean
    )
    found = np.concatenate([explain(x[i : i + _BATCH]) for i in range(0, len(x), _BATCH)])
    place = offsets[:, None] + np.arange(spec.n_frames)
    inside = place < n if spec.short == "pad" else np.full(place.shape, True)
    total, count = np.zeros((n, rows.shape[1])), np.zeros((n, 1))
    np.add.at(total, place[inside] % n, found[inside])
    np.add.at(count, place[inside] % n, 1)
    return (total / count).astype(np.float32)


def _integrated(
    model: TrainedNet, x: np.ndarray, mean: np.ndarray, output: int, steps: int
) -> np.ndarray:
    """Return integrated gradients of segments ``(n, n_frames, n_dims)``."""
    net, device = model.net, model.device
    segments = torch.from_numpy(np.asarray(x, np.float32))[:, None].to(device)
    base = torch.from_numpy(np.asarray(mean, np.float32)).to(device).expand_as(segments)
    total = torch.zeros_like(segments)
    training = net.training
    net.eval()
    try:
        with torch.enable_grad(), torch.backends.cudnn.flags(enabled=False):
            for share in (np.arange(steps) + 0.5) / steps:
                point = (base + float(share) * (segments - base)).requires_grad_()
                logit = net(model.standardise(point))[:, output].sum()
                total += torch.autograd.grad(logit, point)[0]
    finally:
        net.train(training)
    return (total / steps * (segments - base))[:, 0].cpu().numpy()


def scores_over_time(model: TrainedNet, rows: np.ndarray, hop: int) -> np.ndarray:
    """Return the scores of segments that begin every `hop` rows, ``(n_segments, n_classes)``.

    A track shorter than a segment gives one row.
    """
    n_frames = model.spec.n_frames
    starts = range(0, max(1, len(rows) - n_frames + 1), hop)
    return np.concatenate(model.scores_of([rows[start : start + n_frames] for start in starts]))
