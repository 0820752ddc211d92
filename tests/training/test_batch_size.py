"""The batch size by trial: what memory holds, or what is fastest; found once, and kept."""

import json

import pytest
import torch
from click.testing import CliRunner

from mcls.cli.main import cli
from mcls.errors import ConfigError
from mcls.training import batch_size, fit
from mcls.training.batch_size import fastest, find_batch_size, largest


class Machine:
    """A device that needs ``overhead + per_segment * size`` seconds a step, and holds so many."""

    def __init__(self, overhead: float, per_segment: float, holds: int = 1 << 30, error=None):
        self.overhead, self.per_segment, self.holds = overhead, per_segment, holds
        self.error = error or torch.OutOfMemoryError("CUDA out of memory")
        self.now = 0.0
        self.tried: list[int] = []

    def step(self, size: int) -> None:
        self.tried.append(size)
        if size > self.holds:
            raise self.error
        self.now += self.overhead + self.per_segment * size

    def clock(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("holds", "limit", "expected"), [(100, 999, 64), (64, 999, 64), (99, 40, 32)]
)
def test_the_largest_is_the_last_power_of_two_that_memory_holds(holds, limit, expected):
    machine = Machine(0, 0, holds)
    assert largest(machine.step, limit) == expected
    assert max(machine.tried) <= limit


def test_the_fastest_is_where_twice_as_many_are_no_faster():
    # segments per second: 928 at 128, 962 at 256, 981 at 512, 990 at 1024, 995 at 2048
    machine = Machine(0.01, 0.001)
    assert fastest(machine.step, 1 << 20, machine.clock) == 256
    assert max(machine.tried) == 2048
    machine = Machine(0.01, 0.001)
    assert fastest(machine.step, 50, machine.clock) == 32
    per_segment = Machine(0, 0.001)
    assert fastest(per_segment.step, 1 << 20, per_segment.clock) == 2


def test_memory_ends_the_search_for_the_fastest():
    said = RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate")
    for error in (said, MemoryError()):
        machine = Machine(1, 0, 20, error)
        assert fastest(machine.step, 1 << 20, machine.clock) == 16
    with pytest.raises(ConfigError, match="not even 2 segments fit into memory"):
        largest(Machine(0, 0, 1).step, 100)
    with pytest.raises(RuntimeError, match="something else"):
        largest(Machine(0, 0, 1, RuntimeError("something else")).step, 100)


def test_it_is_found_said_and_kept_and_the_net_begins_as_it_would_without(
    train, store, tmp_path, monkeypatch
):
    tasks = []

    def find(task, device):
        before = {name: t.clone() for name, t in task.model.net.state_dict().items()}
        found = find_batch_size(task, device)
        assert found in [1 << i for i in range(1, 11)]
        after = task.model.net.state_dict()
        assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())
        tasks.append(task)
        return 8

    monkeypatch.setattr(batch_size, "_TRIED", 0.0)
    monkeypatch.setattr(fit, "find_batch_size", find)
    found = train("found", find_batch_size=True, find_lr=True, epochs=2)
    (task,) = tasks
    assert task.training.batch_size == 8
    assert len(task.batches) == -(-task.batches.n_segments // 8)
    about = json.loads((found / "about.json").read_text(encoding="utf-8"))
    assert about["batch_size"] == 8
    given = train("given", batch_size=8, find_lr=True, epochs=2)
    weights = [(run / "model.safetensors").read_bytes() for run in (found, given)]
    assert weights[0] == weights[1]
    words = ["train", str(store), str(tmp_path / "cli"), "--model", "mlp", "-p", "layers=8"]
    words += ["--epochs", "1", "--device", "cpu", "--find-batch-size"]
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 0, done.output
    assert "--find-batch-size found 8\n" in done.output


def test_batch_norm_and_narrow_numbers_are_tried_as_they_are(train):
    net = {"model": "fcn3", "settings": ["width=0.01"], "frames": 10, "precision": "bf16"}
    run = train("run", epochs=1, find_batch_size=True, **net)
    found = json.loads((run / "about.json").read_text(encoding="utf-8"))["batch_size"]
    assert found >= 2
    assert found & (found - 1) == 0


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_on_cuda_it_is_what_memory_holds(train):
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(min(1.0, (1 << 28) / total))  # 256 MiB
    try:
        net = {"model": "fcn3", "settings": ["width=0.5"], "frames": 60, "crops": 500}
        run = train("run", device="cuda", epochs=1, find_batch_size=True, **net)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    found = json.loads((run / "about.json").read_text(encoding="utf-8"))["batch_size"]
    assert found >= 2
    assert found & (found - 1) == 0
