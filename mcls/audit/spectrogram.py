"""Spectrograms in which a transposition is a shift: decibels in bins evenly spaced in pitch."""

from functools import lru_cache

import numpy as np

from mcls.features.signal import Signal

#: Sampling rate of the audio in Hz, length of a frame and hop in samples.
SR, N_FFT, HOP = 16000, 1024, 256
#: Frames per second.
FRAME_RATE = SR / HOP
BINS_PER_OCTAVE, FMIN, N_BINS = 24, 180.0, 128
BINS_PER_SEMITONE = BINS_PER_OCTAVE // 12
#: Dynamic range in dB: what is further below the peak of a track is raised to this distance.
_RANGE = 70.0


def log_spectrogram(y: np.ndarray) -> np.ndarray:
    """Return the power in dB re the peak of the track, in quarter tones from 180 Hz to 7 kHz.

    Parameters
    ----------
    y : np.ndarray, shape (n_samples,), float32
        Audio at 16 kHz.

    Returns
    -------
    np.ndarray, shape (n_frames, 128), float32
        62.5 frames per second, in [-70, 0]; all -70 if the audio is silent.
    """
    power = Signal(y, SR).power(
        n_fft=N_FFT, hop_length=HOP, win_length=N_FFT, window="hann", center=True
    )
    bands = power @ _filters()
    peak = float(bands.max(initial=0.0))
    if peak <= 0:
        return np.full(bands.shape, -_RANGE, np.float32)
    levels = 10 * np.log10(np.maximum(bands / peak, 10 ** (-_RANGE / 10)))
    return levels.astype(np.float32)


@lru_cache(maxsize=1)
def _filters() -> np.ndarray:
    """Return triangular filters, no narrower than a bin of the FFT, ``(513, 128)``."""
    centres = FMIN * 2.0 ** (np.arange(N_BINS) / BINS_PER_OCTAVE)
    widths = np.maximum(centres * (2 ** (1 / BINS_PER_OCTAVE) - 1), SR / N_FFT)
    frequencies = np.arange(N_FFT // 2 + 1) * (SR / N_FFT)
    weights = 1 - np.abs(frequencies[:, None] - centres) / widths
    weights = np.maximum(weights, 0)
    return (weights / weights.sum(axis=0)).astype(np.float32)
