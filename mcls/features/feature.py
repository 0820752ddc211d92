"""The base class of features: rows that depend on nearby samples only.

A feature is computed in two steps, so that a file of any length can be read in chunks and gives
the same rows as the whole:

1. `Feature.local` turns a stretch of audio into rows. Row t depends only on the samples within
   ``margin`` of ``t * hop_length``.
2. `Feature.finish` turns local rows into the rows that are stored. They may depend on ``peak``,
   the largest local value of the whole track, and on rows at most ``reach`` away.

Deltas come last; they depend on `DELTA_REACH` rows to either side.
"""

import math
from abc import ABC, abstractmethod
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np

from mcls.errors import ConfigError
from mcls.features.signal import Signal

#: The default width of librosa.feature.delta, and half of it.
DELTA_WIDTH = 9
DELTA_REACH = DELTA_WIDTH // 2


class Feature(ABC):
    """A feature at one sampling rate.

    Parameters
    ----------
    sr : int
        Sampling rate of the audio in Hz.
    compress : {'db', 'log1p', 'none'}
        Compression: decibels (db), log10(1 + gain x) (log1p) or none.
    gain : float
        Gain inside the logarithm, with compress=log1p.
    top_db : float or None
        Dynamic range below the track's peak in dB, with compress=db; none: unlimited.
    delta : int
        Order up to which deltas are appended: 0 (no deltas), 1 or 2.

    Attributes
    ----------
    hop_length : int
        Samples from row to row.
    margin : int
        Number of samples to either side that a local row depends on.
    reach : int
        Number of local rows to either side that a finished row depends on.
    n_local, n_static, n_dims : int
        Dimensions of local rows, of finished rows without deltas, and with deltas.
    axis : np.ndarray, shape (n_dims,), or None
        The centre frequency of each dimension in Hz, if it has one.
    names : tuple of str or None
        The name of each static dimension, if it has one.
    unit : str
        Unit of the values, where they are not compressed.
    level_first : bool
        Whether the first dimension is the level of the frame, far beyond the scale of the others.
    """

    sr: int
    hop_length: int
    margin: int
    reach: int = 0
    n_local: int
    n_static: int
    delta: int = 0
    axis: np.ndarray | None = None
    names: tuple[str, ...] | None = None
    unit: ClassVar[str] = "value"
    level_first: ClassVar[bool] = False
    #: The type in which rows are stored, whatever --dtype says.
    dtype: ClassVar[str | None] = None

    @property
    def frame_rate(self) -> float:
        """Rows per second."""
        return self.sr / self.hop_length

    @property
    def n_dims(self) -> int:
        """Dimensions of a finished row."""
        return self.n_static * (1 + self.delta)

    @property
    def notes(self) -> list[str]:
        """What users should know of these settings, such as dimensions that never vary."""
        return []

    @classmethod
    def pinned(cls, settings: dict[str, Any]) -> dict[str, Any]:
        """Return settings that also name the content of the files they refer to, if any."""
        return settings

    @classmethod
    def learnt_from(cls, settings: dict[str, Any]) -> tuple[str, ...]:
        """Return the ids of the tracks that a model in the settings was learnt from, if known."""
        return ()

    @abstractmethod
    def local(self, signal: Signal) -> np.ndarray:
        """Return the local rows of a stretch of audio, ``(n_frames, n_local)`` float32."""

    def finish(self, rows: np.ndarray, peak: float) -> np.ndarray:
        """Return finished rows of a stretch without deltas, ``(n_frames, n_static)`` float32.

        The ends of the stretch are treated as the ends of the track. Where they are not, the caller
        drops `reach` rows.
        """
        return rows

    def audio(self, rows: np.ndarray) -> np.ndarray:
        """Return audio whose rows are near some rows of a track; see `mcls.features.inversion`.

        Parameters
        ----------
        rows : np.ndarray, shape (n_frames, n_static)
            Finished rows without deltas.

        Returns
        -------
        np.ndarray, shape (n_samples,)
            Audio at ``sr``.

        Raises
        ------
        ConfigError
            If the feature, or one of its settings, has no way back.
        """
        raise ConfigError(
            f"rows of {type(self).__name__.lower()} cannot be turned back into audio; only those "
            "of spectrogram, mel, mfcc, cqt and waveform can"
        )

    def rows(self, y: np.ndarray) -> np.ndarray:
        """Return the finished rows of a whole signal.

        Parameters
        ----------
        y : np.ndarray, shape (n_samples,)
            Audio at ``sr``.

        Returns
        -------
        np.ndarray, shape (n_frames, n_dims), float32
        """
        local = self.local(Signal(np.ascontiguousarray(y, np.float32), self.sr))
        return add_deltas(self.finish(local, float(local.max(initial=0.0))), self.delta)


def check(feature: str, **rules: tuple[bool, str]) -> None:
    """Raise a ConfigError that names every setting whose rule does not hold."""
    bad = [f"{name} {expected}" for name, (holds, expected) in rules.items() if not holds]
    if bad:
        raise ConfigError(f"{feature}: " + "; ".join(bad))


def compressed(
    rows: np.ndarray,
    peak: float,
    *,
    compress: str,
    power: float,
    gain: float,
    top_db: float | None,
) -> np.ndarray:
    """Compress the dynamic range of magnitudes.

    Parameters
    ----------
    rows : np.ndarray, shape (n_frames, n)
        Magnitudes raised to `power`, >= 0.
    peak : float
        The largest value of the whole track.
    compress : {'db', 'log1p', 'none'}
        ``db``: decibels re 1, equal to librosa's ``power_to_db`` (power 2) or
        ``amplitude_to_db`` (power 1). ``log1p``: log10(1 + gain x).
    power : float
        Exponent to which the magnitudes were raised.
    gain : float
        Gain inside the logarithm of ``log1p``.
    top_db : float or None
        With ``db``, values further below the peak are raised to this distance.
    """
    if compress == "none":
        return rows
    if compress == "log1p":
        return np.log10(1 + np.float32(gain) * rows)
    factor, least = np.float32(20 / power), np.float32(1e-10 ** (power / 2))
    decibels = np.maximum(rows, least)
    np.log10(decibels, out=decibels)
    decibels *= factor
    if top_db is not None:
        loudest = factor * np.log10(np.maximum(np.float32(peak), least))
        np.maximum(decibels, loudest - np.float32(top_db), out=decibels)
    return decibels


def expanded(rows: np.ndarray, *, compress: str, power: float, gain: float) -> np.ndarray:
    """Return magnitudes raised to `power`, of which `compressed` makes some rows.

    What is at the floor of ``top_db`` stays there. Values below those of silence give 0.
    """
    if compress == "none":
        return np.maximum(rows, 0)
    if compress == "log1p":
        return np.maximum(10.0**rows - 1, 0) / gain
    return 10.0 ** (rows * (power / 20))


def over_largest(rows: np.ndarray) -> np.ndarray:
    """Divide each row by its largest magnitude; a row of zeros is left as it is."""
    largest = np.abs(rows).max(axis=1, keepdims=True)
    return rows / np.where(largest > np.finfo(np.float32).tiny, largest, 1)


def add_deltas(rows: np.ndarray, orders: int) -> np.ndarray:
    """Append deltas: local derivatives over nine rows, equal to librosa's ``delta``.

    Parameters
    ----------
    rows : np.ndarray, shape (n_frames, n)
        Static rows.
    orders : {0, 1, 2}
        Number of derivatives to append.

    Returns
    -------
    np.ndarray, shape (n_frames, n * (1 + orders)), float32
        With fewer than nine rows the first and last are repeated (librosa raises an error).
    """
    if not orders:
        return rows
    columns = [rows]
    for order in range(1, orders + 1):
        weights = slope(order)
        if len(rows) < DELTA_WIDTH:
            padded = np.pad(rows, ((DELTA_REACH, DELTA_REACH), (0, 0)), mode="edge")
            columns.append(_windows(padded) @ weights)
            continue
        inner = _windows(rows) @ weights
        columns.append(np.pad(inner, ((DELTA_REACH, DELTA_REACH), (0, 0)), mode="edge"))
    return np.concatenate(columns, axis=1).astype(np.float32, copy=False)


def _windows(rows: np.ndarray) -> np.ndarray:
    """Return every window of nine rows, ``(n, n_dims, 9)``."""
    return np.lib.stride_tricks.sliding_window_view(rows, DELTA_WIDTH, axis=0)


@lru_cache
def slope(order: int) -> np.ndarray:
    """Return the weights ``(9,)`` of nine rows in their derivative, float32.

    It is the derivative of the polynomial of degree `order` fitted to them (Savitzky & Golay 1964),
    so it is the same at all nine rows, including those near the ends of the track.
    """
    positions = np.arange(DELTA_WIDTH) - DELTA_REACH
    fit = np.linalg.pinv(np.vander(positions, order + 1, increasing=True))
    return (math.factorial(order) * fit[order]).astype(np.float32)
