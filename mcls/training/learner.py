"""The part of the training that Lightning calls: a step, and what happens around an epoch."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader

from mcls.errors import ConfigError, MclsError
from mcls.training.model import TrainedNet
from mcls.training.options import Training
from mcls.training.schedules import Schedule, When, schedule_of
from mcls.training.segments import Batches, Steps
from mcls.training.state import State, copied, write_state
from mcls.training.validation import Loss, Watched, dead_shares, gradient_norms

#: Steps after which losses are looked at; each look waits for the device.
_LOOK = 50
#: Steps of an epoch at which gradients are measured.
_PROBES = 8
#: Lightning is told of so many steps at once, at most, and of batches of so many numbers in all:
#: what it does around a batch takes as long as a small step.
_TOGETHER, _HELD = 16, 1 << 19
#: Part of the time that may go into writing states.
_SAVING = 0.02
#: What the generator of a device is for; see `mcls.training.segments`.
_DEVICE = 3

#: Told after each epoch: its row of the history. Told during it: steps done, steps in all.
OnEpoch = Callable[[Mapping[str, float]], None]
OnStep = Callable[[int, int], None]


@dataclass
class Job:
    """All that a training consists of; may be sent to other processes.

    Parameters
    ----------
    model : TrainedNet
        With its first weights.
    batches : Batches
        Of the train part.
    valid : Watched or None
        The valid part.
    loss : callable
        ``loss(logits, targets, share)``, a number per segment.
    optimizer : callable
        From parameters to an optimizer.
    share : np.ndarray, shape (n_outputs,), float32
        Share of the train tracks that have each label.
    training : Training
        All options.
    seed : int
        Of everything drawn.
    path : Path
        Where the state is kept.
    on_epoch, on_step : callable or None
        Who is told; stays in this process.
    """

    model: TrainedNet
    batches: Batches
    valid: Watched | None
    loss: Loss
    optimizer: Callable[..., torch.optim.Optimizer]
    share: np.ndarray
    training: Training
    seed: int
    path: Path
    on_epoch: OnEpoch | None = field(default=None, repr=False)
    on_step: OnStep | None = field(default=None, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "on_epoch": None, "on_step": None}


class Learner(pl.LightningModule):
    """A net in training.

    Parameters
    ----------
    job : Job
        What to do.
    state : State
        Where to begin.
    """

    share: torch.Tensor

    def __init__(self, job: Job, state: State) -> None:
        super().__init__()
        self.job = job
        self.state = state
        self.net = job.model.net
        self.standardise = job.model.standardise
        self.net.load_state_dict(state.weights)
        self.automatic_optimization = False  # a step is `_step`
        self.first_epoch = len(state.history)
        batches = job.batches
        numbers = job.training.batch_size * batches.n_frames * job.model.spec.n_dims
        self.together = max(1, min(_TOGETHER, _HELD // numbers, len(batches)))
        self.schedule: Schedule
        self.schedule, self.facts = schedule_of(job.training.schedule)
        self.register_buffer("share", torch.from_numpy(job.share), persistent=False)
        self.average: AveragedModel | None = None
        if job.training.ema is not None:
            self.average = AveragedModel(
                self.net, multi_avg_fn=get_ema_multi_avg_fn(job.training.ema)
            )
            if state.average:
                self.average.load_state_dict(state.average)
            self.average.requires_grad_(False)
        self._saving = 0.0
        self._began = time.monotonic()

    @property
    def epoch(self) -> int:
        """Epochs done before this one, those before a kill included."""
        return self.first_epoch + int(self.current_epoch)

    @property
    def _optimizer(self) -> torch.optim.Optimizer:
        return self.trainer.optimizers[0]

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Make the optimizer; give it what it had gathered."""
        optimizer = self.job.optimizer(self.net.parameters())
        self._rates = [float(group["lr"]) for group in optimizer.param_groups]
        if self.state.optimizer:
            optimizer.load_state_dict(self.state.optimizer)
        return optimizer

    def train_dataloader(self) -> DataLoader:
        """Return lists of whole batches, of which this process takes its part."""
        batches, workers = self.job.batches, self.job.training.workers
        batches.shard = (self.global_rank, self.trainer.world_size)
        return DataLoader(
            batches,  # type: ignore[arg-type]  # asked for (epoch, step), not for a number
            batch_size=self.together,
            collate_fn=_tensors,
            sampler=Steps(len(batches), self.first_epoch),
            num_workers=workers,
            persistent_workers=workers > 0,
            pin_memory=self.device.type == "cuda",
            generator=torch.Generator(),  # the loader would draw from dropout's generator
        )

    def on_fit_start(self) -> None:
        """Lay the net out for the device, compile it, take the scaler back."""
        if self.device.type == "cuda":
            self.net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        compiled: Any = torch.compile(self.net) if self.job.training.compile else self.net
        self._call = lambda x: compiled(x)  # not a second child with the same weights
        self._stepper: Any = self.optimizers()
        if self.state.scaler:
            self.trainer.precision_plugin.load_state_dict(self.state.scaler)

    def on_train_epoch_start(self) -> None:
        """Seed the device's generator, set the rate, forget the last epoch's figures."""
        drawn = np.random.SeedSequence([self.job.seed, _DEVICE, self.epoch, self.global_rank])
        torch.manual_seed(int(drawn.generate_state(1, np.uint64)[0]))
        self._set_rate(0)
        self._losses = torch.zeros(len(self.job.batches), device=self.device)
        self._gradients: list[dict[str, torch.Tensor]] = []
        self._looked = 0
        self._started = time.monotonic()
        self._every = max(1, len(self.job.batches) // _PROBES)

    def training_step(self, batch: Sequence[tuple[torch.Tensor, ...]], batch_idx: int) -> None:
        """Make a step with each of some batches."""
        for step, (x, y) in enumerate(batch, batch_idx * self.together):
            self._step(step, x, y)
            self._end_step(step)

    def _step(self, step: int, x: torch.Tensor, y: torch.Tensor) -> None:
        """Make a step of the epoch with a batch."""
        self._at = step
        if self.facts["per"] == "step":
            self._set_rate(step)
        loss = self.job.loss(self._logits(self.standardise(x)), y, self.share).mean()
        if self.job.training.l1:
            weights = sum(p.abs().sum() for p in self.net.parameters())
            loss = loss + self.job.training.l1 * weights
        self._losses[step] = loss.detach()
        self._stepper.zero_grad()
        with torch.autocast(self.device.type, enabled=False):  # the forward pass alone is narrow
            self.manual_backward(loss)
            self._stepper.step()

    def _logits(self, x: torch.Tensor) -> torch.Tensor:
        """Pass standardised segments through the net."""
        try:
            return self._call(x).float()
        except (ValueError, RuntimeError) as error:
            if len(x) > 1 or "more than 1 value per channel" not in str(error):
                raise
            raise ConfigError(self._lonely()) from error

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Measure gradients at some steps, then shorten them."""
        if self._at % self._every == 0:
            self._gradients.append(gradient_norms(self.net))
        if self.job.training.clip is not None:
            self.clip_gradients(optimizer, self.job.training.clip, "norm")

    def _end_step(self, step: int) -> None:
        """Follow with the mean weights; look for losses that are no numbers; tell."""
        if self.average is not None:
            self.average.update_parameters(self.net)
        n_steps = len(self.job.batches)
        if (step + 1) % _LOOK == 0 or step + 1 == n_steps:
            self._look(step + 1)
        if self.job.on_step is not None:
            done = self.epoch * n_steps + step + 1
            self.job.on_step(done, self.job.training.epochs * n_steps)

    def on_train_epoch_end(self) -> None:
        """Measure, keep what is best, decide whether to go on, save."""
        strategy = self.trainer.strategy
        measured: dict[str, float] = self._row() if self.trainer.is_global_zero else {}
        loss = strategy.reduce(self._losses.double().mean(), reduce_op="mean")
        row = {
            **strategy.broadcast(measured),
            "train_loss": float(loss),
            "seconds": time.monotonic() - self._started,
        }
        state, training = self.state, self.job.training
        state.history.append(_ordered(row))
        if self.logger is not None:
            self.logger.log_metrics(row, step=self.epoch + 1)
        if self.job.valid is not None:
            value = self.job.valid.value(
                {key.removeprefix("valid_"): row[key] for key in row if key[:6] == "valid_"}
            )
            better = not state.values or value > max(state.values)
            state.values.append(value)
        else:
            better = True
        if better:
            state.best_epoch = self.epoch + 1
            state.best = copied(self._shown().state_dict())
        waited = self.epoch + 1 - state.best_epoch
        ahead = self._factor(len(self.job.batches))
        state.finished = (
            self.epoch + 1 >= training.epochs
            or (training.patience is not None and waited >= training.patience)
            or ahead == 0
        )
        if not state.finished and self.facts.get("reloads_best") and ahead < self._now:
            self.net.load_state_dict(state.best)
            self._optimizer.state.clear()
        if self.trainer.is_global_zero:
            self._save()
            if self.job.on_epoch is not None:
                self.job.on_epoch(state.history[-1])
        self.trainer.should_stop = state.finished

    def _row(self) -> dict[str, float]:
        """Measure the epoch."""
        row = {"epoch": self.epoch + 1, "lr": self._optimizer.param_groups[0]["lr"]}
        if self.job.valid is not None:
            shown = TrainedNet(self.job.model.spec, self._shown(), self.standardise)
            found = self.job.valid.measure(shown, self.job.loss, self.share)
            if not math.isfinite(found["loss"]):
                raise MclsError(self._diverged("the loss on the valid part", found["loss"], None))
            row |= {f"valid_{name}": value for name, value in found.items()}
        for name in self._gradients[0] if self._gradients else ():
            norms = torch.stack([one[name] for one in self._gradients])
            row[f"grad_{name}"] = float(norms.mean())
        x, _ = self.job.batches[self.epoch, 0]
        dead = dead_shares(self.net, self.standardise(torch.from_numpy(x).to(self.device)))
        return row | {f"dead_{name}": share for name, share in dead.items()}

    def _shown(self) -> torch.nn.Module:
        """Return the net that counts: with the mean weights, if there are any."""
        return self.net if self.average is None else self.average.module

    def _factor(self, step: int) -> float:
        """Return what the schedule says of a step of this epoch."""
        n_steps = len(self.job.batches)
        when = When(
            step=self.epoch * n_steps + step,
            n_steps=self.job.training.epochs * n_steps,
            steps_per_epoch=n_steps,
            values=tuple(self.state.values),
        )
        return self.schedule(when)

    def _set_rate(self, step: int) -> None:
        self._now = self._factor(step)
        for group, rate in zip(self._optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate * self._now

    def _look(self, n_done: int) -> None:
        """Stop at a loss that is no number."""
        losses = self._losses[self._looked : n_done]
        bad = torch.nonzero(~torch.isfinite(losses))
        if len(bad):
            step = self._looked + int(bad[0])
            raise MclsError(self._diverged("the loss", float(self._losses[step]), step + 1))
        self._looked = n_done

    def _diverged(self, what: str, value: float, step: int | None) -> str:
        where = f"epoch {self.epoch + 1}" + ("" if step is None else f", step {step}")
        spec, rate = self.job.training.optimizer.partition(":")[0], self._rates[0]
        tries = [f"a lower rate (--optimizer {spec}:lr={rate / 10:g})"]
        if self.job.training.clip is None:
            tries.append("shorter gradients (--clip 1)")
        if self.job.training.precision != "32":
            tries.append("--precision 32")
        if self.job.training.standardize == "none":
            tries.append("--standardize dims")
        return (
            f"{what} is {value} in {where}: the training has diverged, or rows of the store are "
            f"no numbers. Try {', '.join(tries)}"
        )

    def _lonely(self) -> str:
        """Say what is wrong with a batch of one segment."""
        n, devices = self.job.batches.n_segments, self.job.training.devices
        sizes = (size for size in range(2, n + 1) if n // -(-n // size) >= 2 * devices)
        enough = next(sizes, None)
        return (
            f"--batch-size {self.job.training.batch_size}: a batch has one segment (an epoch has "
            f"{n}), and a batch norm of {self.job.model.spec.net} sees one number per map, which "
            "has no deviation; use "
            + ("more segments (--crops)" if enough is None else f"--batch-size {enough}")
            + ", or a net without batch norm"
        )

    def _save(self) -> None:
        """Write the state, unless it was written so lately that it would cost too much time."""
        spent = time.monotonic() - self._began
        if not self.state.finished and self._saving > _SAVING * spent:
            return
        begin = time.monotonic()
        self.state.weights = copied(self.net.state_dict())
        self.state.optimizer = self._optimizer.state_dict()
        self.state.scaler = self.trainer.precision_plugin.state_dict()
        if self.average is not None:
            self.state.average = copied(self.average.state_dict())
        write_state(self.job.path, self.state)
        self._saving += time.monotonic() - begin


def _tensors(batches: Sequence[tuple[np.ndarray, np.ndarray]]) -> list[tuple[torch.Tensor, ...]]:
    """Return some batches as torch has them."""
    return [(torch.from_numpy(x), torch.from_numpy(y)) for x, y in batches]


def _ordered(row: Mapping[str, float]) -> dict[str, float]:
    """Return a row with what a reader looks for first at its beginning."""
    first = ["epoch", "train_loss", "valid_loss"]
    return {key: row[key] for key in [*first, *row] if key in row}
