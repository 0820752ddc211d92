"""All of the training of a net, from the first weights to the kept ones, by Lightning's trainer."""

import logging
import signal
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.strategies import DDPStrategy

from mcls.errors import ConfigError
from mcls.training.batch_size import find_batch_size
from mcls.training.learner import Job, Learner
from mcls.training.lr_finder import find_rate
from mcls.training.model import TrainedNet
from mcls.training.options import Training
from mcls.training.state import State, copied, read_state

_PRECISION: dict[str, Any] = {"32": "32-true", "bf16": "bf16-mixed", "16": "16-mixed"}

_LOGGERS = ("lightning.pytorch", "lightning.fabric")

#: Packages that write what TensorBoard reads; one is enough.
_TENSORBOARD = ("tensorboard", "tensorboardX")

#: Warnings of Lightning and torch that say nothing to a user of mcls, and why.
_BESIDE_THE_POINT = (
    "does not have many workers",  # gathering a batch is cheaper than sending it
    "This DataLoader will create",  # the user has said how many workers
    "`torch\\.jit\\.",  # what torch's compiler imports of torch
    "isinstance\\(treespec, LeafSpec\\)",  # Lightning's use of torch's trees
)


def fit(job: Job) -> tuple[TrainedNet, State]:
    """Train a net, going on from the state at ``job.path`` if there is one.

    Parameters
    ----------
    job : Job
        What to do. Its net is changed.

    Returns
    -------
    model : TrainedNet
        With the weights of the best epoch, on the CPU.
    state : State
        With the history.

    Raises
    ------
    MclsError
        If the loss is no number.
    ConfigError
        If the device is not there, or batches do not fit it.
    """
    training = job.training
    state = read_state(job.path) if job.path.exists() else None
    if state is None:
        weights = copied(job.model.net.state_dict())
        state = State(weights=weights, best=weights)
    if not state.finished:
        told = len(state.history)
        with _undisturbed(training):
            folder = job.path.parent
            if training.find_batch_size and state.batch_size is None:
                state.batch_size = find_batch_size(job, check_device(training))
            if state.batch_size is not None:
                training = job.training = replace(training, batch_size=state.batch_size)
                job.batches = job.batches.resized(training.batch_size)
            if job.batches.n_segments // len(job.batches) < training.devices:
                raise ConfigError(
                    f"--devices {training.devices}: a batch has fewer segments than that; use "
                    f"fewer devices, a larger --batch-size or more segments (--crops)"
                )
            if training.find_lr and state.rate is None:
                state.rate = find_rate(job, check_device(training))
            if state.rate is not None:
                job.optimizer = partial(job.optimizer, lr=state.rate)
            _trainer(training, folder, training.epochs - told).fit(Learner(job, state))
        state = read_state(job.path)
        if training.devices > 1 and job.on_epoch is not None:  # the others told nobody
            for row in state.history[told:]:
                job.on_epoch(row)
    model = job.model.to("cpu")
    model.net.load_state_dict(state.best)
    return model, state


def check_device(training: Training) -> str:
    """Return ``cpu`` or ``cuda``.

    Raises
    ------
    ConfigError
        If there are not as many devices as asked for, or they do not compute so.
    """
    there = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if training.device == "cpu" or (training.device == "auto" and not there):
        if training.precision == "16":
            raise ConfigError(
                "--precision 16 is for CUDA; on a CPU use bf16, which is as narrow, or 32"
            )
        return "cpu"
    if there < training.devices:
        raise ConfigError(
            f"--device {training.device} --devices {training.devices}: this machine has {there} "
            "CUDA devices; use --device cpu, or fewer"
        )
    return "cuda"


def check_tensorboard(training: Training) -> None:
    """Refuse to log for TensorBoard without a package that can; mcls itself needs none.

    Raises
    ------
    ConfigError
        If there is none.
    """
    if training.tensorboard is not None and not any(map(find_spec, _TENSORBOARD)):
        raise ConfigError(
            "--tensorboard: TensorBoard is not installed; pip install tensorboard, or leave the "
            "option out (history.csv has the figures)"
        )


def _trainer(training: Training, folder: Path, epochs: int) -> pl.Trainer:
    logger: Any = False
    if training.tensorboard is not None:
        from lightning.pytorch.loggers import TensorBoardLogger

        logger = TensorBoardLogger(training.tensorboard, name=None, version="")
    return pl.Trainer(
        accelerator="gpu" if check_device(training) == "cuda" else "cpu",
        devices=training.devices,
        strategy=_Processes(start_method="spawn") if training.devices > 1 else "auto",
        precision=_PRECISION[training.precision],
        max_epochs=epochs,
        default_root_dir=folder,
        logger=logger,
        log_every_n_steps=0,  # an epoch's row is logged, and nothing else
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
    )


def _quieten() -> None:
    """Leave out what Lightning says that is no error, and warnings beside the point."""
    for name in _LOGGERS:
        logging.getLogger(name).setLevel(logging.ERROR)
    for message in _BESIDE_THE_POINT:
        warnings.filterwarnings("ignore", f".*{message}")


class _Processes(DDPStrategy):
    """A process per device, started anew; this runs in each of them."""

    def setup_environment(self) -> None:
        """Begin quietly."""
        _quieten()
        super().setup_environment()

    def teardown(self) -> None:
        """End the group of processes as well: torch aborts one that exits with it running."""
        super().teardown()
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()


@contextmanager
def _undisturbed(training: Training) -> Iterator[None]:
    """Leave generators, warnings, logging and Ctrl-C as they were, whatever Lightning does."""
    cuda = check_device(training) == "cuda"
    levels = [logging.getLogger(name).level for name in _LOGGERS]
    main = threading.current_thread() is threading.main_thread()
    on_interrupt = signal.getsignal(signal.SIGINT) if main else None
    try:
        with (
            torch.random.fork_rng(range(training.devices) if cuda else []),
            warnings.catch_warnings(),
        ):
            _quieten()
            yield
    except SystemExit as error:  # what Lightning makes of Ctrl-C
        if isinstance(error.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from error
        raise
    finally:
        for name, level in zip(_LOGGERS, levels, strict=True):
            logging.getLogger(name).setLevel(level)
        if main and on_interrupt is not None:
            signal.signal(signal.SIGINT, on_interrupt)
