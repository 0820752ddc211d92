"""Checksums at the end of an HDF5 file, of every block of bytes before them.

HDF5 ignores what follows its own data, so any program can read a file with checksums. They are
compared before the HDF5 library sees the file; only the blocks of rows wait until they are read.
Layout of the end::

    uint32 x n_blocks     CRC-32 of each block of 64 KiB; the last may be shorter
    uint64 x 2 n_spans    first byte and end of the rows of every feature
    footer                n_bytes before the checksums, n_spans, CRC-32 of all of this, a signature

A CRC-32 finds every change of up to 32 bits in a row, and any other but one in four billion. It is
no protection against a person who changes the file on purpose.
"""

import hashlib
import os
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mcls.errors import FormatError

BLOCK = 1 << 16
_SIGNATURE = b"mclscrcs"
_FOOTER = struct.Struct("<QII8s")

#: More features than any store has.
_MOST_SPANS = 1 << 12

#: First byte and end of a stretch of a file.
Span = tuple[int, int]


@dataclass
class Checksums:
    """The checksums of a file, and which blocks have been found to be right.

    Parameters
    ----------
    expected : np.ndarray, shape (n_blocks,), uint32
        The CRC-32 of each block.
    n_bytes : int
        The bytes that they cover, from the beginning of the file.
    spans : list of (int, int)
        The bytes of rows, which are checked when they are read.
    """

    expected: np.ndarray
    n_bytes: int
    spans: list[Span]
    right: np.ndarray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.right = np.zeros(len(self.expected), bool)

    @property
    def digest(self) -> str:
        """The SHA-256 of the checksums, another one if they find a change of the file."""
        layout = np.array([self.n_bytes, *(edge for span in self.spans for edge in span)], "<u8")
        return hashlib.sha256(self.expected.tobytes() + layout.tobytes()).hexdigest()

    def wrong_block(self, file: int, start: int, end: int) -> Span | None:
        """Return the first block of bytes `start` to `end` that is not right, by its bytes.

        A block that was right before is not read again.
        """
        first, last = start // BLOCK, -(-end // BLOCK)
        for i in first + np.flatnonzero(~self.right[first:last]):
            at = int(i) * BLOCK
            content = os.pread(file, min(BLOCK, self.n_bytes - at), at)
            if zlib.crc32(content) != self.expected[i]:
                return at, at + BLOCK
            self.right[i] = True
        return None

    def apart_from_rows(self) -> list[Span]:
        """Return the stretches of the file that hold no rows."""
        edges = [0, *(edge for span in sorted(self.spans) for edge in span), self.n_bytes]
        return [(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if a < b]


def append_checksums(path: Path, spans: Sequence[Span] = ()) -> None:
    """Write the checksums of a complete file at its end.

    Parameters
    ----------
    path : Path
        The file.
    spans : sequence of (int, int)
        First byte and end of what is checked only when it is read.
    """
    expected = []
    with path.open("r+b") as file:
        while block := file.read(BLOCK):
            expected.append(zlib.crc32(block))
        n_bytes = file.tell()
        body = np.array(expected, "<u4").tobytes() + np.array(spans, "<u8").tobytes()
        head = struct.pack("<QI", n_bytes, len(spans))
        file.write(body + _FOOTER.pack(n_bytes, len(spans), zlib.crc32(body + head), _SIGNATURE))


def read_checksums(path: Path) -> Checksums | None:
    """Return the checksums at the end of a file; None if there are none.

    Raises
    ------
    FormatError
        If they are damaged.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        if size < _FOOTER.size:
            return None
        file.seek(size - _FOOTER.size)
        n_bytes, n_spans, crc, signature = _FOOTER.unpack(file.read())
        if signature != _SIGNATURE:
            return None
        if n_spans > _MOST_SPANS:
            raise FormatError(f"{path} is damaged: its checksums name {n_spans} features")
        n_blocks = -(-n_bytes // BLOCK)
        if n_bytes + 4 * n_blocks + 16 * n_spans + _FOOTER.size != size:
            raise FormatError(f"{path} is damaged: bytes were lost or added since it was written")
        file.seek(n_bytes)
        body = file.read(size - _FOOTER.size - n_bytes)
    if zlib.crc32(body + struct.pack("<QI", n_bytes, n_spans)) != crc:
        raise FormatError(f"{path} is damaged at its end, where its checksums are")
    expected = np.frombuffer(body, "<u4", n_blocks)
    spans = np.frombuffer(body, "<u8", 2 * n_spans, 4 * n_blocks).reshape(-1, 2)
    return Checksums(expected, n_bytes, [(a, b) for a, b in spans.tolist()])
