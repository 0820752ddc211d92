"""Audio files: what is read, and the reason where it is not."""

import os
import stat

import librosa
import numpy as np
import pytest
import soundfile

from mcls.audio.files import Excerpt, audio_blocks, parse_excerpt, probe, read_audio
from mcls.audio.libsndfile import BLOCK
from mcls.errors import ConfigError, DataError

av = pytest.importorskip("av")


def noise(rng, seconds=0.5, sr=22050, channels=1):
    return rng.uniform(-0.5, 0.5, (int(seconds * sr), channels)).astype(np.float32)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_wav_of_every_width_is_librosas(tmp_path, rng, subtype):
    path = tmp_path / "x.wav"
    soundfile.write(path, noise(rng), 22050, subtype=subtype)
    y, sr = read_audio(path, sr=None)
    np.testing.assert_array_equal(y, librosa.load(path, sr=None)[0])
    assert (y.dtype, sr) == (np.float32, 22050)


@pytest.mark.parametrize("format_", ["flac", "ogg", "opus", "mp3", "aiff"])
def test_compressed_formats_are_librosas(tmp_path, rng, format_):
    path = tmp_path / f"x.{format_}"
    kind = {"opus": ("OGG", "OPUS"), "ogg": ("OGG", "VORBIS")}.get(format_, (None, None))
    soundfile.write(path, noise(rng, sr=48000), 48000, format=kind[0], subtype=kind[1])
    np.testing.assert_array_equal(read_audio(path, sr=None)[0], librosa.load(path, sr=None)[0])


@pytest.mark.parametrize("channels", range(1, 7))
def test_channels_are_averaged(tmp_path, rng, channels):
    y = noise(rng, channels=channels)
    soundfile.write(tmp_path / "x.wav", y, 22050, subtype="FLOAT")
    np.testing.assert_allclose(
        read_audio(tmp_path / "x.wav", sr=None)[0], y.mean(axis=1), atol=1e-7
    )
    assert probe(tmp_path / "x.wav").n_channels == channels


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 44100, 48000, 96000, 192000])
def test_resampling_is_librosas(tmp_path, rng, rate):
    soundfile.write(tmp_path / "x.wav", noise(rng, sr=rate), rate, subtype="FLOAT")
    y, sr = read_audio(tmp_path / "x.wav", sr=22050)
    np.testing.assert_allclose(y, librosa.load(tmp_path / "x.wav", sr=22050)[0], atol=1e-6)
    assert sr == 22050


def test_a_file_of_several_blocks_is_resampled_as_one(tmp_path, rng):
    path = tmp_path / "long.wav"
    soundfile.write(path, noise(rng, seconds=2.2 * BLOCK / 8000, sr=8000), 8000, subtype="FLOAT")
    blocks = list(audio_blocks(path, sr=11025))
    whole = librosa.load(path, sr=11025)[0]
    assert len(blocks) > 2
    found = np.concatenate(blocks)  # librosa rounds the length up and adds a zero
    np.testing.assert_allclose(found, whole[: len(found)], atol=1e-5)
    assert len(whole) - len(found) <= 1


@pytest.mark.parametrize(
    ("name", "codec", "container"),
    [
        ("x.m4a", "aac", "mp4"),
        ("x.aac", "aac", "adts"),
        ("x.wma", "wmav2", "asf"),
        ("x.webm", "libopus", "webm"),
    ],
)
def test_what_soundfile_cannot_read_libav_does(tmp_path, name, codec, container):
    path, sr = tmp_path / name, 48000 if codec == "libopus" else 44100
    y = 0.5 * np.sin(2 * np.pi * 440 * np.arange(sr) / sr).astype(np.float32)
    with av.open(str(path), "w", format=container) as out:
        stream = out.add_stream(codec, rate=sr, layout="mono")
        stream.bit_rate = 64000
        for start in range(0, sr, 1024):
            frame = av.AudioFrame.from_ndarray(y[None, start : start + 1024], "fltp", "mono")
            frame.sample_rate, frame.pts = sr, start
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    found, rate = read_audio(path, sr=None)
    assert rate == sr
    assert len(found) == pytest.approx(sr, abs=5000)
    spectrum = np.abs(np.fft.rfft(found[8000:40000] * np.hanning(32000)))
    assert np.argmax(spectrum) * sr / 32000 == pytest.approx(440, abs=3)


def test_mp3_of_variable_rate_with_a_picture_in_front(tmp_path, rng):
    path = tmp_path / "x.mp3"
    soundfile.write(path, noise(rng, sr=44100), 44100, bitrate_mode="VARIABLE")
    plain = read_audio(path, sr=None)[0]
    picture = b"\x00image/png\x00\x03\x00" + rng.bytes(100_000)
    frame = b"APIC" + len(picture).to_bytes(4, "big") + b"\x00\x00" + picture
    size = bytes((len(frame) >> shift) & 0x7F for shift in (21, 14, 7, 0))
    path.write_bytes(b"ID3\x03\x00\x00" + size + frame + path.read_bytes())
    np.testing.assert_array_equal(read_audio(path, sr=None)[0], plain)


def test_a_wrong_suffix_does_not_matter(tmp_path, rng):
    soundfile.write(tmp_path / "x.flac", noise(rng), 22050)
    (tmp_path / "x.flac").rename(tmp_path / "x.mp3")
    assert len(read_audio(tmp_path / "x.mp3", sr=None)[0]) == 11025


@pytest.mark.parametrize("name", ["träck ü.wav", "two words.wav", "new\nline.wav", "日本語.wav"])
def test_any_name(tmp_path, rng, name):
    soundfile.write(tmp_path / name, noise(rng), 22050)
    assert len(read_audio(tmp_path / name)[0]) == 11025


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "the file is empty"), (b"not audio" * 50, "not audio that can be read")],
)
def test_what_is_no_audio(tmp_path, content, reason):
    (tmp_path / "x.wav").write_bytes(content)
    with pytest.raises(DataError, match=reason):
        read_audio(tmp_path / "x.wav")


def test_what_is_no_file(tmp_path):
    (tmp_path / "folder.wav").mkdir()
    os.mkfifo(tmp_path / "pipe.wav")
    (tmp_path / "loop.wav").symlink_to(tmp_path / "loop.wav")
    for name, reason in (
        ("absent", "no such file"),
        ("folder", "a folder"),
        ("pipe", "a pipe"),
        ("loop", "symbolic links"),
    ):
        with pytest.raises(DataError, match=reason):
            read_audio(tmp_path / f"{name}.wav")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file(tmp_path, rng):
    soundfile.write(tmp_path / "x.wav", noise(rng), 22050)
    (tmp_path / "x.wav").chmod(stat.S_IWUSR)
    with pytest.raises(DataError, match="permission denied"):
        read_audio(tmp_path / "x.wav")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_samples_that_are_no_numbers(tmp_path, rng, bad):
    y = noise(rng)
    y[1000] = bad
    soundfile.write(tmp_path / "x.wav", y, 22050, subtype="FLOAT")
    with pytest.raises(DataError, match="NaN or infinite"):
        read_audio(tmp_path / "x.wav")


def test_samples_too_large_to_be_audio(tmp_path, rng):
    y = noise(rng)
    y[7] = -1e30
    soundfile.write(tmp_path / "x.wav", y, 22050, subtype="FLOAT")
    with pytest.raises(DataError, match=r"a sample is 1e\+30; expected -1 to 1"):
        read_audio(tmp_path / "x.wav")


def test_no_samples(tmp_path):
    soundfile.write(tmp_path / "x.wav", np.zeros(0), 22050)
    with pytest.raises(DataError, match="there are no samples"):
        read_audio(tmp_path / "x.wav")


def test_a_file_cut_short_is_used_as_far_as_it_goes(tmp_path, rng):
    path = tmp_path / "x.wav"
    soundfile.write(path, noise(rng), 22050)
    path.write_bytes(path.read_bytes()[:8044])
    assert len(read_audio(path, sr=None)[0]) == 4000


def test_a_header_that_lies_about_the_length(tmp_path, rng):
    path = tmp_path / "x.wav"
    soundfile.write(path, noise(rng), 22050)
    data = bytearray(path.read_bytes())
    data[40:44] = (0x7FFFFFF0).to_bytes(4, "little")
    path.write_bytes(data)
    assert len(read_audio(path, sr=None)[0]) == 11025


@pytest.mark.parametrize("rate", [1, 999, 800_000])
def test_a_rate_beyond_belief(tmp_path, rng, rate):
    soundfile.write(tmp_path / "x.wav", noise(rng), rate)
    with pytest.raises(DataError, match=f"{rate} Hz; expected 1000 to 768000"):
        read_audio(tmp_path / "x.wav")


@pytest.mark.parametrize(
    ("text", "start", "n"),
    [("0.1", 0, 2205), ("0.1@0.2", 4410, 2205), ("0.1@center", 4410, 2205), ("9@0.3", 6615, 4410)],
)
def test_excerpts(tmp_path, rng, text, start, n):
    y = noise(rng)
    soundfile.write(tmp_path / "x.wav", y, 22050, subtype="FLOAT")
    found, _ = read_audio(tmp_path / "x.wav", sr=None, excerpt=parse_excerpt(text))
    np.testing.assert_array_equal(found, y[start : start + n, 0])


def test_an_excerpt_beyond_the_end(tmp_path, rng):
    soundfile.write(tmp_path / "x.wav", noise(rng), 22050)
    with pytest.raises(DataError, match="there are no samples after 9 s"):
        read_audio(tmp_path / "x.wav", excerpt=Excerpt(1.0, 9.0))


@pytest.mark.parametrize("text", ["0", "-1", "x", "1@-1", "1@x", "nan", "inf", "@3"])
def test_what_is_no_excerpt(text):
    with pytest.raises(ConfigError, match="SECONDS@OFFSET"):
        parse_excerpt(text)
