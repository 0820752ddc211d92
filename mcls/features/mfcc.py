"""Mel-frequency cepstral coefficients."""

from functools import cached_property
from typing import ClassVar, Literal

import numpy as np

from mcls.features.feature import check, compressed, expanded
from mcls.features.filters import mel_filters
from mcls.features.inversion import bins_of_bands
from mcls.features.mel import MelFeature
from mcls.registry import register


@register("features", "mfcc")
class MFCC(MelFeature):
    """Mel-frequency cepstral coefficients.

    Parameters
    ----------
    n_mfcc : int
        Number of coefficients.
    dct_type : {2, 3}
        Type of the orthonormal discrete cosine transform.
    lifter : float
        Cepstral liftering; 0 disables it.
    top_db : float or None
        Dynamic range below the track's peak in dB; none: unlimited.

    References
    ----------
    Davis & Mermelstein (1980); equal to ``librosa.feature.mfcc``.
    """

    unit: ClassVar[str] = "coefficient"
    level_first: ClassVar[bool] = True

    def __init__(
        self,
        sr: int,
        *,
        n_mfcc: int = 20,
        dct_type: Literal[2, 3] = 2,
        lifter: float = 0.0,
        n_fft: int = 2048,
        hop_length: int = 512,
        win_length: int | None = None,
        window: str = "hann",
        center: bool = True,
        n_mels: int = 128,
        fmin: float = 0.0,
        fmax: float | None = None,
        htk: bool = False,
        norm: Literal["slaney", "none"] = "slaney",
        top_db: float | None = 80.0,
        delta: int = 0,
    ) -> None:
        super().__init__(sr, n_fft, hop_length, win_length, window, center, delta)
        check(
            "mfcc",
            n_mfcc=(
                1 <= n_mfcc <= n_mels,
                f"must be between 1 and n_mels ({n_mels}), not {n_mfcc}",
            ),
            lifter=(lifter >= 0, f"must be 0 or more, not {lifter}"),
        )
        self.use_bands(n_mels, fmin, fmax, htk, norm, 2.0)
        self.top_db = top_db
        self.n_local, self.n_static = n_mels, n_mfcc
        self.dct_type, self.lifter = dct_type, lifter

    @cached_property
    def cosines(self) -> np.ndarray:
        """Matrix from decibels to (liftered) coefficients, ``(n_mels, n_mfcc)``."""
        from scipy.fft import dct

        matrix = dct(np.eye(self.n_mels), type=self.dct_type, norm="ortho")[:, : self.n_static]
        if self.lifter > 0:
            order = np.arange(1, 1 + self.n_static)
            matrix = matrix * (1 + self.lifter / 2 * np.sin(np.pi * order / self.lifter))
        return matrix.astype(np.float32)

    def magnitudes(self, rows: np.ndarray) -> np.ndarray:
        """Return the magnitudes of the smooth spectra that the coefficients stand for."""
        decibels = rows @ np.linalg.pinv(self.cosines.astype(np.float64))
        energies = expanded(decibels, compress="db", power=2.0, gain=0.0)
        return bins_of_bands(energies, mel_filters(*self.bands), self.power)

    def finish(self, rows: np.ndarray, peak: float) -> np.ndarray:
        """Return the cosine transform of the decibels."""
        decibels = compressed(rows, peak, compress="db", power=2.0, gain=0.0, top_db=self.top_db)
        return decibels @ self.cosines
