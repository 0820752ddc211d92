"""torch.compile: when it is used, that a failure is said, and that nets of all kinds compile."""

import json
from functools import partial

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from mcls.cli.main import cli
from mcls.training import compiling
from mcls.training.compiling import pays
from mcls.training.fit import fit
from mcls.training.options import Training
from mcls.training.speed import noise_batches, noise_task


def notes(run) -> list[str]:
    return json.loads((run / "about.json").read_text(encoding="utf-8"))["notes"]


def test_long_trainings_on_cuda_pay():
    assert [pays(n, "cuda") for n in (1, 9_999, 10_000, 10**7)] == [False, False, True, True]
    assert not pays(10**7, "cpu")


def test_a_failing_compiler_is_said_and_the_training_goes_on(train, store, tmp_path, monkeypatch):
    plain = train("plain", epochs=2)

    def broken(forward, **options):
        def fails(x):
            forward(x)  # draws dropout and moves batch norms
            raise RuntimeError("no C++ compiler\nlong story")

        return fails

    monkeypatch.setattr(torch, "compile", broken)
    run = train("run", epochs=2, compile=True)
    said = "the net was not compiled, as torch.compile failed: no C++ compiler"
    assert said in notes(run)
    assert not any("compile" in note for note in notes(plain))
    for name in ("model.safetensors", "predictions.csv"):
        assert (run / name).read_bytes() == (plain / name).read_bytes()
    words = ["train", str(store), str(tmp_path / "cli"), "--model", "mlp", "-p", "layers=8"]
    done = CliRunner().invoke(cli, [*words, "--epochs", "1", "--device", "cpu", "--compile"])
    assert done.exit_code == 0, done.output
    assert done.stderr.count(f"note: {said}\n") == 1


def test_a_long_training_compiles_by_itself(train, monkeypatch):
    monkeypatch.setattr(compiling, "pays", lambda n_steps, device: n_steps == 2 * 5)
    monkeypatch.setattr(torch, "compile", lambda forward, **options: forward)
    size = {"crops": 4, "batch_size": 16, "epochs": 2}
    said = "the net was compiled with torch.compile, which pays for 10 steps"
    assert said in notes(train("long", **size))
    assert not any("compiled" in one for one in notes(train("never", compile=False, **size)))
    assert not any("compiled" in one for one in notes(train("short", **{**size, "epochs": 1})))
    hidden = train("hidden", adversary="fold", **size)
    assert not any("compiled" in one for one in notes(hidden))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "settings", "n_frames", "n_dims"),
    [
        ("crnn", {"width": 0.1}, 200, 96),
        ("musicnn", {"width": 0.05}, 187, 96),
        ("short-chunk-res", {"width": 0.05}, 128, 128),
        ("samplecnn", {"width": 0.05}, 59049, 1),
        ("tagging-transformer", {"width": 0.1}, 128, 128),
        ("pons-pnet", {"width": 0.2}, 250, 40),
    ],
)
def test_nets_of_all_kinds_train_compiled(name, settings, n_frames, n_dims, tmp_path, monkeypatch):
    """Their forward and backward passes are traced; a C++ compiler would take minutes more.

    The losses are those of plain steps within 1e-4: sums are in another order.
    """
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager"))
    losses = []
    for compiled in (True, False):
        training = Training(epochs=2, loss="cross-entropy", device="cpu", compile=compiled)
        batches = noise_batches(2, n_frames, n_dims, 2)
        task = noise_task(name, {**settings, "dropout": 0.0}, batches, training, tmp_path)
        _, state = fit(task)
        task.path.unlink()
        assert state.notes == (
            ["the net was compiled with torch.compile, as --compile asks"] if compiled else []
        )
        losses.append([row["train_loss"] for row in state.history])
    np.testing.assert_allclose(*losses, atol=1e-4)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_on_cuda_the_notes_say_what_was_done(train, monkeypatch):
    monkeypatch.setattr(compiling, "_PAYS", 1)
    said = " | ".join(notes(train("run", device="cuda", epochs=2, augment=["mixup", "roll"])))
    assert "compiled with torch.compile, which pays" in said
    assert "in IEEE float32 (TF32 is off" in said
    assert "the rows of the train part are in its memory" in said
