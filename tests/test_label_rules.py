"""Labels against augmentations: what is threatened is named, and labels follow where asked."""

import json

import librosa
import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from mcls.cli.main import cli
from mcls.data.label_kinds import kinds_of
from mcls.data.label_rules import follow, multiply, parse_rules, transpose
from mcls.disk.run import open_run
from mcls.errors import ConfigError, DataError
from mcls.features.augmentations import amounts, let_labels_follow, parse_augmentations
from mcls.stores.store import Store
from mcls.training.segment_augmentations import Batch, MovedLabels, shift

SR = 8000
SHARPS = ["C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B"]
FLATS = ["C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B"]


@pytest.mark.parametrize("names", [SHARPS, FLATS])
@pytest.mark.parametrize("mode", [" major", " minor", ":min", "m", ""])
def test_all_keys_are_transposed_in_the_spelling_of_the_column(names, mode):
    known = tuple(name + mode for name in names)
    for at, key in enumerate(known):
        for by in range(-12, 13):
            assert transpose(key, by, known=known) == known[(at + by) % 12]


def test_a_transposed_note_is_that_of_librosa():
    for midi in range(12, 120):
        for by in (-13, -1, 0, 2, 12):
            sharp, flat = librosa.midi_to_note(midi, unicode=False), None
            assert librosa.note_to_midi(transpose(sharp, by)) == midi + by
            flat = FLATS[midi % 12] + str(midi // 12 - 1)
            assert librosa.note_to_midi(transpose(flat, by)) == midi + by


@pytest.mark.parametrize(
    ("label", "by", "known", "becomes"),
    [
        ("Cb major", 1, (), "C major"),
        ("E# minor", 0, ("F minor",), "F minor"),
        ("C", 1, ("Db", "C"), "Db"),
        ("C minor", 1, ("Db min", "A min"), "Db min"),
        ("b", 1, ("b", "c", "csh"), "c"),
        ("c", 1, ("b", "c", "csh"), "csh"),
        ("As4", 2, (), "C5"),
        ("key:C", 2, ("key:C", "key:D"), "key:D"),
        ("G sharp minor", 2, (), "A sharp minor"),
        ("f♯", 1, (), "g"),
        ("60", -1, (), "59"),
    ],
)
def test_spellings(label, by, known, becomes):
    assert transpose(label, by, known=known) == becomes


def test_a_tempo_is_multiplied_and_what_is_no_key_or_tempo_is_refused():
    assert multiply("120", 0.9) == "108"
    assert multiply("tempo:128 bpm", 1.25) == "tempo:160 bpm"
    assert follow("rock|C", "transpose", 1, ["C", "Db", "rock"]) == "rock|Db"
    with pytest.raises(DataError, match="'rock' is no key or note"):
        follow("rock", "transpose", 1, ["rock"])
    with pytest.raises(DataError, match="'fast' is no tempo"):
        multiply("fast", 1.1)
    with pytest.raises(ConfigError, match="write COLUMN:RULE"):
        parse_rules(["transpose"])
    with pytest.raises(ConfigError, match="transpose"):
        parse_rules(["key:transposed"])


@pytest.mark.parametrize(
    ("column", "cells", "kinds"),
    [
        ("labels", ["rock", "jazz", "blues"], {}),
        ("labels", ["dog", "rain", "A"], {}),
        ("labels", ["0", "1", "9"], {}),
        ("labels", ["banjo|mid|piano", "cello|mid"], {}),
        ("labels", ["dheem", "cha", "num", "thom"], {}),
        ("labels", ["key:C", "key:D"], {"key"}),
        ("labels", ["b", "c", "csh", "dsh"], {"key"}),
        ("tonic", ["B", "C"], {"key"}),
        ("tags", ["rock|F# minor", "jazz"], {"key"}),
        ("note", ["A3", "As4", "Cs2"], {"pitch"}),
        ("midi", ["60", "61"], {"pitch"}),
        ("bpm", ["120", "92.5"], {"tempo"}),
        ("tags", ["fast|rock", "guitar"], {"tempo"}),
        ("tags", ["dynamic---loud|length---long"], {"loudness", "length"}),
    ],
)
def test_what_labels_look_like(column, cells, kinds):
    assert set(kinds_of(column, cells)) == set(kinds)


def test_amounts_are_whole_semitones_only_where_labels_follow():
    asked = parse_augmentations(["pitch-shift=-2..2", "time-stretch", "noise"])
    assert amounts(asked, [0, 1]) == {}
    marked = let_labels_follow(asked, ["transpose", "multiply"])
    drawn = [amounts(marked, [0, i]) for i in range(60)]
    assert {one["pitch-shift"] for one in drawn} == {-2, -1, 0, 1, 2}
    assert all(0.9 <= one["time-stretch"] <= 1.1 for one in drawn)
    with pytest.raises(ConfigError, match="follows time-stretch"):
        let_labels_follow(parse_augmentations(["pitch-shift"]), ["multiply"])
    with pytest.raises(ConfigError, match="whole semitones"):
        let_labels_follow(parse_augmentations(["pitch-shift=0.3..0.7"]), ["transpose"])


def tone(pitch: int, seconds: float = 1.2) -> np.ndarray:
    t = np.arange(int(seconds * SR)) / SR
    f = librosa.midi_to_hz(60 + pitch)
    return sum((0.2 / k) * np.sin(2 * np.pi * k * f * t) for k in (1, 2, 3)).astype(np.float32)


def run(*words: object) -> str:
    result = CliRunner().invoke(cli, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """A manifest of 24 tones of 12 keys, with a tempo."""
    folder = tmp_path_factory.mktemp("keys")
    lines = ["path,labels,tempo,split"]
    for copy, part in enumerate(("train", "valid")):
        for pitch, name in enumerate(FLATS):
            soundfile.write(folder / f"{name}{copy}.wav", tone(pitch), SR)
            lines.append(f"{name}{copy}.wav,{name} major,{100 + pitch},{part}")
    (folder / "tracks.csv").write_text("\n".join(lines) + "\n")
    return folder


def chroma(folder, out, *more):
    words = ["--feature", "chroma", "--sr", SR, "--copies", 2, *more]
    return run("extract", folder / "tracks.csv", out, *words)


def test_copies_that_keep_threatened_labels_are_named_in_extract_and_train(keys, tmp_path):
    said = chroma(keys, tmp_path / "s.h5", "--augment", "pitch-shift=2")
    assert "pitch-shift may make labels wrong: column 'labels' looks like keys (A major" in said
    assert "--label-rule labels:transpose" in said
    said = run("train", tmp_path / "s.h5", tmp_path / "r", "--pool", "mean", "--model", "knn")
    assert "pitch-shift may make labels wrong" in said
    assert any(
        "pitch-shift may" in note for note in open_run(tmp_path / "r").about["summary"]["notes"]
    )


def test_the_threat_is_named_of_rows_that_were_encoded(keys, tmp_path):
    chroma(keys, tmp_path / "s.h5", "--augment", "pitch-shift=2")
    run("learn-dict", tmp_path / "s.h5", tmp_path / "d.h5", "--size", 4)
    run("encode", tmp_path / "s.h5", tmp_path / "e.h5", "--with", tmp_path / "d.h5")
    said = run("train", tmp_path / "e.h5", tmp_path / "r", "--pool", "mean", "--model", "knn")
    assert "pitch-shift may make labels wrong: column 'labels' of the copies" in said


def test_labels_of_copies_follow_and_are_those_that_are_heard(keys, tmp_path):
    said = chroma(
        keys, tmp_path / "s.h5",
        *("--augment", "pitch-shift=-3..3", "--augment", "time-stretch=0.8..1.25"),
        *("--label-rule", "labels:transpose", "--label-rule", "tempo:multiply"),
    )  # fmt: skip
    assert "may make labels wrong" not in said
    store = Store(tmp_path / "s.h5")
    assert store.settings["augment"]["label_rules"] == {"labels": "transpose", "tempo": "multiply"}
    source = store.tracks["augmented_from"]
    place = {track_id: i for i, track_id in enumerate(store.track_ids)}
    moved = 0
    for i, of in enumerate(source):
        loudest = store.feature("chroma").track(i).mean(axis=0).argmax()
        assert store.tracks["labels"][i] == f"{FLATS[loudest]} major"
        if of:
            first = place[of]
            moved += store.tracks["labels"][i] != store.tracks["labels"][first]
            speed = float(store.tracks["tempo"][i]) / float(store.tracks["tempo"][first])
            heard = store.tracks["seconds"][first] / store.tracks["seconds"][i]
            assert speed == pytest.approx(heard, rel=0.02)
    assert moved > 24
    assert "nothing to do" in chroma(
        keys, tmp_path / "s.h5",
        *("--augment", "pitch-shift=-3..3", "--augment", "time-stretch=0.8..1.25"),
        *("--label-rule", "labels:transpose", "--label-rule", "tempo:multiply"),
    )  # fmt: skip


def test_what_label_safe_leaves_out_is_said(keys, tmp_path):
    said = chroma(keys, tmp_path / "s.h5", "--augment", "pitch-shift", "--keep-label-safe")
    assert "--keep-label-safe leaves out pitch-shift; none is left, so no copies are made" in said


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--augment", "noise", "--label-rule", "labels:transpose"], "follows pitch-shift"),
        (["--augment", "pitch-shift", "--label-rule", "kex:transpose"], "no such column"),
        (["--augment", "time-stretch", "--label-rule", "labels:multiply"], "is no tempo"),
    ],
)
def test_rules_that_do_not_fit_are_refused(keys, tmp_path, words, message):
    words = ["--feature", "chroma", "--copies", 1, *words]
    result = CliRunner().invoke(
        cli, ["extract", str(keys / "tracks.csv"), str(tmp_path / "s.h5"), *map(str, words)]
    )
    assert result.exit_code in (1, 2)
    assert message in result.output


def test_labels_follow_a_shift_of_segments(rng):
    x = np.eye(12, dtype=np.float32)[:, None, :]
    y = np.eye(12, dtype=np.float32)
    most = 5
    order = (np.arange(12)[None, :] - np.arange(-most, most + 1)[:, None]) % 12
    ones = np.ones(12, np.float32)
    moved = shift(Batch(x, y, 0 * ones, ones, MovedLabels(1, order)), rng, dims=most, wrap=True)
    assert np.array_equal(moved.x[:, 0], moved.y)
    assert not np.array_equal(moved.y, y)


def train_shifted(store, out, *more):
    words = ["--model", "mlp", "-p", "layers=8", "--epochs", 2, "--frames", 4, *more]
    return CliRunner().invoke(cli, [str(word) for word in ("train", store, out, *words)])


def test_training_with_shifts_names_the_threat_or_moves_the_labels(keys, tmp_path):
    store = tmp_path / "s.h5"
    run(
        "extract", keys / "tracks.csv", store, "--feature", "chroma", "--feature", "mel", "--sr", SR
    )
    chroma_of = ["--feature", "chroma", "--augment"]
    said = train_shifted(store, tmp_path / "r", *chroma_of, "shift")
    assert "shift may make labels wrong: column 'labels' looks like keys" in said.output
    wrapped = [*chroma_of, "shift:dims=3,wrap=true", "--label-rule", "labels:transpose"]
    said = train_shifted(store, tmp_path / "followed", *wrapped, "--json")
    assert said.exit_code == 0, said.output
    assert not any("wrong" in note for note in json.loads(said.stdout)["notes"])
    flat = [*chroma_of, "shift:dims=3", "--label-rule", "labels:transpose"]
    assert "a circle" in train_shifted(store, tmp_path / "x", *flat).output
    mel = ["--feature", "mel", "--augment", "shift", "--label-rule", "labels:transpose"]
    assert (
        "no whole number of their dimensions" in train_shifted(store, tmp_path / "x", *mel).output
    )
    said = train_shifted(store, tmp_path / "t", "--feature", "mel", "--test-shift", 1)
    assert "--test-shift averages the scores of shifted segments" in said.output
    said = train_shifted(store, tmp_path / "f", "--feature", "mel", "--five-crop")
    assert "--five-crop averages the scores of shifted segments" in said.output


def test_a_label_that_a_shift_leads_to_must_exist(keys, tmp_path):
    lines = (keys / "tracks.csv").read_text().splitlines()
    few = [line for line in lines if "Db" in line or line.startswith(("path", "C", "D"))]
    (keys / "few.csv").write_text("\n".join(few) + "\n")
    store = tmp_path / "s.h5"
    run("extract", keys / "few.csv", store, "--feature", "chroma", "--sr", SR)
    shifted = ["--augment", "shift:dims=2,wrap=true", "--label-rule", "labels:transpose"]
    said = train_shifted(store, tmp_path / "r", *shifted)
    assert said.exit_code == 2
    assert "which no train track has" in said.output
