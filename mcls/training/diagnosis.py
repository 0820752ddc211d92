"""What is said of a training that goes wrong: it diverges, stays at chance or never gets better."""

import copy
import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch

from mcls.errors import ConfigError, MclsError
from mcls.training.task import TrainingTask

#: A loss must fall below this share of the loss of a constant prediction to count as learning.
_LEARNT = 0.98
#: Standard errors by which the AUC of a net that has learnt exceeds 0.5, whatever its loss.
_ERRORS = 2.0


def check_losses(
    task: TrainingTask, losses: torch.Tensor, first: int, epoch: int, rate: float
) -> None:
    """Stop the training at a loss that is NaN or infinite.

    Parameters
    ----------
    task : TrainingTask
        What is trained.
    losses : torch.Tensor, shape (n_done,)
        Losses of the steps of the epoch so far.
    first : int
        The first step that was not checked before.
    epoch : int
        Epochs done before this one.
    rate : float
        The optimizer's learning rate, before the schedule.

    Raises
    ------
    MclsError
        Names the step and what to try.
    """
    bad = torch.nonzero(~torch.isfinite(losses[first:]))
    if len(bad):
        step = first + int(bad[0])
        where = f"epoch {epoch + 1}, step {step + 1}"
        raise MclsError(_diverged(task, "the loss", float(losses[step]), where, rate))


def check_validation(task: TrainingTask, row: Mapping[str, float], epoch: int, rate: float) -> None:
    """Stop the training at a validation loss that is NaN or infinite.

    Raises
    ------
    MclsError
        Names the epoch and what to try.
    """
    loss = row.get("valid_loss", 0.0)
    if not math.isfinite(loss):
        raise MclsError(_diverged(task, "the validation loss", loss, f"epoch {epoch + 1}", rate))


def check_single_segments(task: TrainingTask) -> None:
    """Refuse batches of one segment per device if the net cannot learn from a single segment.

    Raises
    ------
    ConfigError
        If a batch norm of the net would get a single number per map.
    """
    if task.batches.n_segments // len(task.batches) // task.training.devices > 1:
        return
    spec = task.model.spec
    net = copy.deepcopy(task.model.net).train()
    try:
        net(task.model.standardise(torch.zeros(1, 1, spec.n_frames, spec.n_dims)))
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        raise ConfigError(_single_segment(task)) from error


def _diverged(task: TrainingTask, what: str, value: float, where: str, rate: float) -> str:
    training = task.training
    name = training.optimizer.partition(":")[0]
    tries = [f"a lower learning rate (--optimizer {name}:lr={rate / 10:g})"]
    if training.clip is None:
        tries.append("gradient clipping (--clip 1)")
    if training.precision != "32":
        tries.append("--precision 32")
    if training.standardize == "none":
        tries.append("--standardize dims")
    return (
        f"{what} is {value} in {where}: the training has diverged, or the store holds NaN or "
        f"infinite numbers. Try {', '.join(tries)}"
    )


def _single_segment(task: TrainingTask) -> str:
    n, devices = task.batches.n_segments, task.training.devices
    sizes = (size for size in range(2, n + 1) if n // -(-n // size) >= 2 * devices)
    enough = next(sizes, None)
    advice = "more segments (--crops)" if enough is None else f"--batch-size {enough}"
    return (
        f"--batch-size {task.training.batch_size}: a batch has one segment (an epoch has {n}), and "
        f"a batch norm of {task.model.spec.net} cannot be computed over one number per map; use "
        f"{advice}, or a net without batch norm"
    )


def hints(task: TrainingTask, history: Sequence[Mapping[str, float]], kept: int) -> list[str]:
    """Return hints for a training that has not learnt, or that was best at its first epoch.

    Parameters
    ----------
    task : TrainingTask
        What was trained.
    history : sequence of mapping
        A row per epoch.
    kept : int
        The epoch whose weights are kept, counted from 1.
    """
    name = task.training.optimizer.partition(":")[0]
    if _at_chance(task, history, kept):
        part = "train" if task.valid is None else "valid"
        loss = history[kept - 1][f"{part}_loss"]
        return [
            f"the net stays at chance level: its {part} loss is {loss:.4g}, no better than "
            "with the same prediction for every track. Try another learning rate "
            f"(--find-lr, or --optimizer {name}:lr=...), more --epochs, or a wider net with less "
            "dropout (-p width=... -p dropout=...)"
        ]
    if task.valid is not None and kept == 1 and len(history) > 1:
        return [
            f"the first of {len(history)} epochs is the best on the valid part "
            f"({task.training.monitor}): the net learns too fast or overfits. Try a lower learning "
            f"rate (--optimizer {name}:lr=...), a smaller net, --augment, or more tracks"
        ]
    return []


def _at_chance(task: TrainingTask, history: Sequence[Mapping[str, float]], kept: int) -> bool:
    """Say whether the kept epoch is no better than the same prediction for every track."""
    if task.valid is None:
        if task.training.l1 or task.training.augment:
            return False  # the train loss is not that of the tracks alone
        targets = task.batches.tracks.targets
        return history[kept - 1]["train_loss"] >= _LEARNT * _constant_loss(task, targets)
    targets, n = task.valid.tracks.targets, len(task.valid.tracks)
    if task.model.kind == "linear":
        return history[kept - 1]["valid_loss"] >= _LEARNT * _constant_loss(task, targets)
    pairs = (targets == 1).sum(axis=0) * (targets == 0).sum(axis=0)
    error = float(np.sqrt((n + 1) / (12 * pairs[pairs > 0])).mean()) if pairs.any() else 0.0
    row = history[kept - 1]
    return (
        row["valid_loss"] >= _LEARNT * _constant_loss(task, targets)
        and row.get("valid_auc", 0.5) <= 0.5 + _ERRORS * error
    )


def _constant_loss(task: TrainingTask, targets: np.ndarray) -> float:
    """Return the loss of predicting the shares of the labels in the train part everywhere."""
    share = torch.from_numpy(task.share).double().clamp(1e-6, 1 - 1e-6)
    kinds = {
        "softmax": share.log(),
        "sigmoid": share.logit(),
        "margin": (share - 0.5).sign(),
        "linear": torch.from_numpy(task.share).double(),
    }
    logits = kinds[task.model.kind].float().expand(len(targets), -1)
    loss = task.loss(logits, torch.from_numpy(targets), torch.from_numpy(task.share))
    return float(loss.double().mean())
