import json
import os
import re

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from mcls.cli.main import cli
from mcls.data.split_column import add_split
from mcls.data.splits import find_leaks
from mcls.tables.manifest import read_manifest


@pytest.fixture
def mcls(tmp_path, monkeypatch):
    """Run a command line in an empty folder; give the exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*words):
        result = CliRunner().invoke(cli, ["data", *map(str, words)])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, result.stdout, re.sub(r" in [\d.]+ s$", "", result.stderr.strip())

    return run


@pytest.fixture
def tracks(tmp_path, rng):
    """Write twelve tracks of two labels by six artists, all different; give the manifest."""
    lines = ["path,labels,group"]
    for n in range(12):
        soundfile.write(tmp_path / f"{n}.wav", rng.uniform(-1, 1, 800), 8000)
        lines.append(f"{n}.wav,{'ab'[n % 2]},artist {n // 2}")
    file = tmp_path / "tracks.csv"
    file.write_text("\n".join(lines) + "\n")
    return file


def add_column(file, name, cells):
    lines = file.read_text().splitlines()
    pairs = zip(lines, [name, *cells], strict=True)
    file.write_text("".join(f"{line},{cell}\n" for line, cell in pairs))


def test_split_then_check(mcls, tracks):
    before = tracks.read_text().splitlines()
    code, out, err = mcls("split", "tracks.csv", "--by", "group", "--seed", "0")
    assert (code, out) == (0, "")
    assert err == ("tracks.csv: column 'split' (8 train, 2 valid, 2 test; whole groups) written")
    after = tracks.read_text().splitlines()
    assert [line.rsplit(",", 1)[0] for line in after] == before
    manifest = read_manifest(tracks)
    assert not find_leaks(manifest.column("split"), manifest.column("group"))
    record = json.loads((tracks.parent / "tracks.splits.json").read_text())["split"]
    assert record["by"] == "group"
    assert record["parts"] == [0.6, 0.2, 0.2]
    assert mcls("split", "tracks.csv")[2].endswith("already there")

    code, out, err = mcls("check", "tracks.csv")
    assert code == 0
    assert out.splitlines()[0] == "tracks.csv: 12 tracks, 2 labels"
    assert [line.split() for line in out.splitlines() if line.startswith("│ groups")] == [
        ["│", "groups", "│", "4", "│", "1", "│", "1", "│"]
    ]
    assert err == (
        "note: column 'split' was made by `mcls data split`: by group, labels labels, "
        "parts [0.6, 0.2, 0.2], seed 0"
    )


def test_folds(mcls, tracks):
    code, out, _ = mcls("split", "tracks.csv", "--folds", "3", "--json", "-o", "lists/folds.tsv")
    assert code == 0
    assert json.loads(out)["counts"] == {"1": 4, "2": 4, "3": 4}
    assert read_manifest(tracks.parent / "lists/folds.tsv").missing() == []
    assert "fold" not in read_manifest(tracks).columns
    code, out, _ = mcls("check", "lists/folds.tsv", "--split", "fold", "--json")
    found = json.loads(out)
    assert code == 0
    assert found["labels"] == {"a": {"1": 2, "2": 2, "3": 2}, "b": {"1": 2, "2": 2, "3": 2}}
    assert found["groups"] == {"1": 2, "2": 2, "3": 2}
    assert found["problems"] == []


def test_split_refusals(mcls, tracks):
    add_column(tracks, "split", ["train"] * 12)
    code, _, err = mcls("split", "tracks.csv")
    assert (code, err) == (
        1,
        "error: tracks.csv already has a column 'split'; choose another --column, or pass "
        "--overwrite to replace it",
    )
    assert mcls("split", "tracks.csv", "--overwrite")[0] == 0
    assert "no column 'artist'" in mcls("split", "tracks.csv", "--by", "artist")[2]
    assert "exclude each other" in mcls("split", "tracks.csv", "--parts", "1,0,0", "--folds", 3)[2]
    assert "add up to 1" in mcls("split", "tracks.csv", "--parts", "0.5,0.2,0.2", "--overwrite")[2]
    code, _, err = mcls("split", "tracks.csv", "--parts", "most")
    assert code == 2
    assert "'most' is not a list of numbers" in err
    assert "6 groups cannot fill 7 folds" in mcls("split", "tracks.csv", "--folds", "7")[2]
    assert mcls("split", "tracks.csv", "--folds", "7", "--by", "none")[0] == 0
    (tracks.parent / "other.csv").write_text("path\nx.wav\n")
    code, _, err = mcls("split", "tracks.csv", "--column", "c", "-o", "other.csv")
    assert (code, err) == (1, "error: other.csv already exists; pass --overwrite to replace it")
    assert "'path'" in mcls("split", "tracks.csv", "--column", "path")[2]
    (tracks.parent / "class a").mkdir()
    (tracks.parent / "0.wav").rename(tracks.parent / "class a/0.wav")
    assert "name the manifest to write" in mcls("split", ".")[2]


def test_split_in_place_is_whole_or_not_at_all(tracks, monkeypatch):
    before = tracks.read_bytes()

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        add_split(tracks)
    assert tracks.read_bytes() == before
    assert sorted(tracks.parent.glob(".*")) == []


def test_split_of_a_manifest_with_its_own_audio_root(mcls, tracks):
    (tracks.parent / "lists").mkdir()
    moved = tracks.rename(tracks.parent / "lists/tracks.csv")
    args = ("split", moved, "-o", "out.csv", "--audio-root", tracks.parent)
    assert mcls(*args)[0] == 0
    assert read_manifest(tracks.parent / "out.csv").columns["path"][0] == "0.wav"


def test_check_finds_groups_and_audio_in_two_parts(mcls, tracks):
    add_column(tracks, "split", ["train"] * 5 + ["valid"] * 3 + ["test"] * 4)
    (tracks.parent / "11.wav").write_bytes((tracks.parent / "0.wav").read_bytes())
    (tracks.parent / "3.wav").write_bytes((tracks.parent / "4.wav").read_bytes())
    code, out, err = mcls("check", "tracks.csv")
    assert code == 1
    assert "tracks.csv: 12 tracks, 2 labels" in out
    assert err.splitlines() == [
        "note: 1 tracks have the same file as another in their part",
        "problem: 1 groups are in several parts: artist 2 (1 in train, 1 in valid)",
        "problem: 1 recordings are in several parts: 0 (train) = 11 (test)",
    ]
    code, out, _ = mcls("check", "tracks.csv", "--json")
    found = json.loads(out)
    assert code == 1
    assert found["straddling"] == {"artist 2": {"train": 1, "valid": 1}}
    assert found["identical"] == [["0", "11"]]
    assert mcls("check", "tracks.csv", "--group", "none", "--split", "none")[0] == 0


def test_check_finds_missing_files_and_absent_labels(mcls, tracks):
    add_column(tracks, "split", ["train"] * 4 + ["valid"] * 2 + ["test"] * 4 + ["", ""])
    add_column(tracks, "tags", ["x"] * 4 + ["x|y", "x"] + ["y"] * 3 + ["y|z", "", "x"])
    (tracks.parent / "2.wav").unlink()
    (tracks.parent / "7.wav").unlink()
    code, out, err = mcls("check", "tracks.csv", "--labels", "tags")
    assert code == 1
    assert "12 tracks, 3 labels (several per track)" in out
    assert err.splitlines() == [
        "note: 1 labels have no track in valid: z",
        "note: 1 labels have no track in test: x",
        "problem: 2 of 12 audio files are missing, the first at tracks.csv:4: 2.wav",
        "problem: 2 labels have no track in train: y, z",
    ]


def test_check_errors_name_the_line(mcls, tracks):
    add_column(tracks, "split", ["train"] * 11 + ["tset"])
    code, _, err = mcls("check", "tracks.csv")
    assert code == 1
    assert err == (
        "error: tracks.csv:13: column 'split' mixes parts with 'tset', but a part column holds "
        "only train, valid, test or empty cells; did you mean 'test'?"
    )
    tracks.write_text("path,labels\n0.wav,a\n1.wav,\n")
    assert mcls("check", "tracks.csv")[2].startswith("error: tracks.csv:3: no label")
    assert "no column 'genre'" in mcls("check", "tracks.csv", "--labels", "genre")[2]


def test_check_notes_that_a_split_was_edited(mcls, tracks):
    mcls("split", "tracks.csv")
    text = tracks.read_text()
    tracks.write_text(text.replace(",train", ",valid", 1))
    assert "column 'split' was edited after `mcls data split` made it" in mcls("check", tracks)[2]


def test_check_of_class_folders_and_of_decoded_audio(mcls, tmp_path):
    pytest.importorskip("mcls.audio.files")
    y = np.round(np.sin(np.arange(4000) / 9) * 9999).astype(np.int16)
    for name in ("a/1.wav", "b/1.flac"):
        (tmp_path / name).parent.mkdir()
        soundfile.write(tmp_path / name, y, 8000, subtype="PCM_16")
    (tmp_path / "b/2.wav").write_bytes(b"no audio")
    code, out, err = mcls("check", ".")
    assert code == 0
    assert ".: 3 tracks, 2 labels" in out
    assert err == "note: there is no split column, so parts were not checked"
    code, _, err = mcls("check", ".", "--decode")
    assert code == 1
    assert "note: 1 tracks have the same audio as another in their part" in err
    assert "problem: 1 of 3 audio files cannot be read, the first at b/2.wav: " in err


def test_prepare(mcls, tmp_path):
    code, _, err = mcls("prepare", "fsdd", ".", "fsdd.csv")
    assert code == 1
    assert err.startswith("error: . holds no audio; expected the dataset fsdd")
    assert mcls("prepare", "fsd", ".", "fsdd.csv")[0] == 2
    for name in ("0_theo_0.wav", "1_theo_0.wav"):
        (tmp_path / name).write_bytes(b"")
    code, _, err = mcls("prepare", "fsdd", ".", "out/fsdd.csv", "-p", "partial=true")
    assert code == 0
    assert "note: .: 2 of the 1200 files of fsdd found; missing: 0_george_0," in err
    assert err.endswith("out/fsdd.csv: 2 tracks (path, labels, fold, group) written")
    assert read_manifest(tmp_path / "out/fsdd.csv").columns["path"][0] == "../0_theo_0.wav"


def test_synth_split_check(mcls):
    code, _, err = mcls("synth", "toy", "--tracks", "18", "--seconds", "1")
    assert (code, err) == (0, "toy/manifest.csv: 18 tracks of 1 s by 18 artists written")
    assert mcls("synth", "toy", "--tracks", "18", "--seconds", "1")[2].endswith("already there")
    assert "other settings; pass --overwrite" in mcls("synth", "toy", "--tracks", "20")[2]
    assert mcls("check", "toy/manifest.csv")[0] == 0
    assert mcls("split", "toy/manifest.csv", "--folds", "3")[0] == 0
    assert mcls("check", "toy/manifest.csv", "--split", "fold", "--labels", "tags")[0] == 0


@pytest.mark.parametrize("name", ["", "check", "prepare", "split", "synth"])
def test_help_is_short_and_has_an_example(mcls, name):
    code, out, _ = mcls(*name.split(), "-h")
    assert code == 0
    assert "Example:\n    mcls data" in out
    assert len(out.splitlines()[2].strip()) <= 55


def test_split_in_place_keeps_the_mode_and_the_link(mcls, tracks, tmp_path):
    (tmp_path / "far").mkdir()
    file, link = tmp_path / "far" / "kept.csv", tmp_path / "tracks.csv"
    link.rename(file)
    file.chmod(0o640)
    link.symlink_to(file)
    assert mcls("split", "tracks.csv", "--audio-root", ".")[0] == 0
    assert link.is_symlink()
    assert file.stat().st_mode & 0o777 == 0o640
    assert "split" in file.read_text().splitlines()[0]
    assert [path.name for path in file.parent.iterdir()] == ["kept.csv"]


def test_a_split_that_is_there_is_cleaned_of_what_a_kill_left(tmp_path):
    rows = [f"{i}.wav,{i % 2},g{i}" for i in range(12)]
    manifest, out = tmp_path / "m.csv", tmp_path / "out.csv"
    manifest.write_text("\n".join(["path,labels,group", *rows]) + "\n")
    words = ["data", "split", str(manifest), "-o", str(out)]
    assert CliRunner().invoke(cli, words).exit_code == 0
    before = out.read_bytes()
    for name in (".out.csv.work", ".out.splits.json.work"):
        (tmp_path / name / "old").mkdir(parents=True)
    assert CliRunner().invoke(cli, words).exit_code == 0
    assert out.read_bytes() == before and not list(tmp_path.glob(".*"))
