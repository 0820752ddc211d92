"""Damaged files, full disks, little memory and missing devices end commands with a sentence."""

import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file, save_file

import mcls
from mcls.cli.main import cli
from mcls.disk.chain import Step
from mcls.disk.finite import first_not_finite
from mcls.disk.model import read_model, write_model
from mcls.disk.text_files import parse_json, read_json, read_toml
from mcls.disk.workspace import written_whole
from mcls.errors import DataError, FormatError
from mcls.stores.store import NewRows, StoreContents, write_store

CHAIN = (Step("feature", "mfcc", {"sr": None, "excerpt": None, "dtype": "float32"}),)


def write_rows(path: Path, rows: np.ndarray, n_tracks: int = 12) -> Path:
    """Write a store of some rows, divided equally among tracks of three parts and two labels."""
    parts = (["train"] * 6 + ["valid"] * 3 + ["test"] * 3)[:n_tracks]
    tracks = {
        "track_id": [f"track {i}" for i in range(n_tracks)],
        "path": [f"{i}.wav" for i in range(n_tracks)],
        "labels": ["ab"[i % 2] for i in range(n_tracks)],
        "split": parts,
    }
    lengths = [len(rows) // n_tracks] * n_tracks
    new = NewRows("mfcc", CHAIN, 10.0, rows.shape[1], lengths, [rows], rows.dtype.name)
    write_store(path, StoreContents(tracks), [new])
    return path


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Path:
    rows = np.random.default_rng(0).normal(size=(240, 4)).astype(np.float32)
    return write_rows(tmp_path_factory.mktemp("faults") / "s.h5", rows)


@pytest.fixture(scope="module")
def runs(store: Path) -> dict[str, Path]:
    """A run of a classifier and one of a net."""
    folder = store.parent
    mcls.train(store, folder / "knn", model="knn", settings=["n_neighbors=1"], pool=["mean"])
    mcls.train(store, folder / "mlp", model="mlp", epochs=1, settings=["layers=4"], device="cpu")
    return {"knn": folder / "knn", "mlp": folder / "mlp"}


def copied(run: Path, to: Path) -> Path:
    """Copy a run without its checksums, so that it can be changed on purpose."""
    shutil.copytree(run, to)
    (to / "run.sha256").unlink()
    return to


def said(*arguments: object, code: int = 1) -> str:
    """Return what a command that must fail says; an exception is a failure of the test."""
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == code, result.stderr
    return result.stderr


# NaN.


@pytest.fixture
def spoilt(store: Path, tmp_path: Path) -> Path:
    """A store with one NaN in track 2, as another program might write it."""
    path = Path(shutil.copy(store, tmp_path / "nan.h5"))
    with h5py.File(path, "r+") as file:
        del file.attrs["checksums"]
        file["features/mfcc/rows"][file["features/mfcc/offsets"][2] + 4, 1] = np.nan
    return path


@pytest.mark.parametrize(
    "command",
    [
        ["learn-dict", "--method", "kmeans", "--size", "2"],
        ["learn-dict", "--method", "random", "--size", "2"],
        ["encode", "--pool", "mean"],
        ["train", "--model", "gmm"],
        ["train", "--model", "mlp", "--device", "cpu"],
    ],
    ids=lambda words: " ".join(words[:3]),
)
def test_nan_in_rows_is_an_error_that_names_the_track(spoilt, tmp_path, command):
    name, *options = command
    error = said(name, spoilt, tmp_path / "out", *options)
    assert "rows of track 'track 2' (feature 'mfcc') are NaN or infinite" in error
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_rows_that_are_not_finite_are_not_stored(tmp_path, value):
    rows = np.zeros((24, 3), np.float32)
    rows[11, 2] = value
    with pytest.raises(DataError, match=r"track 'track 5' \(feature 'mfcc'\) are NaN or infinite"):
        write_rows(tmp_path / "s.h5", rows)
    assert not (tmp_path / "s.h5").exists()


def test_the_first_row_that_is_not_finite_is_found():
    for kind in (np.float16, np.float32):
        rows = np.full((5, 2), np.finfo(kind).max, kind)
        assert first_not_finite(rows) is None
        rows[3, 1] = np.inf
        rows[4, 0] = np.nan
        assert first_not_finite(rows) == 3
    assert first_not_finite(np.ones((2, 2), np.int16)) is None


def test_a_dictionary_that_diverges_is_not_written(store, tmp_path, monkeypatch):
    """Whatever the method: K-means whose atoms become NaN in the end."""
    from mcls.dictionaries.kmeans import KMeans

    real = KMeans.arrays
    monkeypatch.setattr(
        KMeans, "arrays", lambda self: {**real(self), "atoms": np.nan * real(self)["atoms"]}
    )
    with pytest.raises(DataError, match="kmeans: learning diverged: atoms are NaN"):
        mcls.learn_dict(store, tmp_path / "d.h5", method="kmeans", size=2)
    assert not (tmp_path / "d.h5").exists()


@pytest.mark.parametrize("method", ["psd", "autoencoder", "rbm", "sparse-rbm", "dbn"])
def test_a_learning_rate_at_which_learning_diverges_is_said(store, tmp_path, method):
    size = ["layers=2x2"] if method == "dbn" else []
    with pytest.raises(DataError, match="diverged"):
        mcls.learn_dict(
            store, tmp_path / "d.h5", method=method, size=2, settings=["learning_rate=1e30", *size]
        )


def test_nan_in_weights_of_a_net_is_refused(runs, store, tmp_path):
    run = copied(runs["mlp"], tmp_path / "run")
    from safetensors import safe_open

    with safe_open(run / "model.safetensors", framework="pt") as file:
        metadata = file.metadata()
    tensors = load_file(run / "model.safetensors")
    name = next(name for name in tensors if name.startswith("net."))
    tensors[name] = torch.full_like(tensors[name], torch.nan)
    save_file(tensors, run / "model.safetensors", metadata)
    for command in (
        ["predict", run, store],
        ["export", run, tmp_path / "net.pt2"],
        ["encode", store, tmp_path / "e.h5", "--with", run],
    ):
        error = said(*command)
        assert f"{name} has numbers that are NaN" in error


def test_nan_in_a_classifier_is_refused(runs, tmp_path):
    model = read_model(runs["knn"] / "model.skops")
    model.scaler_.mean_[0] = np.nan
    write_model(tmp_path / "model.skops", model)
    with pytest.raises(FormatError, match=r"scaler_\.mean_ has numbers that are NaN"):
        read_model(tmp_path / "model.skops")


# Text that is hostile, and what is no file.


@pytest.mark.parametrize(
    "text",
    ["a = " + "[" * 100_000, "a = " + 5000 * "1", "a = 1\n" + "#" * (1 << 21), "a = [", b"\xff"],
    ids=["nested", "digits", "huge", "broken", "bytes"],
)
def test_toml_that_mcls_would_not_write_is_refused_by_name(tmp_path, text, store):
    path = tmp_path / "recipe.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(FormatError, match=r"recipe\.toml"):
        read_toml(path)
    for command in (["-c", path, "list"], ["cv", path, store, tmp_path / "run"]):
        assert "recipe.toml" in said(*command)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "[1]", "1" * 5000, ""])
def test_json_that_mcls_would_not_write_is_refused_by_name(tmp_path, text, runs):
    (tmp_path / "about.json").write_text(text)
    with pytest.raises(FormatError, match=r"about\.json"):
        read_json(tmp_path / "about.json")
    run = copied(runs["knn"], tmp_path / "run")
    for name in ("about.json", "metrics.json"):
        shutil.copy(tmp_path / "about.json", run / name)
        assert name in said("info", run)
        shutil.copy(runs["knn"] / name, run / name)
    with pytest.raises(FormatError, match="here"):
        parse_json(text, "here")


@pytest.mark.parametrize("kind", ["pipe", "/dev/zero"])
def test_a_pipe_or_a_device_is_not_waited_for(store, tmp_path, kind):
    path = Path(kind)
    if kind == "pipe":
        path = tmp_path / "pipe"
        os.mkfifo(path)
    out = tmp_path / "out"
    for command in (
        ["-c", path, "list"],
        ["cv", path, store, out],
    ):
        assert "a pipe or a device" in said(*command, code=2)
    for command in (
        ["data", "check", path],
        ["data", "split", path],
        ["extract", path, out],
        ["eval", path],
        ["info", path],
        ["train", path, out],
        ["predict", path, tmp_path],
    ):
        assert str(path) in said(*command)


def test_a_step_of_another_kind_is_refused(runs, store, tmp_path):
    """Each step of a chain renamed to each kind: refused, by every command that reads it."""
    kinds = ("feature", "dictionary", "net", "pool", "scores", "concat", "zebra")
    for place, kind in [(i, kind) for i in (0, 1) for kind in kinds]:
        run = copied(runs["knn"], tmp_path / f"{place}{kind}")
        with h5py.File(run / "chain.h5", "r+") as file:
            if file[f"chain/{place}"].attrs["kind"] == kind:
                continue
            file[f"chain/{place}"].attrs["kind"] = kind
            del file.attrs["checksums"]
        said("predict", run, store)


# Full disks and little memory.


def limited(tmp_path: Path, limit: int, kind: int, *words: object) -> str:
    """Run a command under a limit of the operating system; return the last line of its error."""
    done = subprocess.run(
        [sys.executable, "-m", "mcls", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        preexec_fn=lambda: resource.setrlimit(kind, (limit, limit)),
    )
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        (1500, ["train", "{store}", "new", "--model", "mlp", "--device", "cpu", "--epochs", "1"]),
        (200, ["train", "{store}", "new", "--model", "knn", "--pool", "mean"]),
        (1500, ["learn-dict", "{store}", "new.h5", "--size", "2"]),
        (1500, ["encode", "{store}", "new.h5", "--pool", "mean"]),
        (1500, ["plot", "{store}", "-o", "new.png"]),
        (9000, ["data", "synth", "new", "--tracks", "18", "--seconds", "1"]),
    ],
    ids=lambda value: " ".join(value[:1]) if isinstance(value, list) else "",
)
def test_a_full_disk_names_the_file(store, tmp_path, limit, words):
    words = [word.format(store=store) for word in words]
    error = limited(tmp_path, limit, resource.RLIMIT_FSIZE, *words)
    assert "could not be written" in error
    assert "new" in error


def test_no_room_names_the_output(tmp_path):
    with (
        pytest.raises(DataError, match=r"out\.csv could not be written: No space left on device"),
        written_whole(tmp_path / "out.csv") as new,
        Path("/dev/full").open("w") as full,
    ):
        new.write_text("")
        full.write("x")


@pytest.mark.slow
def test_too_little_memory_is_said(store, tmp_path):
    words = ["train", store, "new", "--model", "mlp", "--device", "cpu", "-p", "layers=9000x9000"]
    error = limited(tmp_path, 1_600_000_000, resource.RLIMIT_AS, *words)
    assert error.startswith("error: not enough memory")


# Devices.


@pytest.mark.skipif(torch.cuda.is_available(), reason="the device is there")
@pytest.mark.parametrize("device", ["cuda", "cuda:1", "mps", "gpu"])
def test_a_device_that_is_not_there_is_named(store, tmp_path, device):
    for method in ("psd", "autoencoder", "rbm", "sparse-rbm", "sparse-coding", "dbn", "kmeans"):
        size = ["-p", "layers=2x2"] if method == "dbn" else ["--size", "2"]
        words = ["learn-dict", store, tmp_path / "d.h5", "--method", method, *size]
        assert device in said(*words, "--device", device, code=2)
    words = ["train", store, tmp_path / "run", "--model", "mlp", "--device", device]
    assert device in said(*words, code=2)
