"""Time the training of nets against bare loops: the same net, optimizer and threads, in one run.

    python benchmarks/training.py [SECTION ...] [--repeats 7] [--threads 1] [--device cpu]
        [--net fcn4 ...] [--width 0.05]

Sections (one function each, in ``SECTIONS``; without a name all are run):

* **reading**: random segments in batches with their labels, from a store, against the same values
  from a bare ``np.memmap`` of a ``.npy`` file, by a loop of slices and by one ``take``. All draw
  random positions; ours also draws a new order every epoch. The files are in the page cache.
* **steps**: the whole training loop against a loop of torch whose batches are standardised and in
  memory beforehand. Our time is measured from the end of the first epoch to the end of the last
  one, divided by the steps between; it includes batches, standardisation, metrics and checkpoints.
* **throughput**: the numbers of ``mcls bench gpu`` for the nets of ``--net``, in single precision
  and bf16, on ``--device``. For comparison, a plain loop computes the mel spectrogram on the fly,
  from waveforms in memory. On CUDA the nets have their published width and are compiled, on a CPU
  they have a twentieth of it, unless ``--width`` is given.

The sides take turns; times are medians of the repeats, and ratios are between medians. On a busy
machine ``--clock cpu`` counts the CPU seconds of all threads of the process.
"""

import argparse
import itertools
import platform
import statistics
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import librosa
import numpy as np
import torch
from figures import Figure, beside, clock, set_clock
from torch.nn import functional

from mcls.disk.chain import Step
from mcls.nets import build_net
from mcls.stores.store import NewRows, Store, StoreContents, write_store
from mcls.training.fit import fit
from mcls.training.options import Training
from mcls.training.segments import Batches, Tracks
from mcls.training.speed import N_LABELS, measure_speed, noise_task

NETS = ("fcn4", "fcn5", "cnn1d", "crnn", "musicnn", "short-chunk-res")
SR, N_FFT, HOP = 12_000, 512, 256
N_DIMS = 96


@dataclass(frozen=True)
class StepCase:
    """A net and the batches that a step of it learns from."""

    net: str
    settings: dict[str, Any]
    n_frames: int
    n_dims: int
    batch: int
    n_steps: int

    def __str__(self) -> str:
        said = ", ".join(f"{key}={value}" for key, value in self.settings.items()) or "defaults"
        return f"{self.net} ({said}), {self.batch} x {self.n_frames} x {self.n_dims}"


STEPS = (
    StepCase("mlp", {}, 1, 128, 64, 200),
    StepCase("mlp", {"layers": (128, 128)}, 1, 128, 64, 400),
    StepCase("fcn4", {"width": 0.05}, 128, 96, 16, 60),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join(SECTIONS))
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--clock", default="wall", choices=["wall", "cpu"])
    parser.add_argument(
        "--net", action="append", choices=NETS, help="net of throughput (default: all)"
    )
    parser.add_argument("--width", type=float, help="width of the nets (default: 0.05, on CUDA 1)")
    options = parser.parse_args()
    for unknown in set(options.sections) - set(SECTIONS):
        parser.error(f"no section {unknown}; there are {', '.join(SECTIONS)}")
    set_clock(options.clock)
    torch.set_num_threads(options.threads)
    where = torch.cuda.get_device_name() if options.device == "cuda" else platform.processor()
    print(
        f"torch {torch.__version__}, {options.threads} threads, {options.device} {where}, "
        f"{options.clock} clock"
    )
    with tempfile.TemporaryDirectory() as folder:
        for name in options.sections or SECTIONS:
            SECTIONS[name](options, Path(folder))


def take_turns(sides: dict[str, Callable[[], float]], repeats: int) -> dict[str, list[float]]:
    """Let the sides take turns; return what each returned."""
    found: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(repeats):
        for name, side in sides.items():
            found[name].append(side())
    return found


def medians(found: dict[str, list[float]]) -> dict[str, float]:
    return {name: statistics.median(values) for name, values in found.items()}


def tracks_of(folder: Path, n_tracks: int, n_rows: int, n_dims: int) -> Tracks:
    """Write tracks of random rows to a store (and a .npy), and open it."""
    path = folder / f"{n_tracks}-{n_rows}-{n_dims}.h5"
    rng = np.random.default_rng(0)
    rows = rng.normal(-30, 10, (n_tracks * n_rows, n_dims)).astype(np.float32)
    if not path.exists():
        np.save(path.with_suffix(".npy"), rows)
        ids = [str(i) for i in range(n_tracks)]
        chain = (Step("feature", "mel", {}),)
        new = NewRows("mel", chain, 40.0, n_dims, [n_rows] * n_tracks, [rows])
        write_store(path, StoreContents({"track_id": ids, "path": ids}), [new])
    stored = Store(path).feature()
    targets = np.eye(N_LABELS, dtype=np.float32)[np.arange(n_tracks) % N_LABELS]
    return Tracks(stored, stored.offsets[:-1], stored.offsets[1:], targets)


def reading(options: argparse.Namespace, folder: Path) -> None:
    for n_frames in (1, 16, 128, 1024):
        size, total, found = reading_seconds(folder, n_frames, options.repeats)
        rates = {name: total / seconds for name, seconds in medians(found).items()}
        print(
            f"reading {size} x {n_frames} x {N_DIMS}: {rates['ours']:,.0f} segments/s, "
            f"{rates['ours'] / rates['slices']:.2f} of memmap by slices "
            f"({rates['slices']:,.0f}/s), {rates['ours'] / rates['take']:.2f} of memmap by take "
            f"({rates['take']:,.0f}/s)"
        )


def reading_seconds(
    folder: Path, n_frames: int, repeats: int
) -> tuple[int, int, dict[str, list[float]]]:
    """Return the size of a batch, the segments read, and the seconds of each side and turn."""
    n_tracks, n_rows = 200, 1300
    tracks = tracks_of(folder, n_tracks, n_rows, N_DIMS)
    bare = np.load(folder / f"{n_tracks}-{n_rows}-{N_DIMS}.npy", mmap_mode="r")
    size = 32 if n_frames > 1 else 1024
    batches = Batches(tracks, n_frames, size, crops=max(1, 40 * size // n_tracks))
    steps = len(batches)
    epochs = itertools.count()
    rng = np.random.default_rng(0)

    def starts() -> np.ndarray:
        track = rng.integers(0, n_tracks, size)
        tracks.targets[track]  # the labels of the batch
        return track * n_rows + rng.integers(0, n_rows - n_frames + 1, size)

    def slices() -> None:
        for _ in range(steps):
            out = np.empty((size, n_frames, N_DIMS), np.float32)
            for i, start in enumerate(starts()):
                out[i] = bare[start : start + n_frames]

    def take() -> None:
        for _ in range(steps):
            np.asarray(bare).take(starts()[:, None] + np.arange(n_frames), axis=0)

    def ours() -> None:
        epoch = next(epochs)  # its order is drawn with its first batch
        for step in range(steps):
            batches[epoch, step]

    sides = {"slices": slices, "take": take, "ours": ours}
    found = take_turns({name: partial(timed, side) for name, side in sides.items()}, repeats)
    return size, batches.n_segments, found


def timed(function: Callable[[], object]) -> float:
    started = clock()
    function()
    return clock() - started


def trainer_step(
    name: str, settings: dict, batches: Batches, folder: Path, epochs: int = 3, **options: object
) -> float:
    """Train; return the seconds of a step, from the end of the first epoch to that of the last."""
    training = Training(epochs=epochs, loss="cross-entropy", **options)  # type: ignore[arg-type]
    (folder / "state.safetensors").unlink(missing_ok=True)
    task = noise_task(name, settings, batches, training, folder)
    ends: list[float] = []
    task.on_epoch = lambda row: ends.append(clock())
    fit(task)
    return (ends[-1] - ends[0]) / (len(ends) - 1) / len(batches)


def bare_step(name: str, settings: dict, held: list, n_steps: int) -> float:
    """Train by a bare loop; return the seconds of a step."""
    _, _, n_frames, n_dims = held[0][0].shape
    net = build_net(name, settings, n_frames, n_dims, N_LABELS)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    started = 0.0
    for step in range(n_steps + 3):
        if step == 3:
            started = clock()
        x, y = held[step % len(held)]
        optimizer.zero_grad()
        functional.cross_entropy(net(x), y).backward()
        optimizer.step()
    return (clock() - started) / n_steps


def steps(options: argparse.Namespace, folder: Path) -> None:
    for case in STEPS:
        found = medians(step_seconds(folder, case, options.repeats))
        print(
            f"steps {case}: "
            f"{1e3 * found['ours']:.2f} ms a step, bare loop {1e3 * found['bare']:.2f} ms: "
            f"{1e3 * (found['ours'] - found['bare']):+.2f} ms, "
            f"{100 * (found['ours'] / found['bare'] - 1):+.1f} %"
        )


def step_seconds(folder: Path, case: StepCase, repeats: int) -> dict[str, list[float]]:
    """Return the seconds of a step of our loop and of a bare one, of each turn."""
    name, settings = case.net, case.settings
    tracks = tracks_of(folder, 100, 1300, case.n_dims)
    batches = Batches(
        tracks, case.n_frames, case.batch, crops=max(1, case.n_steps * case.batch // 100)
    )
    held = []
    for step in range(8):
        x, y = batches[0, step]
        held.append(((torch.from_numpy(x) + 30) / 10, torch.from_numpy(y)))
    sides: dict[str, Callable[[], float]] = {
        "bare": lambda: bare_step(name, settings, held, case.n_steps),
        "ours": lambda: trainer_step(name, settings, batches, folder, device="cpu"),
    }
    return take_turns(sides, repeats)


def figures(repeats: int = 7) -> list[Figure]:
    """Return the figures of one thread: reading segments, and steps of nets."""
    torch.set_num_threads(1)
    found = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for n_frames in (16, 128):
            size, _, spent = reading_seconds(folder, n_frames, repeats)
            what = f"random crops, {size} x {n_frames} x {N_DIMS}"
            found.append(beside(what, spent["ours"], "np.memmap", spent["slices"], 1.0))
        for case in STEPS:
            spent = step_seconds(folder, case, repeats)
            found.append(beside(f"step of {case}", spent["ours"], "bare loop", spent["bare"]))
    return found


def throughput(options: argparse.Namespace, folder: Path) -> None:
    on_cpu = options.device == "cpu"
    batch, n_steps = 16, 8 if on_cpu else 100
    width = options.width or (0.05 if on_cpu else 1.0)
    settings = {"width": width}
    for name in options.net or NETS:
        for precision in ("32", "bf16"):
            found = measure_speed(
                name,
                settings,
                batch_size=batch,
                n_steps=n_steps,
                device=options.device,
                precision=precision,
                compile=not on_cpu,
            )
            size = found.n_frames, found.n_dims
            fly = on_the_fly(name, settings, size, batch, n_steps, options.device, precision)
            print(
                f"throughput {name} (width={width:g}) {batch} x {size[0]} x {size[1]}, "
                f"{precision}: {found.trainer:,.2f} steps/s, {found.segments:,.0f} segments/s, "
                f"{found.ratio:.2f} of the faster bare loop, {100 * found.matrix_share:.1f} % of "
                f"the matrix rate; mel on the fly {batch / fly:,.0f}/s"
            )


def synchronise(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def on_the_fly(
    name: str,
    settings: dict,
    size: tuple[int, int],
    batch: int,
    n_steps: int,
    device: str,
    precision: str,
) -> float:
    """Return the seconds of a step of a plain loop that begins at waveforms."""
    rng = np.random.default_rng(0)
    y = torch.from_numpy(rng.normal(0, 0.1, 60 * SR).astype(np.float32))
    n_frames, n_dims = size
    mel = torch.from_numpy(librosa.filters.mel(sr=SR, n_fft=N_FFT, n_mels=n_dims)).to(device)
    window = torch.hann_window(N_FFT, device=device)
    net = build_net(name, settings, n_frames, n_dims, N_LABELS).to(device)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    target = torch.arange(batch, device=device) % N_LABELS
    length = (n_frames - 1) * HOP
    started = 0.0
    for step in range(n_steps + 2):
        if step == 2:
            synchronise(device)
            started = clock()
        starts = rng.integers(0, len(y) - length, batch)
        audio = torch.stack([y[start : start + length] for start in starts]).to(device)
        with torch.no_grad():
            spectrum = torch.stft(audio, N_FFT, HOP, window=window, return_complex=True)
            x = 10 * torch.log10((mel @ spectrum.abs() ** 2).clamp(min=1e-10))
            x = (x.transpose(1, 2)[:, None] + 30) / 10
        optimizer.zero_grad()
        with torch.autocast(device, torch.bfloat16, enabled=precision == "bf16"):
            loss = functional.cross_entropy(net(x), target)
        loss.backward()
        optimizer.step()
    synchronise(device)
    return (clock() - started) / n_steps


SECTIONS: dict[str, Callable[[argparse.Namespace, Path], None]] = {
    "reading": reading,
    "steps": steps,
    "throughput": throughput,
}

if __name__ == "__main__":
    main()
