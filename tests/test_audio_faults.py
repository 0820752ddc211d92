"""Truncated, silent, cancelling and clipped audio is used, marked in the store, and said."""

import json
import subprocess
import sys

import av
import librosa
import numpy as np
import pytest
import soundfile

from mcls.audio.files import AudioFile, parse_excerpt
from mcls.data.checks import check_manifest
from mcls.errors import ConfigError, DataError
from mcls.extraction.extract import extract
from mcls.features.specs import parse_features
from mcls.inspection.info import info
from mcls.stages.predict import predict
from mcls.stages.predict_files import predict_files
from mcls.stages.train import train
from mcls.stores.store import Store

SR = 44100

SOUNDFILE = {
    "wav": ("WAV", "PCM_16"),
    "float.wav": ("WAV", "FLOAT"),
    "adpcm.wav": ("WAV", "IMA_ADPCM"),
    "wavex": ("WAVEX", "PCM_24"),
    "rf64": ("RF64", "PCM_16"),
    "w64": ("W64", "PCM_16"),
    "aiff": ("AIFF", "PCM_16"),
    "float.aiff": ("AIFF", "FLOAT"),
    "au": ("AU", "PCM_16"),
    "flac": ("FLAC", "PCM_16"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
    "ogg": ("OGG", "VORBIS"),
    "opus": ("OGG", "OPUS"),
}
LIBAV = {"m4a": ("aac", "ipod"), "webm": ("libopus", "webm"), "wma": ("wmav2", "asf")}
ALL = [*SOUNDFILE, *LIBAV]
#: Formats that say how long they are nowhere but at their end.
UNKNOWN = {"ogg", "opus"}


def write(path, suffix, rng, seconds=6.0, scale=0.3):
    """Write noise; return its length in seconds."""
    sr = 48000 if suffix in ("opus", "webm") else SR
    y = rng.uniform(-scale, scale, round(seconds * sr)).astype(np.float32)
    if suffix in SOUNDFILE:
        kind, subtype = SOUNDFILE[suffix]
        soundfile.write(path, y, sr, format=kind, subtype=subtype)
        return
    codec, container = LIBAV[suffix]
    options = {"movflags": "faststart"} if suffix == "m4a" else {}
    with av.open(str(path), "w", format=container, options=options) as out:
        made = out.add_stream(codec, rate=sr, layout="mono")
        made.bit_rate = 64000
        form, size = made.codec_context.format.name, made.codec_context.frame_size or 1024
        for start in range(0, len(y), size):
            block = np.ascontiguousarray(y[None, start : start + size])
            block = (block * 32767).astype(np.int16) if form.startswith("s16") else block
            frame = av.AudioFrame.from_ndarray(block, form, "mono")
            frame.sample_rate, frame.pts = sr, start
            out.mux(made.encode(frame))
        out.mux(made.encode(None))


def cut(path, share=0.5):
    body = path.read_bytes()
    path.write_bytes(body[: round(len(body) * share)])


def read(path, excerpt=None):
    """Return the seconds that can be read of a file, and its faults."""
    with AudioFile(path) as file:
        n = sum(map(len, file.blocks(parse_excerpt(excerpt))))
        return n / file.sr, file.faults


@pytest.mark.parametrize("suffix", ALL)
def test_truncated_files_of_every_format(tmp_path, rng, suffix):
    """What decodes and what is said to be lost add up to the whole, within 0.2 s."""
    path = tmp_path / f"x.{suffix}"
    write(path, suffix, rng)
    assert read(path) == (pytest.approx(6, abs=0.1), {})
    assert read(path, "0.5@0.5") == (0.5, {})
    cut(path)
    seconds, faults = read(path)
    assert 1.5 < seconds < 4.5
    if suffix in UNKNOWN:
        assert faults == {"truncated": "unknown"}
    else:
        assert list(faults) == ["truncated"]
        assert seconds + float(faults["truncated"]) == pytest.approx(6, abs=0.2)
    assert read(path, "0.5@0.5") == (0.5, {})


@pytest.mark.parametrize("suffix", ["mp3", "flac", "ogg", "opus"])
def test_truncated_joined_streams(tmp_path, rng, suffix):
    """The first and the last of three streams are cut."""
    path = tmp_path / "x"
    write(path, suffix, rng, 6)
    whole = path.read_bytes()
    half = whole[: len(whole) // 2]
    path.write_bytes(3 * whole)
    assert read(path) == (pytest.approx(18, abs=0.3), {})
    for body, missing in ((half + whole + whole, 3), (whole + whole + half, 3)):
        path.write_bytes(body)
        seconds, faults = read(path)
        assert seconds == pytest.approx(15, abs=1.5)
        assert list(faults) == ["truncated"]
        if suffix not in UNKNOWN:
            assert float(faults["truncated"]) == pytest.approx(missing, abs=0.3)


@pytest.mark.parametrize("size", [0, 0x7FFFFFFF, 0xFFFFFFFF])
def test_a_streamed_wav_is_not_truncated(tmp_path, rng, size):
    """Its header has a size that stands for an unknown one."""
    write(tmp_path / "x.wav", "wav", rng, 2)
    body = bytearray((tmp_path / "x.wav").read_bytes())
    for at in (4, body.index(b"data") + 4):
        body[at : at + 4] = size.to_bytes(4, "little")
    (tmp_path / "x.wav").write_bytes(body)
    assert read(tmp_path / "x.wav") == (2, {})


def test_tags_after_the_audio_are_no_fault(tmp_path, rng):
    for suffix in ("mp3", "flac", "ogg", "wav"):
        write(tmp_path / "x", suffix, rng, 2)
        with (tmp_path / "x").open("ab") as file:
            file.write(b"TAG" + bytes(125))
        assert read(tmp_path / "x") == (pytest.approx(2, abs=0.1), {})


def test_a_stream_that_cannot_be_opened_is_said(tmp_path, rng):
    write(tmp_path / "x", "flac", rng, 2)
    body = (tmp_path / "x").read_bytes()
    bad = body[:12] + bytes(26)  # a sampling rate of 0
    (tmp_path / "x").write_bytes(body + bad + body)
    assert read(tmp_path / "x") == (pytest.approx(4), {"skipped": "1"})


@pytest.mark.parametrize("suffix", ["wav", "float.wav", "flac", "mp3", "ogg", "opus"])
def test_silence_and_channels_that_cancel(tmp_path, suffix):
    kind, subtype = SOUNDFILE[suffix]
    y = 0.3 * np.sin(0.05 * np.arange(48000))
    for left, right, fault in (
        (y, -y, "cancelling"),
        (y, y, None),
        (y, 0 * y, "right"),
        (1e-5 * y, y, "left"),
        (0.01 * y, y, None),
        (0 * y, 0 * y, "silent"),
    ):
        pair = np.stack([left, right], axis=1)
        soundfile.write(tmp_path / "x", pair, 48000, format=kind, subtype=subtype)
        dead = {"dead-channel": str(fault)} if fault in ("left", "right") else {}
        assert read(tmp_path / "x")[1] == (dead or ({fault: "yes"} if fault else {}))
    soundfile.write(tmp_path / "x", 0 * y, 48000, format=kind, subtype=subtype)
    assert read(tmp_path / "x")[1] == {"silent": "yes"}


@pytest.fixture
def dataset(tmp_path, rng):
    """A folder with whole and cut files, a silent one and one that cancels."""
    folder = tmp_path / "in"
    for name in ("a/whole.flac", "a/cut.flac", "b/cut.ogg", "b/whole.mp3", "a/silent.wav"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write(folder / name, name.rpartition(".")[2], rng, 6, scale=0 if "silent" in name else 0.3)
    cut(folder / "a/cut.flac")
    cut(folder / "b/cut.ogg")
    y = rng.uniform(-0.3, 0.3, SR)
    soundfile.write(folder / "b/stereo.wav", np.stack([y, -y], axis=1), SR)
    soundfile.write(folder / "b/dead.wav", np.stack([y, 0 * y], axis=1), SR)
    return folder


NOTES = [
    "2 tracks are truncated, used as far as they go: "
    "a/cut lacks 3.0 s, b/cut lacks an unknown length",
    "1 tracks are silent: a/silent",
    "1 tracks have channels that cancel out (L = -R), so that their mean is silent: b/stereo",
    "1 tracks have a silent channel, so that the mean is 6 dB softer than the other one: "
    "b/dead (right)",
]


def test_faults_are_noted_by_check_and_extract(dataset, tmp_path):
    notes = check_manifest(dataset, decode=True).notes
    assert [note for note in notes if "tracks" in note and "parts" not in note] == NOTES
    for _ in range(2):  # computed, and up to date
        assert extract(dataset, tmp_path / "x.h5", features=["mfcc"], jobs=1).notes[-4:] == NOTES
    store = Store(tmp_path / "x.h5")
    assert store.notes == NOTES
    marks = dict(zip(store.track_ids, store.column("truncated"), strict=True))
    assert float(marks.pop("a/cut")) == pytest.approx(3, abs=0.2)
    assert marks.pop("b/cut") == "unknown"
    assert set(marks.values()) == {""}
    assert "clipped" not in store.tracks


def test_strict_refuses_truncated_files(dataset, tmp_path):
    extract(dataset, tmp_path / "x.h5", features=["mfcc"], jobs=1)
    for out in ("x.h5", "new.h5"):  # also those that are in the store
        done = extract(dataset, tmp_path / out, features=["mfcc"], strict=True, jobs=1)
        assert {one["track_id"]: one["reason"] for one in done.failed} == {
            "a/cut": "truncated: 3.0 s are missing",
            "b/cut": "truncated: an unknown length is missing",
        }
        assert Store(tmp_path / out).track_ids == [
            "a/silent",
            "a/whole",
            "b/dead",
            "b/stereo",
            "b/whole",
        ]
    whole = extract(dataset, tmp_path / "x.h5", features=["mfcc"], jobs=1)
    assert whole.n_tracks == 7
    assert not whole.failed


def test_the_command_says_it_and_info_shows_it(dataset, tmp_path):
    mcls = [sys.executable, "-m", "mcls"]
    run = subprocess.run(
        [*mcls, "extract", dataset, tmp_path / "x.h5", "--strict"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1
    assert "2 tracks failed" in run.stderr
    extract(dataset, tmp_path / "x.h5", features=["mfcc"], jobs=1)
    assert info(tmp_path / "x.h5")["notes"] == NOTES
    shown = subprocess.run(
        [*mcls, "info", tmp_path / "x.h5"], capture_output=True, text=True, check=True
    )
    assert f"note: {NOTES[0]}" in shown.stdout


def test_clipping_of_float16_is_noted(tmp_path, rng):
    (tmp_path / "in/a").mkdir(parents=True)
    soundfile.write(tmp_path / "in/a/loud.wav", 0.9 * np.sin(np.arange(SR)), SR)
    soundfile.write(tmp_path / "in/a/soft.wav", rng.uniform(-0.001, 0.001, SR), SR)
    spec = "spectrogram:compress=none,power=2"
    for dtype, clipped in (("float32", ""), ("float16", "spectrogram")):
        out = tmp_path / f"{dtype}.h5"
        notes = extract(tmp_path / "in", out, features=[spec, "mfcc"], dtype=dtype, jobs=1).notes
        store = Store(out)
        marks = store.tracks.get("clipped", ["", ""])
        assert dict(zip(store.track_ids, marks, strict=True)) == {"a/loud": clipped, "a/soft": ""}
        assert any("a/loud (spectrogram)" in note for note in notes) == bool(clipped)


@pytest.mark.parametrize("spec", ["mel", "mfcc", "mel:agc=true,top_db=none"])
@pytest.mark.parametrize("n_mels", [40, 256])
def test_empty_mel_bands_are_counted_as_by_librosa(spec, n_mels):
    feature = parse_features([spec], [f"n_mels={n_mels}", "n_fft=512"])[0].make(22050)
    filters = None
    if n_mels == 256:
        with pytest.warns(UserWarning, match="Empty filters"):
            filters = librosa.filters.mel(sr=22050, n_fft=512, n_mels=n_mels)
    else:
        filters = librosa.filters.mel(sr=22050, n_fft=512, n_mels=n_mels)
    n_empty = int((filters.max(axis=1) == 0).sum())
    assert bool(n_empty) == (n_mels == 256)
    assert [note.split()[0] for note in feature.notes] == ([str(n_empty)] if n_empty else [])


def test_empty_mel_bands_are_noted_once(tmp_path, rng):
    (tmp_path / "in/a").mkdir(parents=True)
    for i in range(2):
        soundfile.write(tmp_path / f"in/a/{i}.wav", rng.uniform(-1, 1, SR), SR)
    out = tmp_path / "x.h5"
    done = extract(tmp_path / "in", out, features=["mel:n_mels=256,n_fft=512"], jobs=1)
    (note,) = [note for note in done.notes if "mel bands" in note]
    assert note in Store(out).notes
    rows = Store(out).feature().track(0)
    assert note.startswith(f"mel: {int((np.ptp(rows, axis=0) < 1e-6).sum())} of 256 mel bands ")


def test_a_track_that_cannot_be_read_at_all_is_an_error(tmp_path):
    (tmp_path / "x.flac").write_bytes(b"fLaC" + bytes(100))
    with pytest.raises(DataError):
        read(tmp_path / "x.flac")


@pytest.mark.parametrize("name", ["truncated", "silent"])
def test_a_column_of_the_manifest_is_not_replaced(tmp_path, rng, name):
    write(tmp_path / "x.wav", "wav", rng, 1)
    (tmp_path / "m.csv").write_text(f"path,labels,{name}\nx.wav,a,1\n")
    with pytest.raises(ConfigError, match=f"writes its own column '{name}'"):
        extract(tmp_path / "m.csv", tmp_path / "x.h5", features=["mfcc"], jobs=1)


def test_predict_says_which_tracks_are_truncated(dataset, tmp_path):
    """Also of the tracks of a store, whose audio is not read."""
    extract(dataset, tmp_path / "x.h5", features=["mfcc"], jobs=1)
    text = "path,labels,split\na/whole.flac,a,train\nb/whole.mp3,b,train\n"
    (dataset / "m.csv").write_text(text)
    extract(dataset / "m.csv", tmp_path / "train.h5", features=["mfcc"], jobs=1)
    train(
        tmp_path / "train.h5",
        tmp_path / "run",
        model="knn",
        settings=["n_neighbors=1"],
        pool=["meanstd"],
    )
    for source in (dataset, tmp_path / "x.h5"):
        found = predict(tmp_path / "run", [source])
        assert [note.partition(":")[0] for note in found.notes] == [
            note.partition(":")[0] for note in NOTES
        ]
        (cut_track,) = [one for one in found.tracks if "a/cut" in one.name]
        assert float(cut_track.faults["truncated"]) == pytest.approx(3, abs=0.2)
    made = predict_files(tmp_path / "run", [dataset], tmp_path / "scores.csv")
    assert "gives no probabilities" in made.notes[0]
    assert [note.partition(":")[0] for note in made.notes[1:]] == [
        note.partition(":")[0] for note in NOTES
    ]
    assert json.loads(made.record.read_text())["notes"] == made.notes
    shown = subprocess.run(
        [sys.executable, "-m", "mcls", "predict", tmp_path / "run", dataset / "a/cut.flac"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "note: 1 tracks are truncated, used as far as they go: " in shown.stderr
    assert "cut.flac lacks 3.0 s" in shown.stderr
