"""A pool whose worker processes are those of a Dask cluster, on this machine or on others.

Each task is computed in a process of its own below its Dask worker (`Pool`), so a decoder that
crashes does not take the Dask worker along, and the item to blame is found as without Dask. The
cluster replaces what Dask is good at: it shares the tasks out, and does those of a lost worker
again on another one. The workers must see the files of the caller under the same paths.
"""

import math
import secrets
import statistics
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, TypeVar

from mcls import __version__
from mcls.errors import ConfigError, DataError, missing_extra
from mcls.parallel.pool import Pool, Task

R = TypeVar("R")

#: A task is a straggler once it has been away for this many times the median, and these seconds.
STRAGGLER_FACTOR, STRAGGLER_SECONDS = 4.0, 30.0
#: How often a task is done again after its worker was lost, and how long to wait for any worker.
_MAX_LOST, _NO_WORKER_SECONDS = 10, 600.0
_CONNECT_SECONDS = 20.0


class DaskPool(Pool):
    """The workers of a Dask cluster, used as a `Pool`.

    Parameters
    ----------
    cluster : str
        The address of a scheduler (``tcp://HOST:PORT``), or ``local:N`` for N processes here.

    Attributes
    ----------
    dashboard : str
        The address of the page on which Dask shows its work.

    Raises
    ------
    ConfigError
        If the address is none, Dask is not installed, or no scheduler answers.
    """

    dashboard: str

    def __init__(self, cluster: str) -> None:
        self._client, self._local = _connect(cluster)
        self.dashboard = self._client.dashboard_link
        super().__init__(max(1, sum(self._client.nthreads().values())))

    def start(self, *preload: str) -> None:
        """Do nothing: the workers of a cluster are there."""

    def end(self) -> None:
        """Leave the cluster, and end it if it was started here."""
        self._client.close()
        if self._local is not None:
            self._local.close()

    def map(
        self,
        function: Callable[[Task], R],
        tasks: Iterable[Task],
        *,
        time_limit: float = math.inf,
    ) -> Iterator[tuple[Task, R]]:
        """Yield every task with the result of `function`, as `Pool.map` does.

        A few tasks per worker are in the cluster at any time. The task of a lost worker is done
        again; so is one that takes far longer than the others, once, when workers are idle: what
        is done first counts.

        Raises
        ------
        DataError
            If a task has lost its worker again and again, there are no workers for ten minutes, or
            a worker does not see the folder to write to.
        Exception
            Any exception that `function` raises.
        """
        work = _Work(self._client, function, time_limit)
        try:
            yield from work.results(iter(tasks))
        finally:
            work.cancel()


@dataclass
class _Away:
    """A task in the cluster: its copies (one, or two of a straggler) and since when."""

    task: Task
    copies: list[Any]
    since: float
    n_lost: int = 0


class _Work:
    """The tasks of one call of `DaskPool.map`."""

    def __init__(self, client: Any, function: Callable[[Task], Any], time_limit: float) -> None:
        self.client = client
        self.function = function
        self.time_limit = time_limit
        self.away: list[_Away] = []
        self.took: list[float] = []
        self.last_worker = time.monotonic()

    def results(self, tasks: Iterator[Task]) -> Iterator[tuple[Task, Any]]:
        while True:
            n_threads = self._threads()
            for task in islice(tasks, max(0, 2 * n_threads - len(self.away))):
                self.away.append(_Away(task, [self._submit(task)], time.monotonic()))
            if not self.away and n_threads:
                return
            if not self._wait():
                self._repeat_stragglers(n_threads)
            for one in list(self.away):
                if (found := self._result(one)) is not None:
                    self.away.remove(one)
                    yield found

    def cancel(self) -> None:
        for one in self.away:
            self.client.cancel(one.copies)

    def _submit(self, task: Task) -> Any:
        return self.client.submit(
            compute, self.function, task, self.time_limit, __version__, pure=False
        )

    def _threads(self) -> int:
        n_threads = sum(self.client.nthreads().values())
        if n_threads:
            self.last_worker = time.monotonic()
        elif time.monotonic() - self.last_worker > _NO_WORKER_SECONDS:
            raise DataError(
                f"the Dask cluster has had no workers for {_NO_WORKER_SECONDS:g} s; what is done "
                "is kept: start workers and run the command again"
            )
        return n_threads

    def _wait(self) -> bool:
        """Wait up to a second for a task; return whether one is done."""
        from distributed import TimeoutError, wait

        copies = [copy for one in self.away for copy in one.copies]
        if not copies:
            time.sleep(0.1)
            return False
        with suppress(TimeoutError):
            wait(copies, timeout=1, return_when="FIRST_COMPLETED")
            return True
        return False

    def _result(self, one: _Away) -> tuple[Task, Any] | None:
        from distributed import KilledWorker

        done = next((copy for copy in one.copies if copy.done()), None)
        if done is None:
            return None
        self.client.cancel([copy for copy in one.copies if copy is not done])
        try:
            task, result = done.result()
        except KilledWorker as error:
            one.n_lost += 1
            if one.n_lost > _MAX_LOST:
                raise DataError("a task has lost its Dask worker again and again") from error
            one.copies = [self._submit(one.task)]
            return None
        self.took.append(time.monotonic() - one.since)
        return task, result

    def _repeat_stragglers(self, n_threads: int) -> None:
        if len(self.away) >= n_threads or not self.took:
            return  # no worker is idle
        limit = max(STRAGGLER_SECONDS, STRAGGLER_FACTOR * statistics.median(self.took))
        for one in self.away:
            if len(one.copies) == 1 and time.monotonic() - one.since > limit:
                one.copies.append(self._submit(one.task))


_mine = threading.local()


def compute(
    function: Callable[[Task], R], task: Task, time_limit: float, version: str
) -> tuple[Task, R]:
    """Compute a task on a Dask worker, in a process below it; return it and the result.

    The file that it writes gets a name of its own, as the task may be done on two workers at once.
    """
    if version != __version__:
        raise ConfigError(f"a Dask worker has mcls {__version__}, but the command is {version}")
    if task.out is not None:
        if not task.out.parent.is_dir():
            raise DataError(
                f"a Dask worker does not see {task.out.parent}; all machines need the same files "
                "under the same paths"
            )
        out = task.out.with_name(f"{task.out.stem}-{secrets.token_hex(4)}{task.out.suffix}")
        task = replace(task, out=out)
    if not hasattr(_mine, "pool"):
        _mine.pool = Pool(1)
    [found] = _mine.pool.map(function, [task], time_limit=time_limit)
    return found


def _connect(cluster: str) -> tuple[Any, Any]:
    """Return a client, and the cluster if it was started here."""
    try:
        import distributed
    except ImportError as error:
        raise missing_extra("a Dask cluster", "distributed", "dask") from error
    kind, _, number = cluster.partition(":")
    if kind == "local":
        if not number.isdigit() or int(number) < 1:
            raise ConfigError(
                f"dask={cluster!r}; expected local:N with N processes, or tcp://HOST:PORT"
            )
        local = distributed.LocalCluster(
            n_workers=int(number), threads_per_worker=1, dashboard_address="127.0.0.1:0"
        )
        return distributed.Client(local), local
    if "://" not in cluster:
        raise ConfigError(f"dask={cluster!r}; expected tcp://HOST:PORT, or local:N")
    try:
        return distributed.Client(cluster, timeout=_CONNECT_SECONDS), None
    except (OSError, ValueError) as error:
        raise ConfigError(f"no Dask scheduler answers at {cluster}: {error}") from error
