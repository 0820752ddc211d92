"""Decode with libsndfile: WAV, AIFF, FLAC, Ogg (Vorbis, Opus), MP3 and more."""

import os
import re
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import soundfile

from mcls.audio.decoder import CODEC_DELAY, ByteRange, Decoder, spell_reason
from mcls.audio.libav import LibavDecoder
from mcls.audio.stderr_silence import silenced_stderr
from mcls.audio.streams import FilePart, lacks_last_page
from mcls.errors import DataError

#: Samples per channel that are decoded at once, for up to eight channels; files of up to half a
#: minute are one block.
BLOCK = 1 << 21
#: A number of samples that stands for an unknown one in libsndfile.
_UNKNOWN = 1 << 40
#: The log of libsndfile where a file is shorter than its header says: bytes, or samples.
_SHORT = re.compile(r"^ *(?:data|SSND|Data Size|riff) *: (\d+) \(should be (\d+)\)", re.M)
_SHORT_RF64 = re.compile(r"does not match value from 'ds64' chunk of (\d+)")
#: Bytes of audio from which on a header means that the length is not known, as it was streamed.
_STREAMED = 0x7FFF0000


class SoundfileDecoder(Decoder):
    """A file, or a part of one, decoded by libsndfile; by libav from where that fails."""

    def __init__(self, path: Path, part: ByteRange | None = None) -> None:
        self.path, self._part = path, part
        self._source = None if part is None else FilePart(path, *part)
        with nullcontext() if _is_quiet(path) else silenced_stderr():
            self._file = soundfile.SoundFile(self._source or os.fsencode(path))
        self.kind = self._file.format
        self.sr, self.n_channels = self._file.samplerate, self._file.channels
        self._reading = silenced_stderr if self.kind == "MP3" else nullcontext
        # libsndfile gives 16-bit samples as they are six times faster than as floats.
        self._dtype = "int16" if self._file.subtype == "PCM_16" else "float32"
        self.n_samples = self._file.frames if 0 <= self._file.frames < _UNKNOWN else None
        self.tolerance = CODEC_DELAY if self.kind == "MP3" else self.sr // 100
        if self.kind == "OGG":
            self.is_cut = lacks_last_page(path, part)
        elif self.kind != "MP3" and self.n_samples is not None:
            self.declared = _declared(self.n_samples, self._file)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        if self._source is not None:
            self._source.close()

    def blocks(self, start: int, left: int | None) -> Iterator[np.ndarray]:
        """Yield blocks; integers where the file has 16 bits."""
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
            libav = LibavDecoder(self.path, str(error), self._part)
            try:
                for block in libav.blocks(at, left):
                    decoded = decoded or len(block) > 0
                    yield block
            finally:
                self.n_skipped += libav.n_skipped
                libav.close()
        except DataError:
            pass
        if not decoded:
            raise DataError(spell_reason(error)) from error


def _is_quiet(path: Path) -> bool:
    """Return whether a file is surely no MP3, whose decoder prints warnings."""
    with path.open("rb") as file:
        return file.read(4) in (b"RIFF", b"fLaC", b"OggS", b"FORM")


def _declared(n_samples: int, file: soundfile.SoundFile) -> int | None:
    """Return the samples that the header promises, which libsndfile replaces by those it finds."""
    log = file.extra_info if n_samples else ""
    if found := _SHORT_RF64.search(log):
        return int(found[1])
    if found := _SHORT.search(log):
        declared, present = int(found[1]), int(found[2])
        if declared >= _STREAMED and file.format != "W64":
            return None
        return round(n_samples * declared / max(1, present))
    return n_samples
