"""The kernels of any convolution of a trained net."""

from dataclasses import dataclass

import numpy as np
from torch import nn

from mcls.errors import ConfigError
from mcls.training.model import TrainedNet


@dataclass(frozen=True)
class Kernels:
    """The kernels of a convolution.

    Parameters
    ----------
    layer : str
        Name of the convolution in the net.
    weights : np.ndarray, shape (n_filters, n_maps, n_frames, n_dims), float32
        Weights of each filter on each of its input maps; ``n_dims`` is 1 for a convolution over
        time.
    """

    layer: str
    weights: np.ndarray


def kernels_of(model: TrainedNet, layer: str) -> list[Kernels]:
    """Return the kernels of every convolution in a hidden layer.

    Parameters
    ----------
    model : TrainedNet
        The net.
    layer : str
        Name of a hidden layer.

    Raises
    ------
    ConfigError
        If there is no convolution in it.
    """
    found = []
    for name, module in model.net.get_submodule(layer).named_modules(prefix=layer):
        if isinstance(module, nn.Conv1d | nn.Conv2d):
            weights = module.weight.detach().float().cpu().numpy()
            found.append(Kernels(name, weights.reshape(*weights.shape[:3], -1)))
    if not found:
        raise ConfigError(
            f"layer {layer} has no convolution, so it has no filters over frames and dimensions; "
            "--maximise shows what excites its units"
        )
    return found
