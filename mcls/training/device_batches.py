"""Batches of segments on the device of the training, ready when a step wants them.

* On a GPU the rows of the train part are copied to its memory once, if they fit, and segments are
  cut and augmented there: a step copies the random numbers at most.
* Otherwise background threads cut and augment the next batches while the device computes; on a GPU
  they do so into pinned memory, from which a copy runs beside the computing.
* On a CPU without ``--workers`` a batch is cut out of the memory map when the step asks for it.

All three give the same numbers. Augmentations that are for NumPy alone need the second or third.
"""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch

from mcls.training.segment_augmentations import Batch
from mcls.training.segments import Batches

TensorBatch = tuple[torch.Tensor, torch.Tensor]

#: Share of the free memory of a GPU that rows may take; the rest is for the net and its gradients.
_ROWS = 0.4


class DeviceBatches:
    """Batches of `Batches` as tensors on a device, an epoch at a time.

    Parameters
    ----------
    batches : Batches
        What is trained on.
    device : torch.device
        Device of the net.
    workers : int
        Background threads that prepare batches; a GPU has at least one.
    """

    def __init__(self, batches: Batches, device: torch.device, workers: int = 0) -> None:
        self.batches = batches
        self.device = device
        self.workers = max(1, workers) if device.type == "cuda" else workers
        self.rows: DeviceRows | None = None
        if device.type == "cuda" and _on_device(batches) and _fits(batches, device):
            self.rows = DeviceRows(batches, device)

    def describe(self) -> str:
        """Say where batches on a CUDA device come from."""
        if self.rows is not None:
            return "the rows of the train part are in its memory"
        return f"its batches are prepared by threads ({self.workers})"

    def epoch(self, epoch: int) -> Iterator[TensorBatch]:
        """Yield ``x`` (batch, 1, n_frames, n_dims) and ``y`` (batch, n_labels) for each step."""
        if self.rows is not None:
            return self.rows.epoch(epoch)
        if self.workers:
            return self._prepared(epoch)
        return (self._batch(epoch, step) for step in range(len(self.batches)))

    def _batch(self, epoch: int, step: int) -> TensorBatch:
        x, y = map(torch.from_numpy, self.batches[epoch, step])
        return (x.pin_memory(), y.pin_memory()) if self.device.type == "cuda" else (x, y)

    def _prepared(self, epoch: int) -> Iterator[TensorBatch]:
        """Keep a few batches ahead of the step that is computed."""
        waiting: deque[Future[TensorBatch]] = deque()
        with ThreadPoolExecutor(self.workers, thread_name_prefix="batches") as pool:
            try:
                for step in range(len(self.batches)):
                    waiting.append(pool.submit(self._batch, epoch, step))
                    if len(waiting) > 2 * self.workers:
                        yield self._sent(waiting.popleft().result())
                while waiting:
                    yield self._sent(waiting.popleft().result())
            finally:
                for future in waiting:
                    future.cancel()

    def _sent(self, batch: TensorBatch) -> TensorBatch:
        x, y = (tensor.to(self.device, non_blocking=True) for tensor in batch)
        return x, y


class DeviceRows:
    """The rows of the train part in the memory of a device, and segments cut out of them there.

    Parameters
    ----------
    batches : Batches
        What is trained on; its augmentations change tensors as well.
    device : torch.device
        Where the rows are kept.
    """

    def __init__(self, batches: Batches, device: torch.device) -> None:
        tracks = batches.tracks
        self.batches = batches
        stops = np.cumsum(tracks.lengths)
        kind = torch.from_numpy(np.array(tracks.track(0)[:1])).dtype
        self.rows = torch.empty((stops[-1], batches.n_dims), dtype=kind, device=device)
        for i, stop in enumerate(stops):
            track = torch.from_numpy(np.array(tracks.track(i)))
            self.rows[stop - len(track) : stop] = track.to(device)
        self.starts = torch.from_numpy(stops - tracks.lengths).to(device)
        self.lengths = torch.from_numpy(tracks.lengths).to(device)
        self.targets = torch.from_numpy(batches.columns).to(device)
        self.frames = torch.arange(batches.n_frames, device=device)
        self.mean = torch.from_numpy(batches.mean).to(device)
        self.scale = torch.from_numpy(batches.scale).to(device)
        self.all_whole = bool(tracks.lengths.min() >= batches.n_frames)

    def epoch(self, epoch: int) -> Iterator[TensorBatch]:
        """Yield the batches of an epoch; its order is copied to the device once."""
        order = torch.from_numpy(self.batches.order(epoch)).to(self.rows.device)
        for step in range(len(self.batches)):
            track, offset = order[:, self.batches.part_of_step(step)]
            x, y = self._cut(track, offset), self.targets[track]
            if self.batches.augment:
                batch = Batch(x.float(), y, self.mean, self.scale, self.batches.moved_labels)
                x, y = self.batches.augmented(batch, (epoch, step))
            yield x[:, None], y

    def _cut(self, track: torch.Tensor, offset: torch.Tensor) -> torch.Tensor:
        """Return segments ``(batch, n_frames, n_dims)``, as `segments.cut` does."""
        start, place = self.starts[track][:, None], offset[:, None] + self.frames
        if self.all_whole:
            return self.rows[start + place]
        length = self.lengths[track][:, None]
        x = self.rows[start + place % length]
        if self.batches.short == "pad":
            x = torch.where((place >= length)[:, :, None], self.mean.to(x.dtype), x)
        return x


def _on_device(batches: Batches) -> bool:
    """Say whether all augmentations change tensors as well."""
    return all(getattr(augment, "on_device", False) for augment in batches.augment)


def _fits(batches: Batches, device: torch.device) -> bool:
    one = batches.tracks.track(0)[:1]
    free, _ = torch.cuda.mem_get_info(device)
    return int(batches.tracks.lengths.sum()) * one.nbytes < _ROWS * free
