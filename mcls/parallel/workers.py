"""Worker processes: started at once, ready soon, ended with the process that asked for them.

The first worker is a new Python that imports what the work needs; the others are forked from it
before it has begun, so that the imports are paid once and while the parent still plans. Nothing of
the parent but its environment gets into a worker: not its threads, not its locks, not its main
module. Every worker has one BLAS thread: a result does not depend on how many workers there are.

A worker talks to the parent through a socket of its own. When the parent is gone, killed or not,
its end of the socket closes and the worker ends in the midst of whatever it does. When a worker is
gone, so is its end. Ctrl-C is the parent's alone, who then ends the workers.
"""

import importlib
import os
import select
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, Pipe, wait
from typing import Any

#: What the workers of extraction import before they are given work.
EXTRACTION = ("mcls.stages.extract_tracks",)

_ONE_THREAD = {
    f"{library}_NUM_THREADS": "1"
    for library in ("OMP", "OPENBLAS", "MKL", "NUMBA", "VECLIB", "VECLIB_MAXIMUM", "BLIS")
}


class DeadWorkerError(Exception):
    """A worker ended without an answer."""


class Worker:
    """The parent's end of a worker; `pid` is known from its first answer on."""

    def __init__(self, connection: Connection, first: "subprocess.Popen[bytes] | None") -> None:
        self.connection = connection
        self._first = first
        self.pid: int | None = None

    def begin(self, function: Callable[[Any], Any], argument: Any) -> None:
        """Have `function(argument)` computed; `DeadWorkerError` if the worker is gone."""
        try:
            self.connection.send((function, argument))
        except OSError as error:
            raise DeadWorkerError from error

    def answer(self) -> tuple[bool, Any]:
        """Return whether there is an answer yet, and the answer.

        Raises
        ------
        DeadWorkerError
            If the worker is gone.
        Exception
            What the function raised, with the worker's traceback as a note.
        """
        try:
            kind, value = self.connection.recv()
        except (EOFError, OSError) as error:
            raise DeadWorkerError from error
        if kind == "raised":
            raise value
        if kind == "pid":
            self.pid = value
        return kind == "done", value

    def end(self) -> None:
        """End it now."""
        with suppress(DeadWorkerError):
            while self.pid is None and self.connection.poll():
                self.answer()
        self.connection.close()
        if self._first is not None:
            self._first.kill()
            self._first.wait()
        elif self.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)


class Workers:
    """Some worker processes.

    Parameters
    ----------
    n : int
        How many, to begin with.
    preload : sequence of str
        Modules that they import before they are given work.

    Examples
    --------
    >>> with Workers(2, ["math"]) as workers:
    ...     len(workers.all)
    2
    """

    def __init__(self, n: int, preload: Sequence[str] = EXTRACTION) -> None:
        self.preload = list(preload)
        self.all: list[Worker] = []
        self.at_least(n)

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """End them all now, whatever they do."""
        for worker in self.all:
            worker.end()
        self.all = []

    def at_least(self, n: int) -> None:
        """Start more, if there are fewer than `n`."""
        if n > len(self.all):
            self._start(n - len(self.all))

    def replace(self, worker: Worker) -> Worker:
        """Start another in the place of one that died."""
        self.all.remove(worker)
        worker.end()
        return self._start(1)[0]

    def ready(self, workers: Sequence[Worker]) -> list[Worker]:
        """Wait until some of these workers have said something or have died; return those."""
        said = wait([worker.connection for worker in workers])
        return [worker for worker in workers if worker.connection in said]

    def _start(self, n: int) -> list[Worker]:
        pairs = [Pipe() for _ in range(n)]
        fds = [theirs.fileno() for _, theirs in pairs]
        program = (
            f"import sys; sys.path[:] = {[path or os.getcwd() for path in sys.path]!r}; "  # noqa: PTH109
            f"from mcls.parallel.workers import serve; serve({fds!r}, {self.preload!r})"
        )
        # Blocked signals stay blocked in a new process; in this one they are only put off.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            first = subprocess.Popen(
                [sys.executable, "-c", program],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=fds,
                env={**os.environ, **_ONE_THREAD},
            )
            started = [Worker(ours, first if i == 0 else None) for i, (ours, _) in enumerate(pairs)]
            self.all += started
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            for _, theirs in pairs:
                theirs.close()
        return started


def serve(fds: list[int], preload: Sequence[str]) -> None:
    """Be the workers at the other ends of some sockets: this process and forks of it."""
    for name in preload:
        importlib.import_module(name)
    for i in range(1, len(fds)):
        if os.fork() == 0:
            _close(fds[:i] + fds[i + 1 :])
            try:
                _work(fds[i])
            finally:
                os._exit(0)
    _close(fds[1:])
    _work(fds[0])


def _close(fds: list[int]) -> None:
    for fd in fds:
        os.close(fd)


def _work(fd: int) -> None:
    """Do what the parent asks, one thing after the other, until it asks no more."""
    threading.Thread(target=_end_with_parent, args=(fd,), daemon=True).start()
    parent = Connection(fd)
    parent.send(("pid", os.getpid()))
    while True:
        try:
            function, argument = parent.recv()
        except (EOFError, OSError):
            return
        try:
            result = "done", function(argument)
        except Exception as error:
            error.add_note("in a worker process:\n" + traceback.format_exc())
            result = "raised", error
        parent.send(result)


def _end_with_parent(fd: int) -> None:
    """End this process once the other end of its socket is closed."""
    closed = select.poll()
    closed.register(fd, 0)  # errors and hang-ups are always told
    closed.poll()
    os._exit(1)
