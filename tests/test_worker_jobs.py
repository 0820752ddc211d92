"""encode --jobs and predict --jobs: the same bytes as one process makes."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

import mcls
from mcls.cli.main import cli
from mcls.errors import ConfigError, DataError
from mcls.stages import encode as stage
from mcls.stores.store import Store

SR = 8000


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Twelve tones, their store, a dictionary, a net and a classifier."""
    folder = tmp_path_factory.mktemp("jobs")
    rng = np.random.default_rng(1)
    time = np.arange(SR) / SR
    lines = ["path,labels,split"]
    for i in range(12):
        y = 0.2 * np.sin(2 * np.pi * (300, 900)[i % 2] * time[: SR - 400 * i])
        soundfile.write(folder / f"{i}.wav", y + rng.normal(0, 0.05, len(y)), SR)
        lines.append(f"{i}.wav,{'ab'[i % 2]},{'train' if i < 8 else 'test'}")
    (folder / "m.csv").write_text("\n".join(lines) + "\n")
    mel = folder / "mel.h5"
    mcls.extract(folder / "m.csv", mel, features=["mel:n_mels=16"], sr=SR)
    mcls.learn_dict(mel, folder / "atoms.h5", size=6)
    net = {"settings": ["width=0.1", "padding=same"], "frames": 20, "epochs": 1, "device": "cpu"}
    mcls.train(mel, folder / "net", model="cnn1d", **net)
    mcls.train(mel, folder / "svm", dicts=[folder / "atoms.h5"], pool=["mean"], model="svm")
    return folder


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    "given",
    [
        {"dicts": ["atoms.h5"], "encoder": "triangle", "pool": ["max@0.2s"]},
        {"dicts": ["net"], "layers": ["all"]},
        {"dicts": ["net", "svm"], "layers": ["scores"]},
    ],
    ids=["dictionary", "net", "scores"],
)
def test_encoded_stores_have_the_same_bytes(folder: Path, tmp_path: Path, given: dict) -> None:
    given = {**given, "dicts": [folder / name for name in given["dicts"]]}
    told: list[tuple[int, int]] = []
    mcls.encode(folder / "mel.h5", tmp_path / "1.h5", **given)
    mcls.encode(
        folder / "mel.h5",
        tmp_path / "2.h5",
        jobs=2,
        progress=lambda done, total, _: told.append((done, total)),
        **given,
    )
    assert digest(tmp_path / "1.h5") == digest(tmp_path / "2.h5")
    assert told[-1] == (12, 12)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1.h5", "2.h5"]


def test_predictions_are_the_same(folder: Path) -> None:
    (folder / "broken.wav").write_text("no audio")
    sources = [folder / "mel.h5", *(folder / f"{i}.wav" for i in range(4)), folder / "broken.wav"]
    for run in ("svm", "net"):
        one = mcls.predict(folder / run, sources, windows=0.3)
        two = mcls.predict(folder / run, sources, windows=0.3, jobs=2)
        assert [track.name for track in one.tracks] == [track.name for track in two.tracks]
        for first, second in zip(one.tracks, two.tracks, strict=True):
            np.testing.assert_array_equal(first.scores, second.scores)
            assert len(first.windows) == len(second.windows) > 0
        assert one.failed == two.failed
        assert [name for name, _ in two.failed] == [str(folder / "broken.wav")]


def test_the_command_takes_jobs(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "v.h5"
    words = ["encode", folder / "mel.h5", out, "--pool", "mean", "--jobs", 2]
    result = CliRunner().invoke(cli, list(map(str, words)))
    assert result.exit_code == 0, result.output
    assert Store(out).n_tracks == 12
    with pytest.raises(ConfigError, match="jobs=0; expected 1 or more"):
        mcls.encode(folder / "mel.h5", out, pool=["mean"], jobs=0)
    with pytest.raises(ConfigError, match="jobs=0; expected 1 or more"):
        mcls.predict(folder / "svm", [folder / "mel.h5"], jobs=0)


def test_an_interrupted_encode_continues(folder: Path, tmp_path: Path, monkeypatch) -> None:
    whole = stage.encoded_track

    def broken(stored, chain, track):
        if track == 5:
            raise DataError("track 5 is in the way")
        return whole(stored, chain, track)

    monkeypatch.setattr(stage, "encoded_track", broken)
    with pytest.raises(DataError, match="in the way"):
        mcls.encode(folder / "mel.h5", tmp_path / "v.h5", pool=["mean"])
    seen = []
    monkeypatch.setattr(
        stage, "encoded_track", lambda s, c, track: seen.append(track) or whole(s, c, track)
    )
    mcls.encode(folder / "mel.h5", tmp_path / "v.h5", pool=["mean"])
    monkeypatch.undo()
    mcls.encode(folder / "mel.h5", tmp_path / "w.h5", pool=["mean"])
    assert 0 < len(seen) < 12
    assert digest(tmp_path / "v.h5") == digest(tmp_path / "w.h5")
