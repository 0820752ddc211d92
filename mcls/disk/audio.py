"""Decode audio files in blocks, average them to mono and resample them.

soundfile reads wav, flac, ogg (vorbis, opus), mp3 and more; PyAV reads the others (m4a, aac, wma,
webm). The format is recognised by the content of a file, never by its name. Memory is bounded by
the size of a block, whatever the file contains.

The messages of the errors are short reasons without the path, which the caller adds.
"""

import io
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import soundfile
import soxr

from mcls.errors import ConfigError, DataError

#: Samples per channel that are decoded at once, for up to eight channels; files of up to half a
#: minute are one block.
BLOCK = 1 << 21
#: Samples per channel that are averaged at once.
_PIECE = 1 << 15
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
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        _check_regular(self.path)
        try:
            self._file = soundfile.SoundFile(os.fsencode(self.path))  # a name of any bytes
        except (soundfile.SoundFileError, TypeError) as error:
            self._file = None
            self._libav = _Libav(self.path, str(error))
            self.sr, self.n_channels = self._libav.sr, self._libav.n_channels
        else:
            self.sr, self.n_channels = self._file.samplerate, self._file.channels
            # libsndfile gives 16-bit samples as they are six times faster than as floats.
            self._dtype = "int16" if self._file.subtype == "PCM_16" else "float32"
        if not MIN_SR <= self.sr <= MAX_SR:
            self.close()
            raise DataError(f"the header says {self.sr} Hz; expected {MIN_SR} to {MAX_SR}")

    def __enter__(self) -> "AudioFile":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
        else:
            self._libav.close()

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
        any_left = False
        source = self._soundfile_blocks if self._file is not None else self._libav.blocks
        for block in source(start, left):
            y = _mono(block)
            with np.errstate(invalid="ignore"):
                loudest = max(float(y.max(initial=0)), -float(y.min(initial=0)))
            if not np.isfinite(loudest):
                raise DataError("samples are NaN or infinite")
            if loudest > MAX_SAMPLE:
                raise DataError(f"a sample is {loudest:.1g}; expected -1 to 1")
            if len(y):
                any_left = True
                yield y
        if not any_left:
            beyond = f" after {start / self.sr:g} s" if start else ""
            raise DataError(f"there are no samples{beyond}")

    @property
    def n_samples(self) -> int:
        """Samples per channel according to the header."""
        return self._file.frames if self._file is not None else self._libav.n_samples

    def _stretch(self, excerpt: Excerpt | None) -> tuple[int, int | None]:
        """Return the first sample and the number of samples; None: up to the end."""
        if excerpt is None:
            return 0, None
        n = round(excerpt.seconds * self.sr)
        if excerpt.offset != "center":
            return round(excerpt.offset * self.sr), n
        return max(0, (self.n_samples - n) // 2), n

    def _soundfile_blocks(self, start: int, left: int | None) -> Iterator[np.ndarray]:
        assert self._file is not None
        decoded = False
        try:
            if start:
                if start >= self._file.frames:
                    return
                self._file.seek(start)
            while left is None or left > 0:
                wanted = max(1, BLOCK * 8 // max(8, self.n_channels))
                wanted = wanted if left is None else min(left, wanted)
                with np.errstate(all="ignore"):
                    block = self._file.read(wanted, dtype=self._dtype, always_2d=True)
                if not len(block):
                    break
                decoded = True
                left = None if left is None else left - len(block)
                yield block
        except soundfile.SoundFileError as error:
            if not decoded:  # a truncated file is used as far as it goes
                raise DataError(_reason(error)) from error


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
    """The first audio stream of a container, decoded by PyAV."""

    def __init__(self, path: Path, first_error: str) -> None:
        import av

        self._handle = _Handle(io.FileIO(path))
        try:
            # A file object and no protocols: a playlist cannot make it open anything else.
            self._container: Any = av.open(self._handle, options={"protocol_whitelist": "none"})
            self._stream = self._container.streams.audio[0]
            self.sr = int(self._stream.rate or 0)
            self.n_channels = int(self._stream.channels or 1)
        except _libav_errors() as error:
            self._handle.close()
            raise DataError(f"not audio that can be read: {_reason(first_error)}") from error
        seconds = float(getattr(self._container, "duration", None) or 0) / av.time_base
        if self._stream.duration is not None and self._stream.time_base is not None:
            seconds = float(self._stream.duration * self._stream.time_base)
        self.n_samples = round(seconds * self.sr)

    def close(self) -> None:
        self._container.close()
        self._handle.close()

    def blocks(self, start: int, left: int | None) -> Iterator[np.ndarray]:
        import av

        resampler = av.AudioResampler(format="fltp")
        skip, decoded = start, False
        try:
            for frame in self._container.decode(self._stream):
                for part in resampler.resample(frame):
                    block = part.to_ndarray().T
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
