"""Mel spectrogram and MFCC as torch modules of products and sums, which every runtime supports.

The Fourier transform of a frame is computed by two small matrix products with twiddle factors
between them (Cooley & Tukey): for 2048 samples of sizes 32 and 64 instead of 2048. It uses 64 bits,
because quiet bands are small differences of large numbers.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from mcls.errors import ConfigError
from mcls.features.feature import DELTA_REACH, DELTA_WIDTH, Feature, slope
from mcls.features.filters import mel_filters
from mcls.features.mel import Mel, MelFeature
from mcls.features.mfcc import MFCC
from mcls.features.signal import centred_window

#: Largest value of float16.
_LARGEST_HALF = float(np.finfo(np.float16).max)


class BandEnergies(nn.Module):
    """Audio to the energies of mel bands, float64.

    Parameters
    ----------
    feature : MelFeature
        The feature whose bands they are.
    """

    window: torch.Tensor
    bands: torch.Tensor

    def __init__(self, feature: MelFeature) -> None:
        super().__init__()
        self.n_fft, self.hop = feature.n_fft, feature.hop_length
        self.center, self.power = feature.center, feature.power
        window = centred_window(feature.window, feature.win_length, feature.n_fft)
        self._keep("window", window)
        self._keep("bands", mel_filters(*feature.bands).T)
        self.transform = Spectrum(feature.n_fft)

    def _keep(self, name: str, array: np.ndarray) -> None:
        self.register_buffer(name, torch.tensor(array, dtype=torch.float64), persistent=False)

    def least_samples(self) -> int:
        """Return the smallest number of samples that the graph accepts."""
        return 1 if self.center and self.n_fft % 2 == 0 else self.n_fft

    def forward(self, audio: torch.Tensor) -> torch.Tensor:
        """Return energies ``(n_frames, n_mels)`` of audio ``(n_samples,)``."""
        y = audio.double()
        if self.center:
            y = nn.functional.pad(y, (self.n_fft // 2, self.n_fft // 2))
        n_frames = (y.shape[0] - self.n_fft) // self.hop + 1
        starts = torch.arange(n_frames, device=y.device) * self.hop
        place = starts[:, None] + torch.arange(self.n_fft, device=y.device)
        power = self.transform(y[place] * self.window)  # (n_frames, n_bins)
        if self.power == 1:
            power = power.sqrt()
        elif self.power != 2:
            power = power ** (self.power / 2)
        return power @ self.bands


class MelGraph(nn.Module):
    """Audio to the rows that ``mcls extract`` stores of a mel spectrogram.

    Parameters
    ----------
    feature : Mel
        The feature.
    half : bool
        Round the rows to 16 bits, as ``--dtype float16`` does.

    Raises
    ------
    ConfigError
        If the feature has gain control or deltas.
    """

    def __init__(self, feature: Mel, *, half: bool = False) -> None:
        super().__init__()
        if feature.agc or feature.delta:
            what = "gain control (agc)" if feature.agc else f"deltas (delta={feature.delta})"
            raise ConfigError(f"a mel spectrogram with {what} cannot be exported")
        self.half_rows = half
        self.compression: Mapping[str, Any] = feature.compression
        self.energies = BandEnergies(feature)

    def least_samples(self) -> int:
        """Return the smallest number of samples that the graph accepts."""
        return self.energies.least_samples()

    def forward(self, audio: torch.Tensor) -> torch.Tensor:
        """Return rows ``(n_frames, n_mels)`` of audio ``(n_samples,)``, both float32."""
        return stored(self._compressed(self.energies(audio)), self.half_rows)

    def _compressed(self, rows: torch.Tensor) -> torch.Tensor:
        """Compress the magnitudes like `mcls.features.feature.compressed`."""
        how = self.compression["compress"]
        if how == "none":
            return rows
        if how == "log1p":
            return torch.log10(1 + self.compression["gain"] * rows)
        return decibels(rows, self.energies.power, self.compression["top_db"])


class MfccGraph(nn.Module):
    """Audio to the rows that ``mcls extract`` stores of MFCC; see `MelGraph`.

    Parameters
    ----------
    feature : MFCC
        The feature.
    half : bool
        Round the rows to 16 bits.
    """

    cosines: torch.Tensor
    slopes: torch.Tensor

    def __init__(self, feature: MFCC, *, half: bool = False) -> None:
        super().__init__()
        self.half_rows, self.top_db, self.delta = half, feature.top_db, feature.delta
        self.energies = BandEnergies(feature)
        cosines = torch.tensor(feature.cosines, dtype=torch.float64)
        self.register_buffer("cosines", cosines, persistent=False)
        slopes = [slope(order) for order in range(1, feature.delta + 1)]
        self.register_buffer("slopes", torch.tensor(np.array(slopes)).double(), persistent=False)

    def least_samples(self) -> int:
        """Return the smallest number of samples that the graph accepts."""
        return self.energies.least_samples()

    def forward(self, audio: torch.Tensor) -> torch.Tensor:
        """Return rows ``(n_frames, n_dims)`` of audio ``(n_samples,)``, both float32."""
        rows = decibels(self.energies(audio), 2.0, self.top_db) @ self.cosines
        if self.delta:
            rows = torch.cat([rows, *self._deltas(rows)], dim=1)
        return stored(rows, self.half_rows)

    def _deltas(self, rows: torch.Tensor) -> list[torch.Tensor]:
        """Return the derivatives like `mcls.features.feature.add_deltas`."""
        place = torch.arange(rows.shape[0], device=rows.device)
        last = torch.full_like(place, rows.shape[0] - 1)
        inside = torch.minimum(place.clamp(min=DELTA_REACH), last - DELTA_REACH)
        middle = torch.where(last + 1 >= DELTA_WIDTH, inside, place)
        offsets = torch.arange(DELTA_WIDTH, device=rows.device) - DELTA_REACH
        around = torch.minimum((middle[:, None] + offsets).clamp(min=0), last[:, None])
        windows = rows[around]  # (n_frames, 9, n_mfcc)
        return [(windows * weights[:, None]).sum(1) for weights in self.slopes]


def feature_graph(feature: Feature, name: str, *, half: bool) -> "MelGraph | MfccGraph":
    """Return the module of a feature.

    Raises
    ------
    ConfigError
        If there is none.
    """
    if isinstance(feature, Mel):
        return MelGraph(feature, half=half)
    if isinstance(feature, MFCC):
        return MfccGraph(feature, half=half)
    raise ConfigError(f"the feature {name} cannot be exported; mel and mfcc can")


def decibels(rows: torch.Tensor, power: float, top_db: float | None) -> torch.Tensor:
    """Return magnitudes raised to `power` in decibels, at most `top_db` below the largest."""
    rows = torch.log10(rows.clamp(min=1e-10 ** (power / 2))) * (20 / power)
    return rows if top_db is None else torch.maximum(rows, rows.amax(dim=(0, 1)) - top_db)


def stored(rows: torch.Tensor, half: bool) -> torch.Tensor:
    """Return rows as they are stored: float32, rounded to 16 bits if `half`."""
    rows = rows.float()
    return rows.clamp(-_LARGEST_HALF, _LARGEST_HALF).half().float() if half else rows


class Spectrum(nn.Module):
    """The power spectrum of real frames, ``(n, n_fft)`` to ``(n, 1 + n_fft // 2)``, float64.

    Sample ``n = b n1 + n2`` goes to bin ``k = k1 + a k2`` with ``a b = n_fft``: a transform over
    n1, multiplication by the twiddle factors of ``k1 n2``, a transform over n2.

    Parameters
    ----------
    n_fft : int
        Frame length in samples. A prime number needs a product with a full matrix.

    References
    ----------
    Cooley & Tukey (1965), An algorithm for the machine calculation of complex Fourier series.
    """

    def __init__(self, n_fft: int) -> None:
        super().__init__()
        a = next(a for a in range(int(n_fft**0.5), 0, -1) if n_fft % a == 0)
        b = n_fft // a
        self.a, self.b, self.n_bins = a, b, 1 + n_fft // 2
        n_last = self.n_bins // a + 1  # larger k2 belong to no bin
        self._keep("first", np.outer(np.arange(a), np.arange(a)) / a)
        self._keep("turn", np.outer(np.arange(a), np.arange(b)) / n_fft)
        self._keep("last", np.outer(np.arange(b), np.arange(min(n_last, b))) / b)

    def _keep(self, name: str, turns: np.ndarray) -> None:
        """Register the cosine and sine of angles, given as fractions of a turn."""
        angle = -2 * np.pi * (turns % 1)
        self.register_buffer(f"{name}_re", torch.tensor(np.cos(angle)), persistent=False)
        self.register_buffer(f"{name}_im", torch.tensor(np.sin(angle)), persistent=False)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Return squared magnitudes."""
        x = frames.unflatten(1, (self.a, self.b))  # (n, n1, n2)
        re, im = self.first_re @ x, self.first_im @ x  # (n, k1, n2)
        re, im = (
            re * self.turn_re - im * self.turn_im,
            re * self.turn_im + im * self.turn_re,
        )
        re, im = (
            re @ self.last_re - im @ self.last_im,
            re @ self.last_im + im @ self.last_re,
        )  # (n, k1, k2)
        power = (re * re + im * im).transpose(1, 2).flatten(1)  # (n, k2 a + k1)
        return power[:, : self.n_bins]
