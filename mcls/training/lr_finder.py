"""Find a learning rate by a range test: raise it step by step and see where the loss falls."""

from collections.abc import Sequence

import numpy as np
import torch

from mcls.errors import MclsError
from mcls.training.task import TrainingTask
from mcls.training.trial_step import trial_step

#: Steps of the test, and the lowest and highest learning rate.
_STEPS, _LOWEST, _HIGHEST = 100, 1e-6, 1.0
#: Steps over which a slope is measured, since the loss also differs from batch to batch.
_WINDOW = 15
#: Steps before the lowest loss (two decades) in which the steepest slope is searched; further away
#: slopes are due to chance.
_NEAR = 33
#: The test ends when the loss is this many times that of the first steps.
_BLOWN = 4.0


def find_rate(task: TrainingTask, device: torch.device | str) -> float:
    """Return the learning rate at which the loss falls most steeply; the net is not changed.

    Parameters
    ----------
    task : TrainingTask
        What to train.
    device : torch.device or str
        The device to try it on.

    Raises
    ------
    MclsError
        If the loss falls at no learning rate.

    References
    ----------
    Smith (2017), Cyclical learning rates for training neural networks.

    Differs from the paper: the paper reads a range from the accuracy of whole trainings; here one
    step is made with each learning rate, and one learning rate is returned.
    """
    step, optimizer = trial_step(task, torch.device(device))
    torch.manual_seed(task.seed)
    rates = np.geomspace(_LOWEST, _HIGHEST, _STEPS)
    losses: list[float] = []
    for i, rate in enumerate(rates.tolist()):
        for group in optimizer.param_groups:
            group["lr"] = rate
        losses.append(float(step(*task.batches[divmod(i, len(task.batches))])))
        if not losses[-1] <= _BLOWN * float(np.median(losses[:_WINDOW])):
            losses.pop()
            break
    found = steepest(rates[: len(losses)], losses)
    if found is None:
        raise MclsError(
            "--find-lr: at no learning rate did the loss fall by more than it differs from batch "
            "to batch; use a larger --batch-size, or give a learning rate, as in "
            "--optimizer adam:lr=1e-4"
        )
    return found


def steepest(rates: np.ndarray, losses: Sequence[float]) -> float | None:
    """Return the learning rate around which the loss falls most steeply, or None.

    Slopes are those of lines fitted to 15 steps, in the two decades before the lowest mean over 15
    steps. None is returned unless that mean is two standard errors below that of the first steps.

    Parameters
    ----------
    rates : np.ndarray, shape (n,)
        Learning rates, growing by a constant factor.
    losses : sequence of float
        The loss at each of them.
    """
    if len(losses) < _WINDOW:
        return None
    windows = np.lib.stride_tricks.sliding_window_view(np.asarray(losses, np.float64), _WINDOW)
    place = np.arange(_WINDOW) - _WINDOW // 2
    slopes = windows @ place / (place @ place)
    means = windows.mean(axis=1)
    lowest = int(means.argmin())
    if means[0] - means[lowest] <= 2 * windows[0].std(ddof=1) * (2 / _WINDOW) ** 0.5:
        return None
    begin = max(0, lowest - _NEAR)
    first = begin + int(slopes[begin : lowest + 1].argmin())
    return float(rates[first + _WINDOW // 2])
