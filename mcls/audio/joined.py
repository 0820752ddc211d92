"""Files of several streams one after another, such as recordings of web radio."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile

from mcls.audio.decoder import ByteRange, Decoder
from mcls.audio.libsndfile import SoundfileDecoder
from mcls.audio.samples import mono, resampled
from mcls.errors import DataError


class JoinedDecoder(Decoder):
    """Streams one after another in a file; all are given at the rate of the first, as mono.

    Parameters
    ----------
    path : Path
        The file.
    starts : list of int
        The bytes at which the streams begin.
    """

    def __init__(self, path: Path, starts: list[int]) -> None:
        self._path = path
        self._parts: list[ByteRange] = list(zip(starts, [*starts[1:], None], strict=True))
        first = SoundfileDecoder(path, self._parts[0])
        self.sr, self.n_channels = first.sr, first.n_channels
        first.close()
        self._lost = 0.0

    def close(self) -> None:
        """Do nothing: streams are open only while they are read."""

    def blocks(self, start: int, left: int | None) -> Iterator[np.ndarray]:
        """Yield blocks ``(n, 1)`` of all streams in order."""
        skip = start
        for part in self._parts:
            for y in self._stream(part):
                block, skip = y[skip:], max(0, skip - len(y))
                if left is not None:
                    block = block[:left]
                    left -= len(block)
                yield block[:, None]
                if left == 0:
                    return

    def lost(self, start: int, left: int | None, n_read: int) -> float:
        """Return the seconds that the streams read so far lack."""
        return self._lost

    def _stream(self, part: ByteRange) -> Iterator[np.ndarray]:
        """Yield a stream as mono at the rate of the first; one that cannot be read is counted."""
        try:
            stream = SoundfileDecoder(self._path, part)
        except (soundfile.SoundFileError, TypeError):
            self.n_skipped += 1
            return
        n_read = 0

        def samples() -> Iterator[np.ndarray]:
            nonlocal n_read
            for block in stream.blocks(0, None):
                n_read += len(block)
                yield mono(block)

        try:
            yield from resampled(samples(), stream.sr, self.sr)
        except DataError:
            self.n_skipped += 1
        else:
            self._lost += stream.lost(0, None, n_read)
            self.n_skipped += stream.n_skipped
        finally:
            stream.close()
