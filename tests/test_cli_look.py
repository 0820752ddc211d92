"""mcls list, info and demo: what a user sees."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import soundfile
from click.testing import CliRunner, Result

from mcls.cli.main import cli
from mcls.disk.chain import Step
from mcls.registry import FAMILIES, entries, find
from mcls.stages.learn import learn_dict
from mcls.stages.train import train
from mcls.stores.store import NewRows, StoreContents, write_store


def run(*words: object) -> Result:
    return CliRunner().invoke(cli, list(map(str, words)), prog_name="mcls")


def output(*words: object) -> str:
    result = run(*words)
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    return result.stdout


def test_list_shows_every_family_with_its_names() -> None:
    shown = output("list")
    assert json.loads(output("list", "--json")) == {
        family: list(entries(family)) for family in sorted(FAMILIES)
    }
    for family in FAMILIES:
        assert f"\n{family} " in shown


def test_list_of_a_family() -> None:
    shown = output("list", "metrics").splitlines()
    assert shown[0].split()[:2] == ["name", "summary"]
    assert shown[0].split()[-1] == "settings"
    assert [line.split()[0] for line in shown[2:]] == list(entries("metrics"))
    assert list(json.loads(output("list", "metrics", "--json"))) == list(entries("metrics"))


def test_list_of_augmentations_says_which_labels_each_threatens() -> None:
    lines = {line.split()[0]: line for line in output("list", "augmentations").splitlines()}
    assert "threatens" in lines["name"]
    assert "key, pitch" in lines["pitch-shift"]
    assert "tempo, length" in lines["time-stretch"]


def test_list_of_one_thing_shows_its_settings() -> None:
    shown = output("list", "metrics", "precision-at-k")
    assert shown.startswith(
        "precision-at-k: Precision at k: fraction of correct labels among the k highest"
    )
    assert shown.splitlines()[-1].split()[:5] == ["k", "3", "a", "whole", "number"]
    said = json.loads(output("list", "features", "mfcc", "--json"))
    assert said["summary"] == find("features", "mfcc").summary
    assert said["settings"]["n_mfcc"] == {
        "type": "a whole number",
        "default": 20,
        "doc": "Number of coefficients.",
    }


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["feature"], "there is no family 'feature'; did you mean 'features'?"),
        (["features", "mfc"], "there is no 'mfc' among the features; did you mean 'mfcc'?"),
    ],
)
def test_list_suggests(words: list[str], message: str) -> None:
    result = run("list", *words)
    assert result.exit_code == 2
    assert message in result.stderr


@pytest.fixture(scope="module")
def things(tmp_path_factory) -> Path:
    """One of everything mcls makes, from rows that are noise."""
    folder = tmp_path_factory.mktemp("things")
    rng = np.random.default_rng(440)
    n = 18
    columns = {
        "track_id": [f"track{i}" for i in range(n)],
        "path": [f"track{i}.wav" for i in range(n)],
        "labels": ["jazz|live" if i % 3 == 0 else "jazz" if i % 2 else "rock" for i in range(n)],
        "mood": ["calm" if i % 2 else "wild" for i in range(n)],
        "split": [("test", "train", "train")[i // 2 % 3] for i in range(n)],
        "seconds": [2.0] * n,
    }
    failed = {"track_id": ["bad"], "path": ["bad.wav"], "reason": ["no samples"]}
    chain = (Step("feature", "mfcc", {"sr": 22050, "n_mfcc": 4}),)
    rows = rng.normal(size=(n * 10, 4)).astype(np.float32)
    new = NewRows("mfcc", chain, 5.0, 4, [10] * n, [rows])
    store = folder / "mfcc.h5"
    write_store(store, StoreContents(columns, failed, split_note="made for a test"), [new])
    learn_dict(store, folder / "vq.h5", size=8)
    options = {"dicts": [folder / "vq.h5"], "pool": ["histogram"], "labels": "mood"}
    train(store, folder / "run", model="knn", **options)
    return folder


def test_info_of_a_store(things: Path) -> None:
    shown = output("info", things / "mfcc.h5").splitlines()
    assert shown[0].startswith(f"{things / 'mfcc.h5'}: store, 18 tracks, 36.0 s of audio, ")
    assert shown[3].split() == ["mfcc", "mfcc", "180", "5", "4", "float32"]
    assert "mfcc               n_mfcc=4, sr=22050" in shown
    table = [line.split() for line in shown]
    assert ["label", "train", "test"] in table
    assert ["live", "3", "3"] in table
    assert ["(tracks)", "12", "6"] in table
    assert shown[-2:] == ["split: made for a test", "failed: bad.wav: no samples"]


def test_info_of_a_store_as_json(things: Path) -> None:
    said = json.loads(output("info", things / "mfcc.h5", "--json", "--labels", "mood"))
    assert said["kind"] == "store"
    assert said["parts"] == {"train": 12, "test": 6}
    assert said["labels"]["calm"] == {"test": 3, "train": 6}
    assert said["features"]["mfcc"]["chain"][0]["settings"] == {"n_mfcc": 4, "sr": 22050}
    assert said["failed"][0]["reason"] == "no samples"


def test_info_of_a_dictionary(things: Path) -> None:
    shown = output("info", things / "vq.h5")
    assert shown.startswith(f"{things / 'vq.h5'}: dictionary, mfcc > kmeans, ")
    assert "kmeans was learnt from 12 tracks" in shown
    assert "perplexity" in shown
    said = json.loads(output("info", things / "vq.h5", "--json"))
    assert said["chain"][-1]["learnt_from"] == 12


def test_info_of_a_run(things: Path) -> None:
    shown = output("info", things / "run")
    assert shown.startswith(f"{things / 'run'}: run, knn, 2 labels, one label per track, ")
    table = {" ".join(line.split()[:2]): line.split()[2:] for line in shown.splitlines()}
    value = json.loads((things / "run" / "metrics.json").read_text())["test"]["metrics"]["auc"]
    low, high = value["macro"]["low"], value["macro"]["high"]
    assert table["test auc"] == [
        f"{value['macro']['value']:.3f}",
        f"{low:.3f}",
        "to",
        f"{high:.3f}",
    ]
    assert re.search("^features +mfcc > kmeans > histogram$", shown, re.M)
    assert "12 train, 0 valid, 6 test" in shown
    assert re.search("^labels +calm, wild$", shown, re.M)
    assert "{" not in shown
    assert re.search(r"^trained 20\d\d-\d\d-\d\d \d\d:\d\d by mcls ", shown, re.M)
    said = json.loads(output("info", things / "run", "--json"))
    assert said["settings"]["train"]["model"] == "knn"
    assert said["predictions"]["parts"] == {"test": 6, "train": 12}
    assert set(said["metrics"]["test"]["auc"]) == {"value", "low", "high"}


def test_info_of_a_run_with_corrupt_metrics(things: Path, tmp_path: Path) -> None:
    shutil.copytree(things / "run", tmp_path / "run")
    (tmp_path / "run" / "run.sha256").unlink()
    for text in ("{", "[]", '{"test": {"metrics": {"auc": {}}}}'):
        (tmp_path / "run" / "metrics.json").write_text(text)
        result = run("info", tmp_path / "run")
        assert result.exit_code == 1
        assert "metrics.json is corrupt" in result.stderr


def test_info_of_predictions(things: Path) -> None:
    path = things / "run" / "predictions.csv"
    shown = output("info", path).splitlines()
    assert shown[0] == f"{path}: predictions, 18 tracks (12 train, 6 test)"
    assert [line.split() for line in shown[-2:]] == [["calm", "9"], ["wild", "9"]]


def test_info_of_folds(things: Path, tmp_path: Path) -> None:
    (tmp_path / "fold-1").mkdir()
    (tmp_path / "predictions.csv").write_text(
        "track_id,part,fold,labels,score:a,score:b\none,test,1,a,1,0\ntwo,test,2,b,1,0\n"
    )
    assert output("info", tmp_path).startswith(
        f"{tmp_path}: cross-validation, 2 tracks (2 test), 2 folds\n"
    )


def test_info_of_a_manifest_and_a_folder(tmp_path: Path) -> None:
    for name in ("rock/one.wav", "jazz/two.wav"):
        path = tmp_path / "music" / name
        path.parent.mkdir(parents=True)
        soundfile.write(path, np.zeros(100), 8000)
    manifest = tmp_path / "m.csv"
    manifest.write_text("path,labels,split\nmusic/rock/one.wav,rock,train\nnone.wav,jazz,test\n")
    shown = output("info", manifest).splitlines()
    assert shown[0] == f"{manifest}: manifest, 2 tracks"
    assert shown[-1] == f"missing: {tmp_path / 'none.wav'}"
    assert ["rock", "1", "0"] in [line.split() for line in shown]
    said = json.loads(output("info", tmp_path / "music", "--json"))
    assert (said["kind"], said["n_tracks"]) == ("manifest", 2)
    assert said["labels"] == {"jazz": {"all": 1}, "rock": {"all": 1}}


def test_info_of_audio(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, np.zeros((44100, 2)), 44100)
    assert output("info", path) == f"{path}: audio, 1.00 s, 44100 Hz, stereo, 176 kB\n"
    said = json.loads(output("info", path, "--json"))
    assert (said["seconds"], said["channels"], said["sample_rate"]) == (1.0, 2, 44100)


@pytest.mark.parametrize("kind", ["nothing", "text", "hdf5", "empty folder", "half a run"])
def test_info_says_what_it_cannot_tell(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x"
    if kind == "text":
        path.write_text("hello")
    elif kind == "hdf5":
        h5py.File(path, "w").close()
    elif kind == "empty folder":
        path.mkdir()
    elif kind == "half a run":
        path.mkdir()
        (path / "run.toml").touch()
    result = run("info", path)
    assert result.exit_code == 1
    assert result.stderr.startswith("error: ")
    assert str(path) in result.stderr
    assert result.stdout == ""


@pytest.mark.slow
def test_the_demo_runs_what_it_shows(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mcls", "demo", "--dir", tmp_path / "demo"],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    shown = done.stdout.splitlines()
    typed = [line for line in shown if line.startswith("$ ")]
    assert typed[0] == "$ mcls data synth toy"
    assert typed[-1] == "$ mcls eval runs/mfcc-stats runs/mfcc-vq"
    scored = {tuple(line.split()[:2]): float(line.split()[2]) for line in shown[-6:]}
    for name in ("mfcc-stats", "mfcc-vq"):
        assert 0.4 < scored["accuracy", f"runs/{name}"] < 0.95
        assert 0.7 < scored["auc", f"runs/{name}"] < 0.99


def test_a_demo_that_stops_says_where(tmp_path: Path) -> None:
    (tmp_path / "toy").write_text("in the way")
    result = run("demo", "--dir", tmp_path)
    assert result.exit_code == 1
    assert "error: the demo stopped: 'mcls data synth toy' ended with exit code 1" in result.stderr
