"""Worker processes that start quickly and end together with the process that started them.

The first worker is a new Python process that imports what the work needs. The others are forked
from it before it has begun to work, so the imports are paid once, and while the parent still plans.
Nothing of the parent but its environment gets into a worker: no threads, locks or open files, and
not its main module. Every worker uses one BLAS thread, so that results do not depend on the number
of workers.

A worker talks to the parent through a socket of its own. When the parent is gone, killed or not,
its end of the socket closes and the worker ends, whatever it is doing. The parent notices the end
of a worker in the same way. Ctrl-C is left to the parent, which then ends the workers.
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
from multiprocessing.connection import Connection, Pipe
from typing import Any

_ONE_THREAD = {
    f"{library}_NUM_THREADS": "1"
    for library in ("OMP", "OPENBLAS", "MKL", "NUMBA", "VECLIB", "VECLIB_MAXIMUM", "BLIS")
}


class DeadWorkerError(Exception):
    """A worker process ended without an answer."""


class Worker:
    """The parent's end of a worker process.

    Attributes
    ----------
    connection : Connection
        The parent's end of the socket.
    pid : int or None
        The process id, known after the first message.
    """

    def __init__(self, connection: Connection, first: "subprocess.Popen[bytes] | None") -> None:
        self.connection = connection
        self.pid: int | None = None
        self._first = first

    def begin(self, function: Callable[[Any], Any], argument: Any) -> None:
        """Let the worker compute ``function(argument)``.

        Raises
        ------
        DeadWorkerError
            If the worker is gone.
        """
        try:
            self.connection.send((function, argument))
        except OSError as error:
            raise DeadWorkerError from error

    def receive(self) -> tuple[str, Any]:
        """Wait for the next message and return its kind and value.

        The kinds are ``pid`` (the first message), ``note`` (see `send_note`) and ``done`` (the
        result of the function).

        Raises
        ------
        DeadWorkerError
            If the worker is gone.
        Exception
            The exception that the function raised, with the worker's traceback as a note.
        """
        try:
            kind, value = self.connection.recv()
        except (EOFError, OSError) as error:
            raise DeadWorkerError from error
        if kind == "raised":
            raise value
        if kind == "pid":
            self.pid = value
        return kind, value

    def end(self) -> None:
        """Kill the process."""
        with suppress(DeadWorkerError):
            while self.pid is None and self.connection.poll():
                self.receive()
        self.connection.close()
        if self._first is not None:
            self._first.kill()
            self._first.wait()
        elif self.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)


def start_workers(n: int, preload: Sequence[str] = ()) -> list[Worker]:
    """Start `n` workers that import the modules `preload` before they work."""
    pairs = [Pipe() for _ in range(n)]
    fds = [theirs.fileno() for _, theirs in pairs]
    program = (
        f"import sys; sys.path[:] = {[path or os.getcwd() for path in sys.path]!r}; "  # noqa: PTH109
        f"from mcls.parallel.workers import serve; serve({fds!r}, {list(preload)!r})"
    )
    # A new process inherits which signals are blocked; here SIGINT is only delayed.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        first = subprocess.Popen(
            [sys.executable, "-c", program],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=fds,
            env={**os.environ, **_ONE_THREAD},
        )
        return [Worker(ours, first if i == 0 else None) for i, (ours, _) in enumerate(pairs)]
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        for _, theirs in pairs:
            theirs.close()


#: In a worker: its end of the socket.
_parent: Connection | None = None


def send_note(value: Any) -> None:
    """Send the parent a note about the work in progress; outside a worker, do nothing."""
    if _parent is not None:
        _parent.send(("note", value))


def serve(fds: list[int], preload: Sequence[str]) -> None:
    """Become the workers at the other ends of some sockets: this process and forks of it."""
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
    """Compute what the parent sends, one function after the other, until it sends no more."""
    global _parent
    threading.Thread(target=_end_with_parent, args=(fd,), daemon=True).start()
    _parent = Connection(fd)
    _parent.send(("pid", os.getpid()))
    while True:
        try:
            function, argument = _parent.recv()
        except (EOFError, OSError):
            return
        try:
            result = "done", function(argument)
        except Exception as error:
            error.add_note("in a worker process:\n" + traceback.format_exc())
            result = "raised", error
        _parent.send(result)


def _end_with_parent(fd: int) -> None:
    """End this process once the other end of its socket is closed."""
    closed = select.poll()
    closed.register(fd, 0)  # errors and hang-ups are always reported
    closed.poll()
    os._exit(1)
