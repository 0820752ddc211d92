"""Layers over time, put for the time of tracing so that torch.export leaves their length free."""

import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn.functional import linear

#: What a recurrent layer passes on from step to step.
State = tuple[torch.Tensor, ...]


@contextmanager
def of_any_length(graph: nn.Module) -> Iterator[None]:
    """Let a graph compute the same in ways that torch.export can trace for any length.

    A max-pool in one dimension becomes one in two, of 1 in the second. Means of parts become
    products with the shares of the frames in each part, and of the dims. Recurrent layers, which
    torch.export writes out step by step, become a scan: one step, repeated. A torch without scan
    keeps them as they are.

    Parameters
    ----------
    graph : nn.Module
        As it was again after the block. Its recurrent layers are of one direction and without
        dropout, begin with a state of 0, and read ``(batch, steps, n_in)``; others stay as they
        are.
    """
    changed: list[nn.Module] = []
    for module in graph.modules():
        forward = _replaced(module)
        if forward is not None:
            module.forward = forward
            changed.append(module)
    try:
        yield
    finally:
        for module in changed:
            del module.forward


def _replaced(module: nn.Module) -> Callable[..., Any] | None:
    if isinstance(module, nn.MaxPool1d):
        sizes: Any = ((module.kernel_size, 1), (module.stride, 1), (module.padding, 0))
        return partial(_pooled, nn.MaxPool2d(*sizes))
    if isinstance(module, nn.AdaptiveAvgPool2d):
        return partial(_means, module)
    if isinstance(module, nn.GRU | nn.LSTM) and _is_plain(module):
        try:
            scan = importlib.import_module("torch._higher_order_ops.scan").scan
        except ImportError:
            return None
        return partial(_repeated, module, scan)
    return None


def _pooled(pool: nn.Module, x: torch.Tensor) -> torch.Tensor:
    return pool(x.unsqueeze(-1)).squeeze(-1)


def _means(parts: nn.AdaptiveAvgPool2d, x: torch.Tensor) -> torch.Tensor:
    size: Any = parts.output_size
    n_frames, n_dims = size if isinstance(size, tuple) else (size, size)
    if n_frames == n_dims == 1:
        return x.mean((2, 3), keepdim=True)
    return _shares(n_frames, x.shape[2], x) @ x @ _shares(n_dims, x.shape[3], x).T


def _shares(n_parts: int, n: int, like: torch.Tensor) -> torch.Tensor:
    """Return the share of each of `n` in the mean of each part, ``(n_parts, n)``."""
    places = torch.arange(n, device=like.device)
    part = torch.arange(n_parts, device=like.device)[:, None]
    first, stop = part * n // n_parts, ((part + 1) * n + n_parts - 1) // n_parts
    inside = (places >= first) & (places < stop)
    return inside.to(like.dtype) / (stop - first).to(like.dtype)


def _is_plain(layer: nn.RNNBase) -> bool:
    return layer.batch_first and layer.bias and not layer.bidirectional and not layer.proj_size


def _repeated(layer: nn.RNNBase, scan: Any, x: torch.Tensor) -> tuple[torch.Tensor, None]:
    """Return what `layer` gives, ``(batch, steps, n_units)``; the state after it is not."""
    step = _gru_step if isinstance(layer, nn.GRU) else _lstm_step
    zeros = x.new_zeros(x.shape[0], layer.hidden_size)
    steps = x.transpose(0, 1)
    for i in range(layer.num_layers):
        names = ("weight_ih", "bias_ih", "weight_hh", "bias_hh")
        gates = [getattr(layer, f"{name}_l{i}") for name in names]

        def advance(state: State, given: torch.Tensor, gates: Any = gates) -> Any:
            # not of all steps at once: linear would ask whether there is but one
            state = step(state, linear(given, *gates[:2]), linear(state[0], *gates[2:]))
            return state, state[0].clone()  # scan forbids to give the same twice

        state = (zeros,) if isinstance(layer, nn.GRU) else (zeros, zeros.clone())
        _, steps = scan(advance, state, steps)
    return steps.transpose(0, 1), None


def _gru_step(state: State, given: torch.Tensor, kept: torch.Tensor) -> State:
    """Return the next state from what the gates are given by the step and by the last state."""
    reset, update, new = given.chunk(3, dim=-1)
    reset_kept, update_kept, new_kept = kept.chunk(3, dim=-1)
    candidate = torch.tanh(new + torch.sigmoid(reset + reset_kept) * new_kept)
    share = torch.sigmoid(update + update_kept)
    return (share * state[0] + (1 - share) * candidate,)


def _lstm_step(state: State, given: torch.Tensor, kept: torch.Tensor) -> State:
    """Do the same for LSTM units, whose state is hidden and cell."""
    enter, forget, new, leave = (given + kept).chunk(4, dim=-1)
    cell = torch.sigmoid(forget) * state[1] + torch.sigmoid(enter) * torch.tanh(new)
    return torch.sigmoid(leave) * torch.tanh(cell), cell
