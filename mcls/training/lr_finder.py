"""The rate to begin with, by a range test: raise it step by step and see where the loss falls."""

from collections.abc import Sequence

import numpy as np
import torch

from mcls.errors import MclsError
from mcls.training.task import TrainingTask
from mcls.training.trial_step import trial_of

#: Steps of the test, and the rates between which they rise.
_STEPS, _LOWEST, _HIGHEST = 100, 1e-6, 1.0
#: Steps over which a slope is measured: a loss differs from batch to batch, too.
_WINDOW = 15
#: The steepest slope is looked for among so many before the lowest loss, two decades: further from
#: it, slopes are those of chance.
_NEAR = 33
#: The test ends with a loss so many times that of the first steps.
_BLOWN = 4.0


def find_rate(task: TrainingTask, device: torch.device | str) -> float:
    """Return the rate at which the loss falls most steeply. The net of the task stays as it is.

    Parameters
    ----------
    task : TrainingTask
        What is to be trained.
    device : torch.device or str
        Where to try.

    Raises
    ------
    MclsError
        If the loss falls nowhere.

    References
    ----------
    Smith (2017), Cyclical learning rates for training neural networks.

    Differs from the paper: it reads a range off the accuracy of whole trainings; here a step is
    made with each rate, and one rate is taken.
    """
    step, optimizer = trial_of(task, torch.device(device))
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
            "--find-lr: the loss fell at no rate by more than it differs from batch to batch; use "
            "a larger --batch-size, or give a rate, as in --optimizer adam:lr=1e-4"
        )
    return found


def steepest(rates: np.ndarray, losses: Sequence[float]) -> float | None:
    """Return the rate around which the loss falls most steeply, or None if it falls nowhere.

    Slopes are those of straight lines through 15 steps, in the two decades before the mean over so
    many steps is lowest. It must be lower than in the first steps by two standard errors.

    Parameters
    ----------
    rates : np.ndarray, shape (n,)
        Growing by the same factor from step to step.
    losses : sequence of float
        With each of them.
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
