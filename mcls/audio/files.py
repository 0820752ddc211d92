"""Decode audio files in blocks, average them to mono and resample them.

soundfile reads wav, flac, ogg (vorbis, opus), mp3 and more; PyAV reads the others (m4a, aac, wma,
webm). The format is recognised by the content of a file, never by its name. Memory is bounded by
the size of a block, whatever the file contains.

The messages of the errors are short reasons without the path, which the caller adds.
"""

import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import soundfile

from mcls.audio.decoder import CODEC_DELAY, Decoder, spell_reason
from mcls.audio.faults import spell_lost
from mcls.audio.joined import JoinedDecoder
from mcls.audio.libav import LibavDecoder
from mcls.audio.libsndfile import SoundfileDecoder
from mcls.audio.mp3_frames import mp3_length
from mcls.audio.samples import mono, resampled
from mcls.audio.streams import stream_starts
from mcls.errors import ConfigError, DataError
from mcls.remote.objects import RemoteError
from mcls.remote.places import local_copy

#: The accepted sampling rates in Hz; a header with another one is corrupt.
MIN_SR, MAX_SR = 1000, 768_000
#: The largest accepted sample: far above floats in integer scale, far below the values whose powers
#: overflow.
MAX_SAMPLE = 1e12
#: The peak below which audio is silent: two steps of 16 bits, which dither may reach.
_SILENCE = 2.5 / 32768
#: The peak of the mean of channels that cancel out, by that of the channels: -40 dB.
_CANCELLED = 0.01
#: The peak of a dead channel of two, by that of the other: -60 dB, which the hum of a loose cable
#: and what a codec lets through do not reach.
_DEAD = 0.001


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
        Any regular file, or a URL, of which a copy is kept as long as the file is open.

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
    faults : dict of str to str
        What is wrong with the audio that was read, by the names of `FAULTS`, once all blocks were
        read. For ``truncated`` it is the seconds that the file lacks of what it says of itself.
    """

    def __init__(self, path: str | Path) -> None:
        self.faults: dict[str, str] = {}
        with ExitStack() as opened:
            self.path = opened.enter_context(_local_copy(path))
            _check_regular(self.path)
            self._decoder = _open_decoder(self.path)
            opened.callback(self._decoder.close)
            self.sr, self.n_channels = self._decoder.sr, self._decoder.n_channels
            if not MIN_SR <= self.sr <= MAX_SR:
                raise DataError(f"the header says {self.sr} Hz; expected {MIN_SR} to {MAX_SR}")
            self._open = opened.pop_all()

    def __enter__(self) -> "AudioFile":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._open.close()

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
        n_read, peak, peaks = 0, 0.0, [0.0] * self.n_channels
        for block in self._decoder.blocks(start, left):
            y = mono(block)
            loudest = _peak(y)
            if not np.isfinite(loudest):
                raise DataError("samples are NaN or infinite")
            if loudest > MAX_SAMPLE:
                raise DataError(f"a sample is {loudest:.1g}; expected -1 to 1")
            n_read, peak = n_read + len(y), max(peak, loudest)
            if block.shape[1] > 1:
                peaks = [max(some) for some in zip(peaks, map(_peak, block.T), strict=False)]
            if len(y):
                yield y
        if not n_read:
            beyond = f" after {start / self.sr:g} s" if start else ""
            raise DataError(f"there are no samples{beyond}")
        if lost := self._decoder.lost(start, left, n_read):
            self.faults["truncated"] = spell_lost(lost)
        if self._decoder.n_skipped:
            self.faults["skipped"] = str(self._decoder.n_skipped)
        loudest = max(peaks)
        if loudest > _SILENCE and peak < _CANCELLED * loudest:
            self.faults["cancelling"] = "yes"
        elif peak < _SILENCE:
            self.faults["silent"] = "yes"
        elif len(peaks) == 2 and min(peaks) < _DEAD * loudest:
            self.faults["dead-channel"] = "left" if peaks[0] < peaks[1] else "right"

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


def _open_decoder(path: Path) -> Decoder:
    """Open a file with the decoder that reads all of it."""
    try:
        first = SoundfileDecoder(path)
    except (soundfile.SoundFileError, TypeError) as error:
        return LibavDecoder(path, str(error))
    if first.n_samples == 0:  # a WAV whose recorder could not go back to write its length
        with suppress(DataError):
            other = LibavDecoder(path, "")
            first.close()
            return other
    starts = stream_starts(path, first.kind)
    if len(starts) > 1:
        with suppress(soundfile.SoundFileError, TypeError):
            joined = JoinedDecoder(path, starts)
            first.close()
            return joined
    if first.kind == "MP3":
        length = mp3_length(path)
        if first.n_samples is None or first.n_samples < length.n_samples - CODEC_DELAY:
            with suppress(DataError):
                other = LibavDecoder(path, "")
                other.n_samples, other.declared = length.n_samples, length.declared
                first.close()
                return other
        elif length.n_samples:
            if length.declared is not None:
                first.declared = first.n_samples
            first.n_samples = min(first.n_samples, length.n_samples)
    return first


def _count(path: Path) -> int:
    """Decode a file to count its samples."""
    decoder = _open_decoder(path)
    try:
        return sum(len(block) for block in decoder.blocks(0, None))
    finally:
        decoder.close()


def _peak(samples: np.ndarray) -> float:
    """Return the largest magnitude, 1 being full scale; NaN if there is one."""
    with np.errstate(invalid="ignore"):
        peak = max(float(samples.max(initial=0)), -float(samples.min(initial=0)))
    return peak / 32768 if samples.dtype == np.int16 else peak


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


@contextmanager
def _local_copy(path: str | Path) -> Iterator[Path]:
    """Yield a local path, of a URL that of a copy; errors have no URL, as those of decoders."""
    try:
        with local_copy(path) as local:
            yield local
    except RemoteError as error:
        raise DataError(error.reason) from error


def _check_regular(path: Path) -> None:
    """Refuse pipes, folders and empty files before they are opened."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise DataError("there is no such file") from None
    except OSError as error:
        raise DataError(spell_reason(error.strerror or error)) from error
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "a pipe or device"
        raise DataError(f"it is {kind}, not a file")
    if path.stat().st_size == 0:
        raise DataError("the file is empty")
    with suppress(OSError):
        path.open("rb").close()
        return
    raise DataError("permission denied")
