"""Rows back to audio: the bins of mel bands, and phases for magnitudes.

A feature drops the phases, and most drop more: neighbouring bins of a mel band, fine structure
beyond the coefficients of the MFCC, what is further below the peak than ``top_db``. The audio found
here is one whose feature is near the rows; it is not the recording.

References
----------
D. Griffin, J. Lim, "Signal estimation from modified short-time Fourier transform", IEEE Trans. ASSP
32, 1984; N. Perraudin, P. Balazs, P. Sondergaard, "A fast Griffin-Lim algorithm", WASPAA 2013. Both
as implemented by librosa. D. Lee, S. Seung, "Algorithms for non-negative matrix factorization",
NIPS 2000: the updates of the bins.
"""

import warnings
from typing import Any

import numpy as np

#: Seed of the first phases.
_SEED = 0
#: Updates of the bins, and what divisors are at least.
_UPDATES, _TINY = 30, 1e-150


def bins_of_bands(energies: np.ndarray, filters: np.ndarray, power: float) -> np.ndarray:
    """Return the magnitudes of bins whose mel bands have these energies.

    They minimise the Kullback-Leibler divergence of the bands, by multiplicative updates from a
    smooth start. Unlike least squares, which is librosa's way, it fits weak bands as well as strong
    ones, as a scale in dB asks.

    Parameters
    ----------
    energies : np.ndarray, shape (n_frames, n_bands)
        Sums of the bins' magnitudes raised to `power`, weighted by the filters; 0 or more.
    filters : np.ndarray, shape (n_bands, n_bins)
        The filters.
    power : float
        Exponent of the magnitudes.

    Returns
    -------
    np.ndarray, shape (n_frames, n_bins), float64
        0 where no filter reads a bin.
    """
    weights, wanted = filters.astype(np.float64), energies.astype(np.float64)
    per_bin = np.maximum(weights.sum(axis=0), _TINY)
    bins = wanted @ weights / np.maximum(weights.sum(axis=1) @ weights, _TINY)
    for _ in range(_UPDATES):
        ratios = wanted / np.maximum(bins @ weights.T, _TINY)
        bins *= ratios @ weights / per_bin
    return bins ** (1 / power)


def griffin_lim(
    magnitudes: np.ndarray,
    *,
    n_fft: int,
    hop_length: int,
    win_length: int,
    window: str,
    center: bool,
) -> np.ndarray:
    """Return audio whose short-time Fourier transform has about these magnitudes.

    Parameters
    ----------
    magnitudes : np.ndarray, shape (n_frames, 1 + n_fft // 2)
        Magnitudes.
    n_fft, hop_length, win_length, window, center
        Settings of the transform; see `FramedFeature`.

    Returns
    -------
    np.ndarray, shape (n_samples,)
        ``hop_length * (n_frames - 1)`` samples if centred, otherwise ``n_fft`` more.
    """
    import librosa

    frame: dict[str, Any] = {
        "n_fft": n_fft,
        "win_length": win_length,
        "window": window,
        "center": center,
    }
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "n_fft=.* is too large")  # of a few frames, which is fine
        return librosa.griffinlim(
            magnitudes.T, hop_length=hop_length, pad_mode="constant", random_state=_SEED, **frame
        )


def griffin_lim_cqt(
    magnitudes: np.ndarray, *, sr: int, hop_length: int, **filters: Any
) -> np.ndarray:
    """Return audio whose constant-Q transform has about these magnitudes.

    Parameters
    ----------
    magnitudes : np.ndarray, shape (n_frames, n_bins)
        Magnitudes.
    sr, hop_length : int
        Sampling rate in Hz, and samples from frame to frame.
    **filters
        The other settings of `mcls.features.cqt.CQT`.

    Returns
    -------
    np.ndarray, shape (hop_length * (n_frames - 1),)
    """
    import librosa

    return librosa.griffinlim_cqt(
        magnitudes.T,
        sr=sr,
        hop_length=hop_length,
        length=hop_length * (len(magnitudes) - 1),
        random_state=_SEED,
        **filters,
    )
