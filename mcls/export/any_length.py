"""Replacements for layers over time that torch.export can trace for inputs of any length."""

import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn.functional import linear

#: The state of a recurrent layer: hidden, or hidden and cell.
RecurrentState = tuple[torch.Tensor, ...]


@contextmanager
def of_any_length(graph: nn.Module) -> Iterator[None]:
    """Replace layers of a graph by equal ones that torch.export can trace for any length.

    One-dimensional max-pooling becomes two-dimensional, of size 1 in the second dimension. Adaptive
    average pooling becomes matrix products. Recurrent layers, which torch.export would unroll step
    by step, become a scan; a torch without scan keeps them.

    Parameters
    ----------
    graph : nn.Module
        The graph; it is restored after the block. Only recurrent layers that are unidirectional and
        ``batch_first`` are replaced; their dropout is ignored and their initial state is 0.
    """
    changed: list[nn.Module] = []
    for module in graph.modules():
        forward = _replacement(module)
        if forward is not None:
            module.forward = forward
            changed.append(module)
    try:
        yield
    finally:
        for module in changed:
            del module.forward


def _replacement(module: nn.Module) -> Callable[..., Any] | None:
    if isinstance(module, nn.MaxPool1d):
        sizes: Any = ((module.kernel_size, 1), (module.stride, 1), (module.padding, 0))
        return partial(_max_pool, nn.MaxPool2d(*sizes))
    if isinstance(module, nn.AdaptiveAvgPool2d):
        return partial(_average_pool, module)
    if isinstance(module, nn.GRU | nn.LSTM) and _can_be_scanned(module):
        try:
            scan = importlib.import_module("torch._higher_order_ops.scan").scan
        except ImportError:
            return None
        return partial(_scan, module, scan)
    return None


def _max_pool(pool: nn.Module, x: torch.Tensor) -> torch.Tensor:
    return pool(x.unsqueeze(-1)).squeeze(-1)


def _average_pool(parts: nn.AdaptiveAvgPool2d, x: torch.Tensor) -> torch.Tensor:
    size: Any = parts.output_size
    n_frames, n_dims = size if isinstance(size, tuple) else (size, size)
    if n_frames == n_dims == 1:
        return x.mean((2, 3), keepdim=True)
    return _mean_weights(n_frames, x.shape[2], x) @ x @ _mean_weights(n_dims, x.shape[3], x).T


def _mean_weights(n_parts: int, n: int, like: torch.Tensor) -> torch.Tensor:
    """Return the weight of each of `n` values in the mean of each part, ``(n_parts, n)``."""
    places = torch.arange(n, device=like.device)
    part = torch.arange(n_parts, device=like.device)[:, None]
    first, stop = part * n // n_parts, ((part + 1) * n + n_parts - 1) // n_parts
    inside = (places >= first) & (places < stop)
    return inside.to(like.dtype) / (stop - first).to(like.dtype)


def _can_be_scanned(layer: nn.RNNBase) -> bool:
    return layer.batch_first and layer.bias and not layer.bidirectional and not layer.proj_size


def _scan(layer: nn.RNNBase, scan: Any, x: torch.Tensor) -> tuple[torch.Tensor, None]:
    """Return the output of `layer`, ``(batch, steps, n_units)``, without its final state."""
    step = _gru_step if isinstance(layer, nn.GRU) else _lstm_step
    zeros = x.new_zeros(x.shape[0], layer.hidden_size)
    steps = x.transpose(0, 1)
    for i in range(layer.num_layers):
        names = ("weight_ih", "bias_ih", "weight_hh", "bias_hh")
        gates = [getattr(layer, f"{name}_l{i}") for name in names]

        def advance(state: RecurrentState, given: torch.Tensor, gates: Any = gates) -> Any:
            # step by step: linear over all steps would specialise on their number
            state = step(state, linear(given, *gates[:2]), linear(state[0], *gates[2:]))
            return state, state[0].clone()  # scan forbids aliased outputs

        state = (zeros,) if isinstance(layer, nn.GRU) else (zeros, zeros.clone())
        _, steps = scan(advance, state, steps)
    return steps.transpose(0, 1), None


def _gru_step(state: RecurrentState, given: torch.Tensor, kept: torch.Tensor) -> RecurrentState:
    """Return the next state of GRU units, from the gates' inputs by the step and by the state."""
    reset, update, new = given.chunk(3, dim=-1)
    reset_kept, update_kept, new_kept = kept.chunk(3, dim=-1)
    candidate = torch.tanh(new + torch.sigmoid(reset + reset_kept) * new_kept)
    share = torch.sigmoid(update + update_kept)
    return (share * state[0] + (1 - share) * candidate,)


def _lstm_step(state: RecurrentState, given: torch.Tensor, kept: torch.Tensor) -> RecurrentState:
    """Return the next state of LSTM units, hidden and cell."""
    enter, forget, new, leave = (given + kept).chunk(4, dim=-1)
    cell = torch.sigmoid(forget) * state[1] + torch.sigmoid(enter) * torch.tanh(new)
    return torch.sigmoid(leave) * torch.tanh(cell), cell
