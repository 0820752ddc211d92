"""Several processes that learn one dictionary together."""

import os
import socket
import subprocess
import sys

import numpy as np
import pytest

from mcls.dictionaries import (
    PSD,
    RBM,
    VAE,
    AutoEncoder,
    KMeans,
    SparseCoding,
    SphericalKMeans,
)
from mcls.dictionaries.preprocessing import Preprocessing
from mcls.parallel import processes

TWICE = {"n_epochs": 2, "random_state": 0}
METHODS = [
    KMeans(n_atoms=20, max_iter=5, random_state=0),
    SphericalKMeans(n_atoms=20, max_iter=5, random_state=0),
    SparseCoding(n_atoms=12, **TWICE),
    RBM(n_atoms=12, batch_size=150, **TWICE),
    RBM(n_atoms=12, batch_size=150, algorithm="pcd", hidden="relu", **TWICE),
    PSD(n_atoms=12, batch_size=600, **TWICE),
    AutoEncoder(n_atoms=12, sparsity="kl", nonlinearity="sigmoid", **TWICE),
    VAE(n_atoms=3, n_hidden=8, batch_size=600, **TWICE),
]


def learn_all() -> list[dict[str, np.ndarray]]:
    """Learn everything from 2500 rows in batches of different lengths."""
    rng = np.random.default_rng(3)
    rows = rng.standard_normal((2500, 10)).astype(np.float32) @ rng.standard_normal((10, 10))
    batches = np.split(rows.astype(np.float32), [900, 1000, 1700])
    whitening = Preprocessing(whiten=0.99).fit_batches(lambda: batches)
    range_ = Preprocessing(min_max=True).fit_batches(lambda: iter(batches))
    white = [whitening.transform(batch) for batch in batches]
    found = [whitening.arrays(), range_.arrays()]
    for method in METHODS:
        method.fit_batches(lambda: white)
        found.append({**method.arrays(), "history": np.array(str(method.history_))})
    return found


def fail_in(rank: int) -> None:
    if processes._rank == rank:
        raise ValueError("no luck")
    processes.exchange(None)


#: Process 0 saves what it learns with the others, and prints what another one fails with.
PROGRAM = """
import sys
import test_processes as here
from mcls.errors import DataError
from mcls.parallel import processes

if processes.join() > 0:
    sys.exit(processes.follow())
here.np.savez(sys.argv[1], found=here.np.array(processes.lead(here.learn_all), object))
try:
    processes.lead(here.fail_in, 1)
except DataError as error:
    print(error)
processes.leave(7)
sys.exit(7)
"""


def start(program, *words, rank, n, port, **more):
    where = {"MASTER_ADDR": "localhost", "MASTER_PORT": str(port), "WORLD_SIZE": str(n)}
    here = {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1", "RANK": str(rank)}
    return subprocess.Popen(
        [sys.executable, *program, *map(str, words)],
        env={**os.environ, **where, **here},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **more,
    )


def free_port() -> int:
    with socket.create_server(("localhost", 0)) as free:
        return free.getsockname()[1]


@pytest.mark.parametrize("n", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_processes_learn_the_bytes_of_one(tmp_path, n):
    port, out = free_port(), tmp_path / "found.npz"
    started = [start(["-c", PROGRAM], out, rank=rank, n=n, port=port) for rank in range(n)]
    expected = learn_all()
    said = [process.communicate(timeout=120) for process in started]
    assert [process.returncode for process in started] == [7] * n, said
    assert said[0][0] == "process 1: ValueError: no luck\n"
    for theirs, ours in zip(np.load(out, allow_pickle=True)["found"], expected, strict=True):
        assert theirs.keys() == ours.keys()
        for name, array in ours.items():
            assert theirs[name].tobytes() == array.tobytes(), name


def test_one_process_needs_no_others():
    assert processes.n_joined() == 1
    assert list(processes.shared(iter([1, 2, 3]), lambda one: 2 * one)) == [2, 4, 6]
    assert processes.lead(max, 3, 4) == 4
    assert processes.from_first("a") == "a"
    assert processes.differing("a") == []
