"""Work over processes that may die: what is lost, what is said, what is left running."""

import signal
import subprocess
import sys
import textwrap
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from mcls.errors import DataError
from mcls.parallel.pool import Task, spread
from mcls.parallel.workers import Workers

WORK = """
import faulthandler, os, signal, sys, time
from dataclasses import dataclass
from mcls.errors import DataError
from mcls.parallel.pool import end_journal, journalled

@dataclass(frozen=True)
class Item:
    track_id: str

def work(task, seen, limit=60):
    failed, done = dict(task.blamed), []
    for item in task.items:
        name = item.track_id
        if name in failed:
            continue
        with journalled(task, name, limit):
            with open(seen, "a") as file:
                file.write(name + "\\n")
            if name.startswith("crash"):
                faulthandler.disable()
                os.kill(os.getpid(), signal.SIGSEGV)
            if name.startswith("once") and not os.path.exists(seen + name):
                open(seen + name, "w").close()
                os.kill(os.getpid(), signal.SIGKILL)
            if name.startswith("hang"):
                time.sleep(60)
            if name.startswith("wrong"):
                raise DataError(f"{name} is wrong")
            if name.startswith("bug"):
                raise ZeroDivisionError(name)
        done.append(name)
    end_journal(task)
    return done, failed

def threads(task):
    import numpy, threadpoolctl
    return [pool["num_threads"] for pool in threadpoolctl.threadpool_info()]
"""


@pytest.fixture
def work(tmp_path, monkeypatch):
    """The module above, where workers find it."""
    (tmp_path / "work_of_test.py").write_text(WORK)
    monkeypatch.syspath_prepend(tmp_path)
    import work_of_test

    yield work_of_test
    del sys.modules["work_of_test"]


def tasks_of(work, tmp_path, *names):
    return [
        Task(tuple(work.Item(name) for name in some.split()), tmp_path / f"{i}.h5")
        for i, some in enumerate(names)
    ]


@pytest.mark.parametrize("jobs", [1, 3])
def test_who_kills_a_worker_is_found_and_the_others_are_done(work, tmp_path, jobs):
    names = ["a b crash1 c", "d", "e once f", "g crash2", "crash3", "h i"]
    tasks = tasks_of(work, tmp_path, *names)
    seen = tmp_path / "seen"
    with Workers(jobs, ["work_of_test"]) as workers:
        function = partial(work.work, seen=str(seen))
        results = list(spread(function, tasks, workers=workers, time_limit=60))
    done = sorted(name for some, _ in results for name in some)
    failed = {name: how for _, some in results for name, how in some.items()}
    assert done == ["a", "b", "c", "d", "e", "f", "g", "h", "i", "once"]
    assert failed == dict.fromkeys(["crash1", "crash2", "crash3"], "the decoder died")
    assert seen.read_text().split().count("crash1") == 2  # the first death might be another's fault
    assert not list(tmp_path.glob("*.journal")) + list(tmp_path.glob("*.overtime"))


def test_who_takes_too_long_is_named(work, tmp_path):
    tasks = tasks_of(work, tmp_path, "a hang b", "c")
    with Workers(2, ["work_of_test"]) as workers:
        function = partial(work.work, seen=str(tmp_path / "seen"), limit=0.3)
        results = list(spread(function, tasks, workers=workers, time_limit=0.3))
    assert sorted(name for some, _ in results for name in some) == ["a", "b", "c"]
    assert [some for _, some in results if some] == [{"hang": "took longer than 0.3 s"}]


@pytest.mark.parametrize(("name", "error"), [("wrong", DataError), ("bug", ZeroDivisionError)])
def test_an_error_in_a_worker_is_raised_with_its_traceback(work, tmp_path, name, error):
    function = partial(work.work, seen=str(tmp_path / "seen"))
    with Workers(2, ["work_of_test"]) as workers, pytest.raises(error, match=name) as raised:
        list(spread(function, tasks_of(work, tmp_path, "a", name), workers=workers, time_limit=9))
    assert "in a worker process" in raised.value.__notes__[0]
    assert "work_of_test.py" in raised.value.__notes__[0]


def test_workers_that_cannot_begin_are_an_error(work, tmp_path):
    tasks = tasks_of(work, tmp_path, "a")
    with Workers(1, ["no_such_module"]) as workers, pytest.raises(DataError, match="die before"):
        list(spread(partial(work.work, seen=""), tasks, workers=workers, time_limit=9))


def test_workers_that_are_killed_before_they_begin_are_replaced(work, tmp_path):
    """The first one with them: the others are its forks."""
    tasks = tasks_of(work, tmp_path, "a", "b", "c")
    with Workers(2, ["work_of_test", "time"]) as workers:
        first = workers.all[0]._first
        assert first is not None
        first.kill()
        first.wait()
        function = partial(work.work, seen=str(tmp_path / "seen"))
        results = list(spread(function, tasks, workers=workers, time_limit=9))
    assert sorted(name for some, _ in results for name in some) == ["a", "b", "c"]
    assert all(failed == {} for _, failed in results)


def test_more_workers_than_work_and_none_of_either(work, tmp_path):
    function = partial(work.work, seen=str(tmp_path / "seen"))
    with Workers(3, ["work_of_test"]) as workers:
        assert (
            len(
                list(spread(function, tasks_of(work, tmp_path, "a"), workers=workers, time_limit=9))
            )
            == 1
        )
        assert list(spread(function, [], workers=workers, time_limit=9)) == []


def test_every_worker_has_one_blas_thread(work, tmp_path):
    tasks = tasks_of(work, tmp_path, "a", "b")
    with Workers(2, ["work_of_test"]) as workers:
        for pools in spread(work.threads, tasks, workers=workers, time_limit=9):
            assert pools
            assert set(pools) == {1}


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits to be collected does not."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def wait_for(what, seconds=30.0):
    """Wait until something is true."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.005)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks into /proc")
@pytest.mark.parametrize("busy", [True, False])
def test_workers_end_with_a_parent_that_is_killed(tmp_path, busy):
    """In the midst of an item, and while they wait for one."""
    (tmp_path / "holder.py").write_text(
        textwrap.dedent("""
        import os, sys, time
        from mcls.parallel.workers import Workers
        workers = Workers(3, [])
        while None in [worker.pid for worker in workers.all]:
            for worker in workers.ready([one for one in workers.all if one.pid is None]):
                worker.answer()
        if int(sys.argv[1]):
            for worker in workers.all:
                worker.begin(time.sleep, 60)
        print(*[worker.pid for worker in workers.all], flush=True)
        time.sleep(60)
        """)
    )
    parent = subprocess.Popen(
        [sys.executable, str(tmp_path / "holder.py"), str(int(busy))],
        stdout=subprocess.PIPE,
        text=True,
    )
    with parent:
        assert parent.stdout is not None
        pids = [int(word) for word in parent.stdout.readline().split()]
        assert len(set(pids)) == 3
        assert all(map(alive, pids))
        parent.send_signal(signal.SIGKILL)
    wait_for(lambda: not any(map(alive, pids)), 5)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks into /proc")
def test_workers_end_with_their_context_whatever_they_do():
    with Workers(2, []) as workers:
        for worker in workers.all:
            while worker.pid is None:
                worker.answer()
            worker.begin(time.sleep, 60)
        pids = [worker.pid for worker in workers.all]
        assert all(alive(pid) for pid in pids if pid is not None)
    wait_for(lambda: not any(alive(pid) for pid in pids if pid is not None), 5)


def test_a_script_without_a_guard_is_not_run_again(tmp_path):
    """Extraction at the top level of a script: workers must not import the script."""
    import numpy as np
    import soundfile

    (tmp_path / "a").mkdir()
    soundfile.write(tmp_path / "a" / "x.wav", np.zeros(8000), 8000)
    script = tmp_path / "script.py"
    script.write_text(
        "import mcls\nprint('once')\n"
        f"mcls.extract({str(tmp_path)!r}, 's.h5', features=['waveform'], jobs=2)\n"
    )
    command = [sys.executable, str(script)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout == "once\n"
