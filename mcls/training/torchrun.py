"""A training under torchrun: process 0 runs the command, and the others train along with it.

torchrun starts the same command in every process. All wait here but process 0, which prepares the
training, sends it to them, scores and writes the run, and in the end tells them its exit code.
"""

import os
import signal
from contextlib import suppress
from datetime import timedelta

import torch
from torch import distributed

from mcls.errors import DataError, MclsError
from mcls.training.checkpoint import Checkpoint
from mcls.training.loop import run_epochs
from mcls.training.processes import Process
from mcls.training.task import TrainingTask

#: Time for which processes wait for process 0 while it encodes rows or scores.
_PATIENCE = timedelta(days=1)


def join() -> int:
    """Join the processes of torchrun and return the number of this one."""
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    distributed.init_process_group(backend, init_method="env://", timeout=_PATIENCE)
    return distributed.get_rank()


def follow() -> int:
    """Train along with process 0 until its command ends, and return the command's exit code."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)  # there is nothing to clean up or to say
    while True:
        told = _process("cpu").broadcast(None)
        if isinstance(told, int):
            if told:  # stay until process 0 has reported its error: torchrun kills the slower ones
                with suppress(RuntimeError):  # the connection closes
                    _process("cpu").broadcast(None)
            return told
        with suppress(MclsError):  # every process has the same error, and process 0 reports it
            _train(*told)


def lead(task: TrainingTask, state: Checkpoint, device: str) -> None:
    """Train in this process, which is process 0, and in all that follow it.

    Raises
    ------
    MclsError
        If the training fails, or a process lacks the device or cannot read the store.
    """
    _process("cpu").broadcast((task, state, device))
    _train(task, state, device)


def leave(exit_code: int) -> None:
    """Let the processes that follow this one end with an exit code."""
    _process("cpu").broadcast(exit_code)
    if exit_code == 0:
        distributed.destroy_process_group()


def _train(task: TrainingTask, state: Checkpoint, device: str) -> None:
    """Train in one of the processes, if all of them can."""
    process = _process("cpu" if device == "cpu" else f"cuda:{os.environ['LOCAL_RANK']}")
    problem, problems = "", [""] * process.n_processes
    try:
        if device == "cuda":
            torch.cuda.set_device(process.device)
        task.batches.tracks.array()
    except (MclsError, RuntimeError) as error:
        problem = f"process {process.rank}: {error}"
    distributed.all_gather_object(problems, problem)
    if any(problems):
        raise DataError("; ".join(filter(None, problems)))
    run_epochs(task, state, process)


def _process(device: str) -> Process:
    return Process(torch.device(device), distributed.get_rank(), distributed.get_world_size())
