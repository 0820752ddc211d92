"""Files whose header does not tell how long they are: all of the audio is read."""

import io
import subprocess
import sys

import av
import numpy as np
import pytest
import soundfile

from mcls.audio import libsndfile
from mcls.audio.files import parse_excerpt, probe, read_audio
from mcls.errors import DataError

SR = 44100


def tone(hz, seconds=3.0, sr=SR):
    return (0.3 * np.sin(2 * np.pi * hz * np.arange(round(seconds * sr)) / sr)).astype(np.float32)


def three_tones(sr):
    """Nine seconds: 300 Hz, then 1000 Hz, then 3000 Hz."""
    return np.concatenate([tone(300, sr=sr), tone(1000, sr=sr), tone(3000, sr=sr)])


def pitch(y, sr):
    return np.abs(np.fft.rfft(y * np.hanning(len(y)))).argmax() * sr / len(y)


def stream(hz, kind, subtype, sr=SR, channels=1):
    """Return three seconds of a tone as the bytes of a file."""
    body = io.BytesIO()
    y = np.tile(tone(hz, sr=sr)[:, None], (1, channels))
    soundfile.write(body, y, sr, format=kind, subtype=subtype)
    return body.getvalue()


def encode(target, y, sr, codec, container, options=None, quality=None):
    with av.open(target, "w", format=container, options=options or {}) as out:
        made = out.add_stream(codec, rate=sr, layout="mono")
        if codec == "wmav2":
            made.bit_rate = 64000
        if quality is not None:
            made.codec_context.global_quality = quality * 118
            made.codec_context.flags |= av.codec.context.Flags.qscale
        if codec == "libmp3lame":
            made.format = "fltp"
        form = made.codec_context.format.name
        size = made.codec_context.frame_size or 1024
        for start in range(0, len(y), size):
            block = np.ascontiguousarray(y[None, start : start + size])
            if form.startswith("s16"):
                block = (block * 32767).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(block, form, "mono")
            frame.sample_rate, frame.pts = sr, start
            out.mux(made.encode(frame))
        out.mux(made.encode(None))


class Live:
    """What a recorder writes to: a file that cannot go back to write the duration."""

    def __init__(self, path):
        self.file = path.open("wb")

    def write(self, some):
        return self.file.write(some)


def check_thirds(path, sr, rel=0.01):
    """Check the whole, the centre and the end of nine seconds of three tones."""
    assert len(read_audio(path, sr=None)[0]) == pytest.approx(9 * sr, rel=rel)
    assert probe(path).seconds == pytest.approx(9, rel=rel)
    for excerpt, hz in (("2@0.5", 300), ("2@center", 1000), ("2@6.5", 3000)):
        y = read_audio(path, sr=None, excerpt=parse_excerpt(excerpt))[0]
        assert len(y) == 2 * sr
        assert pitch(y, sr) == pytest.approx(hz, abs=3)


def test_mp3_of_variable_rate_without_a_header(tmp_path):
    y = three_tones(SR)
    y[: 3 * SR] += np.random.default_rng(0).normal(0, 0.2, 3 * SR).astype(np.float32)
    encode(str(tmp_path / "x.mp3"), y, SR, "libmp3lame", "mp3", {"write_xing": "0"}, quality=2)
    with soundfile.SoundFile(tmp_path / "x.mp3") as file:
        assert abs(file.frames - 9 * SR) > SR  # libsndfile guesses
    check_thirds(tmp_path / "x.mp3", SR)


def test_mp3_of_constant_rate_without_a_header_needs_no_second_decoder(tmp_path):
    encode(str(tmp_path / "x.mp3"), three_tones(SR), SR, "libmp3lame", "mp3", {"write_xing": "0"})
    check_thirds(tmp_path / "x.mp3", SR)
    expected = soundfile.read(tmp_path / "x.mp3", dtype="float32")[0]
    np.testing.assert_array_equal(read_audio(tmp_path / "x.mp3", sr=None)[0], expected)


@pytest.mark.parametrize("mode", ["CONSTANT", "AVERAGE", "VARIABLE"])
def test_mp3_with_a_header_needs_no_second_decoder(tmp_path, mode):
    path = tmp_path / "x.mp3"
    soundfile.write(path, three_tones(SR), SR, bitrate_mode=mode)
    tag = b"TAG" + bytes(125)
    path.write_bytes(path.read_bytes() + tag)
    expected = soundfile.read(path, dtype="float32")[0]
    np.testing.assert_array_equal(read_audio(path, sr=None)[0], expected)


@pytest.mark.parametrize("tag", [b"", b"ID3\x03\x00\x00\x00\x00\x01\x00" + bytes(128)])
def test_joined_mp3(tmp_path, tag):
    parts = [stream(hz, "MP3", "MPEG_LAYER_III") for hz in (300, 1000, 3000)]
    (tmp_path / "x.mp3").write_bytes(tag.join(parts))
    check_thirds(tmp_path / "x.mp3", SR, rel=0.02)  # with the encoder's delays


def test_joined_mp3_of_other_rates_and_channels(tmp_path):
    kind = "MP3", "MPEG_LAYER_III"
    body = stream(300, *kind) + stream(1000, *kind, 22050, 2) + stream(3000, *kind, 48000)
    (tmp_path / "x.mp3").write_bytes(body)
    whole = read_audio(tmp_path / "x.mp3", sr=None)[0]
    assert len(whole) == pytest.approx(9 * SR, rel=0.02)
    for at, hz in ((1, 300), (4, 1000), (7, 3000)):
        assert pitch(whole[at * SR : (at + 1) * SR], SR) == pytest.approx(hz, abs=3)


@pytest.mark.parametrize("excerpt", [None, "2@center"])
def test_mp3_with_a_corrupt_frame_and_no_header(tmp_path, excerpt):
    """What follows the corrupt frame is read."""
    path = tmp_path / "x.mp3"
    encode(str(path), three_tones(SR), SR, "libmp3lame", "mp3", {"write_xing": "0"}, quality=2)
    body = bytearray(path.read_bytes())
    body[9000:9400] = bytes(400)
    path.write_bytes(body)
    y = read_audio(path, sr=None, excerpt=parse_excerpt(excerpt))[0]
    assert len(y) == pytest.approx((2 if excerpt else 9) * SR, rel=0.02)
    if excerpt:
        assert pitch(y, SR) == pytest.approx(1000, abs=3)


@pytest.mark.parametrize(
    ("kind", "subtype"),
    [("OGG", "VORBIS"), ("OGG", "OPUS"), ("FLAC", "PCM_16"), ("FLAC", "PCM_24")],
)
@pytest.mark.parametrize("same", [False, True])
def test_joined_streams(tmp_path, kind, subtype, same):
    """Ogg with several links, as web radio recorders write, and concatenated FLAC."""
    sr = 48000
    parts = [stream(hz, kind, subtype, sr) for hz in (300, 1000, 3000)]
    if same:  # the same serial number
        parts = [parts[0]] * 3
    (tmp_path / "x").write_bytes(b"".join(parts))
    whole = []
    for part in parts:
        whole.append(soundfile.read(io.BytesIO(part), dtype="float32")[0])
    np.testing.assert_array_equal(read_audio(tmp_path / "x", sr=None)[0], np.concatenate(whole))
    if not same:
        check_thirds(tmp_path / "x", sr)


@pytest.mark.parametrize(("kind", "subtype"), [("OGG", "VORBIS"), ("FLAC", "PCM_16")])
def test_joined_streams_of_other_rates_and_channels(tmp_path, kind, subtype):
    body = stream(300, kind, subtype) + stream(1000, kind, subtype, 22050, 2)
    (tmp_path / "x").write_bytes(body + stream(3000, kind, subtype, 48000))
    check_thirds(tmp_path / "x", SR)


@pytest.mark.parametrize(
    ("codec", "container", "sr"),
    [
        ("libopus", "webm", 48000),
        ("flac", "matroska", 44100),
        ("aac", "adts", 44100),
        ("wmav2", "asf", 44100),
    ],
)
def test_a_container_without_a_duration(tmp_path, codec, container, sr):
    live = Live(tmp_path / "x")
    try:
        encode(live, three_tones(sr), sr, codec, container)
    finally:
        live.file.close()
    check_thirds(tmp_path / "x", sr)


def test_aac_of_variable_rate(tmp_path):
    """The duration of ADTS is a guess by the rate of the beginning."""
    y = three_tones(SR)
    y[: 3 * SR] += np.random.default_rng(0).normal(0, 0.2, 3 * SR).astype(np.float32)
    encode(str(tmp_path / "x.aac"), y, SR, "aac", "adts")
    check_thirds(tmp_path / "x.aac", SR)


def unknown_total(body):
    """Set the number of samples in the header of a FLAC to 0: unknown."""
    at = body.index(b"fLaC") + 21
    return body[:at] + bytes([body[at] & 0xF0, 0, 0, 0, 0]) + body[at + 5 :]


def test_flac_of_unknown_length(tmp_path):
    path = tmp_path / "x.flac"
    soundfile.write(path, three_tones(SR), SR)
    expected = soundfile.read(path, dtype="float32")[0]
    path.write_bytes(unknown_total(path.read_bytes()))
    np.testing.assert_array_equal(read_audio(path, sr=None)[0], expected)
    check_thirds(path, SR)


def test_joined_flac_of_unknown_length(tmp_path):
    parts = [unknown_total(stream(hz, "FLAC", "PCM_16")) for hz in (300, 1000, 3000)]
    (tmp_path / "x").write_bytes(b"".join(parts))
    check_thirds(tmp_path / "x", SR)


@pytest.mark.parametrize("block", [None, SR])
def test_flac_cut_in_the_middle_is_used_as_far_as_it_goes(tmp_path, rng, monkeypatch, block):
    """Also where the cut is in a later block."""
    if block:
        monkeypatch.setattr(libsndfile, "BLOCK", block)
    y = rng.uniform(-0.5, 0.5, 6 * SR).astype(np.float32)
    soundfile.write(tmp_path / "x.flac", y, SR)
    body = (tmp_path / "x.flac").read_bytes()
    (tmp_path / "x.flac").write_bytes(body[: len(body) // 2])
    found = read_audio(tmp_path / "x.flac", sr=None)[0]
    assert len(found) == pytest.approx(3 * SR, abs=8192)
    np.testing.assert_allclose(found, y[: len(found)], atol=1e-4)


def test_the_decoders_print_nothing(tmp_path):
    body = stream(440, "MP3", "MPEG_LAYER_III")
    (tmp_path / "cut.mp3").write_bytes(body[: len(body) // 2])
    bad = bytearray(body)
    bad[3000:3400] = np.random.default_rng(0).bytes(400)
    (tmp_path / "bad.mp3").write_bytes(bad)
    code = (
        "import sys; from mcls.audio.files import read_audio\n"
        "for path in sys.argv[1:]: read_audio(path)\n"
        "print('seen', file=sys.stderr)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "cut.mp3", tmp_path / "bad.mp3"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stderr == "seen\n"


def test_a_corrupt_mp3_does_not_say_that_there_is_no_file(tmp_path, rng):
    (tmp_path / "x.mp3").write_bytes(b"ID3\x03\x00\x00\x00\x00\x01\x00" + rng.bytes(5000))
    with pytest.raises(DataError) as caught:
        read_audio(tmp_path / "x.mp3")
    assert "exist" not in str(caught.value)
    assert "regular file" not in str(caught.value)
