"""Samples: channels averaged to mono, and resampling block by block."""

from collections.abc import Iterator

import numpy as np
import soxr

#: Samples per channel that are averaged at once.
_PIECE = 1 << 15


def mono(block: np.ndarray) -> np.ndarray:
    """Average channels: ``(n, n_channels)`` float32 or int16 to ``(n,)`` float32 in [-1, 1].

    Matrix products of pieces that fit into the cache are faster than a strided mean.
    """
    n, n_channels = block.shape
    scale = 1 / 32768 if block.dtype == np.int16 else 1.0
    weights = np.full(n_channels, scale / n_channels, np.float32)
    if n_channels == 1:
        return np.multiply(block[:, 0], weights[0], dtype=np.float32)
    y = np.empty(n, np.float32)
    with np.errstate(all="ignore"):  # infinite samples are found in the result
        for start in range(0, n, _PIECE):
            piece = block[start : start + _PIECE].astype(np.float32, copy=False)
            np.matmul(piece, weights, out=y[start : start + _PIECE])
    return y


def resampled(blocks: Iterator[np.ndarray], sr: int, to: int | None) -> Iterator[np.ndarray]:
    """Resample a stream of mono blocks; a stream of one block is resampled as a whole."""
    if to is None or to == sr:
        yield from blocks
        return
    first = next(blocks, None)
    if first is None:
        return
    second = next(blocks, None)
    if second is None:
        yield soxr.resample(first, sr, to, quality="HQ")
        return
    stream = soxr.ResampleStream(sr, to, 1, dtype="float32", quality="HQ")
    yield stream.resample_chunk(first)
    yield stream.resample_chunk(second)
    for block in blocks:
        yield stream.resample_chunk(block)
    yield stream.resample_chunk(np.zeros(0, np.float32), last=True)
