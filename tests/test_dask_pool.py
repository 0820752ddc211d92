"""A Dask cluster as the pool: real scheduler and workers, some of which are killed."""

import os
import signal
import subprocess
import sys
import time
from functools import partial

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from mcls import __version__
from mcls.cli.main import cli
from mcls.errors import ConfigError, DataError
from mcls.parallel import dask_pool
from mcls.parallel.dask_pool import DaskPool, compute
from mcls.parallel.pool import Task

pytest.importorskip("distributed")

WORK = """
import os, signal, time

def square(task):
    return [n * n for n in task.each()]

def slow_square(task):
    for n in task.each():
        time.sleep(0.3)
    return [n * n for n in task.items]

def stuck_once(task, folder):
    for n in task.each():
        first = not os.path.exists(f"{folder}/{n}")
        open(f"{folder}/{n}", "w").close()
        if n == 7 and first:
            time.sleep(60)
    return list(task.items)

def crash(task):
    for n in task.each():
        if n == 1:
            os.kill(os.getpid(), signal.SIGKILL)
    return [i for i in range(len(task.items)) if i not in task.failed]
"""


class Cluster:
    """A scheduler and workers, each a process of its own."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "work_for_dask.py").write_text(WORK)
        self.env = {**os.environ, "PYTHONPATH": str(folder), "DASK_LOGGING__DISTRIBUTED": "error"}
        self.file = folder / "scheduler.json"
        self.scheduler = self._start(
            "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"
        )
        self.workers = []

    def add_worker(self):
        options = ["--no-nanny", "--nthreads", "1", "--no-dashboard", "--host", "127.0.0.1"]
        self.workers.append(self._start("worker", *options))
        return self.workers[-1]

    def _start(self, kind, *options):
        command = [sys.executable, "-m", "dask", kind, "--scheduler-file", str(self.file), *options]
        return subprocess.Popen(
            command,
            env=self.env,
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    @property
    def address(self):
        import json

        deadline = time.monotonic() + 60
        while not self.file.is_file() or not self.file.read_text():
            assert time.monotonic() < deadline, "no scheduler"
            time.sleep(0.05)
        return json.loads(self.file.read_text())["address"]

    def end(self):
        for process in [*self.workers, self.scheduler]:
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A cluster with two workers."""
    cluster = Cluster(tmp_path_factory.mktemp("cluster"))
    cluster.add_worker()
    cluster.add_worker()
    yield cluster
    cluster.end()


@pytest.fixture
def work(cluster, monkeypatch):
    """The module above, where this process and the workers find it."""
    monkeypatch.syspath_prepend(cluster.folder)
    import work_for_dask

    return work_for_dask


@pytest.fixture
def pool(cluster):
    with DaskPool(cluster.address) as pool:
        pool._client.wait_for_workers(2, timeout=60)
        yield pool


def tasks(n):
    return [Task([2 * i, 2 * i + 1]) for i in range(n)]


def results(found):
    return sorted(value for _, values in found for value in values)


@pytest.mark.slow
def test_every_task_is_done_and_an_item_that_crashes_is_named(pool, work):
    assert results(pool.map(work.square, tasks(20))) == [n * n for n in range(40)]
    [(task, kept)] = pool.map(work.crash, [Task([0, 1, 2])])
    assert (task.failed, kept) == ({1: "its worker process crashed twice"}, [0, 2])


@pytest.mark.slow
def test_nothing_is_lost_when_workers_are_killed(cluster, pool, work):
    found, killed = [], 0
    for done in pool.map(work.slow_square, tasks(12)):
        found.append(done)
        if len(found) in (2, 6):
            victim = cluster.workers.pop(0)
            victim.send_signal(signal.SIGKILL)
            victim.wait()
            cluster.add_worker()
            killed += 1
    assert killed == 2
    assert results(found) == [n * n for n in range(24)]


@pytest.mark.slow
def test_a_straggler_is_done_again_once(pool, work, tmp_path, monkeypatch):
    monkeypatch.setattr(dask_pool, "STRAGGLER_SECONDS", 1.0)
    started = time.monotonic()
    found = pool.map(partial(work.stuck_once, folder=str(tmp_path)), tasks(6))
    assert results(found) == list(range(12))
    assert time.monotonic() - started < 40  # the first worker that had 7 is asleep for 60 s


@pytest.mark.slow
def test_a_store_has_the_same_bytes(cluster, tmp_path):
    audio = tmp_path / "audio"
    for i in range(12):
        folder = audio / f"class{i % 2}"
        folder.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(i).normal(0, 0.1, 22050)
        soundfile.write(folder / f"{i}.wav", noise, 22050)

    def run(*arguments):
        result = CliRunner().invoke(cli, [*map(str, arguments)], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result

    there = ["--dask", cluster.address]
    for name, how in (("one", []), ("dask", there)):
        result = run("extract", audio, tmp_path / f"{name}.h5", *how)
        run("encode", tmp_path / "one.h5", tmp_path / f"{name}-means.h5", "--pool", "mean", *how)
    assert "dashboard" in result.output
    for name in ("{}.h5", "{}-means.h5"):
        one, dask = [(tmp_path / name.format(which)).read_bytes() for which in ("one", "dask")]
        assert one == dask
    run("train", tmp_path / "one.h5", tmp_path / "run", "--pool", "meanstd")
    for name, how in (("one", []), ("dask", there)):
        run("predict", tmp_path / "run", audio, "--out", tmp_path / f"{name}.csv", *how)
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "dask.csv").read_bytes()


def test_a_worker_of_another_version_or_machine_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"a Dask worker has mcls .*, but the command is 0\.0"):
        compute(len, Task([1]), 1.0, "0.0")
    with pytest.raises(DataError, match="does not see"):
        compute(len, Task([1], tmp_path / "elsewhere" / "0.h5"), 1.0, __version__)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("local:0", "expected local:N"),
        ("local:many", "expected local:N"),
        ("nowhere", "expected tcp://HOST:PORT"),
    ],
)
def test_an_address_that_is_none_is_refused(address, said):
    with pytest.raises(ConfigError, match=said):
        DaskPool(address)


def test_no_scheduler_and_both_options_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(dask_pool, "_CONNECT_SECONDS", 0.5)
    with pytest.raises(ConfigError, match="no Dask scheduler answers"):
        DaskPool("tcp://127.0.0.1:9")
    arguments = ["extract", ".", str(tmp_path / "a.h5"), "--jobs", "2", "--dask", "local:2"]
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 2
    assert "--jobs and --dask: choose one" in result.output
