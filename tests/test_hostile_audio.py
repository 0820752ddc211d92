"""Audio files that are cut off anywhere, that lie about themselves, or are in odd places."""

import io
import os
import socket

import av
import numpy as np
import pytest
import soundfile

from mcls.audio import libsndfile
from mcls.audio.files import audio_blocks, probe, read_audio
from mcls.errors import DataError

SR = 44100
N = SR // 4
KINDS = {
    "pcm8.wav": ("WAV", "PCM_U8"),
    "pcm16.wav": ("WAV", "PCM_16"),
    "pcm24.wav": ("WAV", "PCM_24"),
    "pcm32.wav": ("WAV", "PCM_32"),
    "float.wav": ("WAV", "FLOAT"),
    "flac": ("FLAC", "PCM_16"),
    "ogg": ("OGG", "VORBIS"),
    "opus": ("OGG", "OPUS"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
}


def tone(n: int = N, sr: int = SR) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * 440 * np.arange(n) / sr)).astype(np.float32)


def m4a(path, y: np.ndarray, sr: int = SR, channels: int = 1) -> None:
    """Write AAC into an mp4 container."""
    layout = {1: "mono", 2: "stereo", 6: "5.1"}[channels]
    with av.open(str(path), "w", format="mp4") as out:
        stream = out.add_stream("aac", rate=sr, layout=layout)
        for start in range(0, len(y), 1024):
            block = np.tile(y[None, start : start + 1024], (channels, 1))
            frame = av.AudioFrame.from_ndarray(block, "fltp", layout)
            frame.sample_rate, frame.pts = sr, start
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    """A quarter of a second in every format, as bytes."""
    folder = tmp_path_factory.mktemp("originals")
    made = {}
    for name, (kind, subtype) in KINDS.items():
        body = io.BytesIO()
        soundfile.write(body, tone(), 48000 if name == "opus" else SR, format=kind, subtype=subtype)
        made[name] = body.getvalue()
    m4a(folder / "x.m4a", tone())
    made["m4a"] = (folder / "x.m4a").read_bytes()
    return made


def read_or_refused(path) -> int:
    """Return how many samples are read, 0 where there is a reason; nothing else may come."""
    try:
        y, _ = read_audio(path, sr=None)
    except DataError as error:
        assert str(error)
        assert str(path) not in str(error)
        return 0
    assert np.isfinite(y).all()
    return len(y)


@pytest.mark.parametrize("name", [*KINDS, "m4a"])
def test_cut_off_at_any_byte(tmp_path, originals, name):
    """At each of the first bytes, where headers are; then at 60 places up to the end.

    Never more samples than the whole has but for what a codec pads (4096).
    """
    body = originals[name]
    path = tmp_path / f"x.{name}"
    path.write_bytes(body)
    whole = read_or_refused(path)
    assert whole >= N
    cuts = [*range(1, 120), *np.linspace(120, len(body) - 1, 60).astype(int)]
    read = []
    for cut in cuts:
        path.write_bytes(body[:cut])
        read.append(read_or_refused(path))
    assert max(read) <= whole + 4096
    if name.endswith(("wav", "mp3")):  # others are checked against sums or indices that are gone
        assert max(read) > 0.9 * whole
    assert read[0] == 0


def patched(body: bytes, at: int, value: int, size: int, order: str) -> bytes:
    return body[:at] + value.to_bytes(size, order) + body[at + size :]


@pytest.mark.parametrize(
    ("name", "where", "size", "order", "values"),
    [
        # the length of the data chunk, and of the file
        ("pcm16.wav", b"data", 4, "little", [0, 1, 7, 1000, 1 << 20, 0x7FFFFFF0, 0xFFFFFFFF]),
        ("pcm16.wav", b"RIFF", 4, "little", [0, 1, 100, 0x7FFFFFFF, 0xFFFFFFFF]),
        ("pcm24.wav", b"data", 4, "little", [0, 2, 0xFFFFFFFE]),
        ("float.wav", b"data", 4, "little", [0, 2, 0xFFFFFFFE]),
    ],
)
def test_lengths_in_a_wav_header_that_lie(tmp_path, originals, name, where, size, order, values):
    body = originals[name]
    at = body.index(where) + 4
    for value in values:
        (tmp_path / "x.wav").write_bytes(patched(body, at, value, size, order))
        assert read_or_refused(tmp_path / "x.wav") <= N
    (tmp_path / "x.wav").write_bytes(patched(body, at, values[-1], size, order))
    assert read_or_refused(tmp_path / "x.wav") == N


@pytest.mark.parametrize("total", [0, 1, N - 1, N + 1, 1 << 20, (1 << 36) - 1])
def test_the_number_of_samples_in_a_flac_header_that_lies(tmp_path, originals, total):
    """The 36 bits after the rate, channels and width; 0 means unknown."""
    body = bytearray(originals["flac"])
    at = body.index(b"fLaC") + 4 + 4 + 13
    body[at] = (body[at] & 0xF0) | (total >> 32)
    body[at + 1 : at + 5] = (total & 0xFFFFFFFF).to_bytes(4, "big")
    (tmp_path / "x.flac").write_bytes(body)
    assert read_or_refused(tmp_path / "x.flac") <= N + 4096


@pytest.mark.parametrize("frames", [0, 1, 1 << 20, 0xFFFFFFFF])
def test_the_number_of_frames_in_an_mp3_header_that_lies(tmp_path, frames):
    path = tmp_path / "x.mp3"
    soundfile.write(path, tone(SR), SR, bitrate_mode="VARIABLE")
    whole = read_or_refused(path)
    body = path.read_bytes()
    at = max(body.find(b"Xing"), body.find(b"Info")) + 8
    assert at > 8
    path.write_bytes(patched(body, at, frames, 4, "big"))
    assert read_or_refused(path) <= whole + 4096


@pytest.mark.parametrize("channels", [0, 7, 255, 1024, 65535])
def test_a_number_of_channels_that_lies(tmp_path, originals, channels):
    body = originals["pcm16.wav"]
    at = body.index(b"fmt ") + 10
    (tmp_path / "x.wav").write_bytes(patched(body, at, channels, 2, "little"))
    assert read_or_refused(tmp_path / "x.wav") <= N


@pytest.mark.parametrize(("channels", "block"), [(2, 4096), (8, 4096), (64, 512), (1000, 32)])
def test_a_block_takes_no_more_memory_for_more_channels(tmp_path, monkeypatch, channels, block):
    monkeypatch.setattr(libsndfile, "BLOCK", 4096)
    soundfile.write(tmp_path / "x.wav", np.zeros((5000, channels)), 8000)
    lengths = [len(y) for y in audio_blocks(tmp_path / "x.wav", sr=None)]
    assert (sum(lengths), max(lengths)) == (5000, block)


@pytest.mark.parametrize("channels", [1, 2, 6])
@pytest.mark.parametrize("rate", [8000, 22050, 44100, 96000])
def test_m4a_of_many_rates_and_channels(tmp_path, channels, rate):
    m4a(tmp_path / "x.m4a", tone(rate, rate), rate, channels)
    assert probe(tmp_path / "x.m4a").n_channels == channels
    y, sr = read_audio(tmp_path / "x.m4a", sr=None)
    assert sr == rate
    assert len(y) == pytest.approx(rate, abs=4096)
    middle = y[rate // 4 : rate // 4 + rate // 2]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle))))
    assert spectrum.argmax() * rate / len(middle) == pytest.approx(440, abs=4)


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 44100, 48000, 96000, 192000])
@pytest.mark.parametrize("name", ["flac", "pcm16.wav", "float.wav", "ogg"])
def test_every_rate(tmp_path, name, rate):
    kind, subtype = KINDS[name]
    soundfile.write(tmp_path / "x", tone(rate, rate), rate, format=kind, subtype=subtype)
    y, sr = read_audio(tmp_path / "x", sr=22050)
    assert (sr, len(y)) == (22050, pytest.approx(22050, abs=1))
    assert np.abs(np.fft.rfft(y)).argmax() == pytest.approx(440, abs=1)


@pytest.mark.parametrize("channels", range(1, 7))
@pytest.mark.parametrize("name", ["flac", "pcm8.wav", "pcm24.wav", "ogg"])
def test_one_to_six_channels(tmp_path, name, channels):
    """A tone in the first channel alone comes out at its share of the mean."""
    kind, subtype = KINDS[name]
    y = np.zeros((SR, channels), np.float32)
    y[:, 0] = tone(SR)
    soundfile.write(tmp_path / "x", y, SR, format=kind, subtype=subtype)
    found, _ = read_audio(tmp_path / "x", sr=None)
    assert np.abs(found).max() == pytest.approx(0.5 / channels, rel=0.15, abs=0.01)


@pytest.mark.parametrize("name", [*KINDS, "m4a"])
@pytest.mark.parametrize("suffix", ["wav", "mp3", "m4a", "txt", ""])
def test_a_wrong_suffix_does_not_matter(tmp_path, originals, name, suffix):
    (tmp_path / f"x.{suffix}").write_bytes(originals[name])
    assert read_or_refused(tmp_path / f"x.{suffix}") >= N


@pytest.mark.parametrize("name", [*KINDS, "m4a"])
@pytest.mark.parametrize(
    "called",
    ["träck ü", "two words", "new\nline", "日本語", "-r", "%s{0}", "a'b\"c", "\udcff\udcfe"],
)
def test_every_format_under_any_name(tmp_path, originals, name, called):
    path = tmp_path / called
    path.write_bytes(originals[name])
    assert read_or_refused(path) >= N


def test_a_long_name_and_a_deep_folder(tmp_path, originals):
    deep = tmp_path.joinpath(*["x" * 200] * 10)
    deep.mkdir(parents=True)
    (deep / ("y" * 250)).write_bytes(originals["mp3"])
    assert read_or_refused(deep / ("y" * 250)) >= N


@pytest.mark.parametrize("name", ["pcm16.wav", "m4a"])
def test_a_link_to_a_file_is_read_and_a_circle_is_not(tmp_path, originals, name):
    (tmp_path / "real").write_bytes(originals[name])
    (tmp_path / "link.wav").symlink_to("real")
    (tmp_path / "first.wav").symlink_to("second.wav")
    (tmp_path / "second.wav").symlink_to("first.wav")
    (tmp_path / "dangling.wav").symlink_to("nowhere")
    assert read_or_refused(tmp_path / "link.wav") >= N
    with pytest.raises(DataError, match="symbolic links"):
        read_audio(tmp_path / "first.wav")
    with pytest.raises(DataError, match="no such file"):
        read_audio(tmp_path / "dangling.wav")


def test_devices_and_sockets_are_not_opened(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("s.wav")
        for path in ("s.wav", "/dev/zero", "/dev/null"):
            with pytest.raises(DataError, match="pipe or device"):
                read_audio(path)


def test_a_playlist_opens_nothing(tmp_path, originals):
    """What ffmpeg would follow: a list of files, a list of segments."""
    (tmp_path / "real.wav").write_bytes(originals["pcm16.wav"])
    texts = (
        f"ffconcat version 1.0\nfile '{tmp_path}/real.wav'\n",
        f"#EXTM3U\n#EXTINF:1,\n{tmp_path}/real.wav\n",
        f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://{tmp_path}/real.wav\n#EXT-X-ENDLIST\n",
    )
    for text in texts:
        (tmp_path / "x.wav").write_text(text)
        with pytest.raises(DataError, match="not audio that can be read"):
            read_audio(tmp_path / "x.wav")


def test_a_file_that_shrinks_while_it_is_read(tmp_path):
    """What was there is used, or there is a reason."""
    path = tmp_path / "x.wav"
    soundfile.write(path, tone(6 << 20), SR)
    blocks = audio_blocks(path, sr=None)
    first = next(blocks)
    os.truncate(path, 1 << 20)
    try:
        rest = [len(block) for block in blocks]
    except DataError as error:
        assert str(error)
    else:
        assert sum(rest) <= (6 << 20) - len(first)
