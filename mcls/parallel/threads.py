"""Blocks of work on all cores: plain threads, each with matrix products of its own.

BLAS spreads one product over the cores and waits for the slowest; on a busy machine, with the small
products that fit the cache, that waiting is most of the time. Here the blocks are spread and each
product stays on its thread. The bytes do not depend on the number of threads.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import cache

from threadpoolctl import ThreadpoolController


def n_threads() -> int:
    """Return how many threads to use: OMP_NUM_THREADS, or the cores this process may use."""
    said = os.environ.get("OMP_NUM_THREADS", "")
    return int(said) if said.isdigit() and int(said) else len(os.sched_getaffinity(0))


def one_blas_thread() -> AbstractContextManager[object]:
    """Return a context in which every matrix product runs on the thread that asked for it."""
    limit: AbstractContextManager[object] = _blas().limit(limits=1)
    return limit


def for_blocks(n_rows: int, size: int, work: Callable[[slice], None]) -> None:
    """Call `work` for every block of rows, from several threads, one BLAS thread each.

    Parameters
    ----------
    n_rows : int
        Rows in all.
    size : int
        Rows in a block.
    work : callable
        Takes a slice of the rows; writes nowhere else than to its own rows.
    """
    blocks = [slice(start, min(start + size, n_rows)) for start in range(0, n_rows, size)]
    threads = min(n_threads(), len(blocks))
    with one_blas_thread():
        if threads < 2:
            for block in blocks:
                work(block)
        else:
            with ThreadPoolExecutor(threads) as pool:
                for _ in pool.map(work, blocks):
                    pass


@cache
def _blas() -> ThreadpoolController:
    return ThreadpoolController().select(user_api="blas")
