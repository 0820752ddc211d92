"""How fast nets train: the training of mcls against bare loops of torch, in one run.

All sides compute the same steps on the same device: the net at its published size, Adam,
cross-entropy over ten labels of white noise. A bare loop has a few standardised batches on the
device; the training of mcls cuts and standardises each batch, checks losses and measures gradients.
What comes first, such as the choice of kernels and compiling, is left out on all sides, and so is
what comes once per epoch.
"""

import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mcls.nets import build_net
from mcls.nets.describe import describe_net
from mcls.registry import find
from mcls.training.arithmetic import MIXED, autocast, training_arithmetic
from mcls.training.compiling import compiled, compiler_warnings_ignored
from mcls.training.fit import fit
from mcls.training.losses import cross_entropy
from mcls.training.model import NetSpec, TrainedNet
from mcls.training.objective import step_losses
from mcls.training.optimizers import adam
from mcls.training.options import Training
from mcls.training.segments import Batches, Tracks
from mcls.training.standardise import Standardise
from mcls.training.task import TrainingTask

#: Labels of the white noise.
N_LABELS = 10
#: Steps before those that are timed.
_WARM = 5
#: Batches of a bare loop.
_HELD = 4
#: Passes whose operations a training step counts: a backward pass costs two forward passes.
_PASSES = 3


@dataclass(frozen=True)
class NetSpeed:
    """The speed of the training of a net.

    Parameters
    ----------
    net : str
        Its name.
    batch_size, n_frames, n_dims : int
        Size of a batch of segments.
    trainer, plain : float
        Steps per second of the training of mcls, and of a bare loop that is not compiled.
    compiled : float or None
        Steps per second of a compiled bare loop; None if nothing was compiled.
    flops : int
        Operations of the products of a step, a multiply-add being two.
    matrix_rate : float
        Operations per second of one large product of matrices in the same precision.
    notes : tuple of str
        Notes of the training.
    """

    net: str
    batch_size: int
    n_frames: int
    n_dims: int
    trainer: float
    plain: float
    compiled: float | None
    flops: int
    matrix_rate: float
    notes: tuple[str, ...] = ()

    @property
    def segments(self) -> float:
        """Segments per second of the training of mcls."""
        return self.trainer * self.batch_size

    @property
    def ratio(self) -> float:
        """Speed of the training of mcls as a fraction of the faster bare loop's."""
        return self.trainer / max(self.plain, self.compiled or 0.0)

    @property
    def matrix_share(self) -> float:
        """Operations per second of the training of mcls, as a fraction of the matrix rate."""
        return self.trainer * self.flops / self.matrix_rate


def measure_speed(
    name: str,
    settings: Mapping[str, Any],
    *,
    batch_size: int,
    n_steps: int,
    device: str,
    precision: str = "32",
    compile: bool = False,
) -> NetSpeed:
    """Measure the speed of the training of a net on segments of its published size.

    Parameters
    ----------
    name : str
        A net of the registry.
    settings : mapping
        Its settings.
    batch_size, n_steps : int
        Segments per step, and steps that are timed.
    device : {'cpu', 'cuda'}
        The device.
    precision : {'32', 'tf32', 'bf16', '16'}
        As in a training.
    compile : bool
        Compile the net of the training, and measure a compiled bare loop as well.

    Returns
    -------
    NetSpeed
    """
    facts = find("nets", name).facts
    n_frames, n_dims = facts["frames"], facts["dims"]
    batches = noise_batches(batch_size, n_frames, n_dims, n_steps + _WARM)
    training = Training(
        epochs=1,
        loss="cross-entropy",
        device=device,  # type: ignore[arg-type]  # click and callers choose among its values
        precision=precision,  # type: ignore[arg-type]
        compile=compile,
    )
    layers = describe_net(name, settings, n_frames, n_dims, N_LABELS)
    with tempfile.TemporaryDirectory() as folder, compiler_warnings_ignored():
        task = noise_task(name, settings, batches, training, Path(folder))
        trainer, notes = training_rate(task)
        bare = [bare_rate(task, device, compile=False)]
        bare += [bare_rate(task, device, compile=True)] if compile else [None]
        torch.compiler.reset()  # it keeps compiled nets
    plain, fast = bare
    assert plain is not None
    return NetSpeed(
        net=name,
        batch_size=batch_size,
        n_frames=n_frames,
        n_dims=n_dims,
        trainer=trainer,
        plain=plain,
        compiled=fast,
        flops=_PASSES * batch_size * sum(layer.flops for layer in layers),
        matrix_rate=matrix_rate(device, precision),
        notes=tuple(notes),
    )


def noise_batches(batch_size: int, n_frames: int, n_dims: int, n_steps: int) -> Batches:
    """Return an epoch of `n_steps` batches of white noise, cut out of tracks of two segments."""
    rng = np.random.default_rng(0)
    rows = rng.normal(-30, 10, (batch_size * 2 * n_frames, n_dims)).astype(np.float32)
    starts = np.arange(batch_size) * 2 * n_frames
    targets = np.eye(N_LABELS, dtype=np.float32)[np.arange(batch_size) % N_LABELS]
    tracks = Tracks(rows, starts, starts + 2 * n_frames, targets)
    return Batches(tracks, n_frames, batch_size, crops=n_steps)


def noise_task(
    name: str, settings: Mapping[str, Any], batches: Batches, training: Training, folder: Path
) -> TrainingTask:
    """Return the training of a net on batches of white noise, without a valid part."""
    n_frames, n_dims = batches.n_frames, batches.n_dims
    net = build_net(name, settings, n_frames, n_dims, N_LABELS)
    labels = tuple(range(N_LABELS))
    spec = NetSpec(
        *(name, dict(settings), n_frames, n_dims, labels, ()), False, "cross-entropy", "loop", ()
    )
    standardise = Standardise(torch.full((n_dims,), -30.0), torch.full((n_dims,), 10.0))
    return TrainingTask(
        model=TrainedNet(spec, net, standardise),
        batches=batches,
        valid=None,
        loss=cross_entropy,
        optimizer=adam,
        share=np.full(N_LABELS, 1 / N_LABELS, np.float32),
        training=training,
        seed=0,
        path=folder / "state.safetensors",
    )


def training_rate(task: TrainingTask) -> tuple[float, list[str]]:
    """Train for an epoch; return the steps per second after the first few, and the notes."""
    ends: list[float] = []

    def on_step(done: int, total: int) -> None:
        if done in (_WARM, total):
            _wait()
            ends.append(time.perf_counter())

    _, state = fit(replace(task, on_step=on_step))
    return (len(task.batches) - _WARM) / (ends[1] - ends[0]), state.notes


def bare_rate(task: TrainingTask, device: str, *, compile: bool) -> float | None:
    """Return the steps per second of a bare loop; None if the net cannot be compiled."""
    task = replace(task, training=replace(task.training, compile=compile))
    there, precision = torch.device(device), task.training.precision
    net = task.model.to(there).net.train()
    if device == "cuda":
        net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    forward, _ = compiled(task, net, there)
    if compile and forward is net:
        return None
    held = []
    for step in range(_HELD):
        x, y = (torch.from_numpy(one).to(there) for one in task.batches[0, step])
        held.append((task.model.standardise(x), y))
    share = torch.from_numpy(task.share).to(there)
    optimizer = task.optimizer(net.parameters())
    scaler = torch.amp.GradScaler(device, enabled=precision == "16")
    n_steps, started = len(task.batches), 0.0
    with training_arithmetic(precision):
        for step in range(n_steps):
            if step == _WARM:
                _wait()
                started = time.perf_counter()
            x, y = held[step % _HELD]
            optimizer.zero_grad()
            with autocast(precision, there):
                labels, others, _ = step_losses(task, forward(x), y, share)
                loss = (labels + others).mean()
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
        _wait()
    return (n_steps - _WARM) / (time.perf_counter() - started)


def matrix_rate(device: str, precision: str) -> float:
    """Return the operations per second of one large product of matrices."""
    n = 8192 if device == "cuda" else 1024
    a = torch.randn(n, n, device=device, dtype=MIXED.get(precision, torch.float32))
    times = []
    with training_arithmetic(precision):
        for _ in range(5):
            _wait()
            started = time.perf_counter()
            a @ a
            _wait()
            times.append(time.perf_counter() - started)
    return 2 * n**3 / min(times)


def _wait() -> None:
    """Wait for the device."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
