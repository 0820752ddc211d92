"""Metrics of runs on changed audio: amounts, scores, folds, table, JSON and picture."""

import json

import librosa
import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

import mcls
from mcls.cli.main import cli
from mcls.errors import ConfigError
from mcls.features.augmentations import amounts_of
from mcls.judging.evaluate import open_predictions
from mcls.judging.perturb import perturb

SR = 8000
PITCHES = {"low": 60, "high": 65}


def run(*words: object):
    return CliRunner().invoke(cli, [str(word) for word in words])


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Tones of two pitches in two folds and parts, a run and a cross-validation on chroma."""
    folder = tmp_path_factory.mktemp("changed")
    rng = np.random.default_rng(0)
    lines = ["path,labels,split,fold"]
    for i in range(16):
        name = list(PITCHES)[i % 2]
        t = np.arange(SR) / SR
        y = sum(
            0.2 / k * np.sin(2 * np.pi * k * t * librosa.midi_to_hz(PITCHES[name])) for k in (1, 2)
        )
        soundfile.write(folder / f"{i}.flac", y * rng.uniform(0.3, 1), SR, subtype="PCM_24")
        lines.append(f"{i}.flac,{name},{'train' if i < 8 else 'test'},{i // 4}")
    (folder / "tracks.csv").write_text("\n".join(lines) + "\n")
    (folder / "r.toml").write_text('[train]\nmodel = "knn"\npool = ["mean"]\n')
    mcls.extract(folder / "tracks.csv", folder / "c.h5", features=["chroma", "mel"], sr=SR)
    mcls.train(folder / "c.h5", folder / "run", model="knn", pool=["mean"], feature="chroma")
    mcls.train(folder / "c.h5", folder / "mel", model="logistic", pool=["mean"], feature="mel")
    mcls.extract(folder / "tracks.csv", folder / "f.h5", features=["chroma"], sr=SR, split="fold")
    mcls.cross_validate(folder / "r.toml", folder / "f.h5", folder / "cv", split="fold")
    return folder


def test_amounts():
    assert amounts_of("pitch-shift", "-6..6") == list(range(-6, 7))
    assert amounts_of("time-stretch", "0.8..1.2") == pytest.approx([0.8, 0.9, 1.0, 1.1, 1.2])
    assert amounts_of("gain", "-6,6,0") == [-6, 0, 6]
    for name, text in (("gain", "loud"), ("time-stretch", "0..1"), ("gain", "0..1/0")):
        with pytest.raises(ConfigError):
            amounts_of(name, text)


def test_transposed_tones_are_no_longer_told_apart(made):
    shifts = {"pitch-shift": amounts_of("pitch-shift", "-5,5")}
    [found] = perturb(made / "run", made / "tracks.csv", shifts, metrics=["accuracy"])
    assert found.amounts == [-5, 0, 5]
    down, same, up = (one["accuracy"].main.value for one in found.evaluations)
    # 5 semitones up, low is where high was, and high is near neither
    assert same == 1
    assert down <= 0.5
    assert up <= 0.5
    assert found.notes == []


def test_scores_are_those_of_audio_that_was_changed_by_hand(made, tmp_path):
    import mcls.judging.perturb as stage

    kept = {}
    measure = stage.measure
    try:
        stage.measure = lambda chosen, *more, **words: kept.setdefault(len(kept), chosen)
        perturb(made / "mel", made / "tracks.csv", {"gain": [-12.0]})
    finally:
        stage.measure = measure
    chosen, saved = kept[0], open_predictions(made / "mel")[0].only("test")
    for track, scores in zip(chosen.track_ids, chosen.scores, strict=True):
        y, _ = soundfile.read(made / f"{track}.flac")
        soundfile.write(tmp_path / "quiet.wav", y * 10 ** (-12 / 20), SR, subtype="FLOAT")
        [by_hand] = mcls.predict(made / "mel", [tmp_path / "quiet.wav"]).tracks
        np.testing.assert_allclose(scores, by_hand.scores, atol=1e-4)
    np.testing.assert_allclose(kept[1].scores, saved.scores, atol=1e-5)
    assert np.abs(chosen.scores - saved.scores).max() > 1e-3


def test_folds_are_scored_by_their_own_runs(made):
    [found] = perturb(made / "cv", made / "tracks.csv", {"gain": [0.0]}, metrics=["accuracy"])
    assert found.evaluations[0].n_tracks == 16
    assert found.notes == []


@pytest.mark.slow
def test_workers_give_the_same_and_noise_is_the_same_at_every_call(made):
    noisy = {"noise": [0.0, 20.0]}
    found = [perturb(made / "mel", made / "tracks.csv", noisy, jobs=jobs)[0] for jobs in (1, 2)]
    assert found[0].as_dict() == found[1].as_dict()
    assert found[0].amounts == [0.0, 20.0, None]


def test_the_command_prints_a_table_json_and_a_picture(made, tmp_path):
    asked = ["--audio", made / "tracks.csv", "--transpose=-2..2", "--stretch", "0.8,1.25"]
    said = run(
        "eval", made / "run", made / "mel", *asked, "-m", "accuracy", "-o", tmp_path / "p.png"
    )
    assert said.exit_code == 0, said.output
    assert "pitch-shift (semitones): part test, 8 tracks" in said.stdout
    assert "time-stretch (speed factor)" in said.stdout
    assert (tmp_path / "p.png").stat().st_size > 10_000
    said = run("eval", made / "run", *asked, "-m", "accuracy", "--json")
    both = json.loads(said.stdout)
    assert [one["change"] for one in both] == ["pitch-shift", "time-stretch"]
    assert [one["amount"] for one in both[0]["amounts"]] == [-2, -1, 0, 1, 2]
    accuracy = both[0]["amounts"][2]["metrics"]["accuracy"]["micro"]
    assert accuracy["value"] == 1
    assert accuracy["low"] < 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--transpose", "-1..1"], "changed audio needs --audio"),
        (["-o", "x.png"], "--out is for changed audio"),
        (["--gain", "x", "--audio", "tracks.csv"], "cannot parse the amounts 'x'"),
        (["--gain", "0", "--audio", "few.csv"], "lacks 7 of the 8 tracks"),
        (["--gain", "0", "--audio", "tracks.csv", "--confusion"], "not for changed audio"),
    ],
)
def test_what_cannot_be_done_is_said(made, monkeypatch, words, message):
    monkeypatch.chdir(made)
    (made / "few.csv").write_text("path,labels\n9.flac,high\n")
    said = run("eval", "run", *words)
    assert said.exit_code in (1, 2)
    assert message in said.output


def test_other_audio_and_labels_that_change_are_named(made, tmp_path):
    lines = (made / "tracks.csv").read_text().splitlines()
    for i in range(16):
        soundfile.write(tmp_path / f"{i}.flac", np.random.default_rng(i).normal(0, 0.1, SR), SR)
    keys = [line.replace("low", "C major").replace("high", "F major") for line in lines]
    (tmp_path / "tracks.csv").write_text("\n".join(keys) + "\n")
    mcls.extract(tmp_path / "tracks.csv", tmp_path / "c.h5", features=["chroma"], sr=SR)
    mcls.train(tmp_path / "c.h5", tmp_path / "run", model="knn", pool=["mean"])
    [found] = perturb(tmp_path / "run", made / "tracks.csv", {"pitch-shift": [2.0]})
    assert any("is this the audio of the run?" in note for note in found.notes)
    assert any("the column of true labels looks like keys" in note for note in found.notes)
