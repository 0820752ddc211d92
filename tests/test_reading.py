"""Manifests whose columns, separators and labels are not the usual ones; folders without labels."""

import csv
import json

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from mcls.cli.main import cli
from mcls.errors import ConfigError, DataError
from mcls.stores.store import Store
from mcls.tables.manifest import open_source, read_manifest

TAGS = ["rock, live", "jazz;live", "rock", "", "jazz|rock,live", "jazz", "rock", "live, ; jazz"]
SPLIT = ["train", "train", "train", "train", "test", "train", "test", "valid"]
HOW = ("--path-column", "file", "--labels", "tags", "--sep", ",;|", "--skip-unlabelled")


@pytest.fixture
def mcls(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)

    def run(*args):
        result = CliRunner().invoke(cli, [str(arg) for arg in args])
        return result.exit_code, result.stdout, result.stderr

    return run


@pytest.fixture
def tracks(tmp_path):
    """Write audio and a manifest with the columns file, tags and split."""
    rng = np.random.default_rng(0)
    with (tmp_path / "tracks.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "tags", "split"])
        for i, row in enumerate(zip(TAGS, SPLIT, strict=True)):
            (tmp_path / "audio" / "deep").mkdir(parents=True, exist_ok=True)
            name = f"audio/{'deep/' * (i % 2)}{i}.wav"
            soundfile.write(tmp_path / name, rng.uniform(-0.5, 0.5, 8000), 8000)
            writer.writerow([name, *row])
    return tmp_path / "tracks.csv"


def test_extract_reads_any_column_and_separator(mcls, tracks):
    code, _, err = mcls("extract", "tracks.csv", "s.h5", "--sr", 8000, *HOW)
    assert code == 0, err
    assert "note: left out 1 tracks without a label: audio/deep/3" in err
    store = Store("s.h5")
    said = ["rock|live", "jazz|live", "rock", "jazz|rock|live", "jazz", "rock", "live|jazz"]
    assert store.column("tags") == said
    assert store.column("path")[0] == "audio/0.wav"
    code, _, err = mcls("train", "s.h5", "run", "--labels", "tags", "--pool", "mean")
    assert code == 0, err
    assert json.loads((tracks.parent / "run" / "about.json").read_text())["labels"] == [
        *("jazz", "live", "rock")
    ]


def test_check_info_and_split_read_the_same(mcls, tracks):
    code, out, _ = mcls("data", "check", "tracks.csv", "--json", *HOW)
    found = json.loads(out)
    assert (code, found["n_tracks"], found["multi_label"]) == (0, 7, True)
    assert {label: sum(row.values()) for label, row in found["labels"].items()} == {
        **{"jazz": 4, "live": 4, "rock": 4}
    }
    code, out, _ = mcls("info", "tracks.csv", "--json", *HOW)
    assert json.loads(out)["labels"]["jazz"] == {"train": 2, "test": 1, "valid": 1}
    before = tracks.read_text()
    code, _, err = mcls("data", "split", "tracks.csv", "--column", "mine", *HOW)
    assert code == 0, err
    header, *rows = csv.reader(tracks.read_text().splitlines())
    assert header == ["file", "tags", "split", "mine"]
    assert [",".join(row[:1]) for row in rows] == [
        line.split(",")[0] for line in before.splitlines()[1:]
    ]
    assert [row[1] for row in rows] == TAGS  # the user's own cells stay
    assert [i for i, row in enumerate(rows) if not row[3]] == [3]  # in no part


def test_unlabelled_tracks_are_named_without_the_option(mcls, tracks):
    code, _, err = mcls("data", "check", "tracks.csv", *HOW[:-1])
    assert code == 0  # as in train: a track may have none of several tags
    assert "note: 1 tracks have no label, taken as none of the labels: tracks.csv:5" in err


def test_a_recipe_holds_the_options(mcls, tracks):
    (tracks.parent / "r.toml").write_text(
        '[extract]\npath-column = "file"\nlabels = "tags"\nsep = ",;|"\nskip-unlabelled = true\n'
    )
    code, _, err = mcls("-c", "r.toml", "extract", "tracks.csv", "s.h5")
    assert code == 0, err
    assert Store("s.h5").n_tracks == 7


def test_a_folder_of_unlabelled_audio(mcls, tracks):
    code, _, err = mcls("extract", "audio", "s.h5", "--labels", "none", "--sr", 8000)
    assert code == 0, err
    store = Store("s.h5")
    assert store.track_ids == ["0", "2", "4", "6", "deep/1", "deep/3", "deep/5", "deep/7"]
    assert "labels" not in store.tracks
    assert mcls("learn-dict", "s.h5", "vq.h5", "--size", 4)[0] == 0
    assert mcls("extract", "tracks.csv", "t.h5", "--sr", 8000, *HOW)[0] == 0
    trained = mcls("train", "t.h5", "run", "--labels", "tags", "--pool", "mean")
    assert trained[0] == 0, trained
    code, out, _ = mcls("predict", "run", "s.h5", "--csv")
    assert (code, len(out.splitlines())) == (0, 9)
    code, _, err = mcls("extract", "audio/deep", "x.h5")
    assert code == 1
    assert "or pass --labels none" in err
    code, _, err = mcls("train", "s.h5", "x")
    assert code == 1
    assert "no column 'labels'" in err
    assert mcls("data", "check", "audio", "--labels", "none")[0] == 0


def test_what_cannot_be_read_is_refused(tracks):
    with pytest.raises(DataError, match=r"no column 'path' .*with --path-column"):
        read_manifest(tracks)
    with pytest.raises(DataError, match=r"label 'jazz\|rock' contains '\|'; pass --sep '\|,;'"):
        read_manifest(tracks, path_column="file", sep=",;").labels("tags", allow_empty=True)
    with pytest.raises(ConfigError, match="sep is empty"):
        read_manifest(tracks, path_column="file", sep="")
    with pytest.raises(DataError, match="a folder, not a manifest; leave out --sep"):
        open_source(tracks.parent / "audio", sep=",")
    with pytest.raises(DataError, match="no column 'labels'"):
        open_source(tracks, path_column="file", skip_unlabelled=True)
    text = tracks.read_text().replace("split", "path", 1)
    tracks.write_text(text)
    with pytest.raises(DataError, match="a column 'path' beside 'file'; rename it"):
        read_manifest(tracks, path_column="file")
