"""Several processes that run one command together, on one machine or on several, under torchrun.

torchrun starts the same command in every process. Process 0 runs it; the others `follow` it: they
wait until it leads them into some work. Then all do the same work, and share its costly parts by
`shared`, `shared_blocks` and `fill_blocks`: each process computes some of the parts, and all get
the results of all parts, in the order of the parts. So every process goes on with the same numbers,
and these have the bytes that one process computes.

Everything that one process tells the others goes through `exchange`. So an error in one of them
ends the work in all, and process 0 reports it.
"""

import atexit
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from typing import Any, TypeVar

import numpy as np

from mcls.errors import DataError, MclsError
from mcls.parallel.threads import Blocks

S = TypeVar("S")
T = TypeVar("T")

#: Time for which processes wait for process 0 while it encodes rows or scores.
_PATIENCE = timedelta(days=1)

#: The number of this process and of all that have joined, and whether they share their work now.
_rank, _n_joined, _sharing = 0, 1, False


class LostProcessError(DataError):
    """Another process has ended without a word."""


class _EndedError(Exception):
    """Process 0 has ended the command."""


@dataclass(frozen=True)
class _End:
    """The last message of process 0."""

    exit_code: int


@dataclass(frozen=True)
class _Failure:
    """The message of a process that cannot go on."""

    reason: str


def join() -> int:
    """Join the processes of torchrun and return the number of this one."""
    import torch  # takes a second, and a command has seldom more than one process
    from torch import distributed

    global _rank, _n_joined
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    distributed.init_process_group(backend, init_method="env://", timeout=_PATIENCE)
    atexit.register(distributed.destroy_process_group)  # its threads must not outlive Python
    _rank, _n_joined = distributed.get_rank(), distributed.get_world_size()
    return _rank


def n_joined() -> int:
    """Return the number of processes of this command: 1 without torchrun."""
    return _n_joined


def lead(work: Callable[..., T], *arguments: Any, **own: Any) -> T:
    """Do some work in this process, which is process 0, and in all that follow it.

    Parameters
    ----------
    work : callable
        A function of a module.
    *arguments
        Passed to it in every process; they must be picklable.
    **own
        Passed to it in this process only.

    Returns
    -------
    object
        What the work returns in this process.

    Raises
    ------
    MclsError
        If the work fails in any process.
    """
    if _n_joined > 1:
        exchange((work, arguments))
    return _together(work, *arguments, **own)


def follow() -> int:
    """Work along with process 0 until its command ends, and return the command's exit code."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)  # there is nothing to clean up or to say
    failure: _Failure | None = None
    while True:
        try:
            work, arguments = exchange(failure)[0]
            failure = None
            _together(work, *arguments)
        except _EndedError as ended:
            (exit_code,) = ended.args
            break
        except LostProcessError:
            return 1
        except MclsError as error:  # if every process has it, process 0 says no more than its own
            failure = _Failure(str(error))
        except Exception as error:
            failure = _Failure(f"{type(error).__name__}: {error}")
    if exit_code:  # stay until process 0 has reported its error: torchrun kills the slower ones
        with suppress(LostProcessError):
            exchange(None)
    return int(exit_code)


def leave(exit_code: int) -> None:
    """Let the processes that follow this one end with an exit code."""
    with suppress(_EndedError, LostProcessError):
        exchange(_End(exit_code))


def exchange(value: Any) -> list[Any]:
    """Tell all processes a value, and return the values of all, in the order of the processes.

    Raises
    ------
    DataError
        If another process has failed.
    LostProcessError
        If another process has ended.
    """
    from torch import distributed

    told: list[Any] = [None] * distributed.get_world_size()
    with connected():
        distributed.all_gather_object(told, value)
    if isinstance(told[0], _End):
        raise _EndedError(told[0].exit_code)
    for rank, one in enumerate(told):
        if isinstance(one, _Failure):
            raise DataError(f"process {rank}: {one.reason}")
    return told


@contextmanager
def connected() -> Iterator[None]:
    """Say in plain words that the connection to another process is lost.

    Raises
    ------
    LostProcessError
        In place of the error of torch.
    """
    try:
        yield
    except RuntimeError as error:
        if not any(word in str(error) for word in ("gloo", "onnection", "NCCL")):
            raise
        raise LostProcessError(
            "another process of this command has ended, or its machine can no longer be reached; "
            "run the same command again to continue"
        ) from error


def from_first(value: T) -> T:
    """Return the value that process 0 passes; without shared work, the value itself."""
    found: T = exchange(value if _rank == 0 else None)[0] if _sharing else value
    return found


def differing(value: Any) -> list[int]:
    """Return the processes that pass another value than process 0."""
    values = exchange(value) if _sharing else [value]
    return [rank for rank, other in enumerate(values) if other != values[0]]


def n_sharing() -> int:
    """Return the number of processes that share the present work."""
    return _n_joined if _sharing else 1


def shared(items: Iterable[S], work: Callable[[S], T]) -> Iterator[T]:
    """Yield what `work` makes of each item, in their order; processes take turns with the items.

    Parameters
    ----------
    items : iterable
        The same in every process. Of a sequence, a process gets its own items only.
    work : callable
        Its results must be picklable.
    """
    if not _sharing:
        yield from map(work, items)
        return
    if isinstance(items, Sequence):
        mine: Iterator[S] = (items[i] for i in range(_rank, len(items), _n_joined))
    else:
        mine = islice(items, _rank, None, _n_joined)
    while True:
        made = exchange([work(item) for item in islice(mine, 1)])
        results = [result for some in made for result in some]
        yield from results
        if len(results) < _n_joined:
            return


def shared_blocks(blocks: Blocks) -> Blocks:
    """Return `blocks` (see `mcls.parallel.threads`) that processes share: they take turns.

    Its `work` may write nowhere: what it returns must be picklable.
    """
    return _taking_turns(blocks) if _sharing else blocks


def fill_blocks(
    blocks: Blocks,
    arrays: Sequence[Any],
    n_rows: int,
    size: int,
    work: Callable[[slice], None],
) -> None:
    """Let `work` fill each block of rows of some arrays; processes take turns with the blocks.

    Parameters
    ----------
    blocks : callable
        See `mcls.parallel.threads`.
    arrays : sequence of arrays or CPU tensors, shape (at least n_rows, ...)
        What `work` writes to.
    n_rows, size : int
        Number of rows, and rows per block.
    work : callable
        Takes a slice of the rows.
    """
    if not _sharing:
        blocks(n_rows, size, work)
        return
    views = [np.asarray(array) for array in arrays]

    def filled(which: slice) -> tuple[slice, list[np.ndarray]]:
        work(which)
        return which, [view[which] for view in views]

    for which, parts in _taking_turns(blocks)(n_rows, size, filled):
        for view, part in zip(views, parts, strict=True):
            view[which] = part


def _taking_turns(blocks: Blocks) -> Blocks:
    def run(n_rows: int, size: int, work: Callable[[slice], T]) -> list[T]:
        def mine(which: slice) -> T | None:
            return work(which) if which.start // size % _n_joined == _rank else None

        made = exchange(blocks(n_rows, size, mine))
        return [made[i % _n_joined][i] for i in range(len(made[0]))]

    return run


def _together(work: Callable[..., T], *arguments: Any, **own: Any) -> T:
    global _sharing
    _sharing = _n_joined > 1
    try:
        return work(*arguments, **own)
    finally:
        _sharing = False
