"""Where the streams of an audio file begin and end, from its bytes, without decoding.

libsndfile reads the first stream of joined files only.
"""

import io
import struct
from pathlib import Path
from typing import BinaryIO

import numpy as np

#: Bytes that are searched at once.
_PIECE = 1 << 16
#: What each stream of a format begins with: the first page of Ogg, the header of FLAC.
_MARKS = {
    "OGG": (b"OggS\x00\x02", b"OggS\x00\x06"),
    "FLAC": (b"fLaC\x00\x00\x00\x22", b"fLaC\x80\x00\x00\x22"),
}
#: What the properties of a file in ASF (WMA) begin with.
_ASF = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
#: The largest page of Ogg in bytes.
_PAGE = 27 + 255 + 255 * 255


def stream_starts(path: Path, kind: str) -> list[int]:
    """Return the bytes at which the streams of an Ogg or FLAC file begin, the first being 0."""
    marks = _MARKS.get(kind)
    if marks is None:
        return [0]
    found: set[int] = set()
    with path.open("rb") as file:
        tail, at = b"", 0
        while piece := file.read(_PIECE):
            piece, at = tail + piece, at - len(tail)
            found.update(at + place for place in _places(piece, marks))
            at, tail = at + len(piece), piece[-7:]
        starts = sorted(found)
        if kind == "OGG":  # streams side by side begin with pages one after another
            ends = {_page_end(file, start) for start in starts}
            starts = [start for start in starts if start not in ends]
    return [0, *starts[1:]]


def lacks_last_page(path: Path, part: tuple[int, int | None] | None = None) -> bool:
    """Return whether an Ogg file, or a part of one, is cut: its last page is not marked so."""
    start, stop = part or (0, None)
    with path.open("rb") as file:
        end = file.seek(0, io.SEEK_END) if stop is None else stop
        first = file.seek(max(start, end - 2 * _PAGE))
        tail = file.read(end - first)
        at = tail.rfind(b"OggS\x00")
        if at < 0 or len(tail) < at + 27:
            return True
        return not tail[at + 5] & 4 or _page_end(file, first + at) > end


def _places(piece: bytes, marks: tuple[bytes, ...]) -> list[int]:
    """Return where the marks are; comparing arrays is three times faster than `bytes.find`."""
    codes = np.frombuffer(piece, np.uint8)
    pairs = (codes[:-1] == marks[0][0]) & (codes[1:] == marks[0][1])
    return [place for place in np.flatnonzero(pairs).tolist() if piece.startswith(marks, place)]


def _page_end(file: BinaryIO, start: int) -> int:
    file.seek(start + 26)
    count = file.read(1)
    return start + 27 + sum(count) + sum(file.read(sum(count)))


class FilePart(io.RawIOBase):
    """A range of the bytes of a file, as a file."""

    def __init__(self, path: Path, start: int, stop: int | None) -> None:
        self._file = path.open("rb")
        self._start = start
        self._stop = self._file.seek(0, io.SEEK_END) if stop is None else stop
        self._file.seek(start)

    def readable(self) -> bool:  # noqa: D102
        return True

    def seekable(self) -> bool:  # noqa: D102
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # noqa: D102
        left = max(0, self._stop - self._file.tell())
        return self._file.readinto(memoryview(buffer)[:left])

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:  # noqa: D102
        origin = {io.SEEK_SET: self._start, io.SEEK_CUR: self._file.tell(), io.SEEK_END: self._stop}
        return self._file.seek(max(self._start, origin[whence] + offset)) - self._start

    def tell(self) -> int:  # noqa: D102
        return self._file.tell() - self._start

    def close(self) -> None:  # noqa: D102
        self._file.close()
        super().close()


def asf_seconds(path: Path) -> float | None:
    """Return the seconds in the header of an ASF file (WMA), which libav replaces by a guess."""
    with path.open("rb") as file:
        head = file.read(_PIECE)
    at = head.find(_ASF)
    if at < 0 or len(head) < at + 88:
        return None
    duration, _, preroll = struct.unpack_from("<3Q", head, at + 64)  # in 100 ns, 100 ns and ms
    return duration / 1e7 - preroll / 1e3 if duration else None
