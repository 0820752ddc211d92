"""Work spread over processes, where any process may die of a single item.

joblib runs the tasks, so its backends do (with ``joblib.parallel_config(backend="dask")`` they run
on a Dask cluster). Workers have one BLAS thread each: the result does not depend on how many there
are.

A worker that dies (a decoder's segmentation fault, a time limit) breaks the whole pool. What was
under way is then run again, one task at a time in a process of its own, so that a second death
has one culprit: the item its journal names. That item is told to the task the next time, and the
rest goes on. With one job this is how all tasks are run.
"""

import faulthandler
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import joblib
from joblib.externals.loky.process_executor import ProcessPoolExecutor, TerminatedWorkerError

from mcls.errors import DataError

R = TypeVar("R")

_ONE_THREAD = {
    f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL", "NUMBA", "VECLIB")
}


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
        Items that killed a worker before, and how: they are not to be tried again.
    """

    items: tuple[Any, ...]
    out: Path
    blamed: dict[str, str] = field(default_factory=dict)

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
    task.journal.write_text(track_id, encoding="utf-8")
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
    function: Callable[[Task], R], tasks: Sequence[Task], *, jobs: int, time_limit: float
) -> Iterator[R]:
    """Yield what `function` returns for each task, in any order.

    Parameters
    ----------
    function : callable
        Picklable; wraps each item in `journalled` and calls `end_journal` at the end.
    tasks : sequence of Task
        The work.
    jobs : int
        Processes.
    time_limit : float
        Seconds per item, for the message.
    """
    waiting = list(tasks)
    while waiting and jobs > 1:
        done: set[Path] = set()
        try:
            for out, result in _together(function, waiting, jobs):
                done.add(out)
                yield result
        except (TerminatedWorkerError, BrokenProcessPool):
            waiting = [task for task in waiting if task.out not in done]
            begun = [task for task in waiting if task.journal.exists()]
            yield from _one_by_one(function, begun or waiting, time_limit)
            waiting = [task for task in waiting if task not in begun] if begun else []
        else:
            waiting = []
    yield from _one_by_one(function, waiting, time_limit)


def _named(function: Callable[[Task], R], task: Task) -> tuple[Path, R]:
    return task.out, function(task)


def _together(
    function: Callable[[Task], R], tasks: Sequence[Task], jobs: int
) -> Iterator[tuple[Path, R]]:
    with joblib.parallel_config(inner_max_num_threads=1, n_jobs=jobs, backend="loky"):
        parallel = joblib.Parallel(return_as="generator_unordered", batch_size=1)
        with _deaf_to_interrupts():
            results = parallel(joblib.delayed(_named)(function, task) for task in tasks)
        yield from results


def _one_by_one(
    function: Callable[[Task], R], tasks: Sequence[Task], time_limit: float
) -> Iterator[R]:
    executor = None
    try:
        for task in tasks:
            while True:
                with _deaf_to_interrupts():
                    executor = executor or ProcessPoolExecutor(max_workers=1, env=_ONE_THREAD)
                    future = executor.submit(function, task)
                try:
                    result = future.result()
                except (TerminatedWorkerError, BrokenProcessPool) as error:
                    executor.shutdown(kill_workers=True)
                    executor = None
                    task = _blame(task, time_limit, error)
                else:
                    yield result
                    break
    finally:
        if executor is not None:
            executor.shutdown(kill_workers=True)


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Start workers so that Ctrl-C is the parent's alone, who then ends them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _blame(task: Task, time_limit: float, error: Exception) -> Task:
    """Return the task with the item that killed its worker named."""
    if not task.journal.exists():
        raise DataError(f"a worker process died before its first track ({error})") from error
    culprit = task.journal.read_text(encoding="utf-8")
    if culprit in task.blamed:
        raise DataError(f"a worker process died after {culprit!r} ({error})") from error
    late = task.overtime.exists() and task.overtime.stat().st_size > 0
    how = f"took longer than {time_limit:g} s" if late else "the decoder died"
    end_journal(task)
    return replace(task, blamed={**task.blamed, culprit: how})
