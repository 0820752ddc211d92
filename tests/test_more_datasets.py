"""Known datasets with tables or many class folders: look-alikes, partial copies, real lists."""

import gzip
import hashlib
import json
from collections import Counter
from pathlib import Path

import pytest
from dataset_folders import (
    make_cal500,
    make_class_folders,
    make_esc50,
    make_fma,
    make_giantsteps_key,
    make_ismir04,
    make_magnatagatune,
    make_mtg_jamendo_list,
    make_urbansound8k,
    touch,
    write,
)

from mcls.data.datasets.ballroom import _BALLROOM, _EXTENDED
from mcls.data.datasets.homburg import _N_TRACKS
from mcls.data.datasets.magnatagatune import _BROKEN, top_50
from mcls.data.prepare import prepare
from mcls.data.published_splits import published_split
from mcls.data.splits import find_leaks
from mcls.errors import DataError
from mcls.registry import find
from mcls.tables.manifest import Manifest


def read(name: str, root: Path, **settings) -> Manifest:
    return find("datasets", name).load()(root, **settings)


def rows_of(manifest: Manifest) -> dict[str, dict[str, str]]:
    names = list(manifest.columns)
    cells = zip(*manifest.columns.values(), strict=True)
    return {row[0]: dict(zip(names, row, strict=True)) for row in cells}


def test_homburg(tmp_path):
    make_class_folders(tmp_path / "x", _N_TRACKS, "Artist_{i}_-A-Title.mp3")
    manifest = read("homburg", tmp_path)
    assert len(manifest) == 1886
    assert Counter(manifest.column("labels")) == _N_TRACKS
    assert rows_of(manifest)["blues/Artist_7_-A-Title"]["group"] == "artist_7"
    assert find_leaks(manifest.column("fold"), manifest.column("group"), None).groups == {}
    assert set(manifest.column("fold")) == {str(n) for n in range(1, 11)}
    (tmp_path / "x/blues/Artist_7_-A-Title.mp3").unlink()
    with pytest.raises(DataError, match=r"1885 of the 1886 .* missing: 1 of 120 in blues;"):
        read("homburg", tmp_path)
    assert "1 of 120 in blues" in read("homburg", tmp_path, partial=True).notes[0]


def test_ballroom(tmp_path):
    make_class_folders(tmp_path, _BALLROOM, "Albums-{folder}-{i}.wav")
    touch(tmp_path, "Waltz/Media-105901.wav", "nada.wav")
    (tmp_path / "Waltz/Albums-Waltz-0.wav").unlink()
    manifest = read("ballroom", tmp_path)
    assert len(manifest) == 698
    assert manifest.labels().names == [
        *("ChaChaCha", "Jive", "Quickstep", "Rumba", "Samba", "Tango", "VienneseWaltz", "Waltz")
    ]
    rows = rows_of(manifest)
    assert rows["Waltz/Media-105901"]["group"] == "Media-105901"
    assert rows["Jive/Albums-Jive-3"]["group"] == "Albums-Jive"
    assert manifest.notes[0].endswith("not part of ballroom: nada.wav")


def test_extended_ballroom_groups_repetitions(tmp_path):
    make_class_folders(tmp_path, _EXTENDED, "{folder}{i}.mp3")
    with pytest.raises(DataError, match=r"holds no extendedballroom_v1\.1\.xml; expected"):
        read("extended-ballroom", tmp_path)
    songs = {
        "Waltz0": ["<version id='Waltz2'/>", "<exact id='Tango5'/>"],
        "Tango5": ["<karaoke id='Tango7' voiced='yes'/>"],
        "Waltz2": [],
        "Tango7": ["<time id='Jive1'/>"],
        "Jive2": [],
    }
    write(
        tmp_path / "extendedballroom_v1.1.xml",
        ["<ballroom><Waltz>"]
        + [f"<song id='{song}' bpm='90'>{''.join(links)}</song>" for song, links in songs.items()]
        + ["</Waltz></ballroom>"],
    )
    manifest = read("extended-ballroom", tmp_path)
    assert len(manifest) == 4180
    rows = rows_of(manifest)
    linked = {"Waltz/Waltz0", "Waltz/Waltz2", "Tango/Tango5", "Tango/Tango7", "Jive/Jive1"}
    assert {name for name, row in rows.items() if row["group"] == "Jive1"} == linked
    assert len(set(manifest.column("group"))) == 4180 - 4
    assert find_leaks(manifest.column("fold"), manifest.column("group"), None).groups == {}


def test_esc50(tmp_path):
    make_esc50(tmp_path)
    manifest = read("esc50", tmp_path)
    assert len(manifest) == 2000
    assert Counter(manifest.column("fold")) == dict.fromkeys("12345", 400)
    assert rows_of(manifest)["2-3021-A-3"] == {
        "track_id": "2-3021-A-3",
        "path": "audio/2-3021-A-3.wav",
        "labels": "sound 3",
        "fold": "2",
        "source": "3021",
        "esc10": "true",
    }
    (tmp_path / "audio/2-3021-A-3.wav").unlink()
    with pytest.raises(DataError, match=r"1999 of the 2000 files of esc50 found; missing: 2-3021"):
        read("esc50", tmp_path)
    assert len(read("esc50", tmp_path, partial=True)) == 1999
    (tmp_path / "meta/esc50.csv").unlink()
    with pytest.raises(DataError, match=r"meta/esc50\.csv does not exist; expected the dataset"):
        read("esc50", tmp_path)


def test_urbansound8k(tmp_path):
    make_urbansound8k(tmp_path, 40)
    with pytest.raises(DataError, match="40 of the 8732 files of urbansound8k found; pass -p"):
        read("urbansound8k", tmp_path)
    manifest = read("urbansound8k", tmp_path, partial=True)
    row = rows_of(manifest)["6-3-0-13"]
    assert (row["path"], row["labels"], row["fold"]) == ("audio/fold4/6-3-0-13.wav", "class 3", "4")
    assert (row["source"], row["salience"]) == ("6", "background")


def test_a_table_with_a_short_line_is_refused(tmp_path):
    make_urbansound8k(tmp_path, 4)
    table = tmp_path / "metadata/UrbanSound8K.csv"
    table.write_text(table.read_text() + "5-1-0-1.wav,5\n")
    with pytest.raises(DataError, match="row 6 has 2 cells, the header 8"):
        read("urbansound8k", tmp_path, partial=True)
    table.write_text("a,b\n")
    with pytest.raises(DataError, match=r"there is no column 'slice_file_name' \(a, b\)"):
        read("urbansound8k", tmp_path, partial=True)


def test_cal500(tmp_path):
    make_cal500(tmp_path)
    manifest = read("cal500", tmp_path)
    assert len(manifest) == 502
    table = manifest.labels()
    assert len(table.names) == 174
    assert table.matrix[3].sum() == sum((3 + tag) % 9 == 0 for tag in range(174))
    assert max(Counter(manifest.column("fold")).values()) <= 52
    lines = (tmp_path / "CAL500_noAudioFeatures/vocab.txt").read_text().splitlines()
    write(tmp_path / "CAL500_noAudioFeatures/vocab.txt", lines[:-1])
    with pytest.raises(DataError, match=r"502 rows of 174 numbers; expected 502 songs .* 173 tags"):
        read("cal500", tmp_path)


def test_giantsteps_key(tmp_path):
    make_giantsteps_key(tmp_path)
    manifest = read("giantsteps-key", tmp_path)
    assert len(manifest) == 604
    assert len(manifest.labels().names) == 24
    row = rows_of(manifest)["1013.LOFI"]
    assert (row["labels"], row["genre"]) == ("Db major", "techno")
    (tmp_path / "audio/1013.LOFI.mp3").unlink()
    with pytest.raises(DataError, match=r"603 of the 604 .*missing: 1013\.LOFI;"):
        read("giantsteps-key", tmp_path)


def test_ismir04(tmp_path):
    make_ismir04(tmp_path, 40)
    with pytest.raises(DataError, match="120 of the 2187 files of ismir04 found"):
        read("ismir04", tmp_path)
    manifest = read("ismir04", tmp_path, partial=True)
    assert Counter(manifest.column("split")) == {"train": 40, "valid": 40, "test": 40}
    assert Counter(manifest.column("two-parts")) == {"train": 40, "test": 40, "": 40}
    row = rows_of(manifest)["evaluation/world/artist_1/album_3/0009"]
    assert row["path"] == "audio/evaluation/world/artist_1/album_3/0009.mp3"
    assert (row["labels"], row["album"]) == ("world", "album, 3")
    touch(tmp_path, "audio/training/more.mp3")
    (tmp_path / row["path"]).unlink()
    notes = read("ismir04", tmp_path, partial=True).notes
    assert "missing: evaluation/world/artist_1/album_3/0009" in notes[0]
    assert notes[1].endswith("not part of ismir04: audio/training/more.mp3")


FMA = {
    2: ("small", "training", "Hip-Hop", "[21]", "1"),
    1003: ("medium", "validation", "International", "[2, 21]", "2"),
    1004: ("large", "test", "", "[21, 2]", "3"),
    133297: ("small", "test", "Hip-Hop", "[21]", "4"),
}


@pytest.mark.parametrize(
    ("subset", "tracks"),
    [
        ("small", ["000002"]),
        ("medium", ["000002", "001003"]),
        ("large", ["000002", "001003", "001004"]),
        ("full", ["000002", "001003", "001004", "133297"]),
    ],
)
def test_fma(tmp_path, subset, tracks):
    make_fma(tmp_path, FMA)
    manifest = read("fma", tmp_path, subset=subset, partial=True)
    assert manifest.track_ids == tracks
    rows = rows_of(manifest)
    assert rows["000002"]["path"] == "fma_small/000/000002.mp3"
    assert (rows["000002"]["split"], rows["000002"]["group"]) == ("train", "1")
    said = " ".join(manifest.notes)
    assert ("left out 1 tracks whose files are known to be broken: 133297" in said) == (
        subset != "full"
    )
    if subset == "large":
        assert rows["001003"]["genres"] == "International|Hip-Hop"
        assert rows["001004"]["labels"] == ""
        assert "1 tracks have no top genre; pass --skip-unlabelled" in said


def test_fma_is_compared_with_the_numbers_of_the_subset(tmp_path):
    make_fma(tmp_path, FMA)
    with pytest.raises(DataError, match="1 of the 7999 files of fma found"):
        read("fma", tmp_path)
    with pytest.raises(DataError, match="2 of the 24999 files of fma found"):
        read("fma", tmp_path, subset="medium")
    table = tmp_path / "fma_metadata/tracks.csv"
    table.write_text(table.read_text().replace("track_id", "id"))
    with pytest.raises(DataError, match=r"is not tracks\.csv of FMA"):
        read("fma", tmp_path, partial=True)


@pytest.fixture(scope="module")
def magna(tmp_path_factory):
    """A look-alike of MagnaTagATune with the names of the published list, and few files."""
    root = tmp_path_factory.mktemp("magnatagatune")
    listed = list(published_split("magnatagatune", "lee-nam").part_of())
    clips = [*listed[:5], *listed[-5:], *_BROKEN, "c/no_tags-album-01-title-0-29"]
    tags = ["no piano", *sorted(top_50()), "zither"]
    given = {clip: ["guitar", "no piano", "male vocal"] for clip in clips[:-1]}
    make_magnatagatune(root, given | {clips[-1]: []}, tags)
    return root, listed


def test_magnatagatune(magna):
    root, listed = magna
    with pytest.raises(DataError, match="lacks 21095 published tags or clips: "):
        read("magnatagatune", root)
    manifest = read("magnatagatune", root, partial=True)
    assert len(manifest) == 11
    rows = rows_of(manifest)
    first = rows[listed[0]]
    assert first["labels"] == "guitar|male vocal"
    assert first["tags"] == "no piano|guitar|male vocal"
    assert (first["lee-nam"], first["folders"]) == ("train", "train")
    assert first["path"] == f"mp3/{listed[0]}.mp3"
    assert first["artist"] == listed[0][2:].split("-")[0]
    assert first["group"] == rows[listed[1]]["group"] != first["track_id"]
    assert (rows[listed[-1]]["lee-nam"], rows[listed[-1]]["folders"]) == ("test", "test")
    untagged = rows["c/no_tags-album-01-title-0-29"]
    assert (untagged["labels"], untagged["lee-nam"], untagged["folders"]) == ("", "", "valid")
    assert "11 of the 25860 files of magnatagatune found" in manifest.notes[0]
    assert "left out 3 tracks whose files are known to be broken: 6/norine" in manifest.notes[1]


def test_magnatagatune_is_prepared_and_checked(magna, tmp_path):
    from mcls.data.checks import check_manifest

    made = prepare("magnatagatune", magna[0], tmp_path / "m.csv", settings={"partial": True})
    lee_nam, folders = made.manifest.notes[-2:]
    assert lee_nam.startswith("column 'lee-nam': lee-nam of magnatagatune, 10 of 21105 tracks (sp")
    assert folders.startswith("column 'folders': not the whole published split: 11 tracks (split ")
    found = check_manifest(made.path, split="folders")
    assert found.parts == {"train": 5, "valid": 1, "test": 5}
    assert any("1 tracks have no label, taken as none" in note for note in found.notes)
    assert found.labels["guitar"] == {"train": 5, "valid": 0, "test": 5}


def test_the_top_50_tags_are_in_the_published_order(real_data):
    published = (real_data / "splits/mtat/top50_tags.txt").read_text().split()
    assert [name.replace(" ", "").lower() for name in top_50()] == [
        name.lower() for name in published
    ]
    assert top_50()[:3] == ["guitar", "classical", "slow"]
    assert {"no vocals", "new age", "female vocal"} <= set(top_50())


def blob(path: Path) -> str:
    raw = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(raw) + raw).hexdigest()


def test_mtg_jamendo(tmp_path, monkeypatch):
    lists = tmp_path / "repo"
    for split in ("split-0", "split-1"):
        parts = ["train", "validation", "test"]
        parts = parts if split == "split-0" else parts[::-1]
        for n, part in enumerate(parts):
            tags = ["mood/theme---calm", "mood/theme---dark"][: n + 1]
            track = {f"track_000000{n}": (f"artist_{n}", f"0{n}/{n}.mp3", tags)}
            make_mtg_jamendo_list(lists / split / f"autotagging_moodtheme-{part}.tsv", track)
    known = {f"{f.parent.name}/{f.name}": blob(f) for f in sorted(lists.glob("*/*.tsv"))}
    rows = ["[git-blobs]", *(f"{json.dumps(name)} = '{one}'" for name, one in known.items())]
    write(tmp_path / "data/mtg-jamendo/lists.toml", rows)
    monkeypatch.setattr("mcls.data.datasets.mtg_jamendo.FOLDER", tmp_path / "data")
    root = tmp_path / "audio"
    touch(root, "00/0.mp3", "01/1.mp3", "02/2.mp3", "99/7.mp3")
    settings = {"subset": "moodtheme", "lists": str(lists)}
    with pytest.raises(DataError, match=r"split-2/.*train\.tsv does not exist; .*-p lists=FOLDER"):
        read("mtg-jamendo", root, **settings)
    manifest = read("mtg-jamendo", root, **settings, partial=True)
    assert rows_of(manifest)["track_0000002"] == {
        "track_id": "track_0000002",
        "path": "02/2.mp3",
        "labels": "mood/theme---calm|mood/theme---dark",
        "split-0": "test",
        "split-1": "train",
        "group": "artist_2",
        "album": "album_1",
    }
    assert "3 of the 17982 files of mtg-jamendo found" in manifest.notes[0]
    assert manifest.notes[1].endswith("not part of mtg-jamendo: 99/7.mp3")
    (root / "01/1.mp3").rename(root / "01/1.low.mp3")
    assert len(read("mtg-jamendo", root, **settings, partial=True)) == 3
    touch(root, "01/1.mp3")
    with pytest.raises(DataError, match="holds tracks in full and in low quality"):
        read("mtg-jamendo", root, **settings, partial=True)
    (root / "01/1.mp3").unlink()
    file = lists / "split-1/autotagging_moodtheme-test.tsv"
    file.write_text(file.read_text().replace("calm", "clam"))
    with pytest.raises(DataError, match="is not the published list: `git hash-object` gives"):
        read("mtg-jamendo", root, **settings, partial=True)


def test_published_mtg_jamendo_lists(real_data, tmp_path):
    for packed in sorted((real_data / "splits/mtg_jamendo").glob("*.tsv.gz")):
        touch(tmp_path, f"split-0/{packed.stem}", content=gzip.decompress(packed.read_bytes()))
    touch(tmp_path / "audio", "48/948.mp3", "46/3346.low.mp3")
    settings = {"subset": "moodtheme", "lists": str(tmp_path), "partial": True}
    manifest = read("mtg-jamendo", tmp_path / "audio", **settings)
    assert set(manifest.track_ids) == {"track_0000948", "track_0003346"}
    assert dict(zip(manifest.track_ids, manifest.column("split-0"), strict=True)) == {
        "track_0000948": "train",
        "track_0003346": "valid",
    }
    from mcls.data.datasets.mtg_jamendo import _read_list
    from mcls.data.parts import split_id

    part_of = {}
    for published, part in (("train", "train"), ("validation", "valid"), ("test", "test")):
        listed = _read_list(tmp_path, f"split-0/autotagging_moodtheme-{published}.tsv")
        part_of |= dict.fromkeys(listed, part)
    one = published_split("mtg-jamendo", "moodtheme-0")
    assert Counter(part_of.values()) == one.tracks
    assert split_id(list(part_of), list(part_of.values())) == one.id
