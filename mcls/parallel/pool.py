"""The worker pool: tasks shared out among processes, any of which may crash on a single item.

A worker tells the pool which item of its task it is working on. If it crashes (a decoder's
segmentation fault, a kill) it is replaced and its task is done again. An item on which two workers
have crashed, or one that exceeds the time limit, is marked as failed and not tried any more. The
other workers go on meanwhile.
"""

import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, Self, TypeVar

from mcls.errors import DataError
from mcls.parallel.workers import DeadWorkerError, Worker, send_note, start_workers

R = TypeVar("R")


@dataclass(frozen=True)
class Task:
    """A share of the work.

    Parameters
    ----------
    items : sequence
        The items to work on.
    out : Path or None
        The file to write, if the work writes one.
    failed : mapping of int to str
        Items not to be tried any more, by index, and the reason.
    suspects : frozenset of int or None
        Indices of the items on which a worker has crashed; None: between two items.
    """

    items: Sequence[Any]
    out: Path | None = None
    failed: Mapping[int, str] = field(default_factory=dict)
    suspects: frozenset[int | None] = frozenset()

    def each(self) -> Iterator[Any]:
        """Yield the items to work on, and tell the pool which one is in progress."""
        for i, item in enumerate(self.items):
            if i not in self.failed:
                send_note(i)
                yield item
        send_note(None)


@dataclass
class _Busy:
    """The task of a worker, and since when it has been working on which item."""

    task: Task
    item: int | None = None
    since: float = math.inf


class Pool:
    """Worker processes that share out tasks.

    Parameters
    ----------
    jobs : int
        Number of processes; 0 computes in the calling process.

    Examples
    --------
    >>> from operator import attrgetter
    >>> with Pool(2) as pool:
    ...     sorted(items for _, items in pool.map(attrgetter("items"), [Task([1, 2]), Task([3])]))
    [[1, 2], [3]]
    """

    def __init__(self, jobs: int) -> None:
        self.jobs = jobs
        self.workers: list[Worker] = []
        self._preload: Sequence[str] = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def start(self, *preload: str) -> None:
        """Start all workers now; they import the modules `preload` while the caller goes on."""
        self._preload = preload
        self.workers += start_workers(self.jobs - len(self.workers), preload)

    def end(self) -> None:
        """Kill all workers."""
        for worker in self.workers:
            worker.end()
        self.workers = []

    def map(
        self,
        function: Callable[[Task], R],
        tasks: Iterable[Task],
        *,
        time_limit: float = math.inf,
    ) -> Iterator[tuple[Task, R]]:
        """Yield every task with the result of `function`, in the order in which they finish.

        Parameters
        ----------
        function : callable
            Takes a `Task` and goes through `Task.each`. It must be importable in a new process, or
            a `functools.partial` of such a function.
        tasks : iterable of Task
            The work, read as workers become free. The tasks that are yielded also say which items
            crashed a worker or exceeded the time limit (`Task.failed`).
        time_limit : float
            Seconds per item.

        Raises
        ------
        DataError
            If workers crash again and again without an item to blame.
        Exception
            Any exception that `function` raises.
        """
        if self.jobs == 0:
            for task in tasks:
                yield task, function(task)
            return
        self._preload = self._preload or [_module_of(function)]
        n_tasks = len(tasks) if isinstance(tasks, Sized) else self.jobs
        missing = min(self.jobs, n_tasks) - len(self.workers)
        if missing > 0:
            self.workers += start_workers(missing, self._preload)
        try:
            yield from self._map(function, iter(tasks), time_limit)
        except BaseException:
            self.end()  # they may be in the middle of something
            raise

    def _map(
        self, function: Callable[[Task], R], tasks: Iterator[Task], time_limit: float
    ) -> Iterator[tuple[Task, R]]:
        waiting: deque[Task] = deque()  # to be done again, or next
        busy: dict[Worker, _Busy] = {}
        n_stillborn = 0  # workers in a row that crashed before their first message

        def bury(worker: Worker, *, late: bool = False) -> None:
            nonlocal n_stillborn
            found = busy.pop(worker)
            waiting.appendleft(found.task)
            if worker.pid is None:
                n_stillborn += 1
                if n_stillborn > 3 * len(self.workers):
                    raise DataError("worker processes crash at their start; see their messages")
            else:
                waiting[0] = _after_crash(found, time_limit if late else None)
            self._replace(worker)

        while True:
            idle = [one for one in self.workers if one not in busy]
            waiting.extend(islice(tasks, max(0, len(idle) - len(waiting))))
            if not waiting and not busy:
                return
            for worker in idle[: len(waiting)]:
                busy[worker] = _Busy(waiting.popleft())
                try:
                    worker.begin(function, busy[worker].task)
                except DeadWorkerError:
                    bury(worker)
            for worker in _ready(busy, time_limit):
                try:
                    kind, value = worker.receive()
                except DeadWorkerError:
                    bury(worker)
                    continue
                n_stillborn = 0
                if kind == "note":
                    busy[worker].item = value
                    busy[worker].since = math.inf if value is None else time.monotonic()
                elif kind == "done":
                    yield busy.pop(worker).task, value
            now = time.monotonic()
            for worker in [one for one, it in busy.items() if now - it.since > time_limit]:
                if not worker.connection.poll():  # this process, not the worker, may have slept
                    bury(worker, late=True)

    def _replace(self, worker: Worker) -> None:
        self.workers.remove(worker)
        worker.end()
        self.workers += start_workers(1, self._preload)


def given_or_new(
    pool: Pool | None, jobs: int, *, apart: bool = False
) -> AbstractContextManager[Pool]:
    """Return the pool that a caller gave, which stays open, or a new one of `jobs` processes.

    One job is computed in the calling process, unless it may crash and is to be kept `apart`.
    """
    return nullcontext(pool) if pool is not None else Pool(jobs if apart or jobs > 1 else 0)


def _ready(busy: Mapping[Worker, _Busy], time_limit: float) -> list[Worker]:
    """Wait for a message, the end of a worker or the end of an item's time."""
    first = min((it.since for it in busy.values()), default=math.inf)
    seconds = first + time_limit - time.monotonic()
    timeout = max(0.0, seconds) if math.isfinite(seconds) else None
    ready = wait([worker.connection for worker in busy], timeout) if busy else []
    return [worker for worker in busy if worker.connection in ready]


def _after_crash(found: _Busy, late: float | None) -> Task:
    """Return the task to do again; the item that crashes its workers is marked as failed."""
    task, item = found.task, found.item
    if item is not None and (late is not None or item in task.suspects):
        reason = (
            "its worker process crashed twice" if late is None else f"took longer than {late:g} s"
        )
        return replace(task, failed={**task.failed, item: reason})
    if item in task.suspects:
        raise DataError("worker processes crash again and again between two items")
    return replace(task, suspects=task.suspects | {item})


def _module_of(function: Callable[..., Any]) -> str:
    while isinstance(function, partial):
        function = function.func
    return function.__module__
