"""What was surely not meant is said: a histogram of no codes, a classifier of single frames."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from test_faults import write_rows

import mcls
from mcls.cli.main import cli

FRAMES = "learns from every frame (120 frames of 6 train tracks)"
NO_CODES = "the pooler 'histogram' counts codes, but its rows are 'mfcc'"


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Path:
    import numpy as np

    rows = np.random.default_rng(0).normal(size=(240, 4)).astype(np.float32)
    path = write_rows(tmp_path_factory.mktemp("notes") / "s.h5", rows)
    mcls.learn_dict(path, path.with_name("d.h5"), method="random", size=3)
    mcls.encode(path, path.with_name("pooled.h5"), pool=["mean"])
    return path


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--model", "knn"], FRAMES),
        (["--model", "logistic", "--pool", "histogram"], NO_CODES),
        (["--model", "knn", "--pool", "mean"], None),
        (["--model", "gmm", "-p", "n_components=1"], None),
        (["--model", "knn", "--dict", "d.h5", "--pool", "histogram"], None),
        (["--model", "knn", "--dict", "d.h5"], None),
        (["--model", "mlp", "--epochs", "1", "-p", "layers=2", "--device", "cpu"], None),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_training_says_what_was_surely_not_meant(store, tmp_path, options, expected):
    options = [str(store.with_name(word)) if word == "d.h5" else word for word in options]
    result = CliRunner().invoke(cli, ["train", str(store), str(tmp_path / "run"), *options])
    assert result.exit_code == 0, result.stderr
    notes = json.loads((tmp_path / "run" / "about.json").read_text())["notes"]
    for note in (FRAMES, NO_CODES):
        said = note == expected
        assert any(note in one for one in notes) == said
        assert (note in result.stderr) == said


def test_rows_of_whole_tracks_are_no_frames(store, tmp_path):
    pooled = store.with_name("pooled.h5")
    done = mcls.train(pooled, tmp_path / "run", model="knn", settings=["n_neighbors=1"])
    assert not any("frame" in note for note in done.summary["notes"])
