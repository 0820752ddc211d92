"""A training that was killed ends in the bytes of one that was not."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from mcls.errors import FormatError
from mcls.training import loop
from mcls.training.checkpoint import Checkpoint, read_checkpoint, write_checkpoint


class Killed(BaseException):
    """What a test kills a training with; nothing may catch it."""


def kill_at(epoch: int, step: int, epochs: int, error=Killed):
    """Return a progress callback that raises after a step, both counted from 0."""

    def progress(done: int, total: int, seconds: float) -> None:
        if done == epoch * total // epochs + step + 1:
            raise error

    return progress


def same(one, other) -> None:
    for name in ("model.safetensors", "predictions.csv"):
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    rows = []
    for run in (one, other):
        lines = (run / "history.csv").read_text(encoding="utf-8").splitlines()
        columns = lines[0].split(",")
        clock = columns.index("seconds")
        rows.append([line.split(",")[:clock] + line.split(",")[clock + 1 :] for line in lines])
    assert rows[0] == rows[1]
    drawn = [run / "histograms.csv" for run in (one, other)]
    assert drawn[0].exists() == drawn[1].exists()
    assert not drawn[0].exists() or drawn[0].read_bytes() == drawn[1].read_bytes()


CASES = {
    "adam, dropout": {"optimizer": "adam:lr=0.01", "frames": 4},
    "adadelta, mean weights": {"optimizer": "adadelta", "ema": 0.9},
    "momentum, plateau, histograms": {
        "optimizer": "momentum:lr=0.5",
        "schedule": "plateau:patience=1",
        "histograms": True,
    },
    "ladder": {"optimizer": "nesterov:lr=0.5", "schedule": "ladder:patience=1,factor=0.5"},
    "one cycle, balance": {"schedule": "one-cycle", "balance": True, "augment": ["mixup", "gain"]},
    "batch norm, workers": {
        "model": "fcn3",
        "settings": ["width=0.01"],
        "frames": 10,
        "workers": 1,
    },
    "patience, no valid loss": {"patience": 3, "monitor": "accuracy", "optimizer": "rmsprop"},
    "adversary": {"adversary": "fold", "ema": 0.9},
    "no valid part": {"split": "alone", "optimizer": "adagrad"},
    "found rate": {"find_lr": True},
}


@pytest.mark.parametrize("case", CASES)
def test_killed_anywhere_it_ends_in_the_same_bytes(train, tmp_path, monkeypatch, case):
    given = {"epochs": 6, **CASES[case]}
    monkeypatch.setattr(loop, "_SAVING", 1e9)  # after every epoch, however short
    whole = train("whole", **given)
    for epoch, step in ((0, 0), (2, 1), (4, 0)):
        with pytest.raises(Killed):
            train("killed", progress=kill_at(epoch, step, 6), **given)
        assert not (tmp_path / "killed").exists()
        if epoch:
            (state,) = tmp_path.glob(".killed.work/*/state.safetensors")
            assert len(read_checkpoint(state).history) == epoch
    same(whole, train("killed", **given))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["killed", "whole"]


def test_it_goes_on_from_an_older_epoch_where_not_all_were_written(train, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "_SAVING", 0.0)
    whole = train("whole", epochs=5)
    with pytest.raises(Killed):
        train("killed", progress=kill_at(3, 0, 5), epochs=5)
    (state,) = tmp_path.glob(".killed.work/*/state.safetensors")
    assert len(read_checkpoint(state).history) == 1
    same(whole, train("killed", epochs=5))


def test_a_finished_training_that_was_killed_before_scoring_is_not_trained_again(
    train, tmp_path, monkeypatch
):
    import mcls.stages.train as stage

    whole = train("whole", epochs=2)
    with monkeypatch.context() as patch:
        patch.setattr(stage, "write_predictions", lambda *_: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            train("killed", epochs=2)
    same(whole, train("killed", progress=kill_at(0, 0, 2), epochs=2))  # training would raise


def test_other_settings_do_not_go_on_from_what_is_there(train, tmp_path):
    whole = train("whole", epochs=3, seed=1)
    with pytest.raises(Killed):
        train("killed", progress=kill_at(1, 0, 3), epochs=3)
    assert list(tmp_path.glob(".killed.work"))
    same(whole, train("killed", epochs=3, seed=1))
    assert not list(tmp_path.glob(".killed.work"))


def test_ctrl_c_is_passed_on_and_the_training_goes_on_later(train):
    whole = train("whole", epochs=4)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        train("killed", progress=kill_at(2, 0, 4, KeyboardInterrupt), epochs=4)
    assert signal.getsignal(signal.SIGINT) is before
    same(whole, train("killed", epochs=4))


def test_a_state_comes_back_and_a_stranger_s_is_refused(tmp_path, rng):
    import torch

    tensor = torch.from_numpy(rng.normal(size=(3, 2)))
    optimizer = {
        "state": {0: {"step": torch.tensor(3.0), "square": tensor * 2, "n": 7}},
        "param_groups": [{"lr": 0.1, "betas": (0.9, 0.999), "params": [0]}],
    }
    history = [{"epoch": 1, "loss": 0.1 + 0.2}]
    state = Checkpoint({"w": tensor}, {"w": tensor + 1}, {}, optimizer, {}, history, [-0.3], 1)
    write_checkpoint(tmp_path / "state", state)
    again = read_checkpoint(tmp_path / "state")
    assert torch.equal(again.best["w"], tensor + 1)
    assert again.history == history
    assert again.optimizer["state"][0]["n"] == 7
    assert torch.equal(again.optimizer["state"][0]["square"], tensor * 2)
    assert again.optimizer["param_groups"][0]["lr"] == 0.1
    (tmp_path / "state").write_bytes(b"\x80\x04\x95 a pickle")
    with pytest.raises(FormatError, match="not a safetensors file"):
        read_checkpoint(tmp_path / "state")


@pytest.mark.slow
def test_sigterm_exits_143_and_the_same_command_goes_on(store, tmp_path, train):
    given = {"epochs": 4000, "batch_size": 2, "frames": 10, "patience": 4000}
    words = ["train", str(store), str(tmp_path / "killed"), "--model", "mlp", "-p", "layers=16"]
    words += ["--device", "cpu", *(f"--{k.replace('_', '-')}={v}" for k, v in given.items())]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "mcls", *words], env=environment, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob(".killed.work/*/state.safetensors")):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 143
    assert "run the same command again to continue" in said
    assert "Traceback" not in said
    (kept,) = tmp_path.glob(".killed.work/*/state.safetensors")
    n_done = len(read_checkpoint(kept).history)
    assert 1 <= n_done < 4000
    rows = []
    with pytest.raises(Killed):
        train("killed", on_epoch=rows.append, progress=kill_at(n_done + 1, 0, 4000), **given)
    assert [row["epoch"] for row in rows] == [n_done + 1]


@pytest.mark.slow
def test_kill_9_and_the_same_command_again(store, tmp_path, train):
    words = ["train", str(store), "RUN", "--model", "mlp", "-p", "layers=64x64", "--device", "cpu"]
    words += ["--frames", "10", "--epochs", "80", "--batch-size", "2", "--patience", "80"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}

    def start(name: str) -> subprocess.Popen:
        line = [word.replace("RUN", str(tmp_path / name)) for word in words]
        return subprocess.Popen(
            [sys.executable, "-m", "mcls", *line], env=environment, stderr=subprocess.PIPE
        )

    killed = 0
    for pause in (0.3, 1.1, 2.3):
        process = start("killed")
        deadline = time.monotonic() + 120
        while not list(tmp_path.glob(".killed.work/*/state.safetensors")):
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.05)
        time.sleep(pause)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            killed += 1
        process.communicate()
    assert killed
    for name in ("killed", "whole"):
        process = start(name)
        _, said = process.communicate(timeout=300)
        assert process.returncode == 0, said
    same(tmp_path / "whole", tmp_path / "killed")
    assert json.loads((tmp_path / "killed" / "about.json").read_text())["epochs"] == 80
    assert sorted(path.name for path in tmp_path.iterdir()) == ["killed", "whole"]
