"""Audit: copies are found, others are not, and a split with copies across parts is refused."""

import json
import re
from itertools import combinations

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner
from scipy.signal import sosfilt
from sklearn.datasets import make_blobs

from mcls.audit.alignment import overlap, spectrogram_agreement, waveform_agreement
from mcls.audit.copies import AudibleTrack, find_copies, groups_of
from mcls.audit.index import Index
from mcls.audit.labels import disputed_labels
from mcls.audit.landmarks import Landmarks, landmarks
from mcls.audit.levels import LevelMeter
from mcls.audit.spectrogram import FRAME_RATE, SR, log_spectrogram
from mcls.cli.main import cli
from mcls.disk.audit_file import Finding, audit_file, read_findings, write_findings
from mcls.errors import FormatError


def music(seed, seconds=5.0, sr=SR):
    """Return notes of random pitch, length and colour over a soft noise."""
    rng = np.random.default_rng(seed)
    y = rng.normal(0, 0.003, int(seconds * sr))
    for start in np.sort(rng.uniform(0, seconds, int(6 * seconds))):
        n = int(rng.uniform(0.1, 0.6) * sr)
        t = np.arange(n) / sr
        f = 110 * 2 ** (rng.integers(12, 48) / 12)
        tones = sum(
            a * np.sin(2 * np.pi * f * k * t) for k, a in enumerate(rng.uniform(0, 1, 6), 1)
        )
        note = tones * np.exp(-t * rng.uniform(3, 12)) * rng.uniform(0.02, 0.1)
        at = int(start * sr)
        y[at : at + n] += note[: len(y) - at]
    return y.astype(np.float32)


def mp3(y, tmp_path, sr=SR):
    path = tmp_path / "encoded.mp3"
    soundfile.write(path, y, sr, bitrate_mode="CONSTANT", compression_level=0.8)
    return soundfile.read(path, dtype="float32")[0]


def transposed(y, semitones):
    import librosa

    return librosa.effects.pitch_shift(y, sr=SR, n_steps=semitones)


CHANGES = {
    "mp3": mp3,
    "louder": lambda y, _: 2 * y,
    "first half": lambda y, _: y[: len(y) // 2],
    "second half": lambda y, _: y[len(y) // 2 + 123 :],
    "shifted": lambda y, _: np.concatenate([np.zeros(9999, np.float32), y[:-9999]]),
    "inverted": lambda y, _: -y,
    "equalised": lambda y, _: sosfilt([[1, -0.5, 0, 1, 0, 0]], y).astype(np.float32),
    "2 up": lambda y, _: transposed(y, 2),
    "1 down": lambda y, _: transposed(y, -1),
    "half of it, soft, as mp3": lambda y, path: mp3(0.5 * y[20000:60000], path),
}


def pairs_of(audio):
    """Return the copies among some audio as (first, second)."""
    tracks = [AudibleTrack(log_spectrogram(y), y) for y in audio]
    marks = [landmarks(track.levels, FRAME_RATE) for track in tracks]
    found = find_copies(marks, lambda i: tracks[i], frame_rate=FRAME_RATE, max_shift=4)
    return {(one.first, one.second): one for one in found}


@pytest.mark.parametrize("change", CHANGES)
def test_a_copy_is_found_among_other_tracks(change, tmp_path):
    audio = [music(seed) for seed in range(12)]
    assert not pairs_of(audio)
    found = pairs_of([*audio, CHANGES[change](audio[3], tmp_path)])
    assert list(found) == [(3, 12)]


def test_lag_and_transposition_are_those_that_were_made():
    y = music(1, 8.0)
    found = pairs_of([music(2), y, y[32000:]])[1, 2]
    assert found.lag == pytest.approx(2.0, abs=1 / FRAME_RATE)
    assert found.shift == 0
    assert abs(pairs_of([y, transposed(y, -2)])[0, 1].shift + 4) <= 1


def test_strokes_on_one_drum_are_no_copies(rng):
    t = np.arange(int(0.4 * SR)) / SR
    strokes = [
        sum(
            rng.uniform(0.8, 1) * np.sin(2 * np.pi * f * t + rng.uniform(0, 6)) * np.exp(-9 * t)
            for f in (170, 340, 515, 690)
        )
        + rng.normal(0, 0.02, len(t))
        for _ in range(40)
    ]
    assert not pairs_of([stroke.astype(np.float32) for stroke in strokes])
    assert list(pairs_of([*strokes, 0.3 * strokes[7]])) == [(7, 40)]


def test_agreement_of_waveforms_is_a_correlation(rng):
    x, noise = rng.normal(0, 1, (2, 20000)).astype(np.float32)
    assert waveform_agreement(x, x, 0) == pytest.approx((1, 1), abs=0.01)
    assert max(waveform_agreement(x, noise, 0)) < 0.1
    # white noise of equal power: the correlation is 1 / sqrt(2), at any moment
    assert waveform_agreement(x, x + noise, 0) == pytest.approx((2**-0.5, 2**-0.5), abs=0.03)
    # what is 300.5 samples later, by interpolation
    later = np.interp(np.arange(20000) - 300.5, np.arange(20000), x)
    smooth = np.interp(np.arange(20000) - 300, np.arange(20000), x)
    soft = sosfilt([[1, 2, 1, 1, 0, 0]], [x, later, smooth])
    assert min(waveform_agreement(soft[0], soft[1], 0)) > 0.95
    # a third of it is the same, with four fifths of the energy; and the other way round
    loud = np.repeat([4.0, 1.0, 1.0], 8000)
    a, b = loud * rng.normal(0, 1, (2, 24000))
    b[:8000] = a[:8000]
    whole, moments = waveform_agreement(a, b, 0)
    assert moments == pytest.approx(1, abs=0.02)
    assert whole == pytest.approx(16 / 18, abs=0.05)
    b = np.where(np.arange(24000) < 8000, loud * rng.normal(0, 1, 24000), a)
    assert waveform_agreement(a, b, 0)[1] < 0.1


def test_plucked_notes_of_one_pitch_are_no_copies():
    """Their attacks agree, and most of the energy is there; what follows does not."""
    t = np.arange(4 * SR) / SR

    def pluck(seed):
        rng = np.random.default_rng(seed)
        partials = [
            np.sin(2 * np.pi * 196 * k * (1 + rng.normal(0, 2e-3)) * t + rng.normal(0, 0.4)) / k
            for k in range(1, 20)
        ]
        return (sum(partials) * np.exp(-6 * t)).astype(np.float32)

    notes = [pluck(seed) for seed in range(10)]
    agreements = [waveform_agreement(a, b, 0) for a, b in combinations(notes, 2)]
    assert max(whole for whole, _ in agreements) > 0.55  # enough for seconds that overlap
    assert max(moments for _, moments in agreements) < 0.9
    assert not pairs_of(notes)
    assert list(pairs_of([*notes, 0.3 * notes[5]])) == [(5, 10)]


def test_agreement_of_spectrograms_of_steady_sounds_is_low(rng):
    a, b = (np.tile(rng.normal(0, 10, 128), (200, 1)) for _ in range(2))
    noise = rng.normal(0, 10, (200, 128))
    assert spectrogram_agreement(a, a + 1e-3 * noise, 0, 0)[0] < 0.1
    assert spectrogram_agreement(a, b, 0, 0)[0] < 0.1
    assert spectrogram_agreement(noise, noise, 0, 0)[0] == pytest.approx(1, abs=0.05)


def test_index_counts_common_landmarks_as_brute_force_does(rng):
    tracks = [
        Landmarks(
            rng.choice(5000, 60, replace=False).astype(np.int32) * 64 + 3,
            np.sort(rng.integers(0, 300, 60)).astype(np.int32),
        )
        for _ in range(5)
    ]
    copy = Landmarks(tracks[2].keys[10:], tracks[2].frames[10:] - 7)
    best = Index([*tracks, copy], max_shift=0).candidates(tracks[2], after=2)[0]
    common = len(set(tracks[2].keys) & set(copy.keys))
    assert (best.track, best.votes, best.lag) == (5, common, 7)


def test_overlap_and_groups():
    a, b = overlap(np.arange(10), np.arange(6), -2)
    assert a.tolist() == [0, 1, 2, 3]
    assert b.tolist() == [2, 3, 4, 5]
    assert groups_of([(3, 1), (1, 0), (7, 8)]) == [[0, 1, 3], [7, 8]]


def test_disputed_labels_are_those_of_the_confident_joint(rng):
    """Compare with the definition in the paper, label by label."""
    x, labels = make_blobs(300, centers=3, cluster_std=1.0, random_state=0)
    centres = np.array([x[labels == label].mean(axis=0) for label in range(3)])
    p = np.exp(-((x[:, None] - centres) ** 2).sum(axis=2) / 10)
    p /= p.sum(axis=1, keepdims=True)
    wrong = rng.choice(300, 15, replace=False)
    given = labels.copy()
    given[wrong] = (given[wrong] + 1) % 3
    found = {one.track: one for one in disputed_labels(np.eye(3, dtype=bool)[given], p)}
    limits = [np.mean([p[i, k] for i in range(300) if given[i] == k]) for k in range(3)]
    for i in range(300):
        sure = [k for k in range(3) if p[i, k] >= limits[k]]
        best = max(sure, key=lambda k: p[i, k], default=given[i])
        assert (i in found) == (best != given[i])
    assert len(found) >= 4
    assert set(found) <= set(wrong)
    sure = [p[one.track, one.given] for one in found.values()]
    assert sure == sorted(sure)
    assert all(one.margin == p[i, one.predicted] - p[i, one.given] for i, one in found.items())


@pytest.mark.parametrize(
    ("y", "faults"),
    [
        (np.sin(np.arange(8000) / 20), set()),
        (np.clip(2 * np.sin(np.arange(8000) / 20), -1, 1), {"clipping"}),
        (0.4 * np.clip(2 * np.sin(np.arange(8000) / 20), -1, 1), {"clipping"}),
        (0.3 * np.sin(np.arange(8000) / 20) + 0.1, {"offset"}),
        (np.zeros(8000), {"silence"}),
        (np.pad(np.ones(20), (0, 7980)), {"silence"}),
    ],
)
def test_faults_of_level_do_not_depend_on_blocks(y, faults):
    for n_blocks in (1, 7):
        meter = LevelMeter(8000)
        for block in np.array_split(y.astype(np.float32), n_blocks):
            meter.add(block)
        assert faults <= set(meter.faults())
        assert faults or not meter.faults()


@pytest.fixture
def mcls(tmp_path, monkeypatch):
    """Run a command line in an empty folder; give the exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*words):
        result = CliRunner().invoke(cli, [*map(str, words)])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, result.stdout, result.stderr

    return run


@pytest.fixture
def repetitions(tmp_path):
    """Write a dataset with the faults that Sturm (2013) lists in GTZAN; give the manifest.

    There are exact repetitions (in another format), repetitions of a recording (another stretch of
    it, another level, another codec) and a version repetition: the same notes played anew.
    """
    lines = ["path,labels,split"]

    def add(name, y, split):
        soundfile.write(tmp_path / name, y, SR)
        lines.append(f"{name},{'ab'[len(lines) % 2]},{split}")

    songs = [music(seed, 4.0) for seed in range(12)]
    for n, y in enumerate(songs):
        add(f"{n}.wav", 0.5 * y, "train" if n < 8 else "test")
    pcm = soundfile.read(tmp_path / "0.wav", dtype="int16")[0]
    add("exact.flac", pcm, "test")
    add("recording.ogg", 0.9 * songs[1][16000:], "test")
    add("within.wav", songs[9][:40000], "test")
    file = tmp_path / "songs.csv"
    file.write_text("\n".join(lines) + "\n")
    return file


def test_audit_finds_repetitions_and_blocks_evaluation(mcls, repetitions, tmp_path):
    code, out, err = mcls("data", "audit", "songs.csv", "--json")
    found = {tuple(one["tracks"]): one for one in json.loads(out)["findings"]}
    assert code == 1
    assert "2 findings are across parts" in err
    assert found["0", "exact"]["kind"] == "exact-copy"
    assert found["1", "recording"]["parts"] == ["test", "train"]
    assert found["9", "within"]["parts"] == ["test"]
    assert len(found) == 3

    assert mcls("extract", "songs.csv", "s.h5", "--feature", "mfcc")[0] == 0
    code, _, err = mcls("train", "s.h5", "run", "--model", "knn")
    assert code == 0
    assert "2 findings of s.h5.audit.toml are across parts and not acknowledged" in err
    for words in (["eval", "run"], ["cv", "s.h5", "cv"], ["compare", "run", "run2"]):
        if words[0] == "compare":
            assert mcls("train", "s.h5", "run2", "--model", "gmm", "-p", "n_components=1")[0] == 0
        if words[0] == "cv":
            (tmp_path / "recipe.toml").write_text('[train]\nmodel = "knn"\n')
            words = ["cv", "recipe.toml", *words[1:], "--split", "split"]
        code, _, err = mcls(*words)
        assert code == 1
        assert "which makes scores too good" in err
        assert "(train)" in err
        assert "mcls data audit s.h5 --acknowledge" in err

    ids = [one.id for one in read_findings("s.h5")]
    assert mcls("data", "audit", "s.h5", "--acknowledge", ids[0])[0] == 2
    assert mcls("data", "audit", "s.h5", "--acknowledge", "near")[0] == 2
    words = [word for name in ids for word in ("--acknowledge", name)]
    assert mcls("data", "audit", "s.h5", *words, "--reason", "a demonstration")[0] == 0
    code, out, _ = mcls("eval", "run")
    assert code == 0
    assert len(re.findall("was acknowledged: a demonstration", out)) == 2
    assert mcls("train", "s.h5", "run3", "--model", "knn")[0] == 0
    notes = json.loads((tmp_path / "run3" / "about.json").read_text())["notes"]
    assert sum("acknowledged: a demonstration" in note for note in notes) == 2
    # again with an audit of the store, and through encode and select
    assert mcls("store", "select", "s.h5", "some.h5", "--where", "split=test")[0] == 0
    assert [one.tracks for one in read_findings("some.h5")] == [("9", "within")]


def test_groups_of_copies_make_a_split_without_findings(mcls, repetitions):
    assert mcls("data", "audit", "songs.csv", "--groups", "grouped.csv")[0] == 1
    assert read_findings("grouped.csv") == read_findings("songs.csv") != []
    by = ["--by", "duplicate_group", "--column", "clean", "--parts", "0.6,0.4"]
    assert mcls("data", "split", "grouped.csv", *by)[0] == 0
    code, out, _ = mcls("data", "audit", "grouped.csv", "--split", "clean", "--group", "none")
    assert code == 0
    assert "near-copy" in out


def test_audit_of_a_store_compares_its_rows(mcls, repetitions):
    assert (
        mcls("extract", "songs.csv", "cqt.h5", "--feature", "cqt:bins_per_octave=24,n_bins=144")[0]
        == 0
    )
    audit_file("cqt.h5").unlink(missing_ok=True)
    _, out, _ = mcls("data", "audit", "cqt.h5", "--json")
    assert ["1", "recording"] in [one["tracks"] for one in json.loads(out)["findings"]]


def test_audit_names_disputed_labels_and_imbalance(mcls, tmp_path):
    lines = ["track_id,part,fold,labels,score:a,score:b"]
    for i in range(5):
        lines += [f"a{i},test,,a,0.8,0.2", f"b{i},test,,b,0.2,0.8"]
    lines += ["odd,test,,a,0.1,0.9"]
    (tmp_path / "predictions.csv").write_text("\n".join(lines) + "\n")
    names = ["path,labels", *(f"{i}.wav,{'ab'[i > 0]}" for i in range(3))]
    for i in range(3):
        soundfile.write(tmp_path / f"{i}.wav", music(i, 1.0), SR)
    (tmp_path / "songs.csv").write_text("\n".join(names) + "\n")
    code, out, _ = mcls("data", "audit", "songs.csv", "--run", "predictions.csv", "--json")
    found = json.loads(out)["findings"]
    assert code == 0
    assert {"tracks": ["odd"], "detail": "labelled a, predicted b (+0.80)"}.items() <= next(
        one for one in found if one["kind"] == "label"
    ).items()
    assert "a has 1 tracks, b 2" in [one["detail"] for one in found]


def test_a_split_in_another_manifest_keeps_the_findings(mcls, repetitions, tmp_path):
    assert mcls("data", "audit", "songs.csv")[0] == 1
    ids = [one.id for one in read_findings("songs.csv")]
    done = mcls("data", "audit", "songs.csv", "--acknowledge", ids[0], "--reason", "a cover")
    assert done[0] == 0
    (tmp_path / "deep").mkdir()
    for out in ("deep/other.csv", "songs.csv"):
        words = ["songs.csv", "-o", out, "--folds", 2, "--column", "again"]
        assert mcls("data", "split", *words)[0] == 0
        found = read_findings(out)
        assert found == read_findings("songs.csv")
        assert [one.reason for one in found if one.acknowledged] == ["a cover"]


def test_audit_finds_dead_channels_and_odd_durations(mcls, tmp_path):
    names = ["path,labels"]
    for i in range(12):
        y = music(i, {7: 0.2, 8: 9.0}.get(i, 1.0 + 0.1 * (i % 4)))
        other = {3: np.zeros_like(y), 4: 0.05 * y}.get(i, y)
        soundfile.write(tmp_path / f"{i}.wav", np.stack([other, y], axis=1), SR)
        names.append(f"{i}.wav,{'ab'[i % 2]}")
    (tmp_path / "songs.csv").write_text("\n".join(names) + "\n")
    code, out, _ = mcls("data", "audit", "songs.csv", "--json")
    found = [(one["kind"], one["tracks"], one["detail"]) for one in json.loads(out)["findings"]]
    assert code == 0
    assert ("dead-channel", ["3"], "left") in found
    assert sorted(one for one in found if one[0] == "duration") == [
        ("duration", ["7"], "0.20 s; the median is 1.15 s"),
        ("duration", ["8"], "9.00 s; the median is 1.15 s"),
    ]
    assert len(found) == 3


def test_an_audit_file_that_was_edited_badly_is_refused(tmp_path):
    store = tmp_path / "s.h5"
    write_findings(store, [Finding("near-copy", ("a", "b"))])
    text = audit_file(store).read_text()
    for old, new in (('"a"', '"c"'), ("false", '"yes"'), ("[[finding]]", "[finding]")):
        audit_file(store).write_text(text.replace(old, new))
        with pytest.raises(FormatError, match=r"s\.h5\.audit\.toml"):
            read_findings(store)
    write_findings(store, [])
    assert not audit_file(store).exists()
