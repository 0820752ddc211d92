"""A training under torchrun: process 0 prepares, scores and writes it, and all train a net."""

import os

import torch

from mcls.errors import DataError
from mcls.parallel import processes
from mcls.training.checkpoint import Checkpoint
from mcls.training.loop import run_epochs
from mcls.training.processes import Process
from mcls.training.task import TrainingTask


def train_together(task: TrainingTask, state: Checkpoint, device: str) -> None:
    """Train in this process, which is process 0, and in all that follow it.

    Raises
    ------
    MclsError
        If the training fails, or a process lacks the device or cannot read the store.
    """
    processes.lead(_train, task, state, device)


def _train(task: TrainingTask, state: Checkpoint, device: str) -> None:
    """Train in one of the processes, if all of them can."""
    here = "cpu" if device == "cpu" else f"cuda:{os.environ['LOCAL_RANK']}"
    rank = torch.distributed.get_rank()
    process = Process(torch.device(here), rank, processes.n_joined())
    try:
        if device == "cuda":
            torch.cuda.set_device(process.device)
        task.batches.tracks.array()
    except RuntimeError as error:
        raise DataError(str(error)) from error
    processes.exchange(None)  # the others do not begin without this one
    with processes.connected():
        run_epochs(task, state, process)
