"""Decode audio files in blocks, average them to mono and resample them.

soundfile reads wav, flac, ogg (vorbis, opus), mp3 and more; PyAV reads the others (m4a, aac, wma,
webm). The format is recognised by the content of a file, never by its name. Memory is bounded by
the size of a block, whatever the file contains.

The messages of the errors are short reasons without the path, which the caller adds.
"""

import io
import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import soundfile
import soxr

from mcls.disk.audio_streams import Part, mp3_has_header, mp3_samples, stream_starts
from mcls.errors import ConfigError, DataError

#: Samples per channel that are decoded at once, for up to eight channels; files of up to half a
#: minute are one block.
BLOCK = 1 << 21
#: Samples per channel that are averaged at once.
_PIECE = 1 << 15
#: A number of samples that stands for an unknown one in libsndfile.
_UNKNOWN = 1 << 40
#: Samples that an encoder of MP3 adds, and a frame that only describes the file.
_MP3_DELAY = 4 * 1152
#: The containers whose durations are counted, not guessed.
_SURE = {"mov"}
#: The accepted sampling rates in Hz; a header with another one is corrupt.
MIN_SR, MAX_SR = 1000, 768_000
#: The largest accepted sample: far above floats in integer scale, far below the values whose powers
#: overflow.
MAX_SAMPLE = 1e12


@dataclass(frozen=True)
class Excerpt:
    """An excerpt of a track: its length and offset in seconds, or its centre."""

    seconds: float
    offset: float | Literal["center"] = 0.0

    def __str__(self) -> str:
        return f"{self.seconds:g}@{self.offset if self.offset == 'center' else f'{self.offset:g}'}"


def parse_excerpt(text: str | None) -> Excerpt | None:
    """Read ``SECONDS``, ``SECONDS@OFFSET`` or ``SECONDS@center``.

    Raises
    ------
    ConfigError
        If the text is none of these.

    Examples
    --------
    >>> parse_excerpt("30@center")
    Excerpt(seconds=30.0, offset='center')
    """
    if not text:
        return None
    length, _, start = text.partition("@")
    try:
        seconds = float(length)
        offset: float | Literal["center"] = "center" if start == "center" else float(start or 0)
    except ValueError:
        seconds, offset = 0.0, 0.0
    if not (0 < seconds < float("inf")) or (offset != "center" and not 0 <= offset < float("inf")):
        raise ConfigError(
            f"excerpt is {text!r}; expected SECONDS, SECONDS@OFFSET or SECONDS@center"
        )
    return Excerpt(seconds, offset)


@dataclass(frozen=True)
class AudioInfo:
    """The sampling rate, seconds and channels in the header of a file, which may be wrong."""

    sr: int
    seconds: float
    n_channels: int


class AudioFile:
    """An audio file opened for reading once.

    Parameters
    ----------
    path : path
        Any regular file.

    Raises
    ------
    DataError
        If it cannot be read; the message is the reason.

    Attributes
    ----------
    sr : int
        The sampling rate in Hz.
    n_channels : int
        The number of channels.
    lost : float
        Seconds that a truncated file lacks of what its header says, once all blocks were read.
    """

    lost = 0.0

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        _check_regular(self.path)
        self._decoder = _decoder(self.path)
        self.sr, self.n_channels = self._decoder.sr, self._decoder.n_channels
        if not MIN_SR <= self.sr <= MAX_SR:
            self.close()
            raise DataError(f"the header says {self.sr} Hz; expected {MIN_SR} to {MAX_SR}")

    def __enter__(self) -> "AudioFile":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._decoder.close()

    def blocks(self, excerpt: Excerpt | None = None) -> Iterator[np.ndarray]:
        """Yield the audio in blocks of mono samples.

        Parameters
        ----------
        excerpt : Excerpt or None
            Decode this excerpt only, as far as the file goes.

        Yields
        ------
        np.ndarray, shape (n,), float32
            The mean of the channels, at the sampling rate of the file.

        Raises
        ------
        DataError
            If nothing can be decoded, or samples are NaN, infinite or beyond `MAX_SAMPLE`.
        """
        start, left = self._stretch(excerpt)
        n_read = 0
        for block in self._decoder.blocks(start, left):
            y = _mono(block)
            with np.errstate(invalid="ignore"):
                loudest = max(float(y.max(initial=0)), -float(y.min(initial=0)))
            if not np.isfinite(loudest):
                raise DataError("samples are NaN or infinite")
            if loudest > MAX_SAMPLE:
                raise DataError(f"a sample is {loudest:.1g}; expected -1 to 1")
            n_read += len(y)
            if len(y):
                yield y
        if not n_read:
            beyond = f" after {start / self.sr:g} s" if start else ""
            raise DataError(f"there are no samples{beyond}")
        if isinstance(self._decoder, _Soundfile):
            expected = self._decoder.declared - start
            lost = (expected if left is None else min(left, expected)) - n_read
            self.lost = lost / self.sr if lost > _MP3_DELAY else 0.0

    @property
    def n_samples(self) -> int:
        """Samples per channel; the file is decoded to count them where its header does not say."""
        if self._decoder.n_samples is None:
            self._decoder.n_samples = _count(self.path)
        return self._decoder.n_samples

    def _stretch(self, excerpt: Excerpt | None) -> tuple[int, int | None]:
        """Return the first sample and the number of samples; None: up to the end."""
        if excerpt is None:
            return 0, None
        n = round(excerpt.seconds * self.sr)
        if excerpt.offset != "center":
            return round(excerpt.offset * self.sr), n
        return max(0, (self.n_samples - n) // 2), n


class _Decoder(Protocol):
    """What decodes a file: blocks ``(n, n_channels)``; n_samples is None where it is not known."""

    sr: int
    n_channels: int
    n_samples: int | None

    def blocks(self, start: int, left: int | None) -> Iterator[np.ndarray]: ...

    def close(self) -> None: ...


def _decoder(path: Path) -> _Decoder:
    """Open a file with the decoder that reads all of it."""
    try:
        first = _Soundfile(path)
    except (soundfile.SoundFileError, TypeError) as error:
        return _Libav(path, str(error))
    starts = stream_starts(path, first.kind)
    if len(starts) > 1:
        with suppress(soundfile.SoundFileError, TypeError):
            joined = _Joined(path, starts)
            first.close()
            return joined
    if first.kind == "MP3":
        n_samples = mp3_samples(path)
        if first.n_samples is None or first.n_samples < n_samples - _MP3_DELAY:
            with suppress(DataError):
                other = _Libav(path, "")
                other.n_samples = n_samples
                first.close()
                return other
        elif n_samples:
            if mp3_has_header(path):
                first.declared = first.n_samples
            first.n_samples = min(first.n_samples, n_samples)
    return first


def _count(path: Path) -> int:
    """Decode a file to count its samples."""
    decoder = _decoder(path)
    try:
        return sum(len(block) for block in decoder.blocks(0, None))
    finally:
        decoder.close()


class _Soundfile:
    """A file, or a part of one, decoded by libsndfile; by libav from where that fails."""

    def __init__(self, path: Path, part: tuple[int, int | None] | None = None) -> None:
        self.path, self._part = path, part
        self._source = None if part is None else Part(path, *part)
        with nullcontext() if _is_quiet(path) else _quiet():
            self._file = soundfile.SoundFile(self._source or os.fsencode(path))
        self.kind = self._file.format
        self.sr, self.n_channels = self._file.samplerate, self._file.channels
        self._reading = _quiet if self.kind == "MP3" else nullcontext
        # libsndfile gives 16-bit samples as they are six times faster than as floats.
        self._dtype = "int16" if self._file.subtype == "PCM_16" else "float32"
        known = 0 <= self._file.frames < _UNKNOWN
        self.n_samples: int | None = self._file.frames if known else None
        #: Samples that the header promises; 0 where it does not say.
        self.declared = self._file.frames if known and self.kind == "FLAC" else 0

    def close(self) -> None:
        self._file.close()
        if self._source is not None:
            self._source.close()

    def blocks(self, start: int, left: int | None) -> Iterator[np.ndarray]:
        at = start
        if self.n_samples is not None and 0 < self.n_samples <= start:
            return
        try:
            if start:
                self._file.seek(start)
            while left is None or left > 0:
                wanted = max(1, BLOCK * 8 // max(8, self.n_channels))
                wanted = wanted if left is None else min(left, wanted)
                with np.errstate(all="ignore"), self._reading():
                    block = self._file.read(wanted, dtype=self._dtype, always_2d=True)
                if not len(block):
                    return
                at += len(block)
                left = None if left is None else left - len(block)
                yield block
        except soundfile.SoundFileError as error:
            yield from self._rest(at, left, error, decoded=at > start)

    def _rest(
        self, at: int, left: int | None, error: soundfile.SoundFileError, *, decoded: bool
    ) -> Iterator[np.ndarray]:
        """Yield what libav decodes after the failure of libsndfile."""
        try:
            libav = _Libav(self.path, str(error), self._part)
            try:
                for block in libav.blocks(at, left):
                    decoded = decoded or len(block) > 0
                    yield block
            finally:
                libav.close()
        except DataError:
            pass
        if not decoded:
            raise DataError(_reason(error)) from error


class _Joined:
    """Streams one after another in a file; all are given at the rate of the first, as mono."""

    def __init__(self, path: Path, starts: list[int]) -> None:
        self._path = path
        self._parts = list(zip(starts, [*starts[1:], None], strict=True))
        first = _Soundfile(path, self._parts[0])
        self.sr, self.n_channels = first.sr, first.n_channels
        first.close()
        self.n_samples: int | None = None

    def close(self) -> None:
        """Do nothing: streams are open only while they are read."""

    def blocks(self, start: int, left: int | None) -> Iterator[np.ndarray]:
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

    def _stream(self, part: tuple[int, int | None]) -> Iterator[np.ndarray]:
        try:
            stream = _Soundfile(self._path, part)
        except (soundfile.SoundFileError, TypeError):
            return
        try:
            with suppress(DataError):
                mono = (_mono(block) for block in stream.blocks(0, None))
                yield from resampled(mono, stream.sr, self.sr)
        finally:
            stream.close()


def _is_quiet(path: Path) -> bool:
    """Return whether a file is surely no MP3, whose decoder prints warnings."""
    with path.open("rb") as file:
        return file.read(4) in (b"RIFF", b"fLaC", b"OggS", b"FORM")


_quiet_lock, _quiet_depth, _stderr = threading.Lock(), 0, -1


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what libmpg123 prints from the standard error of the process."""
    global _quiet_depth, _stderr
    with _quiet_lock:
        if not _quiet_depth:
            _stderr = _silence()
        _quiet_depth += 1
    try:
        yield
    finally:
        with _quiet_lock:
            _quiet_depth -= 1
            if not _quiet_depth and _stderr >= 0:
                os.dup2(_stderr, 2)
                os.close(_stderr)


def _silence() -> int:
    """Let nothing more be seen of the standard error; return a copy, or -1 if there is none."""
    try:
        copy = os.dup(2)
    except OSError:
        return -1
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    return copy


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


class _Libav:
    """The first audio stream of a container, or of a part of a file, decoded by PyAV."""

    def __init__(
        self, path: Path, first_error: str, part: tuple[int, int | None] | None = None
    ) -> None:
        import av

        raw = io.FileIO(path) if part is None else Part(path, *part)
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
            reason = _reason(said if "does not exist" in first_error else first_error)
            raise DataError(f"not audio that can be read: {reason}") from error
        self.n_samples: int | None = None
        sure = not _SURE.isdisjoint(self._container.format.name.split(","))
        if sure and self._stream.duration is not None and self._stream.time_base is not None:
            seconds = float(self._stream.duration * self._stream.time_base)
            self.n_samples = round(seconds * self.sr)

    def close(self) -> None:
        self._container.close()
        self._handle.close()

    def blocks(self, start: int, left: int | None) -> Iterator[np.ndarray]:
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
                raise DataError(f"could not be decoded ({_reason(error)})") from error

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
        first_error, decoded = None, False
        for packet in self._container.demux(self._stream):
            try:
                frames = packet.decode()
            except _libav_errors() as error:
                first_error = first_error or error
                continue
            decoded = decoded or bool(frames)
            yield from frames
        if first_error is not None and not decoded:
            raise first_error


def probe(path: str | Path) -> AudioInfo:
    """Read a file's header.

    Raises
    ------
    DataError
        If it cannot be read; the message is the reason.
    """
    with AudioFile(path) as file:
        return AudioInfo(file.sr, file.n_samples / file.sr, file.n_channels)


def audio_blocks(
    path: str | Path, *, sr: int | None = 22050, excerpt: Excerpt | None = None
) -> Iterator[np.ndarray]:
    """Decode a file to mono at a sampling rate, block by block.

    Parameters
    ----------
    path : path
        The file.
    sr : int or None
        Sampling rate in Hz; None keeps the rate of the file.
    excerpt : Excerpt or None
        Decode this excerpt only.

    Yields
    ------
    np.ndarray, shape (n,), float32
        Blocks of any length, resampled like ``soxr_hq`` of librosa.

    Raises
    ------
    DataError
        If it cannot be read; the message is the reason.
    """
    with AudioFile(path) as file:
        yield from resampled(file.blocks(excerpt), file.sr, sr)


def resampled(blocks: Iterator[np.ndarray], sr: int, to: int | None) -> Iterator[np.ndarray]:
    """Resample a stream of mono blocks; a stream of one block is resampled as a whole."""
    if to is None or to == sr:
        yield from blocks
        return
    first = next(blocks, None)
    if first is None:
        return
    second = next(blocks, None)
    if second is None:
        yield soxr.resample(first, sr, to, quality="HQ")
        return
    stream = soxr.ResampleStream(sr, to, 1, dtype="float32", quality="HQ")
    yield stream.resample_chunk(first)
    yield stream.resample_chunk(second)
    for block in blocks:
        yield stream.resample_chunk(block)
    yield stream.resample_chunk(np.zeros(0, np.float32), last=True)


def read_audio(
    path: str | Path, *, sr: int | None = 22050, excerpt: Excerpt | None = None
) -> tuple[np.ndarray, int]:
    """Decode a whole file to mono.

    Returns
    -------
    y : np.ndarray, shape (n_samples,), float32
        The audio, equal to that of ``librosa.load``.
    sr : int
        The sampling rate in Hz.

    Raises
    ------
    DataError
        If it cannot be read; the message is the reason.
    """
    with AudioFile(path) as file:
        blocks = list(resampled(file.blocks(excerpt), file.sr, sr))
        return (blocks[0] if len(blocks) == 1 else np.concatenate(blocks)), sr or file.sr


def truncated_note(lost: dict[str, float]) -> str:
    """Say which tracks are truncated, by name, with the seconds that they lack."""
    named = [f"{name} lacks {seconds:.1f} s" for name, seconds in list(lost.items())[:5]]
    more = [f"{len(lost) - 5} more"] if len(lost) > 5 else []
    return f"{len(lost)} tracks are truncated, used as far as they go: " + ", ".join(named + more)


def _check_regular(path: Path) -> None:
    """Refuse pipes, folders and empty files before they are opened."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise DataError("there is no such file") from None
    except OSError as error:
        raise DataError(_reason(error.strerror or error)) from error
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "a pipe or device"
        raise DataError(f"it is {kind}, not a file")
    if path.stat().st_size == 0:
        raise DataError("the file is empty")
    with suppress(OSError):
        path.open("rb").close()
        return
    raise DataError("permission denied")


def _mono(block: np.ndarray) -> np.ndarray:
    """Average channels: ``(n, n_channels)`` float32 or int16 to ``(n,)`` float32 in [-1, 1].

    Matrix products of pieces that fit into the cache are faster than a strided mean.
    """
    n, n_channels = block.shape
    scale = 1 / 32768 if block.dtype == np.int16 else 1.0
    weights = np.full(n_channels, scale / n_channels, np.float32)
    if n_channels == 1:
        return np.multiply(block[:, 0], weights[0], dtype=np.float32)
    y = np.empty(n, np.float32)
    with np.errstate(all="ignore"):  # infinite samples are found in the result
        for start in range(0, n, _PIECE):
            piece = block[start : start + _PIECE].astype(np.float32, copy=False)
            np.matmul(piece, weights, out=y[start : start + _PIECE])
    return y


def _reason(error: object) -> str:
    """Return the last part of the message of a library, without the path."""
    text = " ".join(str(error).split())
    text = text.rpartition("': ")[2] or text
    return text.removesuffix(".")[:200]
