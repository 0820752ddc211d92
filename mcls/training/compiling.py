"""Compiling a net with torch.compile: whether it pays, and what happens where it fails."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from mcls.training.arithmetic import autocast, training_arithmetic
from mcls.training.objective import step_losses
from mcls.training.task import TrainingTask

#: Steps from which on compiling pays on CUDA: it takes up to a minute, and saves 2 to 7 ms a step.
_PAYS = 10_000

Forward = Callable[[torch.Tensor], Any]


def pays(n_steps: int, device: str) -> bool:
    """Say whether a training of so many steps is worth compiling its net.

    It depends on nothing else, so that a training that is resumed decides as it did before.

    Parameters
    ----------
    n_steps : int
        Steps of the whole training, without early stopping.
    device : str
        ``cpu`` or ``cuda``; on a CPU compiling is left to the user.
    """
    return device == "cuda" and n_steps >= _PAYS


def compiled(task: TrainingTask, forward: Forward, device: torch.device) -> tuple[Forward, str]:
    """Return the forward pass, compiled if that is asked for or pays, and a note about it.

    Parameters
    ----------
    task : TrainingTask
        What to train, with its net on the device.
    forward : callable
        The forward pass in training; it is tried with the first batch, which changes the running
        statistics of the net and gives its parameters gradients.
    device : torch.device
        Where the net is.

    Returns
    -------
    forward : callable
        As it was given if the compiler is missing or fails.
    note : str
        What was done and why; empty if nothing was.
    """
    training = task.training
    n_steps = training.epochs * len(task.batches)
    asked = training.compile
    if asked is None:
        asked = task.head is None and pays(n_steps, device.type)
    if not asked:
        return forward, ""
    try:
        made = torch.compile(forward, dynamic=False)  # batches have two sizes at most
        _try(task, made, device)
    except Exception as error:  # compilers raise errors of all kinds
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        return forward, f"the net was not compiled, as torch.compile failed: {first}"
    why = "as --compile asks" if training.compile else f"which pays for {n_steps} steps"
    return made, f"the net was compiled with torch.compile, {why}"


@contextmanager
def compiler_warnings_ignored() -> Iterator[None]:
    """Leave out what torch's compiler, and what it imports, warn about: it is for its makers."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r".*`torch\.jit\.")
        warnings.filterwarnings("ignore", module=r"torch\._")
        yield


def _try(task: TrainingTask, forward: Forward, device: torch.device) -> None:
    """Compute a forward and a backward pass, which is when compilers work."""
    x, y = (torch.from_numpy(one).to(device) for one in task.batches[0, 0])
    share = torch.from_numpy(task.share).to(device)
    precision = task.training.precision
    with training_arithmetic(precision), autocast(precision, device):
        made = forward(task.model.standardise(x))
        labels, others, _ = step_losses(task, made, y, share)
        loss = (labels + others).mean()
    loss.backward()
