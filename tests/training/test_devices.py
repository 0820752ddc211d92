"""A training shared by several processes: the weights of one, whatever is killed on the way."""

import random
import signal
import time

import numpy as np
import pytest
from safetensors.numpy import load_file
from together import GO_ON, ended, start_all

from mcls.training.segments import Batches, Tracks

OPTIONS = {
    "settings": ["layers=16", "dropout=0"],
    "epochs": 3,
    "batch_size": 13,
    "optimizer": "nesterov:lr=0.1",
}
WORDS = [
    "--model",
    "mlp",
    "-p",
    "layers=16",
    "--device",
    "cpu",
    "--epochs",
    "100",
    "--batch-size",
    "13",
    "--patience",
    "100",
]


@pytest.mark.slow
@pytest.mark.parametrize("n", [2, 4])
def test_several_processes_learn_the_weights_of_one(train, n):
    """13 segments a batch, so that the shares of the processes differ in size."""
    one = train("one", **OPTIONS)
    several = train("several", devices=n, **OPTIONS)
    ours, theirs = (load_file(run / "model.safetensors") for run in (one, several))
    assert ours.keys() == theirs.keys()
    for name, weights in ours.items():
        np.testing.assert_allclose(theirs[name], weights, rtol=1e-4, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("unknown", [False, True])
def test_weighted_losses_of_shares_are_the_loss_of_the_batch(rng, unknown):
    targets = rng.integers(0, 2, (30, 3)).astype(np.float32)
    if unknown:
        targets[rng.random((30, 3)) < 0.5] = np.nan
    starts = np.arange(30) * 10
    tracks = Tracks(rng.random((300, 2), np.float32), starts, starts + 10, targets)
    batches = Batches(tracks, 5, 7, seed=1)

    def loss() -> float:
        x, y = batches[0, 2]
        return float(np.nanmean((y - x[:, 0].mean(axis=(1, 2))[:, None]) ** 2))

    whole, shares = loss(), []
    for rank in range(4):
        batches.shard = (rank, 4)
        shares.append(batches.weight(0, 2) * loss())
    assert np.mean(shares) == pytest.approx(whole, rel=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("n", [2, 4])
def test_killed_processes_leave_a_training_that_goes_on_to_the_same_bytes(store, tmp_path, n):
    words = ["train", store, tmp_path / "run", *WORDS]
    codes, _, said = ended(start_all(n, "train", store, tmp_path / "whole", *WORDS))
    assert codes == [0] * n, said
    chance = random.Random(n)
    for victims in ([n - 1], [0], range(n)):
        processes = start_all(n, *words)
        began = time.time()
        while not any(
            path.stat().st_mtime > began for path in tmp_path.glob(".run.work/*/*.safetensors")
        ):
            assert processes[0].poll() is None
            time.sleep(0.02)
        time.sleep(chance.uniform(0, 0.5))
        for rank in victims:
            processes[rank].send_signal(signal.SIGKILL)
        codes, _, said = ended(processes)
        assert all(codes), (codes, said)
        if 0 not in victims:
            assert said[0].count("error: ") == said[0].count(GO_ON) == 1, said
        assert not any("Traceback" in text for text in said), said
        assert not (tmp_path / "run").exists()
    codes, _, said = ended(start_all(n, *words))
    assert codes == [0] * n, said
    for name in ("model.safetensors", "predictions.csv"):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), (
            name
        )
    assert {path.name for path in tmp_path.iterdir()} == {"run", "whole"}
