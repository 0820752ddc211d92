"""The work of the worker processes of `extract`: compute tracks and write them to a shard."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mcls.errors import DataError
from mcls.extraction.extract_faults import fault_columns
from mcls.features.augmentations import Augmentation, augment, copy_seed
from mcls.features.extractor import Change, Extractor, TrackRows
from mcls.parallel.pool import Task
from mcls.stores.store import NewRows, StoreContents, write_store

#: The most tracks and bytes of audio files in a task, which is what a kill can cost.
_TASK_TRACKS, _TASK_BYTES = 256, 1 << 26
#: Bytes of rows in memory after which a worker writes a shard.
_HELD_BYTES = 1 << 27


@dataclass(frozen=True)
class Item:
    """A track to extract, or an augmented copy of the track `copy_of`, numbered from 1."""

    track_id: str
    path: Path
    copy: int = 0
    copy_of: str = ""


def shares(items: Sequence[Item], jobs: int) -> list[list[Item]]:
    """Divide the tracks into tasks, several per job and none too large."""
    at_most = max(1, min(_TASK_TRACKS, -(-len(items) // (8 * jobs))))
    shares: list[list[Item]] = []
    room = 0
    for item in items:
        try:
            size = item.path.stat().st_size
        except OSError:
            size = 0
        if not shares or len(shares[-1]) >= at_most or size > room:
            shares.append([])
            room = _TASK_BYTES
        shares[-1].append(item)
        room -= size
    return shares


def compute_shard(
    task: Task,
    *,
    extractor: Extractor,
    changes: Sequence[Augmentation],
    seed: int,
) -> tuple[int, dict[str, str], float]:
    """Compute the tracks of a task and write them to its shard; runs in a worker.

    Returns the number of tracks computed, the reasons of those that failed, and seconds of audio.
    """
    out = task.out
    assert out is not None
    _keep_freed_memory()
    failed: dict[str, str] = {}
    n_done, seconds, held_bytes, n_shards = 0, 0.0, 0, 0
    held: list[tuple[Item, TrackRows]] = []

    def write() -> None:
        nonlocal held, held_bytes, n_shards
        if held:
            suffix = f"-{n_shards}" if n_shards else ""
            _write_shard(out.with_stem(out.stem + suffix), extractor, held)
            held, held_bytes, n_shards = [], 0, n_shards + 1

    for item in task.each():
        try:
            rows = extractor.track(item.path, _change(item, changes, seed))
        except DataError as error:
            failed[item.track_id] = str(error)
            continue
        except MemoryError:
            failed[item.track_id] = "not enough memory"
            continue
        if extractor.sr is None and held and held[0][1].sample_rate != rows.sample_rate:
            write()  # a shard has one sampling rate
        held.append((item, rows))
        n_done, seconds = n_done + 1, seconds + rows.seconds
        held_bytes += sum(
            4 * n * extractor.features(extractor.sr or rows.sample_rate)[name].n_local
            for name, n in rows.lengths.items()
        )
        if held_bytes > _HELD_BYTES:
            write()
    write()
    return n_done, failed, seconds


def _keep_freed_memory() -> None:
    """Let glibc keep the memory of freed arrays for the next file.

    Freeing a large array raises the size from which on an array is mapped by the system on its own
    (M_MMAP_THRESHOLD, mallopt(3)), up to 32 MiB. Without it the pages of every block of audio are
    mapped and cleared anew, a fifth of the time for WAV. The pages of this array are never touched.
    """
    np.empty(31 << 20, np.uint8)


def _change(item: Item, changes: Sequence[Augmentation], seed: int) -> Change | None:
    """Return the augmentation of a copy; the recording itself is not changed."""
    if not item.copy:
        return None
    return partial(augment, augmentations=changes, seed=copy_seed(item.track_id, seed))


def _write_shard(path: Path, extractor: Extractor, held: Sequence[tuple[Item, TrackRows]]) -> None:
    tracks: dict[str, list[Any]] = {
        "track_id": [item.track_id for item, _ in held],
        "path": [str(item.path) for item, _ in held],
        "seconds": [rows.seconds for _, rows in held],
        "sample_rate": [rows.sample_rate for _, rows in held],
        "sha1": [rows.sha1 for _, rows in held],
        **fault_columns({item.track_id: rows.faults for item, rows in held}),
    }
    new = []
    for name, step in extractor.steps().items():
        feature = extractor.features(extractor.sr or held[0][1].sample_rate)[name]
        new.append(
            NewRows(
                name,
                (step,),
                feature.frame_rate,
                feature.n_dims,
                [rows.lengths[name] for _, rows in held],
                _all_blocks(name, held),
                feature.dtype or extractor.dtype.name,
            )
        )
    write_store(path, StoreContents(tracks), new)


def _all_blocks(name: str, held: Sequence[tuple[Item, TrackRows]]) -> Iterator[np.ndarray]:
    for _, rows in held:
        yield from rows.blocks(name)
