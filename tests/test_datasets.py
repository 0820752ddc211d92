"""Known datasets: look-alikes of their folders, and the real folders that are at hand."""

import importlib.util
from collections import Counter
from pathlib import Path

import pytest
from click.testing import CliRunner
from dataset_folders import GENRES, make_esc10, make_gtzan, touch

from mcls.cli.main import cli
from mcls.data.parts import published_as
from mcls.data.prepare import prepare
from mcls.errors import ConfigError, DataError
from mcls.registry import entries, find
from mcls.tables.manifest import Manifest, read_manifest


def read(name: str, root: Path, **settings) -> Manifest:
    return find("datasets", name).load()(root, **settings)


def make_annotated(root: Path, header: str, row: str, n: int) -> None:
    touch(root, *(f"x/{i}.flac" for i in range(n)))
    lines = [header, *(row.format(i=i) for i in range(n))]
    (root / "annotations.csv").write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize("name", sorted(entries("datasets")))
def test_wrong_folders_say_what_was_expected_and_where_it_is(name, tmp_path):
    with pytest.raises(
        DataError, match=rf"nowhere is not a folder; expected the dataset {name}.*https://"
    ):
        read(name, tmp_path / "nowhere")
    with pytest.raises(DataError, match=f"holds no audio; expected the dataset {name}"):
        read(name, tmp_path)
    touch(tmp_path, "other/thing.wav")
    with pytest.raises(DataError):
        read(name, tmp_path)
    with pytest.raises(DataError):
        read(name, tmp_path, partial=True)


def test_esc10(tmp_path):
    make_esc10(tmp_path)
    manifest = read("esc10", tmp_path)
    assert len(manifest) == 400
    assert manifest.notes == []
    row = {name: cells[0] for name, cells in manifest.columns.items()}
    assert row == {
        "track_id": "001 - Sound 0/1-010-A",
        "path": "001 - Sound 0/1-010-A.ogg",
        "labels": "Sound 0",
        "fold": "1",
        "group": "010",
    }
    touch(tmp_path, "stranger.wav")
    next((tmp_path / "003 - Sound 2").glob("4-*")).unlink()
    with pytest.raises(
        DataError, match="399 of the 400 files of esc10 found; missing: 1 of 8 in fold 4 of '003"
    ):
        read("esc10", tmp_path)
    notes = read("esc10", tmp_path, partial=True).notes
    assert "missing: 1 of 8 in fold 4" in notes[0]
    assert notes[1].endswith("ignored files that are not part of esc10: stranger.wav")


def test_fsdd(tmp_path):
    speakers = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
    names = [f"recordings/{d}_{s}_{n}.wav" for d in range(10) for s in speakers for n in range(3)]
    touch(tmp_path, *names)
    manifest = read("fsdd", tmp_path, takes=2)
    assert len(manifest) == 120
    assert manifest.notes == [
        f"{tmp_path}: ignored files that are not part of fsdd: recordings/0_george_2.wav, "
        "recordings/0_jackson_2.wav, recordings/0_lucas_2.wav, recordings/0_nicolas_2.wav, "
        "recordings/0_theo_2.wav and 55 more"
    ]
    assert manifest.track_ids[0] == "0_george_0"
    assert set(manifest.column("labels")) == set("0123456789")
    assert manifest.column("fold") == manifest.column("group")
    (tmp_path / names[3]).unlink()
    with pytest.raises(DataError, match=r"119 of the 120 files of fsdd found; .*0_jackson_0; "):
        read("fsdd", tmp_path, takes=2)
    assert len(read("fsdd", tmp_path, takes=2, partial=True)) == 119


def test_mridangam_and_philharmonia_go_by_their_table(tmp_path):
    make_annotated(tmp_path / "m", "path,stroke,tonic", "x/{i}.flac,ta,b", 3)
    with pytest.raises(DataError, match="3 of the 2879 files of mridangam found"):
        read("mridangam", tmp_path / "m")
    touch(tmp_path / "m", "x/more.flac")
    (tmp_path / "m/x/1.flac").unlink()
    manifest = read("mridangam", tmp_path / "m", partial=True)
    assert manifest.columns == {
        "track_id": ["x/0", "x/2"],
        "path": ["x/0.flac", "x/2.flac"],
        "labels": ["ta", "ta"],
        "fold": ["b", "b"],
        "group": ["b", "b"],
    }
    assert "found; missing: x/1.flac" in manifest.notes[0]
    assert "not part of mridangam: x/more.flac" in manifest.notes[1]

    header, row = "path,split,instrument,note,tags", "x/{i}.flac,train,banjo,A{i},a|b"
    make_annotated(tmp_path / "p", header, row, 2)
    manifest = read("philharmonia", tmp_path / "p", partial=True)
    assert manifest.column("group") == ["banjo A0", "banjo A1"]
    assert manifest.column("tags") == ["a|b", "a|b"]
    make_annotated(tmp_path / "p", "path,split,instrument,note", "x/{i}.flac,train,banjo,A", 2)
    with pytest.raises(DataError, match="no column 'tags'"):
        read("philharmonia", tmp_path / "p", partial=True)
    (tmp_path / "p/annotations.csv").unlink()
    with pytest.raises(
        DataError,
        match=r"annotations.csv does not exist; expected the dataset philharmonia: annotations.csv",
    ):
        read("philharmonia", tmp_path / "p")


def test_gtzan(tmp_path):
    make_gtzan(tmp_path)
    manifest = read("gtzan", tmp_path)
    assert len(manifest) == 1000
    assert manifest.track_ids[0] == "blues/blues.00000"
    assert manifest.columns["path"][0] == "genres/blues/blues.00000.wav"
    assert set(manifest.column("labels")) == set(GENRES)
    pairs = Counter(zip(manifest.column("labels"), manifest.column("fold"), strict=True))
    assert len(pairs) == 100
    assert set(pairs.values()) == {10}
    (note,) = manifest.notes
    assert "scores of the random column fold are too good" in note
    assert "omits 70 of these tracks" in note
    (tmp_path / "genres/pop/pop.00007.wav").unlink()
    with pytest.raises(DataError, match=r"999 of the 1000 files of gtzan found; .*pop/pop.00007;"):
        read("gtzan", tmp_path)
    part = read("gtzan", tmp_path, partial=True)
    assert len(part) == 999
    assert part.notes[0].endswith("999 of the 1000 files of gtzan found; missing: pop/pop.00007")
    fold_of = dict(zip(manifest.track_ids, manifest.column("fold"), strict=True))
    assert [fold_of[name] for name in part.track_ids] == part.column("fold")


def test_gtzan_leaves_out_the_file_that_is_broken(tmp_path):
    make_gtzan(tmp_path)
    touch(tmp_path, "genres/jazz/jazz.00054.wav", content=b"\0\0\1\2")
    manifest = read("gtzan", tmp_path)
    assert len(manifest) == 999
    assert "jazz/jazz.00054" not in manifest.track_ids
    assert manifest.notes[0] == (
        "left out 1 tracks whose files are known to be broken: jazz/jazz.00054"
    )
    made = prepare("gtzan", tmp_path, tmp_path / "gtzan.csv")
    said = made.manifest.notes[-1]
    assert said.startswith("column 'split': fault-filtered of gtzan, 929 of 930 tracks (split id ")


def test_two_files_of_one_track_are_refused(tmp_path):
    make_gtzan(tmp_path)
    touch(tmp_path, "copy/rock/rock.00003.wav", content=b"RIFF")
    said = r"copy/rock/rock.00003.wav and genres/rock/rock.00003.wav are both the track rock/rock"
    with pytest.raises(DataError, match=said):
        read("gtzan", tmp_path)
    make_esc10(tmp_path / "esc")
    touch(tmp_path / "esc", "001 - Sound 0/1-010-A.wav")
    with pytest.raises(DataError, match=r"1-010-A.ogg and .*1-010-A.wav are both the track"):
        read("esc10", tmp_path / "esc")


def test_prepare_writes_once(tmp_path):
    make_esc10(tmp_path / "esc")
    out = tmp_path / "lists" / "esc10.csv"
    assert prepare("esc10", tmp_path / "esc", out).written
    assert read_manifest(out).missing() == []
    assert not prepare("esc10", tmp_path / "esc", out).written
    out.write_text("path\nmine.wav\n")
    with pytest.raises(
        DataError, match=r"esc10.csv already exists with other content; pass --overwrite"
    ):
        prepare("esc10", tmp_path / "esc", out)
    assert prepare("esc10", tmp_path / "esc", out, overwrite=True).written
    with pytest.raises(ConfigError, match="did you mean 'gtzan'"):
        prepare("gtzen", tmp_path, out)
    with pytest.raises(ConfigError, match="did you mean 'partial'"):
        prepare("esc10", tmp_path, out, settings={"partiel": "yes"})


@pytest.mark.parametrize(
    ("name", "n_tracks", "n_labels", "n_groups"),
    [
        ("esc10", 400, 10, 304),
        ("mridangam", 2879, 9, 6),
        ("philharmonia", 1493, 15, 417),
        ("fsdd", 1200, 10, 6),
    ],
)
def test_real_folders(real_data, name, n_tracks, n_labels, n_groups):
    manifest = read(name, real_data / name)
    assert len(manifest) == n_tracks
    assert len(manifest.labels().names) == n_labels
    assert len(set(manifest.column("group"))) == n_groups
    assert manifest.notes == []
    if name == "esc10":
        said = published_as("fold", manifest.track_ids, manifest.column("fold"))
        assert said == "official-folds of esc10, as published"
    if name == "philharmonia":
        assert len(manifest.labels("tags").names) == 36


def test_published_gtzan_lists(real_data, tmp_path):
    make_gtzan(tmp_path)
    manifest = read("gtzan", tmp_path)
    counts = [manifest.column("split").count(part) for part in ("train", "valid", "test", "")]
    assert counts == [443, 197, 290, 70]
    part_of = dict(zip(manifest.track_ids, manifest.column("split"), strict=True))
    for part in ("train", "valid", "test"):
        lines = (real_data / "splits/gtzan" / f"{part}_filtered.txt").read_text().split()
        assert {part_of[line.removesuffix(".wav")] for line in lines} == {part}


@pytest.mark.parametrize("name", sorted(entries("datasets")))
def test_every_dataset_says_what_it_is(name):
    facts = find("datasets", name).facts
    assert {*facts} == {
        *("task", "tracks", "labels", "splits", "paper"),
        *("audio_licence", "metadata_licence", "url", "layout"),
    }
    assert facts["url"].startswith("https://")
    result = CliRunner().invoke(cli, ["list", "datasets", name])
    assert f"layout: {facts['layout']}" in result.output


def test_the_page_of_datasets_is_up_to_date():
    root = Path(__file__).parents[1]
    spec = importlib.util.spec_from_file_location("make", root / "docs/make_datasets_table.py")
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    page = (root / "data/README.md").read_text(encoding="utf-8")
    assert page == made.render(page), "run `make docs`"
