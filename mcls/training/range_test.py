"""The rate to begin with, by Lightning's range test: raise it step by step and see the loss."""

import copy
import io
from contextlib import redirect_stderr
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.tuner import Tuner
from torch.utils.data import DataLoader

from mcls.errors import MclsError
from mcls.training.learner import Job
from mcls.training.segments import Steps

#: Steps of the test, and the rates between which they rise.
_STEPS, _LOWEST, _HIGHEST = 100, 1e-6, 1.0


def find_rate(job: Job, trainer: pl.Trainer) -> float:
    """Return the rate at which the loss falls most steeply. The net of the job stays as it is.

    Parameters
    ----------
    job : Job
        What is to be trained.
    trainer : pl.Trainer
        On one device, for this test only.

    Raises
    ------
    MclsError
        If the loss falls nowhere.

    References
    ----------
    Smith (2017), Cyclical learning rates for training neural networks.
    """
    sweep = _Sweep(job)
    batches: Any = job.batches
    loader = DataLoader(
        batches,
        batch_size=None,
        sampler=Steps(len(batches)),
        generator=torch.Generator(),
    )
    torch.manual_seed(job.seed)
    with redirect_stderr(io.StringIO()):  # Lightning draws a bar of its own
        found = Tuner(trainer).lr_find(
            sweep,
            train_dataloaders=loader,
            min_lr=_LOWEST,
            max_lr=_HIGHEST,
            num_training=_STEPS,
            update_attr=False,
            attr_name="lr",
        )
    rate = None if found is None else found.suggestion(skip_begin=5, skip_end=1)
    if rate is None:
        raise MclsError(
            "--find-lr: the loss fell at no rate; give one, as in --optimizer adam:lr=1e-4"
        )
    return float(rate)


class _Sweep(pl.LightningModule):
    """A copy of the net, its rate an attribute that Lightning sets."""

    share: torch.Tensor

    def __init__(self, job: Job) -> None:
        super().__init__()
        self.job = job
        self.net = copy.deepcopy(job.model.net)
        self.standardise = job.model.standardise
        self.lr = 1e-3
        self.register_buffer("share", torch.from_numpy(job.share), persistent=False)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Make the optimizer."""
        return self.job.optimizer(self.net.parameters(), lr=self.lr)

    def training_step(self, batch: tuple[torch.Tensor, torch.Tensor], batch_idx: int) -> Any:
        """Return the loss of a batch."""
        x, y = batch
        logits = self.net(self.standardise(x)).float()
        return self.job.loss(logits, y, self.share).mean()
