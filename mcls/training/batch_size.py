"""Find a batch size: the largest that fits into a GPU's memory, or the fastest on a CPU.

Sizes are powers of two, up to the segments of an epoch. Each is tried with whole training steps of
a copy of the net, on segments of the train part.
"""

import math
import time
from collections.abc import Callable
from typing import NoReturn

import numpy as np
import torch

from mcls.errors import ConfigError
from mcls.training.task import TrainingTask
from mcls.training.trial_step import trial_step

#: The smallest size that is tried: with one segment, a batch norm may have one number per map.
_LEAST = 2
#: Seconds for which a size is tried on a CPU; at least one step.
_TRIED = 0.3
#: Factor by which a larger batch must be faster per segment to count as faster.
_GAIN = 1.05
#: Sizes in a row that are not faster, after which larger ones are not tried.
_IN_VAIN = 2

#: Computes a training step with the given number of segments.
SizedStep = Callable[[int], object]


def find_batch_size(task: TrainingTask, device: torch.device | str) -> int:
    """Return a batch size over all devices of a training; its net is not changed.

    Parameters
    ----------
    task : TrainingTask
        What to train.
    device : torch.device or str
        The device to try it on.

    Returns
    -------
    int
        On CUDA the largest that fits into memory. On a CPU the one with the most segments per
        second, which depends on the machine and its load.

    Raises
    ------
    ConfigError
        If not even two segments fit into memory.
    """
    device, devices = torch.device(device), task.training.devices
    limit = task.batches.n_segments // devices
    if limit < _LEAST:
        return devices
    step = _step_of(task, device)
    return devices * (largest if device.type == "cuda" else fastest)(step, limit)


def largest(step: SizedStep, limit: int) -> int:
    """Return the largest power of two up to `limit` whose step does not run out of memory.

    Raises
    ------
    ConfigError
        If there is none.
    """
    found, size = 0, _LEAST
    while size <= limit and _fits(step, size):
        found, size = size, 2 * size
    return found or _none_fits()


def fastest(step: SizedStep, limit: int, clock: Callable[[], float] = time.perf_counter) -> int:
    """Return the power of two up to `limit` with the most segments per second.

    Of sizes that are equally fast within 5 %, the smallest is returned: it makes most steps.

    Raises
    ------
    ConfigError
        If none fits into memory.
    """
    rates: dict[int, float] = {}
    best, in_vain, size = 0.0, 0, _LEAST
    while size <= limit and in_vain < _IN_VAIN and _fits(step, size):
        rates[size] = size / _seconds(step, size, clock)
        if rates[size] > _GAIN * best:
            best, in_vain = rates[size], 0
        else:
            in_vain += 1
        size *= 2
    enough = max(rates.values(), default=0.0) / _GAIN
    return next((size for size, rate in rates.items() if rate >= enough), None) or _none_fits()


def _none_fits() -> NoReturn:
    raise ConfigError(
        f"--find-batch-size: not even {_LEAST} segments fit into memory; use a smaller net "
        "(-p width=0.5) or shorter segments (--segment)"
    )


def _seconds(step: SizedStep, size: int, clock: Callable[[], float]) -> float:
    """Return the seconds of the fastest step; the load of the machine only makes steps longer."""
    least, began = math.inf, clock()
    while True:
        started = clock()
        step(size)
        ended = clock()
        least = min(least, ended - started)
        if ended - began >= _TRIED:
            return max(least, 1e-9)


def _fits(step: SizedStep, size: int) -> bool:
    """Say whether memory is enough for a step."""
    try:
        step(size)
    except (torch.OutOfMemoryError, MemoryError):
        return False
    except RuntimeError as error:  # the message of torch on a CPU
        if "not enough memory" not in str(error) and "can't allocate memory" not in str(error):
            raise
        return False
    finally:
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
    return True


def _step_of(task: TrainingTask, device: torch.device) -> SizedStep:
    """Return a function that computes a step, with the segments of one batch repeated."""
    step, _ = trial_step(task, device)
    some = task.batches[0, 0]

    def sized(size: int) -> None:
        x, y = (np.resize(one, (size, *one.shape[1:])) for one in some)
        float(step(x, y))  # waits for the device

    return sized
