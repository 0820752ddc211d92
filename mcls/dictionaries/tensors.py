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
    place = checked_device(device)
    return {name: torch.from_numpy(array).to(place) for name, array in arrays.items()}


def checked_device(device: str) -> torch.device:
    """Return a device by its name.

    Raises
    ------
    ConfigError
        If there is no such device.
    """
    try:
        return torch.empty(0, device=device).device
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
    size: torch.Tensor,
    correction: torch.Tensor,
) -> None:
    """Change a parameter by one step of Adam (Kingma & Ba 2015), in place.

    Parameters
    ----------
    parameter, gradient : torch.Tensor
        The parameter, and the gradient of the objective there.
    mean, square : torch.Tensor
        Running means of the gradients and of their squares; brought up to date.
    size, correction : torch.Tensor, shape ()
        Step size and the divisor of `square`, from `adam_numbers`; tensors, so that a step that was
        recorded reads those of its time.
    """
    mean.lerp_(gradient, 1 - 0.9)
    square.mul_(0.999).addcmul_(gradient, gradient, value=1 - 0.999)
    deviation = (square / correction).sqrt_().add_(1e-8)
    parameter.sub_((mean * size).div_(deviation))


def adam_numbers(step: int, learning_rate: float) -> tuple[float, float]:
    """Return the step size of Adam and the divisor of its squares, for a step counted from 1.

    Both undo that the running means began at 0.
    """
    return learning_rate / (1 - 0.9**step), 1 - 0.999**step
