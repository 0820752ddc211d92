"""Whether two tracks are the same recording: their agreement where landmarks say that they overlap.

The waveforms of two copies agree sample by sample, also after lossy compression, however similar
two different recordings sound. They do so at every moment; two plucked notes agree in the attack,
which has most of the energy, and no longer when they decay. The waveforms of a transposed copy do
not agree; there the spectrograms are compared, which needs a longer overlap.
"""

import numpy as np

from mcls.audit.spectrogram import HOP, SR

#: The band in Hz that is compared: codecs leave out what is above.
_BAND = (50.0, 6000.0)
#: Points per sample at which the waveforms are compared.
_FINE = 4
#: Frames by which the lag of the landmarks may be wrong.
_LAG_ERROR = 3
#: Lags beside that of two spectrograms at which they agree by chance, in frames, and the fewest
#: frames that are compared.
_BESIDE, _FEWEST = (-14, -10, -6, 6, 10, 14), 16
#: The floor of the whitening, as a fraction of the highest power.
_FLOOR = 0.01
#: Samples of a moment.
_MOMENT = SR // 4


def overlap(a: np.ndarray, b: np.ndarray, lag: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the stretches of two tracks that overlap if `b` begins `lag` samples (rows) after `a`.

    Examples
    --------
    >>> overlap(np.arange(5), np.arange(5), 3)
    (array([3, 4]), array([0, 1]))
    """
    a, b = a[max(lag, 0) :], b[max(-lag, 0) :]
    n = min(len(a), len(b))
    return a[:n], b[:n]


def waveform_agreement(a: np.ndarray, b: np.ndarray, lag: int) -> tuple[float, float]:
    """Return the correlation of two waveforms, whitened, where they overlap best.

    Parameters
    ----------
    a, b : np.ndarray, shape (n_samples,), float32
        Audio at 16 kHz.
    lag : int
        The frame of `a` at which `b` begins; wrong by up to three frames.

    Returns
    -------
    whole, moments : float
        The correlation of all samples, and the median of those of a quarter of a second each,
        weighted by their energy; in [0, 1]. A copy with inverted polarity agrees, too.
    """
    first, best, moments = lag * HOP, 0.0, 0.0
    for reach in (_LAG_ERROR * HOP, HOP // 4):  # again, with the stretches that then overlap
        x, y = overlap(a, b, first)
        if len(x) < HOP:
            break
        offset, best, moments = _peak(x, y, min(reach, len(x) - 1))
        first += offset
    return best, moments


def _peak(x: np.ndarray, y: np.ndarray, reach: int) -> tuple[int, float, float]:
    """Return the offset in samples at which two stretches agree best, and how much."""
    from scipy.fft import irfft, next_fast_len, rfft

    n = next_fast_len(len(x) + reach, real=True)
    fx, fy = rfft(x, n), rfft(y, n)
    weights = np.minimum(_whitening(fx, n), _whitening(fy, n))
    energy = np.sqrt(np.sum(np.abs(fx) ** 2 * weights) * np.sum(np.abs(fy) ** 2 * weights))
    if energy == 0:
        return 0, 0.0, 0.0
    both = irfft(fx * np.conj(fy) * weights, n * _FINE) * (n * _FINE / 2)
    near = np.concatenate([both[-reach * _FINE :], both[: reach * _FINE + 1]])
    at = int(np.argmax(np.abs(near)))
    delay = np.exp(-2j * np.pi * np.arange(len(fy)) / n * (at / _FINE - reach))
    aligned = [irfft(one * np.sqrt(weights), n)[: len(x)] for one in (fx, fy * delay)]
    moments = np.sign(near[at]) * _median_of_moments(*aligned)
    return round(at / _FINE) - reach, min(1.0, float(abs(near[at]) / energy)), float(moments)


def _median_of_moments(x: np.ndarray, y: np.ndarray) -> float:
    """Return the median of the correlations of moments, weighted by their energy."""
    starts = np.arange(0, max(1, len(x) - _MOMENT // 2), _MOMENT)
    products, *powers = (np.add.reduceat(one, starts) for one in (x * y, x * x, y * y))
    energies = np.sqrt(powers[0] * powers[1])
    found = products / np.maximum(energies, 1e-30)
    order = np.argsort(found)
    shares = np.cumsum(energies[order])
    return float(found[order][np.searchsorted(shares, shares[-1] / 2)])


def _whitening(spectrum: np.ndarray, n: int) -> np.ndarray:
    """Return weights that make a spectrum flat, but for what is far below its peak."""
    from scipy.ndimage import uniform_filter1d

    power = uniform_filter1d(np.abs(spectrum) ** 2, max(1, int(n * 40 / SR)))
    frequencies = np.arange(len(spectrum)) * (SR / n)
    inside = (frequencies > _BAND[0]) & (frequencies < _BAND[1])
    top = power[inside].max(initial=0.0)
    return inside / (power + _FLOOR * top) if top > 0 else np.zeros(len(power))


def spectrogram_agreement(a: np.ndarray, b: np.ndarray, lag: int, shift: int) -> tuple[float, int]:
    """Return by how much two spectrograms agree more where they overlap than beside it.

    Steady sounds agree at any lag, so the correlation at other lags is what chance gives: the
    agreement is (best - chance) / (1 - chance), as in Cohen's kappa.

    Parameters
    ----------
    a, b : np.ndarray, shape (n_frames, n_bins)
        Spectrograms in dB.
    lag : int
        The frame of `a` at which `b` begins; wrong by up to one frame.
    shift : int
        Bins by which `b` is higher than `a`; wrong by up to one bin, unless it is 0.

    Returns
    -------
    agreement : float
        At most 1; 0 or less for sounds that agree by chance.
    n_frames : int
        The frames that overlap.
    """
    near = [
        (_agreement(a, b, lag + frames, shift + bins), lag + frames, shift + bins)
        for frames in (-1, 0, 1)
        for bins in ((-1, 0, 1) if shift else (0,))
    ]
    best, lag, shift = max(near)
    chance = max(0.0, *(_agreement(a, b, lag + frames, shift) for frames in _BESIDE))
    n_frames = len(overlap(a, b, lag)[0])
    return (best - chance) / (1 - chance) if chance < 1 else 0.0, n_frames


def _agreement(a: np.ndarray, b: np.ndarray, lag: int, shift: int) -> float:
    """Return the lower of two correlations of spectrograms at a lag and a shift.

    They are those of the levels without the mean of each frame and each bin, and of the levels
    without the mean of their neighbourhood.
    """
    x, y = overlap(a, b, lag)
    x, y = (one.T for one in overlap(x.T, y.T, -shift))
    if len(x) < _FEWEST:
        return 0.0
    return min(_correlation(_centred(x), _centred(y)), _correlation(_edges(x), _edges(y)))


def _centred(levels: np.ndarray) -> np.ndarray:
    rows, columns = levels.mean(axis=1, keepdims=True), levels.mean(axis=0)
    return levels - rows - columns + levels.mean()


def _edges(levels: np.ndarray) -> np.ndarray:
    from scipy.ndimage import uniform_filter

    return levels - uniform_filter(levels, (15, 7), mode="nearest")


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    a, b = a - a.mean(), b - b.mean()
    energy = float(np.sqrt(np.sum(a * a) * np.sum(b * b)))
    return float(np.sum(a * b)) / energy if energy > 0 else 0.0
