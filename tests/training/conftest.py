"""A small store whose classes a net can tell apart, and nets small enough to train in a blink."""

from pathlib import Path

import numpy as np
import pytest
import torch

import mcls
from mcls.disk.chain import Step
from mcls.stores.store import NewRows, StoreContents, write_store

N_TRACKS, N_DIMS, FRAME_RATE = 36, 6, 10.0
KINDS = ("folk", "jazz", "rock")


@pytest.fixture(autouse=True)
def one_thread():
    """Small products are faster on one thread, and a busy machine does not slow them down."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)


def write(path: Path, rows: list[np.ndarray], frame_rate: float | None, dtype="float32") -> None:
    kinds = [KINDS[i % 3] for i in range(N_TRACKS)]
    part = ["train"] * 20 + ["valid"] * 8 + ["test"] * 8
    columns = {
        "track_id": [f"t{i:02d}" for i in range(N_TRACKS)],
        "path": [f"t{i:02d}.wav" for i in range(N_TRACKS)],
        "labels": kinds,
        "tags": ["all|low" if kind == "folk" else "all|low|high" for kind in kinds],
        "split": part,
        "fold": [str(i // 3 % 4) for i in range(N_TRACKS)],
        "alone": ["train" if one == "train" else "test" for one in part],
    }
    columns["tags"][0] = "all"
    chain = (Step("feature", "mel", {"n_mels": N_DIMS}),)
    new = NewRows("mel", chain, frame_rate, N_DIMS, list(map(len, rows)), iter(rows), dtype)
    write_store(path, StoreContents(columns), [new])


def some_rows(lengths: np.ndarray) -> list[np.ndarray]:
    rng = np.random.default_rng(7)
    means = 5 * np.eye(3, N_DIMS) - 40
    return [
        (means[i % 3] + rng.normal(0, 3, (n, N_DIMS))).astype(np.float32)
        for i, n in enumerate(lengths)
    ]


@pytest.fixture(scope="session")
def store(tmp_path_factory) -> Path:
    """36 tracks of 5 to 60 frames x 6 dims, three classes, ten frames a second."""
    path = tmp_path_factory.mktemp("training") / "store.h5"
    lengths = np.random.default_rng(8).integers(5, 61, N_TRACKS)
    write(path, some_rows(lengths), FRAME_RATE)
    return path


@pytest.fixture(scope="session")
def vectors(tmp_path_factory) -> Path:
    """The same with one row per track, the mean of its frames."""
    path = tmp_path_factory.mktemp("training") / "vectors.h5"
    rows = some_rows(np.full(N_TRACKS, 20))
    write(path, [track.mean(axis=0, keepdims=True) for track in rows], None)
    return path


@pytest.fixture
def train(store, tmp_path):
    """``train("name", epochs=3)`` trains a small net on the store and returns the run folder."""

    def run(name: str, source: Path = store, **options) -> Path:
        given = {"model": "mlp", "epochs": 4, "batch_size": 16, "device": "cpu", **options}
        if given["model"] == "mlp":
            given.setdefault("settings", ["layers=16"])
        return mcls.train(source, tmp_path / name, **given).path

    return run
