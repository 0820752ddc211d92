"""Decode with libav (PyAV): M4A, AAC, WMA, WebM, and what libsndfile cannot read."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mcls.audio.decoder import ByteRange, Decoder, spell_reason
from mcls.audio.streams import FilePart, asf_seconds
from mcls.errors import DataError

#: The containers whose durations are counted, not guessed.
_COUNTED = {"mov"}
#: The containers whose headers say how long the audio is, if they say it.
_DECLARING = {"mov", "matroska", "caf"}


def _libav_errors() -> tuple[type[Exception], ...]:
    """Return the exceptions that PyAV raises for corrupt files."""
    import av

    usual = (ArithmeticError, AttributeError, EOFError, LookupError, MemoryError, OSError)
    return (av.FFmpegError, *usual, RuntimeError, TypeError, ValueError)


class _Handle(io.BufferedReader):
    """A file whose failed seeks return -1 instead of an exception, as libav expects."""

    def seek(self, offset: int, whence: int = 0) -> int:
        try:
            return super().seek(offset, whence)
        except (OSError, ValueError):
            return -1


class LibavDecoder(Decoder):
    """The first audio stream of a container, or of a part of a file, decoded by PyAV."""

    def __init__(self, path: Path, first_error: str, part: ByteRange | None = None) -> None:
        import av

        raw = io.FileIO(path) if part is None else FilePart(path, *part)
        self._handle = _Handle(raw)
        try:
            # A file object and no protocols: a playlist cannot make it open anything else.
            self._container: Any = av.open(self._handle, options={"protocol_whitelist": "none"})
            self._stream = self._container.streams.audio[0]
            self.sr = int(self._stream.rate or 0)
            self.n_channels = int(self._stream.channels or 1)
        except _libav_errors() as error:
            self._handle.close()
            said = getattr(error, "strerror", None) or "no audio was found in it"
            reason = spell_reason(said if "does not exist" in first_error else first_error)
            raise DataError(f"not audio that can be read: {reason}") from error
        seconds = self._seconds(_COUNTED)
        self.n_samples = None if seconds is None else round(seconds * self.sr)
        seconds = self._seconds(_DECLARING) or asf_seconds(path)
        self.declared = None if seconds is None else round(seconds * self.sr)

    def _seconds(self, containers: set[str]) -> float | None:
        """Return the length of the audio in the header, if it is one of these containers."""
        if containers.isdisjoint(self._container.format.name.split(",")):
            return None
        if self._stream.duration is not None and self._stream.time_base is not None:
            return float(self._stream.duration * self._stream.time_base)
        if self._container.duration is not None and len(self._container.streams) == 1:
            return float(self._container.duration / 1e6)
        return None

    def close(self) -> None:
        """Close the file."""
        self._container.close()
        self._handle.close()

    def blocks(self, start: int, left: int | None) -> Iterator[np.ndarray]:
        """Yield blocks of floats."""
        skip, decoded = start, False
        try:
            for block in self._resampled():
                decoded = decoded or len(block) > 0
                block, skip = block[skip:], max(0, skip - len(block))
                if left is not None:
                    block = block[:left]
                    left -= len(block)
                yield block
                if left == 0:
                    return
        except _libav_errors() as error:
            if not decoded:
                raise DataError(f"could not be decoded ({spell_reason(error)})") from error
            self.is_cut = True

    def _resampled(self) -> Iterator[np.ndarray]:
        """Yield floats; where the rate changes within the file, at the rate of its beginning."""
        import av

        resampler, shape = None, None
        for frame in self._frames():
            this = (frame.format.name, frame.layout.name, frame.rate)
            if resampler is None or this != shape:
                rate = None if frame.rate == self.sr else self.sr
                resampler, shape = av.AudioResampler(format="fltp", rate=rate), this
            yield from (part.to_ndarray().T for part in resampler.resample(frame))

    def _frames(self) -> Iterator[Any]:
        """Yield frames; a packet that cannot be decoded is left out, as players do."""
        first_error, n_bad, decoded = None, 0, False
        for packet in self._container.demux(self._stream):
            try:
                frames = packet.decode()
            except _libav_errors() as error:
                first_error, n_bad = first_error or error, n_bad + 1
                continue
            if frames and packet.size:  # packets at the ends may be incomplete
                self.n_skipped += n_bad if decoded else 0
                n_bad = 0
            decoded = decoded or bool(frames)
            yield from frames
        if first_error is not None and not decoded:
            raise first_error
