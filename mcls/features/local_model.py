"""The base class of features that a model on this machine computes: one row per window of audio.

A subclass opens its kind of file. The rest is the same for all of them: the windows, the SHA-256
that pins a chain to the content of the model, and the checks of files that ``mcls export`` wrote.
"""

import hashlib
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from mcls.disk.sums import file_sha256
from mcls.errors import ConfigError, MclsError, suggest
from mcls.features.feature import Feature, check
from mcls.features.signal import Signal, frames_of

#: Windows that a model reads at once.
_BATCH = 16

#: What changes when a file is replaced: its name, time and number.
Stamp = tuple[tuple[str, int, int], ...]


class LocalModel(Feature):
    """Outputs of a model on this machine.

    A subclass calls `LocalModel.__init__` first, opens its model, and ends with `set_windows`. It
    keeps no open model, so that workers get the feature and open the model themselves.

    Parameters
    ----------
    sr : int
        Sampling rate of the audio in Hz.
    path : str
        The model.
    window, hop : float or None
        Length of the windows, and seconds from one to the next.
    sha256 : str or None
        SHA-256 that the model must have; None: any.
    delta : int
        Order up to which deltas are appended.
    """

    #: Name of the feature, and what `path` must name.
    name: ClassVar[str]
    what: ClassVar[str]
    #: Sizes of the input of the model, ``(samples,)`` or ``(batch, ..., samples)``; None: any.
    sizes: tuple[int | None, ...]

    def __init__(
        self,
        sr: int,
        path: str,
        window: float | None,
        hop: float | None,
        sha256: str | None,
        delta: int,
    ) -> None:
        check(
            self.name,
            path=(bool(path), f"must name {self.what}"),
            window=(window is None or window > 0, f"must be above 0 s, not {window}"),
            hop=(hop is None or hop > 0, f"must be above 0 s, not {hop}"),
            delta=(delta in (0, 1, 2), f"must be 0, 1 or 2, not {delta}"),
        )
        self.sr, self.path, self.delta = sr, path, delta
        found = self.sha256_of(path)
        if sha256 is not None and sha256 != found:
            raise ConfigError(
                f"{self.name}: {path} is not the model that the rows were made with: its SHA-256 "
                f"is {found[:12]}..., expected {sha256[:12]}..."
            )

    def set_windows(
        self, window: float | None, hop: float | None, sizes: tuple[int | None, ...]
    ) -> None:
        """Set the windows, and count the dimensions of a row by running the model on silence.

        Parameters
        ----------
        window, hop : float or None
            As asked for, in seconds.
        sizes : tuple of int or None
            Sizes of the input of the model.
        """
        self.sizes = sizes
        n_samples = sizes[-1]
        if n_samples is None:
            if window is None:
                raise ConfigError(
                    f"{self.name}: {self.path} reads audio of any length; give window=SECONDS"
                )
            n_samples = max(1, round(window * self.sr))
        elif window is not None and round(window * self.sr) != n_samples:
            raise ConfigError(
                f"{self.name}: {self.path} reads {n_samples} samples, {n_samples / self.sr:g} s, "
                f"and window is {window:g} s; leave window out"
            )
        self.n_samples = n_samples
        self.hop_length = n_samples if hop is None else max(1, round(hop * self.sr))
        self.margin = n_samples
        silence = np.zeros((1, n_samples), np.float32)
        self.n_local = self.n_static = self._rows_of(silence).shape[1]

    @classmethod
    def pinned(cls, settings: dict[str, Any]) -> dict[str, Any]:
        """Return the settings with the SHA-256 of the model."""
        if not settings["path"] or settings["sha256"] is not None:
            return settings
        return {**settings, "sha256": cls.sha256_of(settings["path"])}

    @classmethod
    def files(cls, path: Path) -> list[Path]:
        """Return the files that the model consists of."""
        return [path]

    @classmethod
    def stamp(cls, path: str) -> Stamp:
        """Return what changes when the model is replaced.

        Raises
        ------
        ConfigError
            If a file cannot be read.
        """
        try:
            found = [(str(one), one.stat()) for one in cls.files(Path(path))]
        except OSError as error:
            raise ConfigError(f"{cls.name}: {path} cannot be read: {error.strerror}") from error
        return tuple((one, status.st_mtime_ns, status.st_ino) for one, status in found)

    @classmethod
    def sha256_of(cls, path: str) -> str:
        """Return the SHA-256 of the model; of several files, that of their names and SHA-256s."""
        return _sha256(cls.stamp(path))

    @abstractmethod
    def run(self, audio: np.ndarray) -> np.ndarray:
        """Return the output of the model for an input of the shape `sizes`, ``(..., n_dims)``."""

    def local(self, signal: Signal) -> np.ndarray:
        """Return a row per window, ``(n_windows, n_dims)``."""
        windows = frames_of(signal.y, self.n_samples, self.hop_length, center=False)
        starts = range(0, len(windows), _BATCH)
        return np.concatenate([self._rows_of(windows[i : i + _BATCH]) for i in starts])

    def _rows_of(self, windows: np.ndarray) -> np.ndarray:
        """Return the rows of a few windows: the mean over all axes of the output but the last."""
        batched = len(self.sizes) > 1
        at_once = len(windows) if batched and self.sizes[0] is None else 1
        ones = [1] * (len(self.sizes) - 2)  # (batch, 1, samples), for instance
        found = []
        for start in range(0, len(windows), at_once):
            some = np.array(windows[start : start + at_once], np.float32)
            output = self._output(some.reshape(len(some), *ones, -1) if batched else some[0])
            if output.ndim < 1 + batched or (batched and len(output) != len(some)):
                raise ConfigError(
                    f"{self.name}: {self.path} gives an output of the shape {output.shape} for "
                    f"{len(some)} windows; expected the dimensions of a row along its last axis"
                )
            found.append(output.reshape(len(some), -1, output.shape[-1]).mean(axis=1))
        rows = np.concatenate(found).astype(np.float32, copy=False)
        if not np.isfinite(rows).all():
            raise ConfigError(f"{self.name}: {self.path} gives NaN or infinite outputs")
        return rows

    def _output(self, audio: np.ndarray) -> np.ndarray:
        """Run the model, and say so where it fails."""
        try:
            return self.run(audio)
        except MclsError:
            raise
        except Exception as error:  # models and their libraries raise errors of many types
            said = str(error).strip().rpartition("\n")[2]
            raise ConfigError(f"{self.name}: {self.path} cannot be run: {said}") from error

    def output_named(self, output: str | None, names: Sequence[str]) -> str:
        """Return the name of the output that was asked for, the first if none was."""
        if output is not None and output not in names:
            said = suggest(output, names)
            raise ConfigError(f"{self.name}: {self.path} has no output {output!r}; {said}")
        return output or names[0]

    def check_exported(self, about: Mapping[str, Any]) -> None:
        """Refuse a file of ``mcls export`` that reads rows, or audio at another sampling rate.

        Parameters
        ----------
        about : mapping
            The metadata ``mcls`` of the file; empty for other files.
        """
        if not about:
            return
        if about["input"]["name"] != "audio":
            raise ConfigError(
                f"{self.name}: {self.path} reads rows, not audio; export it with --with-mel"
            )
        self.check_rate(about["sample_rate"])

    def check_rate(self, rate: int | None) -> None:
        """Refuse audio at another sampling rate than the model's, if that is known."""
        if rate not in (None, self.sr):
            raise ConfigError(
                f"{self.name}: {self.path} reads audio at {rate} Hz; extract with --sr {rate}"
            )


@lru_cache(maxsize=16)
def _sha256(stamp: Stamp) -> str:
    digests = {Path(name).name: file_sha256(Path(name)) for name, _, _ in stamp}
    if len(digests) == 1:
        return next(iter(digests.values()))
    lines = "".join(f"{digests[name]}  {name}\n" for name in sorted(digests))
    return hashlib.sha256(lines.encode()).hexdigest()
