"""Known datasets of instruments, notes and words, and those of mirdata: look-alikes of each."""

import importlib.util
import json
import warnings
from collections import Counter
from pathlib import Path

import pytest
from dataset_folders import touch, write

from mcls.data.datasets.irmas import _N_TRAIN
from mcls.data.prepare import prepare
from mcls.data.published_splits import published_split
from mcls.errors import ConfigError, DataError
from mcls.registry import find
from mcls.tables.labels import split_labels, unknown_labels
from mcls.tables.manifest import Manifest, read_manifest

needs_mirdata = pytest.mark.skipif(
    importlib.util.find_spec("mirdata") is None, reason="mirdata is not installed"
)


def read(name: str, root: Path, **settings) -> Manifest:
    return find("datasets", name).load()(root, **settings)


def rows_of(manifest: Manifest) -> dict[str, dict[str, str]]:
    names = list(manifest.columns)
    cells = zip(*manifest.columns.values(), strict=True)
    return {row[0]: dict(zip(names, row, strict=True)) for row in cells}


def make_openmic(root: Path, labels: list[str], n_tracks: int) -> list[str]:
    keys = list(published_split("openmic", "split01").part_of())[-n_tracks:]  # of the test part
    lines = ["sample_key,instrument,relevance,num_responses", *labels]
    write(root / "openmic-2018-aggregated-labels.csv", lines)
    touch(root, *(f"audio/{key[:3]}/{key}.ogg" for key in keys))
    return keys


def test_openmic_says_what_is_unknown(tmp_path):
    keys = make_openmic(tmp_path, [], 3)
    lines = [f"{keys[0]},piano,0.9,3", f"{keys[0]},flute,0.17,3", f"{keys[1]},voice,0.5,3"]
    make_openmic(tmp_path, lines, 3)
    with pytest.raises(DataError, match="3 of the 20000 files of openmic found"):
        read("openmic", tmp_path)
    manifest = read("openmic", tmp_path, partial=True)
    rows = rows_of(manifest)
    assert rows[keys[0]]["path"] == f"audio/{keys[0][:3]}/{keys[0]}.ogg"
    assert rows[keys[0]]["split"] == "test"
    assert split_labels(rows[keys[0]]["labels"]) == ["piano"]
    assert len(unknown_labels(rows[keys[0]]["labels"])) == 18
    assert "flute" not in rows[keys[0]]["labels"]  # known to be absent
    assert split_labels(rows[keys[1]]["labels"]) == ["voice"]
    assert len(unknown_labels(rows[keys[2]]["labels"])) == 20
    table = manifest.labels()
    assert len(table.names) == 20
    assert table.unknown.sum() == 60 - 3
    assert split_labels(
        rows_of(read("openmic", tmp_path, relevance=0.1, partial=True))[keys[0]]["labels"]
    ) == ["flute", "piano"]
    made = prepare("openmic", tmp_path, tmp_path / "o.csv", settings={"partial": "true"})
    assert any("3 of 400000 pairs" in note for note in made.manifest.notes)
    assert made.manifest.notes[-1].startswith("column 'split': split01 of openmic, 3 of 20000")
    assert read_manifest(tmp_path / "o.csv").labels().unknown.sum() == 57


def test_openmic_refuses_a_table_of_something_else(tmp_path):
    for line, said in (
        ("000000_1,piano,1,3", "not an excerpt of OpenMIC-2018: 000000_1"),
        ("000046_3840,kazoo,1,3", "not an instrument of OpenMIC-2018: kazoo"),
        ("000046_3840,piano,much,3", "relevance 'much'"),
    ):
        make_openmic(tmp_path, [line], 1)
        with pytest.raises(DataError, match=said):
            read("openmic", tmp_path, partial=True)


def test_openmic_has_the_published_counts(tmp_path):
    make_openmic(tmp_path, [], 20000)
    manifest = read("openmic", tmp_path)
    assert len(manifest) == 20000
    assert Counter(manifest.column("split")) == {"train": 14915, "test": 5085}


def make_nsynth(root: Path, part: str, names: list[str]) -> None:
    notes = {}
    for name in names:
        instrument, pitch, velocity = name.rsplit("-", 2)
        family, source = instrument.split("_")[:2]
        notes[name] = {
            "note_str": name,
            "instrument_str": instrument,
            "instrument_family_str": family,
            "instrument_source_str": source,
            "pitch": int(pitch),
            "velocity": int(velocity),
            "qualities_str": ["bright", "reverb"],
            "qualities": [0] * 10,
        }
    (root / f"nsynth-{part}").mkdir(parents=True)
    (root / f"nsynth-{part}/examples.json").write_text(json.dumps(notes))
    touch(root, *(f"nsynth-{part}/audio/{name}.wav" for name in names))


def test_nsynth(tmp_path):
    make_nsynth(tmp_path, "valid", ["bass_synthetic_068-049-025"])
    make_nsynth(tmp_path, "test", ["bass_synthetic_068-050-025", "guitar_acoustic_001-082-127"])
    with pytest.raises(DataError, match="3 of the 305979 files of nsynth found"):
        read("nsynth", tmp_path)
    rows = rows_of(read("nsynth", tmp_path, partial=True))
    assert rows["guitar_acoustic_001-082-127"] == {
        "track_id": "guitar_acoustic_001-082-127",
        "path": "nsynth-test/audio/guitar_acoustic_001-082-127.wav",
        "labels": "guitar",
        "split": "test",
        "family": "guitar",
        "source": "acoustic",
        "instrument": "guitar_acoustic_001",
        "pitch": "82",
        "velocity": "127",
        "qualities": "bright|reverb",
    }
    assert rows["bass_synthetic_068-049-025"]["split"] == "valid"
    (tmp_path / "nsynth-test/audio/bass_synthetic_068-050-025.wav").unlink()
    manifest = read("nsynth", tmp_path, target="source", partial=True)
    assert manifest.column("labels") == ["synthetic", "acoustic"]
    assert "missing: bass_synthetic_068-050-025" in manifest.notes[0]
    for text, said in (("[", "is not JSON"), ('{"a": {"b": 1}}', "expected an object per note")):
        (tmp_path / "nsynth-test/examples.json").write_text(text)
        with pytest.raises(DataError, match=said):
            read("nsynth", tmp_path, partial=True)


def make_irmas(root: Path, n_train: dict[str, int], n_test: int) -> None:
    for code, n in n_train.items():
        files = (f"[{code}][dru][pop_roc]{i // 3:04d}__{i % 3 + 1}.wav" for i in range(n))
        touch(root, *(f"IRMAS-TrainingData/{code}/{file}" for file in files))
    for i in range(n_test):
        part = i % 3 + 1
        name = f"IRMAS-TestingData-Part{part}/Part{part}/(02) song {i // 6}-{i}"
        touch(root, f"{name}.wav")
        write(root / f"{name}.txt", ["gel\t", "voi"] if i % 2 else ["pia"])


def test_irmas(tmp_path):
    make_irmas(tmp_path, _N_TRAIN, 2874)
    manifest = read("irmas", tmp_path)
    assert len(manifest) == 9579
    assert manifest.notes == []
    assert Counter(manifest.column("split")) == {"train": 6705, "test": 2874}
    assert len(manifest.labels().names) == 11
    rows = rows_of(manifest)
    assert rows["cel/[cel][dru][pop_roc]0001__2"] == {
        "track_id": "cel/[cel][dru][pop_roc]0001__2",
        "path": "IRMAS-TrainingData/cel/[cel][dru][pop_roc]0001__2.wav",
        "labels": "cello",
        "split": "train",
        "group": "cel/[cel][dru][pop_roc]0001",
        "genre": "pop_roc",
        "drums": "yes",
    }
    test = rows["Part2/(02) song 0-1"]
    assert (test["labels"], test["group"]) == ("electric guitar|voice", "(02) song 0")
    assert rows["Part1/(02) song 0-0"]["labels"] == "piano"


def test_irmas_in_part(tmp_path):
    make_irmas(tmp_path, {"cel": 4}, 2)
    touch(tmp_path, "IRMAS-TrainingData/cel/other.wav")
    with pytest.raises(DataError, match=r"6 of the 9579 .*384 of 388 in cel, 505 of 505 in cla"):
        read("irmas", tmp_path)
    manifest = read("irmas", tmp_path, partial=True)
    assert manifest.notes[1].endswith("not part of irmas: IRMAS-TrainingData/cel/other.wav")
    text = tmp_path / "IRMAS-TestingData-Part1/Part1/(02) song 0-0.txt"
    write(text, ["kazoo"])
    with pytest.raises(DataError, match="names 'kazoo'; expected cel, cla"):
        read("irmas", tmp_path, partial=True)
    text.unlink()
    with pytest.raises(DataError, match="is missing; it names the instruments"):
        read("irmas", tmp_path, partial=True)


def make_medley(root: Path) -> None:
    header, lines = "subset,instrument_id,instrument,song_id,uuid4", []
    for n, subset in enumerate(("training", "validation", "test", "test")):
        lines.append(f"{subset},{n},flute,{n // 3},uuid-{n}")
        touch(root, f"audio/Medley-solos-DB_{subset}-{n}_uuid-{n}.wav")
    write(root / "annotation/Medley-solos-DB_metadata.csv", [header, *lines])


def test_medley_solos_db(tmp_path):
    make_medley(tmp_path)
    with pytest.raises(DataError, match="4 of the 21571 files of medley-solos-db found"):
        read("medley-solos-db", tmp_path)
    manifest = read("medley-solos-db", tmp_path, partial=True)
    assert manifest.column("split") == ["train", "valid", "test", "test"]
    assert manifest.column("group") == ["train 0", "valid 0", "test 0", "test 1"]
    assert rows_of(manifest)["Medley-solos-DB_test-3_uuid-3"]["labels"] == "flute"


def make_speech_commands(root: Path, words: list[str]) -> None:
    files = [f"{word}/{hand}_nohash_{n}.wav" for word in words for hand in "abc" for n in (0, 1)]
    touch(root, *files, "_background_noise_/pink_noise.wav")
    write(root / "validation_list.txt", [file for file in files if "/b_" in file])
    write(root / "testing_list.txt", [file for file in files if "/c_" in file])


def test_speech_commands(tmp_path):
    make_speech_commands(tmp_path, ["yes", "bed", "visual"])
    with pytest.raises(DataError, match="18 of the 105829 files of speech-commands found"):
        read("speech-commands", tmp_path)
    manifest = read("speech-commands", tmp_path, partial=True)
    assert len(manifest) == 18
    assert Counter(manifest.column("split")) == {"train": 6, "valid": 6, "test": 6}
    row = rows_of(manifest)["visual/b_nohash_1"]
    assert (row["labels"], row["split"], row["group"]) == ("visual", "valid", "b")
    assert manifest.notes[-1] == "left out 1 recordings in _background_noise_, which are no word"
    ten = read("speech-commands", tmp_path, words="ten", partial=True)
    assert set(ten.column("labels")) == {"yes", "unknown"}
    assert set(ten.column("word")) == {"yes", "bed", "visual"}
    first = read("speech-commands", tmp_path, version=1, partial=True)
    assert set(first.column("labels")) == {"yes", "bed"}
    assert "of the 64721 files" in first.notes[0]
    (tmp_path / "bed/c_nohash_0.wav").unlink()
    said = read("speech-commands", tmp_path, partial=True).notes[0]
    assert said.endswith("missing: bed/c_nohash_0")


def make_good_sounds(root: Path) -> None:
    sounds = {
        "2": {"instrument": "flute", "klass": "good-sound", "semitone": 60},
        "3": {"instrument": "cello", "klass": "bad-timbre", "semitone": None},
    }
    takes = {}
    for n, (sound, mic) in enumerate([("2", "akg"), ("2", "neumann"), ("3", "akg")]):
        pack = f"{sounds[sound]['instrument']}_player_reference"
        file = f"sound_files/{pack}/{mic}/{n:04d}.wav"
        takes[str(n)] = {"sound_id": int(sound), "microphone": mic, "filename": file}
        touch(root, f"good-sounds/{file}")
    (root / "sounds.json").write_text(json.dumps(sounds))
    (root / "takes.json").write_text(json.dumps(takes))


def test_good_sounds(tmp_path):
    make_good_sounds(tmp_path)
    manifest = read("good-sounds", tmp_path)
    assert manifest.notes == []
    assert rows_of(manifest)["flute_player_reference/neumann/0001"] == {
        "track_id": "flute_player_reference/neumann/0001",
        "path": "good-sounds/sound_files/flute_player_reference/neumann/0001.wav",
        "labels": "flute",
        "group": "flute_player_reference",
        "klass": "good-sound",
        "pitch": "60",
        "microphone": "neumann",
        "sound": "2",
    }
    assert manifest.column("pitch") == ["60", "60", ""]
    (tmp_path / manifest.columns["path"][0]).unlink()
    with pytest.raises(DataError, match=r"2 of the 3 .* missing: flute_player_reference/akg/0000"):
        read("good-sounds", tmp_path)
    assert len(read("good-sounds", tmp_path, partial=True)) == 2
    (tmp_path / "sounds.json").write_text("{}")
    with pytest.raises(DataError, match=r"take 0 of takes\.json is of no sound"):
        read("good-sounds", tmp_path, partial=True)


def make_tinysol(root: Path) -> None:
    header = "Path,Fold,Family,Instrument (abbr.),Instrument (in full),Technique (abbr.),"
    header += "Technique (in full),Pitch,Pitch ID,Dynamics,Dynamics ID,Instance ID,"
    header += "String ID (if applicable),Needed digital retuning"
    lines = [header]
    for n, pitch in enumerate(["A#1", "B1", "C2"]):
        path = f"Brass/Bass_Tuba/ordinario/BTb-ord-{pitch}-ff-N-N.wav"
        lines.append(f"{path},{n},Brass,BTb,Bass Tuba,ord,ordinario,{pitch},{n},ff,4,0,,FALSE")
        touch(root, f"audio/{path}")
    write(root / "annotation/TinySOL_metadata.csv", lines)


def test_tinysol(tmp_path):
    make_tinysol(tmp_path)
    with pytest.raises(DataError, match="3 of the 2913 files of tinysol found"):
        read("tinysol", tmp_path)
    manifest = read("tinysol", tmp_path, partial=True)
    assert manifest.track_ids[0] == "BTb-ord-A#1-ff-N-N"
    assert manifest.column("labels") == ["Bass Tuba"] * 3
    assert manifest.column("fold") == ["0", "1", "2"]
    assert manifest.column("pitch") == ["A#1", "B1", "C2"]


def make_index(path: Path, tracks: dict[str, str]) -> str:
    """Write an index of mirdata: the audio of every track, and no checksums."""
    paths = {name: {"audio": [file, "0"]} for name, file in tracks.items()}
    path.write_text(json.dumps({"version": "1", "tracks": paths}))
    return str(path)


def prepare_quietly(name: str, root: Path, out: Path, **settings: str):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what mirdata imports may warn
        return prepare(name, root, out, settings=settings)


@needs_mirdata
def test_mirdata_gives_an_attribute_as_label(tmp_path):
    make_tinysol(tmp_path / "t")
    names = {f"BTb-ord-{pitch}-ff-N-N": pitch for pitch in ("A#1", "B1", "C2")}
    folder = "audio/Brass/Bass_Tuba/ordinario"
    index = make_index(tmp_path / "tinysol.json", {name: f"{folder}/{name}.wav" for name in names})
    out = tmp_path / "t.csv"
    with pytest.raises(ConfigError, match=r"-p label=ATTRIBUTE.*instrument_full \(Bass Tuba\)"):
        prepare_quietly("mirdata:tinysol", tmp_path / "t", out, index=index)
    with pytest.raises(ConfigError, match="no attribute 'instrument_ful'; did you mean"):
        prepare_quietly("mirdata:tinysol", tmp_path / "t", out, index=index, label="instrument_ful")
    made = prepare_quietly(
        "mirdata:tinysol", tmp_path / "t", out, index=index, label="pitch", group="family"
    )
    assert made.manifest.columns == {
        "track_id": list(names),
        "path": [f"{folder}/{name}.wav" for name in names],
        "labels": list(names.values()),
        "group": ["Brass"] * 3,
        "fold": ["0", "1", "2"],
    }
    assert read_manifest(out).missing() == []
    (tmp_path / "t" / folder / "BTb-ord-C2-ff-N-N.wav").unlink()
    with pytest.raises(DataError, match="2 of the 3 files of mirdata found"):
        prepare_quietly("mirdata:tinysol", tmp_path / "t", out, index=index, label="pitch")
    (tmp_path / "t/annotation/TinySOL_metadata.csv").unlink()
    with pytest.raises(DataError, match="pitch of track 'BTb-ord-A#1-ff-N-N': Metadata not found"):
        prepare_quietly("mirdata:tinysol", tmp_path / "t", out, index=index, label="pitch")


@needs_mirdata
def test_mirdata_agrees_with_our_own_dataset(tmp_path):
    make_medley(tmp_path / "m")
    own = read("medley-solos-db", tmp_path / "m", partial=True)
    uuids = {
        name.rpartition("_")[2]: path
        for name, path in zip(own.track_ids, own.columns["path"], strict=True)
    }
    index = make_index(tmp_path / "m.json", uuids)
    made = prepare_quietly(
        "mirdata:medley_solos_db",
        tmp_path / "m",
        tmp_path / "m.csv",
        index=index,
        label="instrument",
    )
    assert made.manifest.column("labels") == own.column("labels")
    assert made.manifest.columns["path"] == own.columns["path"]


@needs_mirdata
def test_mirdata_reads_real_recordings(real_data, tmp_path):
    files = sorted((real_data / "mridangam").glob("*/*.flac"))[::500]
    names = {path.stem.split("__")[0]: path for path in files}
    for name, path in names.items():
        tonic = path.stem.split("__")[2].split("-")[1].upper().replace("SH", "#")
        touch(tmp_path, f"mridangam/{tonic}/{path.stem}.wav")
        names[name] = tmp_path / f"mridangam/{tonic}/{path.stem}.wav"
    index = make_index(
        tmp_path / "i.json", {n: str(p.relative_to(tmp_path)) for n, p in names.items()}
    )
    made = prepare_quietly(
        "mirdata:mridangam_stroke",
        tmp_path,
        tmp_path / "s.csv",
        index=index,
        label="stroke_name",
        group="tonic",
    )
    assert len(made.manifest) == len(names)
    expected = [path.stem.split("__")[2].split("-")[0] for path in files]
    assert sorted(made.manifest.column("labels")) == sorted(expected)


@needs_mirdata
def test_mirdata_downloads_nothing(tmp_path, monkeypatch):
    touch(tmp_path, "genres/blues/blues.00000.wav")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from mirdata import download_utils

    def refuse(*args, **kwargs):
        raise AssertionError("mirdata downloads")

    monkeypatch.setattr(download_utils, "downloader", refuse)
    with pytest.raises(DataError, match=r"index of mirdata:gtzan_genre is not there.*index=FILE"):
        prepare_quietly("mirdata:gtzan_genre", tmp_path, tmp_path / "g.csv", label="genre")
    index = make_index(tmp_path / "g.json", {"blues.00000": "genres/blues/blues.00000.wav"})
    paths = json.loads(Path(index).read_text())
    paths["tracks"]["blues.00000"] |= {"beats": [None, None], "tempo": [None, None]}
    Path(index).write_text(json.dumps(paths))
    made = prepare_quietly(
        "mirdata:gtzan_genre", tmp_path, tmp_path / "g.csv", index=index, label="genre"
    )
    assert made.manifest.column("labels") == ["blues"]
    with pytest.raises(ConfigError, match="no loader 'gtzan_gener'; did you mean 'gtzan_genre'"):
        prepare_quietly("mirdata:gtzan_gener", tmp_path, tmp_path / "g.csv")
    with pytest.raises(ConfigError, match="Invalid version"):
        prepare_quietly("mirdata:gtzan_genre", tmp_path, tmp_path / "g.csv", version="9")


def test_mirdata_that_is_not_there_is_named(tmp_path, monkeypatch):
    touch(tmp_path, "a.wav")
    monkeypatch.setitem(__import__("sys").modules, "mirdata", None)
    with pytest.raises(ConfigError, match=r"needs mirdata: pip install 'mcls\[mirdata\]'"):
        prepare("mirdata:tinysol", tmp_path, tmp_path / "t.csv")
    with pytest.raises(DataError, match="as in mirdata:gtzan_genre"):
        prepare("mirdata", tmp_path, tmp_path / "t.csv")
