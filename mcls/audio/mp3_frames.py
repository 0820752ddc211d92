"""How many samples an MP3 file has, from its frames and from its Xing or Info header.

libsndfile guesses the length of an MP3 file without such a header by the rate of its first frame.
The length is found here from the bytes, without decoding.
"""

import io
import mmap
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

from mcls.audio.decoder import CODEC_DELAY

#: Bytes of the beginning that contain the header: the longest frame.
_HEADER = 1 << 12
#: Bytes of the tag at the end of a file.
_ID3V1 = 128
#: A header with the number of frames, which the odd flags mean, and mostly of bytes.
_XING = re.compile(rb"(?:Xing|Info)\0\0\0[\x01\x03\x05\x07\x09\x0b\x0d\x0f](.{4})(.{4})", re.S)
#: Bytes from the beginning of a frame to its header: mono or stereo, version 1 or 2.
_DISTANCES = (36, 21, 13)
#: Kilobits per second by layer and version (1, or 2 and 2.5) and index.
_RATES = {
    (1, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (2, 1): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (3, 1): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (1, 2): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (3, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}


@dataclass(frozen=True)
class Mp3Length:
    """How long an MP3 file is, the encoder's delay included.

    Attributes
    ----------
    n_samples : int
        Samples per channel in its frames.
    declared : int or None
        Samples that its Xing or Info headers promise; None without one in the first frame.
    """

    n_samples: int
    declared: int | None


def mp3_length(path: Path) -> Mp3Length:
    """Find how long an MP3 file is: from its header if that fits the file, else from its frames."""
    with path.open("rb") as file:
        at = _tag_size(file.read(10))
        file.seek(at)
        first = file.read(_HEADER)
        end = file.seek(0, io.SEEK_END)
        file.seek(max(0, end - _ID3V1))
        end -= _ID3V1 if file.read(3) == b"TAG" else 0
    header = _XING.search(first)
    size, n = _frame(first[:4])
    if header is None or not size or header.start() >= size:
        return Mp3Length(_walked(path), None)
    declared = int.from_bytes(header[1], "big") * n
    if at + int.from_bytes(header[2], "big") == end:
        return Mp3Length(declared + n, declared)
    n_samples = _walked(path)
    if n_samples > declared + CODEC_DELAY:
        declared = _declared_by_all(path)
    return Mp3Length(n_samples, declared)


def _declared_by_all(path: Path) -> int:
    """Return the samples that the headers of joined files promise together."""
    total = 0
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as body:
        for header in _XING.finditer(body):
            for distance in _DISTANCES:
                size, n = _frame(body[max(0, header.start() - distance) :][:4])
                if size:
                    total += int.from_bytes(header[1], "big") * n
                    break
    return total


def _tag_size(head: bytes) -> int:
    """Return the bytes of the ID3 tag that begins so; 0 if it is none."""
    if head[:3] != b"ID3":
        return 0
    return 10 + sum((byte & 0x7F) << 7 * i for i, byte in enumerate(reversed(head[6:10])))


def _walked(path: Path) -> int:
    """Return the samples per channel in the frames of a file."""
    total, at, in_step = 0, 0, False
    with path.open("rb", buffering=1 << 16) as file:
        while len(head := file.read(4)) == 4:
            size, n = _frame(head)
            if size and (in_step or _is_frame(file, at + size)):
                total, at, in_step = total + n, at + size, True
            elif head[:3] == b"ID3":
                at, in_step = at + _tag_size(head + file.read(6)), False
            else:
                at, in_step = _next_mark(file, at + 1), False
            file.seek(at)
    return total


@lru_cache(4096)
def _frame(head: bytes) -> tuple[int, int]:
    """Return the bytes and samples of the MPEG frame with this header; zeros if it is none."""
    bits = int.from_bytes(head, "big")
    version, layer = bits >> 19 & 3, 4 - (bits >> 17 & 3)
    rate, frequency, padding = bits >> 12 & 15, bits >> 10 & 3, bits >> 9 & 1
    if bits >> 21 != 0x7FF or version == 1 or layer == 4 or rate in (0, 15) or frequency == 3:
        return 0, 0
    sr = (44100, 48000, 32000)[frequency] >> {3: 0, 2: 1, 0: 2}[version]
    bits_per_second = 1000 * _RATES[layer, 1 if version == 3 else 2][rate - 1]
    if layer == 1:
        return (12 * bits_per_second // sr + padding) * 4, 384
    n = 576 if layer == 3 and version != 3 else 1152
    return n // 8 * bits_per_second // sr + padding, n


def _is_frame(file: BinaryIO, at: int) -> bool:
    """Return whether a frame, or the end of the file, is there."""
    file.seek(at)
    head = file.read(4)
    return len(head) < 4 or _frame(head)[0] > 0


def _next_mark(file: BinaryIO, at: int) -> int:
    """Return where a frame or a tag may begin next, or the end of the file."""
    file.seek(at)
    while piece := file.read(1 << 12):
        places = [place for mark in (b"\xff", b"ID3") if (place := piece.find(mark)) >= 0]
        if places:
            return at + min(places)
        at += len(piece)
    return at
