"""The speed of trainings: what is timed, and what `mcls bench gpu` prints."""

import json

import pytest
import torch
from click.testing import CliRunner
from torch.utils.flop_counter import FlopCounterMode

from mcls.cli.main import cli
from mcls.nets import build_net
from mcls.training import speed
from mcls.training.speed import NetSpeed, matrix_rate, measure_speed, noise_batches

SMALL = {"settings": {"width": 0.01}, "batch_size": 2, "n_steps": 2, "device": "cpu"}


def test_speeds_are_fractions_of_the_faster_bare_loop_and_of_the_matrix_rate():
    known = {"net": "fcn4", "batch_size": 16, "n_frames": 1366, "n_dims": 96, "trainer": 50.0}
    one = NetSpeed(**known, plain=40.0, compiled=100.0, flops=10**12, matrix_rate=2e14)
    assert (one.segments, one.ratio, one.matrix_share) == (800, 0.5, 0.25)
    assert NetSpeed(**known, plain=40.0, compiled=None, flops=1, matrix_rate=1e14).ratio == 1.25


def test_every_step_has_the_same_number_of_segments():
    batches = noise_batches(4, 10, 3, 7)
    assert len(batches) == 7
    assert {batches[0, step][0].shape for step in range(7)} == {(4, 1, 10, 3)}


def test_the_operations_of_a_step_are_three_times_those_that_torch_counts():
    found = measure_speed("vgg-pons", **SMALL)
    net = build_net(
        "vgg-pons", {"width": 0.01}, found.n_frames, found.n_dims, speed.N_LABELS
    ).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net(torch.zeros(2, 1, found.n_frames, found.n_dims))
    assert found.flops == 3 * counter.get_total_flops()
    assert (found.n_frames, found.n_dims, found.compiled, found.notes) == (187, 96, None, ())
    assert min(found.trainer, found.plain) > 0


def test_the_matrix_rate_is_one_that_a_machine_can_have():
    assert 1e8 < matrix_rate("cpu", "32") < 1e14


def test_a_compiled_loop_is_compared_with_unless_the_compiler_fails(monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda forward, **options: lambda x: forward(x))
    found = measure_speed("vgg-pons", compile=True, **SMALL)
    assert found.compiled is not None
    assert found.notes == ("the net was compiled with torch.compile, as --compile asks",)

    def fails(forward, **options):
        raise RuntimeError("no compiler")

    monkeypatch.setattr(torch, "compile", fails)
    found = measure_speed("vgg-pons", compile=True, **SMALL)
    assert found.compiled is None
    assert found.notes == ("the net was not compiled, as torch.compile failed: no compiler",)


def test_the_command_prints_a_row_per_net_or_json():
    words = ["bench", "gpu", "--device", "cpu", "--net", "vgg-pons", "--net", "pons-time"]
    words += ["--width", "0.01", "--batch-size", "2", "--steps", "1"]
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 0, done.output
    first, columns, _, *rows = done.stdout.splitlines()
    assert first.startswith("CPU, precision 32: ")
    assert "of bare" in columns
    assert [row.split()[:6] for row in rows] == [
        ["vgg-pons", "2", "x", "187", "x", "96"],
        ["pons-time", "2", "x", "80", "x", "40"],
    ]
    done = CliRunner().invoke(cli, [*words, "--json"])
    first = json.loads(done.stdout)[0]
    assert first["net"] == "vgg-pons"
    assert first["segments"] == pytest.approx(2 * first["trainer"])


def test_a_precision_that_the_device_lacks_is_wrong_usage():
    done = CliRunner().invoke(cli, ["bench", "gpu", "--device", "cpu", "--precision", "tf32"])
    assert done.exit_code == 2
    assert "--precision tf32 is for CUDA" in done.output
