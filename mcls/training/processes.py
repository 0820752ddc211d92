"""Several processes that train one net together, a device each."""

import copy
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import distributed, multiprocessing
from torch.multiprocessing.spawn import ProcessException, ProcessRaisedException

from mcls.errors import MclsError
from mcls.parallel.processes import LostProcessError, exchange
from mcls.training.checkpoint import Checkpoint
from mcls.training.task import TrainingTask


@dataclass(frozen=True)
class Process:
    """One of the processes of a training.

    Parameters
    ----------
    device : torch.device
        The device it computes on.
    rank : int
        Its number; process 0 measures and writes.
    n_processes : int
        How many there are.
    """

    device: torch.device
    rank: int = 0
    n_processes: int = 1

    def broadcast(self, value: Any) -> Any:
        """Return what process 0 passes."""
        return value if self.n_processes == 1 else exchange(value)[0]

    def mean(self, values: torch.Tensor) -> torch.Tensor:
        """Return the mean over all processes of each value."""
        if self.n_processes == 1:
            return values
        values = values.clone()
        distributed.all_reduce(values)
        return values / self.n_processes


def run_on_devices(
    work: Callable[[TrainingTask, Checkpoint, Process], None],
    task: TrainingTask,
    state: Checkpoint,
    device: str,
) -> None:
    """Start a process per device, and call the task's callbacks with what process 0 reports.

    Parameters
    ----------
    work : callable
        ``work(task, state, process)``, a function of a module, run in each process.
    task : TrainingTask
        What to train; this process's net stays as it is.
    state : Checkpoint
        Where to begin.
    device : str
        ``cpu`` or ``cuda``.

    Raises
    ------
    MclsError
        What process 0 raised.
    """
    n = task.training.devices
    n_threads = max(1, torch.get_num_threads() // n)
    reports = multiprocessing.get_context("spawn").SimpleQueue()
    with tempfile.TemporaryDirectory() as folder:
        meet = f"file://{folder}/processes"
        started = multiprocessing.start_processes(
            _run, (work, task, state, device, n_threads, meet, reports), n, join=False
        )
        try:
            while not started.join(timeout=0.1):
                _pass_on(task, reports)
        except ProcessRaisedException:
            _pass_on(task, reports)  # raises the error that process 0 reported
            raise
        except ProcessException as error:  # it was killed
            raise LostProcessError(
                f"one of the processes that train has ended ({error}); run the same command again "
                "to continue"
            ) from error
        finally:
            for process in started.processes:
                process.terminate()
                process.join()
    _pass_on(task, reports)


def _run(
    rank: int,
    work: Callable[[TrainingTask, Checkpoint, Process], None],
    task: TrainingTask,
    state: Checkpoint,
    device: str,
    n_threads: int,
    meet: str,
    reports: Any,
) -> None:
    """Work in one of the processes."""
    torch.set_num_threads(n_threads)
    task.model, state = copy.deepcopy((task.model, state))  # tensors come in shared memory
    if rank == 0:
        task.on_epoch = lambda row: reports.put(("on_epoch", row))
        task.on_step = lambda done, total: reports.put(("on_step", done, total))
        task.on_note = lambda text: reports.put(("on_note", text))
    here, n = torch.device(device), task.training.devices
    if device == "cuda":
        here = torch.device("cuda", rank)
        torch.cuda.set_device(here)
    backend = "nccl" if device == "cuda" else "gloo"
    distributed.init_process_group(backend, init_method=meet, rank=rank, world_size=n)
    try:
        work(task, state, Process(here, rank, n))
    except MclsError as error:
        reports.put(("error", error))
        raise
    finally:
        distributed.destroy_process_group()


def _pass_on(task: TrainingTask, reports: Any) -> None:
    """Call what process 0 asks for; raise the error it reports."""
    while not reports.empty():
        name, *values = reports.get()
        if name == "error":
            raise values[0]
        call = getattr(task, name)
        if call is not None:
            call(*values)
