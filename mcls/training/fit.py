"""Train a net from its checkpoint, or from its initial weights, to the weights that are kept."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import torch

from mcls.errors import ConfigError
from mcls.parallel.processes import n_joined
from mcls.training.arithmetic import check_precision, training_arithmetic
from mcls.training.batch_size import find_batch_size
from mcls.training.checkpoint import Checkpoint, copied, read_checkpoint
from mcls.training.compiling import compiler_warnings_ignored
from mcls.training.diagnosis import check_single_segments
from mcls.training.loop import learner_of, run_epochs
from mcls.training.lr_finder import find_rate
from mcls.training.model import TrainedNet
from mcls.training.options import Training
from mcls.training.processes import Process, run_on_devices
from mcls.training.task import TrainingTask
from mcls.training.torchrun import train_together


def fit(task: TrainingTask) -> tuple[TrainedNet, Checkpoint]:
    """Train a net, going on from the checkpoint at ``task.path`` if there is one.

    Parameters
    ----------
    task : TrainingTask
        What to train; its net is changed.

    Returns
    -------
    model : TrainedNet
        With the weights of the best epoch, on the CPU.
    state : Checkpoint
        With the history.

    Raises
    ------
    MclsError
        If the loss becomes NaN or infinite.
    ConfigError
        If the device is missing, or batches do not fit it.
    """
    if task.path.exists():
        state = read_checkpoint(task.path)
    else:
        best = copied(task.model.net.state_dict())
        state = Checkpoint(weights=copied(learner_of(task).state_dict()), best=best)
    if not state.finished:
        device = check_device(task.training)
        with _generators_kept(device):
            with training_arithmetic(task.training.precision):
                _choose(task, state, device)
            if task.training.devices == 1:
                run_epochs(task, state, Process(torch.device(device)))
            elif n_joined() > 1:
                train_together(task, state, device)
            else:
                run_on_devices(run_epochs, task, state, device)
                state = read_checkpoint(task.path)
    model = task.model.to("cpu")
    model.net.load_state_dict(state.best)
    return model, state


def check_device(training: Training) -> str:
    """Return ``cpu`` or ``cuda``.

    Raises
    ------
    ConfigError
        If there are fewer devices than asked for, or they lack the precision.
    """
    n_cuda = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if training.device == "cpu" or (training.device == "auto" and not n_cuda):
        check_precision(training.precision, "cpu")
        return "cpu"
    devices = training.devices
    if n_joined() > 1:  # torchrun's processes may be on several machines
        devices = int(os.environ.get("LOCAL_WORLD_SIZE", devices))
    if n_cuda < devices:
        raise ConfigError(
            f"--device {training.device} --devices {devices}: this machine has {n_cuda} "
            "CUDA devices; use --device cpu, or fewer devices"
        )
    check_precision(training.precision, "cuda")
    return "cuda"


def _choose(task: TrainingTask, state: Checkpoint, device: str) -> None:
    """Find the batch size and the learning rate, where that is asked for; both are kept."""
    if task.training.find_batch_size and state.batch_size is None:
        state.batch_size = find_batch_size(task, device)
    if state.batch_size is not None:
        task.training = replace(task.training, batch_size=state.batch_size)
        task.batches = task.batches.resized(state.batch_size)
    devices = task.training.devices
    if task.batches.n_segments // len(task.batches) < devices:
        raise ConfigError(
            f"--devices {devices}: a batch has fewer segments than devices; use fewer devices, a "
            "larger --batch-size or more segments (--crops)"
        )
    check_single_segments(task)
    if task.training.find_lr and state.rate is None:
        state.rate = find_rate(task, device)
    if state.rate is not None:
        task.optimizer = partial(task.optimizer, lr=state.rate)


@contextmanager
def _generators_kept(device: str) -> Iterator[None]:
    """Leave the caller's random generators and warning filters as they were."""
    with (
        torch.random.fork_rng([torch.cuda.current_device()] if device == "cuda" else []),
        compiler_warnings_ignored(),
    ):
        yield
