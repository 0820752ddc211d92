"""The training loop: batches in, steps of an optimizer, and an epoch's metrics and checkpoint.

It is the same on a CPU and on a GPU, in one process and in each of several. Random numbers follow
from (seed, epoch, process) alone, so an interrupted training goes on exactly where it stopped.
"""

import copy
import math
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.nn.utils import clip_grad_norm_
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from mcls.training.adversary import Adversary, ramp
from mcls.training.arithmetic import autocast, describe_precision, training_arithmetic
from mcls.training.checkpoint import Checkpoint, copied, restore_optimizer, write_checkpoint
from mcls.training.compiling import Forward, compiled
from mcls.training.device_batches import DeviceBatches
from mcls.training.diagnosis import check_losses, check_validation
from mcls.training.histograms import HistogramRow, activation_histogram, gradient_histograms
from mcls.training.logs import open_logs
from mcls.training.objective import step_losses
from mcls.training.processes import Process
from mcls.training.schedules import When, schedule_of
from mcls.training.task import TrainingTask
from mcls.training.validation import dead_shares, gradient_norms, mean_norms

#: Steps after which losses are checked; each check waits for the device.
_CHECK = 50
#: Steps of an epoch at which gradients are measured.
_PROBES = 8
#: Largest share of the time that is spent on writing checkpoints.
_SAVING = 0.02
#: Purpose of a random generator; `mcls.training.segments` has the others.
_DEVICE = 3


def run_epochs(task: TrainingTask, state: Checkpoint, process: Process) -> None:
    """Train until the last epoch, or until early stopping.

    Parameters
    ----------
    task : TrainingTask
        What to train; its net is changed.
    state : Checkpoint
        Where to begin; updated and written after every epoch.
    process : Process
        This process and its device.

    Raises
    ------
    MclsError
        If the loss becomes NaN or infinite.
    """
    training, device, on_step = task.training, process.device, task.on_step
    task.batches.shard = (process.rank, process.n_processes)
    batches = DeviceBatches(task.batches, device, training.workers)
    n_steps = len(task.batches)
    share = torch.from_numpy(task.share).to(device)

    model = task.model.to(device)
    net, standardise = model.net, model.standardise
    if device.type == "cuda":
        net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    learner = learner_of(task).to(device)
    forward: Forward = learner
    if process.n_processes > 1:
        forward = DistributedDataParallel(learner)
    forward, *notes = compiled(task, forward, device)
    learner.load_state_dict(state.weights)  # also undoes what the compiler's trial changed

    optimizer = task.optimizer(learner.parameters())
    rates = [float(group["lr"]) for group in optimizer.param_groups]
    restore_optimizer(optimizer, state.optimizer)
    schedule, facts = schedule_of(training.schedule)
    mixed = autocast(training.precision, device)
    scaler = torch.amp.GradScaler(device.type, enabled=training.precision == "16")
    if state.scaler:
        scaler.load_state_dict(state.scaler)
    average = None
    if training.ema is not None:
        average = AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(training.ema))
        average.load_state_dict(state.average or average.state_dict())
    evaluated = net if average is None else average.module
    if device.type == "cuda":
        card = torch.cuda.get_device_name(device)
        notes.append(f"{describe_precision(training.precision, card)}; {batches.describe()}")
    if process.rank == 0:
        _tell(task, state, notes)
    began, saving = time.monotonic(), 0.0

    def rate_factor(epoch: int, step: int) -> float:
        done, total = epoch * n_steps + step, training.epochs * n_steps
        return schedule(When(done, total, n_steps, tuple(state.values)))

    with (
        training_arithmetic(training.precision),
        open_logs(training, task.name, process.rank) as log,
    ):
        while not state.finished:
            epoch, started = len(state.history), time.monotonic()
            seed_device(task.seed, epoch, process.rank)
            losses = torch.zeros(n_steps, device=device)
            named = torch.zeros(n_steps, device=device)
            gradients: list[dict[str, torch.Tensor]] = []
            drawn: list[HistogramRow] = []
            checked = 0
            for step, (x, y) in enumerate(batches.epoch(epoch)):
                if step == 0 or facts["per"] == "step":
                    factor = rate_factor(epoch, step)
                    for group, rate in zip(optimizer.param_groups, rates, strict=True):
                        group["lr"] = rate * factor
                if isinstance(learner, Adversary):
                    done = (epoch * n_steps + step) / (training.epochs * n_steps)
                    learner.strength.fill_(training.adversary_weight * ramp(done))
                with mixed:
                    made = forward(standardise(x))
                    labels, others, named[step] = step_losses(task, made, y, share)
                    weight = task.batches.weight(epoch, step)
                    loss = (labels + others).mean() * weight
                    if training.l1:
                        weights = sum(p.abs().sum() for p in net.parameters())
                        loss = loss + training.l1 * weights
                losses[step] = labels.detach().mean() * weight
                optimizer.zero_grad()
                scaler.scale(loss).backward()
                scaler.unscale_(optimizer)
                if step % max(1, n_steps // _PROBES) == 0:
                    gradients.append(gradient_norms(net))
                if training.histograms and step + 1 == n_steps:
                    drawn += gradient_histograms(net)
                if training.clip is not None:
                    clip_grad_norm_(learner.parameters(), training.clip)
                scaler.step(optimizer)
                scaler.update()
                if average is not None:
                    average.update_parameters(net)
                if (step + 1) % _CHECK == 0 or step + 1 == n_steps:
                    means = process.mean(losses[: step + 1])  # so that all processes stop or none
                    check_losses(task, means, checked, epoch, rates[0])
                    checked = step + 1
                if on_step is not None:
                    on_step(epoch * n_steps + step + 1, training.epochs * n_steps)

            row: dict[str, float] = {}
            if process.rank == 0:
                row = {"epoch": epoch + 1, "lr": optimizer.param_groups[0]["lr"]}
                if task.valid is not None:
                    scored = model.with_net(evaluated)
                    row |= task.valid.measure(scored, task.loss, share)
                row |= mean_norms(gradients)
                first = torch.from_numpy(task.batches[epoch, 0][0]).to(device)
                row |= dead_shares(net, standardise(first), _noting(drawn, training.histograms))
            row = process.broadcast(row)
            check_validation(task, row, epoch, rates[0])
            row["train_loss"] = float(process.mean(losses.double().mean()))
            if isinstance(learner, Adversary):
                row["adversary_accuracy"] = float(process.mean(named.double().mean()))
            row["seconds"] = time.monotonic() - started
            state.history.append(_ordered(row))
            state.histograms += [{"epoch": epoch + 1, **one} for one in drawn]
            value = None if task.valid is None else task.valid.value(row)
            if value is None or not state.values or value > max(state.values):
                state.best_epoch = epoch + 1
                state.best = copied(evaluated.state_dict())
            if value is not None:
                state.values.append(value)
            next_factor = rate_factor(epoch, n_steps)
            state.finished = (
                epoch + 1 >= training.epochs
                or (training.patience or math.inf) <= epoch + 1 - state.best_epoch
                or next_factor == 0
            )
            if not state.finished and facts.get("reloads_best") and next_factor < factor:
                net.load_state_dict(state.best)
                optimizer.state.clear()
            begin = time.monotonic()
            if process.rank == 0 and (state.finished or saving <= _SAVING * (begin - began)):
                state.weights = copied(learner.state_dict())
                state.optimizer = optimizer.state_dict()
                state.scaler = scaler.state_dict()
                state.average = {} if average is None else copied(average.state_dict())
                write_checkpoint(task.path, state)
                saving += time.monotonic() - begin
            log(state.history[-1], epoch + 1)
            if task.on_epoch is not None:
                task.on_epoch(state.history[-1])


def learner_of(task: TrainingTask) -> nn.Module:
    """Return the module whose parameters are learnt: the net, with the head of an adversary."""
    if task.head is None:
        return task.model.net
    return Adversary(task.model.net, copy.deepcopy(task.head))  # the task's own may be shared


def _tell(task: TrainingTask, state: Checkpoint, notes: Sequence[str]) -> None:
    """Pass on notes and keep them in the checkpoint, those once that are the same when resumed."""
    for text in filter(None, notes):
        if text not in state.notes:
            state.notes.append(text)
        if task.on_note is not None:
            task.on_note(text)


def seed_device(seed: int, epoch: int, rank: int) -> None:
    """Seed the generators that dropout draws from."""
    sequence = np.random.SeedSequence([seed, _DEVICE, epoch, rank])
    torch.manual_seed(int(sequence.generate_state(1, np.uint64)[0]))


def _noting(rows: list[HistogramRow], wanted: bool) -> Callable[[str, torch.Tensor], None] | None:
    """Return a function that appends the histogram of a layer's outputs, if that is wanted."""
    if not wanted:
        return None
    return lambda layer, outputs: rows.append(activation_histogram(layer, outputs))


def _ordered(row: Mapping[str, float]) -> dict[str, float]:
    """Return a row that begins with what a reader looks for first."""
    first = ["epoch", "train_loss", "valid_loss"]
    return {key: row[key] for key in [*first, *row] if key in row}
