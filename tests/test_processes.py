"""Several processes that learn one dictionary together."""

import signal
import time

import numpy as np
import pytest
from test_dbn_resume import make_store
from together import GO_ON, ended, start_all

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


@pytest.mark.parametrize("n", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_processes_learn_the_bytes_of_one(tmp_path, n):
    out = tmp_path / "found.npz"
    started = start_all(n, out, program=("-c", PROGRAM))
    expected = learn_all()
    codes, printed, said = ended(started)
    assert codes == [7] * n, said
    assert printed[0] == "process 1: ValueError: no luck\n"
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


@pytest.mark.slow
def test_learn_dict_is_shared_killed_and_goes_on_to_the_bytes_of_one(tmp_path):
    store = make_store(tmp_path / "music", seconds=30)
    words = ["--method", "dbn", "-p", "layers=24x16x8", "-p", "n_epochs=20", "--whiten", "0.95"]
    words += ["-p", "batch_size=200"]
    codes, _, said = ended(start_all(1, "learn-dict", store, tmp_path / "one.h5", *words))
    assert codes == [0], said
    for layer, victim in ((1, 1), (2, 0)):
        processes = start_all(2, "learn-dict", store, tmp_path / "two.h5", *words)
        while (
            not [*tmp_path.glob(f".two.h5.work/*/layer-{layer}.h5")] and processes[0].poll() is None
        ):
            time.sleep(0.02)
        processes[victim].send_signal(signal.SIGKILL)
        codes, _, said = ended(processes)
        assert all(codes), (codes, said)
        assert "Traceback" not in "".join(said), said
        if victim:
            assert said[0].count("error: ") == said[0].count(GO_ON) == 1, said
        assert not (tmp_path / "two.h5").exists()
    codes, printed, said = ended(start_all(2, "learn-dict", store, tmp_path / "two.h5", *words))
    assert codes == [0, 0], said
    assert (printed[1], said[1]) == ("", "")
    assert (tmp_path / "one.h5").read_bytes() == (tmp_path / "two.h5").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["music", "one.h5", "two.h5"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--method", "nmf"], "nmf learns in one process; run it without torchrun, or choose"),
        (["--method", "dbn", "-p", "up_down=2", "-p", "layers=4x4"], "up_down learns in one"),
        (["--method", "psd", "--device", "cuda"], "under torchrun, dictionaries are learnt on CPU"),
    ],
)
def test_what_processes_cannot_share_is_refused(tmp_path, words, message):
    store = make_store(tmp_path / "music")
    codes, _, said = ended(start_all(2, "learn-dict", store, tmp_path / "d.h5", *words))
    assert codes == [2, 2]
    assert said[0].count(message) == 1
    assert said[1] == ""
