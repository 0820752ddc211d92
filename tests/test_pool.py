"""The worker pool: what a crash loses, what is reported, what is left running."""

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
from mcls.parallel.pool import Pool, Task

WORK = """
import faulthandler, os, signal, sys, time
from mcls.errors import DataError

def work(task, seen):
    done = []
    for name in task.each():
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
    return done

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


def tasks_of(*names):
    return [Task(some.split()) for some in names]


@pytest.mark.parametrize("jobs", [1, 3])
def test_an_item_that_crashes_workers_is_found_and_the_others_are_done(work, tmp_path, jobs):
    tasks = tasks_of("a b crash1 c", "d", "e once f", "g crash2", "crash3", "h i")
    seen = tmp_path / "seen"
    with Pool(jobs) as pool:
        results = list(pool.map(partial(work.work, seen=str(seen)), tasks, time_limit=60))
    done = sorted(name for _, names in results for name in names)
    failed = {task.items[i]: why for task, _ in results for i, why in task.failed.items()}
    assert done == ["a", "b", "c", "d", "e", "f", "g", "h", "i", "once"]
    names = ["crash1", "crash2", "crash3"]
    assert failed == dict.fromkeys(names, "its worker process crashed twice")
    assert seen.read_text().split().count("crash1") == 2  # the first crash might be another's fault


def test_an_item_that_takes_too_long_is_named(work, tmp_path):
    seen = str(tmp_path / "seen")
    with Pool(2) as pool:
        pool.start("work_of_test")
        results = list(
            pool.map(partial(work.work, seen=seen), tasks_of("a hang b", "c"), time_limit=0.3)
        )
    assert sorted(name for _, names in results for name in names) == ["a", "b", "c"]
    assert [task.failed for task, _ in results if task.failed] == [{1: "took longer than 0.3 s"}]


def test_a_parent_that_sleeps_blames_no_item(work, tmp_path):
    """The time of an item is its worker's, not that of a slow consumer of the results."""
    with Pool(1) as pool:
        results = pool.map(
            partial(work.work, seen=str(tmp_path / "seen")), tasks_of("a", "b c"), time_limit=0.5
        )
        first, _ = next(results)
        time.sleep(1)
        rest = [task for task, _ in results]
    assert all(task.failed == {} for task in [first, *rest])


@pytest.mark.parametrize(("name", "error"), [("wrong", DataError), ("bug", ZeroDivisionError)])
def test_an_error_in_a_worker_is_raised_with_its_traceback(work, tmp_path, name, error):
    function = partial(work.work, seen=str(tmp_path / "seen"))
    with Pool(2) as pool, pytest.raises(error, match=name) as raised:
        list(pool.map(function, tasks_of("a", name)))
    assert "in a worker process" in raised.value.__notes__[0]
    assert "work_of_test.py" in raised.value.__notes__[0]


def test_workers_that_cannot_begin_are_an_error(work):
    with Pool(1) as pool:
        pool.start("no_such_module")
        with pytest.raises(DataError, match="crash at their start"):
            list(pool.map(partial(work.work, seen=""), tasks_of("a")))


def test_workers_that_are_killed_before_they_begin_are_replaced(work, tmp_path):
    """The first one takes the others along: they are its forks."""
    with Pool(2) as pool:
        pool.start("work_of_test", "time")
        first = pool.workers[0]._first
        assert first is not None
        first.kill()
        first.wait()
        function = partial(work.work, seen=str(tmp_path / "seen"))
        results = list(pool.map(function, tasks_of("a", "b", "c"), time_limit=9))
    assert sorted(name for _, names in results for name in names) == ["a", "b", "c"]
    assert all(task.failed == {} for task, _ in results)


def test_more_workers_than_work_and_none_of_either(work, tmp_path):
    function = partial(work.work, seen=str(tmp_path / "seen"))
    with Pool(3) as pool:
        assert len(list(pool.map(function, tasks_of("a")))) == 1
        assert len(pool.workers) == 1
        assert list(pool.map(function, [])) == []


def test_a_pool_of_no_process_computes_here(work, tmp_path):
    with Pool(0) as pool:
        function = partial(work.work, seen=str(tmp_path / "seen"))
        assert [names for _, names in pool.map(function, tasks_of("a b", "c"))] == [
            ["a", "b"],
            ["c"],
        ]
        assert pool.workers == []


def test_a_pool_that_was_left_in_the_middle_can_be_used_again(work, tmp_path):
    function = partial(work.work, seen=str(tmp_path / "seen"))
    with Pool(2) as pool:
        for _ in pool.map(function, tasks_of("a", "hang")):
            break
        assert [names for _, names in pool.map(function, tasks_of("b"), time_limit=9)] == [["b"]]


def test_every_worker_has_one_blas_thread(work):
    with Pool(2) as pool:
        for _, pools in pool.map(work.threads, tasks_of("a", "b")):
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
        from mcls.parallel.workers import start_workers
        workers = start_workers(3)
        for worker in workers:
            worker.receive()
        if int(sys.argv[1]):
            for worker in workers:
                worker.begin(time.sleep, 60)
        print(*[worker.pid for worker in workers], flush=True)
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
    with Pool(2) as pool:
        pool.start()
        for worker in pool.workers:
            worker.receive()
            worker.begin(time.sleep, 60)
        pids = [worker.pid for worker in pool.workers]
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
