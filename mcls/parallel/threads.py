"""Blocks of rows on all cores: one thread for each block, and each product on its own thread.

BLAS and torch spread one product over the cores and wait for the slowest; with the small products
that fit the cache, that waiting is most of the time. Here the blocks are spread instead. The size
of the blocks is fixed, so results have the same bytes for any number of threads.

`for_blocks` is for numpy and numba, `blocks_on` for torch.
"""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from typing import TypeVar

from threadpoolctl import ThreadpoolController

T = TypeVar("T")

#: Calls some work with every block of ``(n_rows, size)`` and returns the results in order.
Blocks = Callable[[int, int, Callable[[slice], T]], list[T]]


def n_threads() -> int:
    """Return how many threads to use: OMP_NUM_THREADS, or the cores this process may use."""
    said = os.environ.get("OMP_NUM_THREADS", "")
    return int(said) if said.isdigit() and int(said) else len(os.sched_getaffinity(0))


def one_blas_thread() -> AbstractContextManager[object]:
    """Return a context in which every matrix product of numpy runs on the calling thread."""
    limit: AbstractContextManager[object] = _blas().limit(limits=1)
    return limit


@contextmanager
def one_torch_thread() -> Iterator[None]:
    """Open a context in which torch computes with one thread, as on any number of cores."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def for_blocks(n_rows: int, size: int, work: Callable[[slice], T]) -> list[T]:
    """Call `work` with every block of rows, on several threads, each with one BLAS thread.

    Parameters
    ----------
    n_rows : int
        Number of rows.
    size : int
        Rows per block.
    work : callable
        Takes a slice of the rows; writes nowhere else than to its own rows.

    Returns
    -------
    list
        The results of `work`, in the order of the blocks.

    Examples
    --------
    >>> for_blocks(5, 2, lambda rows: (rows.start, rows.stop))
    [(0, 2), (2, 4), (4, 5)]
    """
    with one_blas_thread(), ThreadPoolExecutor(n_threads()) as pool:
        return _run(pool, n_rows, size, work)


@contextmanager
def blocks_on(device: str) -> Iterator[Blocks]:
    """Open a context for many calls with blocks of rows, each block with one torch thread.

    Parameters
    ----------
    device : str
        A torch device. On any other than the CPU, all rows are one block.

    Yields
    ------
    callable
        ``blocks(n_rows, size, work)`` does what `for_blocks` does.
    """
    import torch  # takes a second, and most users of this module compute with numpy

    if not device.startswith("cpu"):
        yield lambda n_rows, size, work: [work(slice(0, n_rows))]
        return
    # torch's setting reaches the products of a new thread only where that thread makes it too
    with (
        one_torch_thread(),
        ThreadPoolExecutor(n_threads(), initializer=torch.set_num_threads, initargs=(1,)) as pool,
    ):
        yield lambda n_rows, size, work: _run(pool, n_rows, size, work)


def _run(pool: Executor, n_rows: int, size: int, work: Callable[[slice], T]) -> list[T]:
    blocks = [slice(start, min(start + size, n_rows)) for start in range(0, n_rows, size)]
    if min(len(blocks), n_threads()) < 2:
        return [work(block) for block in blocks]
    return list(pool.map(work, blocks))


@cache
def _blas() -> ThreadpoolController:
    return ThreadpoolController().select(user_api="blas")
