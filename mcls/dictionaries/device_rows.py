"""Minibatches on a torch device other than the CPU, ready when a step wants them.

Rows that fit in a share of the device's free memory are copied there once; a minibatch is gathered
there by the indices of its rows, so an epoch copies its order and nothing else. Otherwise a
background thread makes the next minibatches, in pinned memory on a GPU, while the device computes.
Both give the minibatches that the CPU gets, in the same order.
"""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from mcls.dictionaries.batches import RowBatches, Source
from mcls.dictionaries.tensors import checked_device

#: Share of the free memory that rows may take; while they are joined, they take it twice.
_SHARE = 0.4
#: Minibatches that are made ahead of the step.
_AHEAD = 4


def minibatches_on(
    device: str,
    source: Source,
    size: int,
    order: Callable[[int], np.ndarray],
    streamed: Callable[[], RowBatches],
) -> Callable[[], Iterator[torch.Tensor]]:
    """Return what yields the minibatches of an epoch as tensors on a device.

    Parameters
    ----------
    device : str
        A torch device.
    source : callable
        Yields the rows from the first on.
    size : int
        Rows per minibatch.
    order : callable
        ``order(n_rows)`` gives the indices of the rows in the order of the next epoch.
    streamed : callable
        Yields the minibatches of the next epoch in that order, for rows that do not fit.
    """
    rows = rows_on(device, source)
    if rows is None:
        return lambda: sent_ahead(streamed(), device)
    return lambda: gathered(rows, order(len(rows)), size)


def rows_on(device: str, source: Source) -> torch.Tensor | None:
    """Return all rows of a source on a device, or None if they take too much of its memory."""
    place = checked_device(device)
    left = float("inf")
    if place.type == "cuda":
        left = _SHARE * torch.cuda.mem_get_info(place)[0]
    blocks = [torch.empty(0)]
    for batch in source():
        left -= 4 * batch.size
        if left < 0:
            return None
        blocks.append(torch.tensor(batch, dtype=torch.float32, device=place))
    return torch.cat(blocks[1:] or blocks)


def gathered(rows: torch.Tensor, order: np.ndarray, size: int) -> Iterator[torch.Tensor]:
    """Yield rows that are on a device in minibatches, in the order given."""
    chosen = torch.from_numpy(order).to(rows.device)
    for start in range(0, len(order), size):
        yield rows.index_select(0, chosen[start : start + size])


def sent_ahead(batches: RowBatches, device: str) -> Iterator[torch.Tensor]:
    """Yield batches as tensors on a device; a background thread makes the next ones."""
    place = checked_device(device)
    waiting_rows = iter(batches)

    def made() -> torch.Tensor | None:
        rows = next(waiting_rows, None)
        if rows is None:
            return None
        tensor = torch.tensor(rows, dtype=torch.float32)
        return tensor.pin_memory() if place.type == "cuda" else tensor

    with ThreadPoolExecutor(1, thread_name_prefix="minibatches") as pool:
        ahead = deque(pool.submit(made) for _ in range(_AHEAD))
        while (tensor := ahead.popleft().result()) is not None:
            ahead.append(pool.submit(made))
            yield tensor.to(place, non_blocking=True)
