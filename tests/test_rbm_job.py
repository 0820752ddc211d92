"""The threads that take an RBM's steps: products are numpy's, none waits for one that is gone."""

import _thread
import ctypes
import itertools
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import pytest

from mcls.dictionaries import rbm_cpu, rbm_job
from mcls.dictionaries.rbm import RBM, SparseRBM
from mcls.dictionaries.rbm_cpu import CPUSteps
from mcls.dictionaries.rbm_job import dissolve, multiply, new_team, sgemm_address, take_part
from mcls.dictionaries.rbm_steps import RBMState, StepSettings

SETTINGS = StepSettings(
    visible="binary",
    hidden="binary",
    n_gibbs=1,
    persistent=False,
    sample_visible=False,
    batch_size=20,
    weight_cost=0.0,
    sparsity="none",
    target=0.1,
    sparsity_cost=3.0,
    activation_rate=0.01,
)


class Meeting(NamedTuple):
    """As much of a job as a barrier needs."""

    team: np.ndarray
    n_threads: int


def matrix(rng, shape, transposed):
    """Return random numbers within a larger array, by rows or by columns."""
    rows, columns = reversed(shape) if transposed else shape
    part = rng.normal(size=(rows + 2, columns + 3)).astype(np.float32)[1 : 1 + rows, 2:][
        :, :columns
    ]
    return part.T if transposed else part


@pytest.fixture(params=["numpy", "scipy"])
def sgemm(request, monkeypatch):
    """The address of either library's product."""
    if request.param == "scipy":
        monkeypatch.setattr(ctypes, "CDLL", lambda path: object())  # as if no name were known
    return sgemm_address()


@pytest.mark.parametrize(
    "sizes", [(5, 7, 3), (1, 4, 3), (4, 1, 3), (3, 4, 1), (1, 1, 1), (90, 64, 33)]
)
def test_products_of_slices_are_numpys(sgemm, sizes):
    rng = np.random.default_rng(0)
    n, m, k = sizes
    for first, second in itertools.product([False, True], repeat=2):
        a, b = matrix(rng, (n, k), first), matrix(rng, (k, m), second)
        out = matrix(rng, (n, m), False)
        around, before = out.base, out.copy()
        frame = around.sum(dtype=float) - out.sum(dtype=float)
        multiply(sgemm, a, b, out, np.float32(2), np.float32(0.5))
        true = 2 * (a.astype(float) @ b) + 0.5 * before
        np.testing.assert_allclose(out, true, atol=1e-4)
        assert around.sum(dtype=float) - out.sum(dtype=float) == pytest.approx(frame, abs=1e-6)
        out[:] = np.nan
        multiply(sgemm, a, b, out, np.float32(1), np.float32(0))
        np.testing.assert_allclose(out, a.astype(float) @ b, atol=1e-4)


def test_threads_pass_a_barrier_together():
    n_threads, n_rounds = 4, 200
    meeting = Meeting(new_team(), n_threads)
    came = np.zeros(n_threads, int)

    def walk(me):
        early = 0
        for turn in range(1, n_rounds + 1):
            came[me] = turn
            assert rbm_job._meet(meeting)
            early += int(came.min() < turn)
            assert rbm_job._meet(meeting)
        return early

    with ThreadPoolExecutor(n_threads) as pool:
        assert list(pool.map(walk, range(n_threads))) == [0] * n_threads


def test_a_dissolved_team_waits_for_nobody():
    meeting = Meeting(new_team(), 2)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(rbm_job._meet, meeting)
        time.sleep(0.05)
        assert not waiting.done()
        dissolve(meeting.team)
        assert waiting.result(timeout=10) is False
    assert not rbm_job._meet(Meeting(meeting.team, 3))


@pytest.fixture
def rows():
    return (np.random.default_rng(0).random((200, 300)) < 0.3).astype(np.float32)


def steps_on(rows):
    state = RBMState.start(
        np.zeros((600, rows.shape[1])), np.zeros(600), np.zeros(rows.shape[1]), n_chains=0, seed=1
    )
    return CPUSteps(state, SETTINGS)


def test_a_thread_that_fails_is_told_of_and_waited_for_by_none(rows, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    before = threading.active_count()

    def fails(job, me, stays):
        if stays:
            raise MemoryError("no room")
        return take_part(job, me, stays)

    monkeypatch.setattr(rbm_cpu, "take_part", fails)
    with pytest.raises(MemoryError, match="no room"), steps_on(rows) as steps:
        steps.step(rows[:20], 0.1, 0.5)
    assert threading.active_count() == before


def test_an_error_between_steps_ends_the_threads(rows, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    before = threading.active_count()
    with pytest.raises(ZeroDivisionError), steps_on(rows) as steps:
        steps.step(rows[:20], 0.1, 0.5)
        assert threading.active_count() == before + 1
        raise ZeroDivisionError
    assert threading.active_count() == before


def test_ctrl_c_stops_learning(rows, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    before = threading.active_count()
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    timer = threading.Timer(0.3, _thread.interrupt_main)
    try:
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            RBM(n_atoms=600, visible="binary", n_epochs=10**6).fit(rows)
    finally:
        timer.join()
        signal.signal(signal.SIGINT, handler)
    deadline = time.monotonic() + 10
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)  # Ctrl-C may have come while a thread that ends was waited for
    assert threading.active_count() == before


def test_threads_nap_while_rows_are_slow_to_come(rows, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    with steps_on(rows) as steps:
        steps.step(rows[:20], 0.1, 0.5)
        start = time.process_time()
        time.sleep(0.5)
        assert time.process_time() - start < 0.25
        steps.step(rows[20:40], 0.1, 0.5)
        assert steps.n_rows == 40


def test_threads_on_many_cores_and_on_one_learn_the_same(rows, monkeypatch):
    learnt = []
    for threads in ("1", "3", "2", "3"):
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
        model = SparseRBM(
            n_atoms=1100, visible="binary", batch_size=30, n_epochs=2, random_state=0
        ).fit(rows)
        learnt.append(model.components_.tobytes() + model.visible_biases_.tobytes())
    assert len(set(learnt)) == 1
