"""The mel spectrogram."""

from functools import partial
from typing import Any, Literal

import numpy as np

from mcls.errors import ConfigError
from mcls.features.agc import decay, decay_reach, gain_controlled
from mcls.features.feature import check, compressed, expanded
from mcls.features.filters import apply_grouped, grouped, mel_filters, mel_frequencies
from mcls.features.inversion import bins_of_bands
from mcls.features.signal import Signal
from mcls.features.spectrogram import FramedFeature, raised
from mcls.registry import register


class MelFeature(FramedFeature):
    """A feature of mel bands.

    Parameters
    ----------
    n_mels : int
        Number of mel bands.
    fmin : float
        Lower edge of the first band in Hz.
    fmax : float or None
        Upper edge of the last band in Hz; none: half the sampling rate.
    htk : bool
        Use HTK's mel scale instead of Slaney's.
    norm : {'slaney', 'none'}
        Normalise the bands to equal area (slaney) or leave them at equal height (none).
    power : float
        Exponent of the magnitudes: 1 for magnitude, 2 for power.
    """

    def use_bands(
        self, n_mels: int, fmin: float, fmax: float | None, htk: bool, norm: str, power: float
    ) -> None:
        """Check and keep the settings of the mel bands."""
        top = self.sr / 2 if fmax is None else fmax
        check(
            type(self).__name__.lower(),
            n_mels=(n_mels >= 1, f"must be 1 or more, not {n_mels}"),
            fmin=(0 <= fmin < top, f"must be between 0 and fmax ({top:g} Hz), not {fmin:g}"),
            fmax=(
                top <= self.sr / 2,
                f"must be at most half the sampling rate ({self.sr / 2:g} Hz), not {top:g}",
            ),
            power=(power > 0, f"must be above 0, not {power}"),
        )
        self.n_mels = n_mels
        self.power = power
        self.bands = (self.sr, self.n_fft, n_mels, float(fmin), float(top), htk, norm)
        self.frequencies = mel_frequencies(n_mels + 2, fmin=fmin, fmax=top, htk=htk)[1:-1]

    @property
    def notes(self) -> list[str]:
        """Count the bands that are narrower than the bins of the FFT, and so are always empty."""
        n_empty = int((~mel_filters(*self.bands).any(axis=1)).sum())
        if not n_empty:
            return []
        return [
            f"{n_empty} of {self.n_mels} mel bands contain no FFT bin and are constant; "
            f"raise n_fft ({self.n_fft}) or lower n_mels"
        ]

    def local(self, signal: Signal) -> np.ndarray:
        """Return the energies of the bands, ``(n_frames, n_mels)``."""
        frame = (self.n_fft, self.hop_length, self.win_length, self.window, self.center)
        return signal.once(
            ("mel", self.bands, self.power, frame),
            lambda: apply_grouped(
                raised(self.power_spectrum(signal), self.power), grouped(*self.bands), self.n_mels
            ),
        )


@register("features", "mel")
class Mel(MelFeature):
    """Mel spectrogram.

    Parameters
    ----------
    agc : bool
        Apply automatic gain control to the spectrogram before the mel bands.
    t_scale : float
        Time constant of the gain control in seconds.
    f_scale : float
        Relative width of the bands in which the gain control follows the level.
    eps : float
        Constant that the gain control adds to the level, which limits the gain.

    References
    ----------
    Equal to ``librosa.power_to_db(librosa.feature.melspectrogram(...))``.
    """

    def __init__(
        self,
        sr: int,
        *,
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
        power: float = 2.0,
        compress: Literal["db", "log1p", "none"] = "db",
        gain: float = 10.0,
        top_db: float | None = 80.0,
        agc: bool = False,
        t_scale: float = 0.5,
        f_scale: float = 2.0,
        eps: float = 0.01,
        delta: int = 0,
    ) -> None:
        super().__init__(sr, n_fft, hop_length, win_length, window, center, delta)
        self.use_bands(n_mels, fmin, fmax, htk, norm, power)
        self.compression: dict[str, Any] = {"compress": compress, "gain": gain, "top_db": top_db}
        self.n_local = self.n_static = n_mels
        self.axis = self.frequencies
        self.agc = agc
        if agc:
            check(
                "mel",
                t_scale=(t_scale > 0, f"must be above 0, not {t_scale}"),
                f_scale=(f_scale > 0, f"must be above 0, not {f_scale}"),
                eps=(eps > 0, f"must be above 0, not {eps}"),
                top_db=(
                    compress != "db" or top_db is None,
                    "must be none with agc, after which there is no peak to measure from",
                ),
            )
            self.n_local = 1 + n_fft // 2
            alpha = decay(hop_length, sr, t_scale)
            self.reach = decay_reach(alpha)
            self.control = partial(gain_controlled, sr=sr, alpha=alpha, f_scale=f_scale, eps=eps)

    def magnitudes(self, rows: np.ndarray) -> np.ndarray:
        """Undo the compression, and spread the energies of the bands over the bins."""
        if self.agc:
            raise ConfigError(
                "rows of mel with agc=true cannot be turned back into audio: the gain control "
                "does not keep the levels"
            )
        kept = {key: self.compression[key] for key in ("compress", "gain")}
        energies = expanded(rows, power=self.power, **kept)
        return bins_of_bands(energies, mel_filters(*self.bands), self.power)

    def local(self, signal: Signal) -> np.ndarray:
        """Return the energies of the bands; before gain control, the magnitudes of the bins."""
        if self.agc:
            return raised(self.power_spectrum(signal), 1.0)
        return super().local(signal)

    def finish(self, rows: np.ndarray, peak: float) -> np.ndarray:
        """Apply the gain control, and compress the energies."""
        if self.agc:
            level = self.control(rows, peak)
            bins = level if self.power == 1 else level ** np.float32(self.power)
            rows = apply_grouped(bins, grouped(*self.bands), self.n_mels)
        return compressed(rows, peak, power=self.power, **self.compression)
