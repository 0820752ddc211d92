"""`mcls train` under torchrun: two processes, one run."""

import os
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


def start(launcher, store, run, *options):
    words = ["train", str(store), str(run), "--model", "mlp", "-p", "layers=16", "--device", "cpu"]
    words += ["--epochs", "4", "--batch-size", "16", *options]
    return subprocess.run(
        [sys.executable, *launcher, "-m", "mcls", *words],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


@pytest.mark.slow
def test_torchrun_gives_the_weights_of_two_devices(store, tmp_path):
    one = start([], store, tmp_path / "devices", "--devices", "2")
    other = start(TORCHRUN, store, tmp_path / "torchrun")
    assert (one.returncode, other.returncode) == (0, 0), other.stderr
    assert other.stdout.replace("torchrun:", "devices:") == one.stdout
    assert other.stderr.count("train loss") == 1
    for name in ("model.safetensors", "predictions.csv"):
        assert (tmp_path / "devices" / name).read_bytes() == (
            tmp_path / "torchrun" / name
        ).read_bytes(), name

    again = start(TORCHRUN, store, tmp_path / "torchrun")
    assert again.returncode == 0
    assert again.stderr.count("is up to date") == 1
    refused = start(TORCHRUN, store, tmp_path / "torchrun", "--seed", "1")
    assert refused.returncode != 0
    assert refused.stderr.count("holds another run") == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--optimizer", "sgd:lr=1e20", "--epochs", "9"], "error: the loss is nan in epoch"),
        (["--devices", "3"], "error: --devices 3: torchrun started 2 processes"),
    ],
)
def test_torchrun_ends_with_an_error_of_the_training(store, tmp_path, options, message):
    ended = start(TORCHRUN, store, tmp_path / "run", *options)
    assert ended.returncode != 0
    assert ended.stderr.count(message) == 1
    assert "Connection" not in ended.stderr
    assert list(tmp_path.iterdir()) == []


WITHOUT_STORE = """
from mcls.cli.main import main
from mcls.stores.store_file import StoreFile
from mcls.errors import DataError

def missing(self):
    raise DataError(f"{self.path.name} can no longer be read")

StoreFile.open = missing
main()
"""


@pytest.mark.slow
def test_a_machine_without_the_store_ends_all_with_one_error(store, tmp_path):
    with socket.create_server(("localhost", 0)) as free:
        port = free.getsockname()[1]
    words = ["train", str(store), str(tmp_path / "run"), "--model", "mlp", "--device", "cpu"]
    where = {"MASTER_ADDR": "localhost", "MASTER_PORT": str(port), "WORLD_SIZE": "2"}
    processes = [
        subprocess.Popen(
            [sys.executable, *program, *words],
            env={**os.environ, "OMP_NUM_THREADS": "1", **where, "RANK": str(rank)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank, program in enumerate((["-m", "mcls"], ["-c", WITHOUT_STORE]))
    ]
    said = [process.communicate(timeout=120)[1] for process in processes]
    assert said == [f"error: process 1: {store.name} can no longer be read\n", ""]
    assert [process.returncode for process in processes] == [1, 1]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_two_launchers_as_on_two_machines_train_one_net(store, tmp_path):
    with socket.create_server(("localhost", 0)) as free:
        port = free.getsockname()[1]
    launcher = ["-m", "torch.distributed.run", "--nnodes", "2", "--nproc-per-node", "1"]
    launcher += ["--rdzv-backend", "c10d", "--rdzv-endpoint", f"localhost:{port}"]
    with ThreadPoolExecutor(2) as pool:
        run = tmp_path / "nodes"
        nodes = [*pool.map(lambda _: start(launcher, store, run), range(2))]
    one = start([], store, tmp_path / "devices", "--devices", "2")
    assert [node.returncode for node in (*nodes, one)] == [0, 0, 0], nodes
    assert sorted(node.stdout.count("epoch") for node in nodes)[0] == 0  # one prints, not both
    for name in ("model.safetensors", "predictions.csv"):
        assert (run / name).read_bytes() == (tmp_path / "devices" / name).read_bytes(), name
