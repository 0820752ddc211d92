"""Minibatches on a torch device: blocks of rows on all cores of a CPU, one block elsewhere.

On the CPU every block is computed by one thread, and what the blocks give is added in their order:
so the bytes do not depend on the number of threads.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import numpy as np
import torch

from mcls.errors import ConfigError
from mcls.parallel.threads import n_threads

T = TypeVar("T")

#: Rows in a block on the CPU.
_BLOCK = 256

#: Does some work on every block of so many rows; returns what each block gave.
Blocks = Callable[[int, Callable[[slice], T]], list[T]]


@contextmanager
def blocks_on(device: str) -> Iterator[Blocks]:
    """Give a function that does work on blocks of rows, with torch on one thread per block.

    Parameters
    ----------
    device : str
        A torch device; on any other than the CPU there is one block.

    Yields
    ------
    callable
        ``blocks(n_rows, work)`` calls ``work(which)`` with slices of the rows, and returns a list
        of what it returned, in order.
    """
    if not device.startswith("cpu"):
        yield lambda n_rows, work: [work(slice(0, n_rows))]
        return
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(n_threads()) as pool:
            yield lambda n_rows, work: list(pool.map(work, _slices(n_rows)))
    finally:
        torch.set_num_threads(before)


def add_up(parts: list[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """Return the sums of what blocks gave, name by name, in the order of the blocks."""
    total = parts[0]
    for part in parts[1:]:
        for name, value in part.items():
            total[name] += value
    return total


def to_device(arrays: dict[str, np.ndarray], device: str) -> dict[str, torch.Tensor]:
    """Return arrays as tensors on a device; on the CPU they share their memory.

    Raises
    ------
    ConfigError
        If there is no such device.
    """
    try:
        return {name: torch.from_numpy(array).to(device) for name, array in arrays.items()}
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(
            f"device={device}: torch cannot use it here ({error}); use cpu, or cuda on a machine "
            "that has it"
        ) from error


def to_arrays(tensors: dict[str, torch.Tensor]) -> dict[str, np.ndarray]:
    """Return tensors as arrays."""
    return {name: tensor.cpu().numpy() for name, tensor in tensors.items()}


def adam_step(
    parameter: torch.Tensor,
    gradient: torch.Tensor,
    mean: torch.Tensor,
    square: torch.Tensor,
    *,
    step: int,
    rate: float,
) -> None:
    """Move a parameter by one step of Adam (Kingma & Ba 2015), in place.

    Parameters
    ----------
    parameter, gradient : torch.Tensor
        What to move, and the slope there.
    mean, square : torch.Tensor
        Moments of the gradients so far; brought up to date.
    step : int
        The number of this step, from 1.
    rate : float
        Learning rate.
    """
    mean.lerp_(gradient, 1 - 0.9)
    square.mul_(0.999).addcmul_(gradient, gradient, value=1 - 0.999)
    size = (square / (1 - 0.999**step)).sqrt_().add_(1e-8)
    parameter.addcdiv_(mean, size, value=-rate / (1 - 0.9**step))


def _slices(n_rows: int) -> list[slice]:
    return [slice(i, min(i + _BLOCK, n_rows)) for i in range(0, n_rows, _BLOCK)]
