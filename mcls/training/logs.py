"""Experiment trackers that a training can log to: TensorBoard, Weights & Biases and MLflow.

A tracker is a context manager that is opened with a destination, the name of the run and
the options of the training, and that gives a function of a row of figures and its epoch. The
packages are imported when they are asked for; mcls itself needs none of them.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from importlib import import_module
from importlib.util import find_spec
from typing import Any, NamedTuple

from mcls.errors import ConfigError, suggest
from mcls.options import as_settings
from mcls.training.options import Training

#: Logs the figures of an epoch, counted from 1.
Log = Callable[[Mapping[str, float], int], None]


@contextmanager
def _tensorboard(folder: str, name: str, options: Mapping[str, Any]) -> Iterator[Log]:
    there = "torch.utils.tensorboard" if find_spec("tensorboard") else "tensorboardX"
    with import_module(there).SummaryWriter(folder) as writer:

        def log(row: Mapping[str, float], epoch: int) -> None:
            for key, value in row.items():
                writer.add_scalar(key, value, epoch)
            writer.flush()

        yield log


@contextmanager
def _wandb(project: str, name: str, options: Mapping[str, Any]) -> Iterator[Log]:
    wandb = import_module("wandb")
    with wandb.init(project=project, name=name, config=dict(options)) as run:
        yield lambda row, epoch: run.log(dict(row), step=epoch)


@contextmanager
def _mlflow(experiment: str, name: str, options: Mapping[str, Any]) -> Iterator[Log]:
    mlflow = import_module("mlflow")
    mlflow.set_experiment(experiment)
    with mlflow.start_run(run_name=name):
        mlflow.log_params(dict(options))
        yield lambda row, epoch: mlflow.log_metrics(dict(row), step=epoch)


class Tracker(NamedTuple):
    """An experiment tracker.

    Parameters
    ----------
    destination : str
        What stands after the colon: a folder, a project or an experiment.
    packages : tuple of str
        Packages that can write it; one is enough, and the first is advised.
    open : callable
        ``open(destination, name of the run, options)``, a context manager that gives a `Log`.
    """

    destination: str
    packages: tuple[str, ...]
    open: Callable[[str, str, Mapping[str, Any]], AbstractContextManager[Log]]


TRACKERS = {
    "tensorboard": Tracker("DIR", ("tensorboard", "tensorboardX"), _tensorboard),
    "wandb": Tracker("PROJECT", ("wandb",), _wandb),
    "mlflow": Tracker("EXPERIMENT", ("mlflow",), _mlflow),
}


def check_logs(training: Training) -> None:
    """Refuse to log to an unknown tracker, or to one whose package is missing.

    Raises
    ------
    ConfigError
        Says what is expected, or what to install.
    """
    for spec in _specs(training):
        name, _, destination = spec.partition(":")
        if name not in TRACKERS:
            raise ConfigError(f"--log {spec}: no tracker {name!r}; {suggest(name, TRACKERS)}")
        tracker = TRACKERS[name]
        if not destination:
            raise ConfigError(f"--log {spec}: expected {name}:{tracker.destination}")
        if not any(map(find_spec, tracker.packages)):
            raise ConfigError(
                f"--log {spec}: {name} is not installed; pip install {tracker.packages[0]}, or "
                "leave the option out (history.csv has the same figures)"
            )


@contextmanager
def open_logs(training: Training, name: str, rank: int = 0) -> Iterator[Log]:
    """Open the trackers of a training; the function it gives logs to all of them.

    Parameters
    ----------
    training : Training
        Its options ``log`` and ``tensorboard`` say where to log.
    name : str
        The name of the run.
    rank : int
        Number of this process; only process 0 logs.
    """
    options = {key: str(value) for key, value in as_settings(training, key_only=True).items()}
    with ExitStack() as stack:
        logs = []
        for spec in _specs(training) if rank == 0 else []:
            tracker, _, destination = spec.partition(":")
            logs.append(stack.enter_context(TRACKERS[tracker].open(destination, name, options)))

        def log(row: Mapping[str, float], epoch: int) -> None:
            for one in logs:
                one(row, epoch)

        yield log


def _specs(training: Training) -> list[str]:
    """Return where to log to, ``NAME:DESTINATION`` each."""
    specs = [] if training.log is None else [training.log]
    if training.tensorboard is not None:
        specs.append(f"tensorboard:{training.tensorboard}")
    return specs
