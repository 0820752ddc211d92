"""Extraction of all features of a file in one pass and in bounded memory.

Audio is decoded once, in blocks. Every feature turns the same chunk of audio into local rows.
Chunks overlap, because rows near the ends of a chunk depend on samples outside it. Local rows are
kept in memory, or in a temporary file if they exceed `SPILL` bytes, until the end of the track;
then they are finished block by block.

Rows of a track read in chunks differ from those of the track read at once by at most 1e-3 dB (mel),
1e-3 (mfcc) and 1e-4 of the maximum (cqt), because the streaming resampler rounds to float32.
"""

import math
import tempfile
import weakref
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np

from mcls.audio.digests import file_sha1
from mcls.audio.files import AudioFile, Excerpt
from mcls.audio.samples import resampled
from mcls.disk.chain import Step
from mcls.errors import DataError
from mcls.features.feature import DELTA_WIDTH, Feature, add_deltas
from mcls.features.signal import Signal
from mcls.features.specs import FeatureSpec
from mcls.registry import find

Change = Callable[[np.ndarray, int], np.ndarray]

#: Samples per chunk: a minute and a half at 22.05 kHz.
CHUNK = 1 << 21
#: Bytes of local rows per feature that are kept in memory.
SPILL = 1 << 26
#: Rows per finished block.
_ROWS = 1 << 14


@dataclass
class LocalRows:
    """Local rows of one feature of one track, kept until the end of the track."""

    n_local: int
    peak: float = 0.0
    length: int = 0
    _blocks: list[np.ndarray] = field(default_factory=list)
    _file: BinaryIO | None = None

    def append(self, rows: np.ndarray) -> None:
        """Add rows."""
        self.peak = max(self.peak, float(rows.max(initial=0.0)))
        self.length += len(rows)
        self._blocks.append(rows)
        if self._file is not None or self.length * self.n_local * 4 > SPILL:
            try:
                self._spill()
            except OSError as error:
                folder = f"{tempfile.gettempdir()} ({error.strerror})"
                raise DataError(
                    f"no space left for temporary rows in {folder}; set TMPDIR to another folder"
                ) from error

    def _spill(self) -> None:
        """Move the rows in memory to the temporary file."""
        if self._file is None:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115  # lives as long as the rows
            weakref.finalize(self, self._file.close)
        for block in self._blocks:
            self._file.write(np.ascontiguousarray(block, np.float32).data)
        self._file.flush()
        self._blocks = []

    def read(self, start: int, stop: int) -> np.ndarray:
        """Return rows `start` to `stop`."""
        if self._file is not None:
            self._file.seek(start * self.n_local * 4)
            flat = np.fromfile(self._file, np.float32, (stop - start) * self.n_local)
            return flat.reshape(stop - start, self.n_local)
        if len(self._blocks) > 1:
            self._blocks = [np.concatenate(self._blocks)]
        return self._blocks[0][start:stop]


@dataclass
class TrackRows:
    """The rows of one track, finished when they are read.

    Attributes
    ----------
    seconds : float
        Length of the audio that was used.
    sample_rate : int
        Sampling rate of the file in Hz.
    sha1 : str
        SHA-1 of the bytes of the file.
    lengths : dict of str to int
        Number of rows of each feature.
    faults : dict of str to str
        What is wrong with the audio, as in `AudioFile.faults`.
    """

    seconds: float
    sample_rate: int
    sha1: str
    lengths: dict[str, int]
    _features: dict[str, Feature]
    _local: dict[str, LocalRows]
    _dtype: np.dtype
    faults: dict[str, str] = field(default_factory=dict)

    def blocks(self, name: str) -> Iterator[np.ndarray]:
        """Yield the finished rows of a feature, ``(n, n_dims)``, never NaN or infinite.

        Values beyond the range of float16 are clipped.
        """
        feature, local = self._features[name], self._local[name]
        dtype = np.dtype(feature.dtype or self._dtype)
        reach = feature.reach + (DELTA_WIDTH if feature.delta else 0)
        for start in range(0, local.length, _ROWS):
            stop = min(start + _ROWS, local.length)
            first, last = max(0, start - reach), min(stop + reach, local.length)
            rows = feature.finish(local.read(first, last), local.peak)
            rows = add_deltas(rows, feature.delta)[start - first : stop - first]
            if dtype == np.float16:
                limit = np.finfo(np.float16).max
                rows = np.clip(rows, -limit, limit)
            yield rows.astype(dtype, copy=False)

    def rows(self, name: str) -> np.ndarray:
        """Return all finished rows of a feature."""
        return np.concatenate(list(self.blocks(name)))


class Extractor:
    """Computes the features of audio files.

    Parameters
    ----------
    specs : sequence of FeatureSpec
        The features, from `parse_features`.
    sr : int or None
        Sampling rate in Hz to which audio is resampled; None keeps the rate of each file.
    excerpt : Excerpt or None
        Part of every file to use; None uses all.
    dtype : {'float32', 'float16'}
        Type of the rows.

    Raises
    ------
    ConfigError
        If a setting is out of range.
    """

    def __init__(
        self,
        specs: Sequence[FeatureSpec],
        *,
        sr: int | None = 22050,
        excerpt: Excerpt | None = None,
        dtype: str = "float32",
    ) -> None:
        self.specs = list(specs)
        self.sr = sr
        self.excerpt = excerpt
        self.dtype = np.dtype(dtype)
        self._features: dict[int, dict[str, Feature]] = {}
        if sr is not None:
            self.features(sr)

    def features(self, sr: int) -> dict[str, Feature]:
        """Return the features by name, built for a sampling rate."""
        if sr not in self._features:
            self._features[sr] = {spec.name: spec.make(sr) for spec in self.specs}
        return self._features[sr]

    def steps(self) -> dict[str, Step]:
        """Return the first step of the chain of every feature."""
        shared = {
            "sr": self.sr,
            "excerpt": None if self.excerpt is None else str(self.excerpt),
            "dtype": self.dtype.name,
        }
        return {
            spec.name: Step(
                "feature",
                spec.feature,
                {**spec.settings, **shared},
                learnt_from=find("features", spec.feature).load().learnt_from(spec.settings),
            )
            for spec in self.specs
        }

    def track(self, path: str | Path, change: Change | None = None) -> TrackRows:
        """Compute the local rows of a file.

        Parameters
        ----------
        path : path
            The file.
        change : callable (y, sr) -> y, or None
            Function applied to the audio (all of it in memory) first, such as an augmentation.

        Raises
        ------
        DataError
            If the file cannot be used; the message is the reason, without the path.
        """
        with ThreadPoolExecutor(1) as aside, AudioFile(path) as file:
            sha1 = aside.submit(file_sha1, file.path)
            sr = self.sr or file.sr
            blocks = resampled(file.blocks(self.excerpt), file.sr, sr)
            if change is not None:
                y = change(np.concatenate(list(blocks)), sr)
                if not np.isfinite(y).all():
                    raise DataError("the augmented audio has samples that are NaN or infinite")
                blocks = iter([y])
            features = self.features(sr)
            local, n_samples = _local_rows(blocks, features, sr)
        for name, rows in local.items():
            if not rows.length:
                raise DataError(f"too short for {name} ({n_samples} samples at {sr} Hz)")
        lengths = {name: rows.length for name, rows in local.items()}
        return TrackRows(
            n_samples / sr,
            file.sr,
            sha1.result(),
            lengths,
            features,
            local,
            self.dtype,
            file.faults,
        )


def _local_rows(
    blocks: Iterator[np.ndarray], features: dict[str, Feature], sr: int
) -> tuple[dict[str, LocalRows], int]:
    """Return the local rows of a stream of audio, and its number of samples."""
    local = {name: LocalRows(feature.n_local) for name, feature in features.items()}
    stride = math.lcm(*(feature.hop_length for feature in features.values()))
    margin = -(-max(feature.margin for feature in features.values()) // stride) * stride
    step = max(1, CHUNK // stride) * stride
    held = np.zeros(0, np.float32)
    begin = 0  # sample of the track at which `held` begins
    done = 0  # sample of the track up to which rows have been kept
    for block in blocks:
        held = block if not len(held) else np.concatenate([held, block])
        while begin + len(held) > done + step + margin:
            _keep(
                held[: done + step + margin - begin], sr, features, local, begin, done, done + step
            )
            done += step
            drop = max(0, done - margin) - begin
            held, begin = held[drop:].copy(), begin + drop
    _keep(held, sr, features, local, begin, done, None)
    return local, begin + len(held)


def _keep(
    y: np.ndarray,
    sr: int,
    features: dict[str, Feature],
    local: dict[str, LocalRows],
    begin: int,
    start: int,
    stop: int | None,
) -> None:
    """Keep the local rows of samples `start` to `stop` of a chunk that begins at `begin`."""
    signal = Signal(y, sr)
    for name, feature in features.items():
        first = (start - begin) // feature.hop_length
        last = None if stop is None else (stop - begin) // feature.hop_length
        local[name].append(feature.local(signal)[first:last])
