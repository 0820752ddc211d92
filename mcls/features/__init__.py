"""Features: audio to rows, one file per feature.

>>> import numpy as np
>>> from mcls import features
>>> y = np.sin(2 * np.pi * 440 * np.arange(22050) / 22050).astype(np.float32)
>>> features.compute("mfcc", y, sr=22050, n_mfcc=13).shape
(44, 13)
"""

from typing import Any

import numpy as np

from mcls.features.feature import Feature
from mcls.registry import entries, find, imported
from mcls.settings import resolve


def make(name: str, sr: int, **settings: Any) -> Feature:
    """Build a feature by name for audio at `sr` Hz.

    Raises
    ------
    ConfigError
        If the name or a setting is unknown or out of range.
    """
    entry = find("features", name)
    return entry.load()(sr, **resolve(entry, settings))


def compute(name: str, y: np.ndarray, *, sr: int, **settings: Any) -> np.ndarray:
    """Compute a feature.

    Parameters
    ----------
    name : str
        ``mel``, ``mfcc``, ``cqt``, ``spectrogram``, ...
    y : np.ndarray, shape (n_samples,)
        Mono audio.
    sr : int
        Sampling rate in Hz.
    **settings
        Settings of the feature; ``mcls list features NAME`` shows them.

    Returns
    -------
    np.ndarray, shape (n_frames, n_dims), float32
        Time first.

    Raises
    ------
    ConfigError
        If the name or a setting is unknown or out of range.
    """
    return make(name, sr, **settings).rows(y)


def __getattr__(name: str) -> Any:
    return imported("features", name, __name__)


def __dir__() -> list[str]:
    return sorted({*globals(), *(entry.attribute for entry in entries("features").values())})
