"""Arrays as torch tensors and back, and what learning by gradients does with them."""

import numpy as np
import torch

from mcls.errors import ConfigError

TensorDict = dict[str, torch.Tensor]


def to_device(arrays: dict[str, np.ndarray], device: str) -> TensorDict:
    """Return arrays as tensors on a device; on the CPU they share their memory.

    Raises
    ------
    ConfigError
        If there is no such device.
    """
    try:
        return {name: torch.from_numpy(array).to(device) for name, array in arrays.items()}
    except (RuntimeError, AssertionError) as error:
        said = "there is no such device" if "Expected one of" in str(error) else error
        raise ConfigError(
            f"device={device}: torch cannot use it here ({said}); use cpu, or cuda on a machine "
            "with an NVIDIA GPU"
        ) from error


def to_arrays(tensors: TensorDict) -> dict[str, np.ndarray]:
    """Return tensors as arrays."""
    return {name: tensor.cpu().numpy() for name, tensor in tensors.items()}


def add_up(parts: list[TensorDict]) -> TensorDict:
    """Return the sums of the blocks' results, name by name, in the order of the blocks."""
    total = parts[0]
    for part in parts[1:]:
        for name, value in part.items():
            total[name] += value
    return total


def adam_step(
    parameter: torch.Tensor,
    gradient: torch.Tensor,
    mean: torch.Tensor,
    square: torch.Tensor,
    *,
    step: int,
    learning_rate: float,
) -> None:
    """Change a parameter by one step of Adam (Kingma & Ba 2015), in place.

    Parameters
    ----------
    parameter, gradient : torch.Tensor
        The parameter, and the gradient of the objective there.
    mean, square : torch.Tensor
        Running means of the gradients and of their squares; brought up to date.
    step : int
        The number of this step, from 1.
    learning_rate : float
        Step size.
    """
    mean.lerp_(gradient, 1 - 0.9)
    square.mul_(0.999).addcmul_(gradient, gradient, value=1 - 0.999)
    size = (square / (1 - 0.999**step)).sqrt_().add_(1e-8)
    parameter.addcdiv_(mean, size, value=-learning_rate / (1 - 0.9**step))
