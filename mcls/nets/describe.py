"""Tables of a net's layers: output sizes, parameters, operations, without computing any output.

Operations are those of the products: a multiply and an add are two. Biases, norms, pools and
nonlinearities are not counted.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from mcls.registry import find
from mcls.settings import resolve


@dataclass(frozen=True)
class NetLayer:
    """One module of a net.

    Attributes
    ----------
    name : str
        Its name in the net, such as ``conv1.pool``.
    kind : str
        The operation, such as ``convolution, 3x3``.
    output : tuple of int
        Size of its output for one segment: units, (maps, frames) or (maps, frames, dims).
    n_parameters : int
        Number of learnt parameters.
    flops : int
        Operations of its products for one segment, a multiply-add being two.
    stride, padding : tuple of int
        Of a convolution or a pool along its axes; empty for other modules. Padding is zeros (of a
        max-pool: -inf) at either end.
    groups : int
        Groups of maps that a convolution keeps apart; 1 for other modules.
    """

    name: str
    kind: str
    output: tuple[int, ...]
    n_parameters: int
    flops: int
    stride: tuple[int, ...] = ()
    padding: tuple[int, ...] = ()
    groups: int = 1


def describe_net(
    name: str, settings: Mapping[str, Any], n_frames: int, n_dims: int, n_labels: int
) -> list[NetLayer]:
    """Return the layers of a net in the order a segment passes them.

    Layers that neither learn nor change sizes, such as nonlinearities and dropout, are left out.

    Parameters
    ----------
    name : str
        Name of a net.
    settings : mapping of str to text or value
        Settings that differ from the net's defaults.
    n_frames, n_dims, n_labels : int
        Size of the segment, and of the output.

    Raises
    ------
    ConfigError
        If the name or a setting is unknown or out of range, or the segment is too small.

    Examples
    --------
    >>> layers = describe_net("dieleman", {}, 187, 96, 50)
    >>> layers[1]
    NetLayer(name='conv1.conv', kind='convolution, 8', output=(32, 180), n_parameters=24608, \
flops=8847360, stride=(1,), padding=(0,), groups=1)
    >>> sum(layer.n_parameters for layer in layers)
    66784
    """
    entry = find("nets", name)
    layers: list[NetLayer] = []
    with torch.device("meta"):  # sizes without numbers
        net = entry.load()(n_frames, n_dims, n_labels, **resolve(entry, settings)).eval()
        segment = torch.empty(1, 1, n_frames, n_dims)

    def watch(path: str, module: nn.Module) -> None:
        def note(module: nn.Module, given: tuple[torch.Tensor, ...], made: Any) -> None:
            output = made[0] if isinstance(made, tuple) else made
            if list(module.parameters()) or output.shape != given[0].shape:
                layers.append(_layer(path, module, output))

        module.register_forward_hook(note)

    for path, module in net.named_modules():
        if not list(module.children()):
            watch(path, module)
    with torch.no_grad():
        net(segment)
    return layers


def _layer(path: str, module: nn.Module, output: torch.Tensor) -> NetLayer:
    parameters = list(module.parameters())
    size = tuple(output.shape[1:])
    recurrent = isinstance(module, nn.GRU | nn.LSTM)
    steps = isinstance(module, nn.Linear | nn.LayerNorm) or getattr(module, "time_first", False)
    if recurrent or (steps and len(size) == 2):
        size = size[::-1]  # the layer around it puts time last
    weights = sum(parameter.numel() for parameter in parameters if parameter.ndim > 1)
    places = output[0].numel() // size[0]  # each is a product with all the weights
    own = getattr(module, "products", None)  # of modules whose products are not with weights
    products = weights * places if own is None else own(*size[::-1])
    return NetLayer(
        path,
        _kind(module),
        size,
        sum(p.numel() for p in parameters),
        2 * products,
        _per_axis(module, "stride"),
        _per_axis(module, "padding"),
        getattr(module, "groups", 1),
    )


def _per_axis(module: nn.Module, name: str) -> tuple[int, ...]:
    """Return the stride or the padding of a convolution or a pool, per axis of its kernel."""
    kernel, found = getattr(module, "kernel_size", None), getattr(module, name, None)
    if kernel is None or found is None:
        return ()
    sizes = kernel if isinstance(kernel, tuple) else (kernel,)
    if found == "same":
        return tuple((size - 1) // 2 for size in sizes)
    return tuple(found) if isinstance(found, tuple) else (int(found),) * len(sizes)


def _kind(module: nn.Module) -> str:
    words = {
        nn.Conv1d: "convolution",
        nn.Conv2d: "convolution",
        nn.MaxPool1d: "max-pool",
        nn.MaxPool2d: "max-pool",
        nn.BatchNorm1d: "batch norm",
        nn.BatchNorm2d: "batch norm",
        nn.LayerNorm: "layer norm",
        nn.AdaptiveAvgPool2d: "means of parts",
        nn.Linear: "dense",
        nn.GRU: "gated recurrent units",
        nn.LSTM: "LSTM units",
        nn.ZeroPad2d: "zeros at the ends",
        nn.ConstantPad1d: "zeros at the ends",
    }
    said = words.get(type(module), getattr(module, "described_as", type(module).__name__))
    size = getattr(module, "kernel_size", None)
    if size is None:
        return said
    return f"{said}, {'x'.join(map(str, size)) if isinstance(size, tuple) else size}"
