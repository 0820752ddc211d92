"""Tasks spread over workers, where any worker may die of a single item.

A task's journal names the item under way. A worker that dies (a decoder's segmentation fault, a
kill) is replaced and its task is done again; an item under which two workers have died, or one by
the time limit, is told to the task as not to be tried any more. The other workers go on meanwhile.
"""

import faulthandler
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from mcls.errors import DataError
from mcls.parallel.workers import DeadWorkerError, Worker, Workers

R = TypeVar("R")


@dataclass(frozen=True)
class Task:
    """A share of the work.

    Parameters
    ----------
    items : tuple
        What to do, each with an attribute ``track_id``.
    out : Path
        What to write; the task's journal lies beside it.
    blamed : dict of str to str
        Items that are not to be tried again, and why.
    suspects : frozenset of str
        Items under which a worker has died; empty text: between items.
    """

    items: tuple[Any, ...]
    out: Path
    blamed: dict[str, str] = field(default_factory=dict)
    suspects: frozenset[str] = frozenset()

    @property
    def journal(self) -> Path:
        """Names the item under way."""
        return self.out.with_suffix(".journal")

    @property
    def overtime(self) -> Path:
        """Written by the watchdog."""
        return self.out.with_suffix(".overtime")


@contextmanager
def journalled(task: Task, track_id: str, time_limit: float) -> Iterator[None]:
    """Note an item as under way, and end this process if it takes longer than the limit."""
    task.journal.write_text(track_id, encoding="utf-8", errors="surrogateescape")
    with task.overtime.open("w") as file:
        faulthandler.dump_traceback_later(time_limit, exit=True, file=file)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()


def end_journal(task: Task) -> None:
    """Remove a task's journal once it is done."""
    task.journal.unlink(missing_ok=True)
    task.overtime.unlink(missing_ok=True)


def spread(
    function: Callable[[Task], R], tasks: Sequence[Task], *, workers: Workers, time_limit: float
) -> Iterator[R]:
    """Yield what `function` returns for each task, in any order.

    Parameters
    ----------
    function : callable
        Importable; wraps each item in `journalled` and calls `end_journal` at the end.
    tasks : sequence of Task
        The work.
    workers : Workers
        Who does it.
    time_limit : float
        Seconds per item, for the message.

    Raises
    ------
    DataError
        If workers die again and again without an item to blame.
    """
    waiting = deque(tasks)
    under_way: dict[Worker, Task] = {}
    n_stillborn = 0  # workers in a row that died before they had said anything

    def bury(worker: Worker) -> None:
        nonlocal n_stillborn
        task = under_way.pop(worker)
        if worker.pid is not None:
            task = _after_death(task, time_limit)
        else:
            n_stillborn += 1
            if n_stillborn > 3 * len(workers.all):
                raise DataError("worker processes die before they have begun; see what they say")
        waiting.appendleft(task)
        workers.replace(worker)

    while waiting or under_way:
        for worker in [one for one in workers.all if one not in under_way]:
            if waiting:
                under_way[worker] = waiting.popleft()
                try:
                    worker.begin(function, under_way[worker])
                except DeadWorkerError:
                    bury(worker)
        for worker in workers.ready(list(under_way)) if under_way else []:
            try:
                done, result = worker.answer()
            except DeadWorkerError:
                bury(worker)
                continue
            n_stillborn = 0
            if done:
                del under_way[worker]
                yield result


def _after_death(task: Task, time_limit: float) -> Task:
    """Return the task as it is to be done again: with the item that kills its workers named."""
    journal = task.journal
    text = journal.read_bytes().decode(errors="surrogateescape") if journal.exists() else ""
    culprit = text if any(item.track_id == text for item in task.items) else ""
    late = task.overtime.exists() and task.overtime.stat().st_size > 0
    end_journal(task)
    if culprit and culprit not in task.blamed and (late or culprit in task.suspects):
        how = f"took longer than {time_limit:g} s" if late else "the decoder died"
        return replace(task, blamed={**task.blamed, culprit: how})
    if culprit in task.suspects:
        raise DataError("worker processes die again and again between two tracks")
    return replace(task, suspects=task.suspects | {culprit})
