"""Onset-synchronous sampling: the row of the strongest onset in every segment."""

import math

import numpy as np

from mcls.errors import ConfigError
from mcls.features.onset import onset_delay
from mcls.stores.store import Store, StoredRows


class Onsets:
    """Finds the row of the strongest onset in every segment of a track.

    Parameters
    ----------
    store : Store
        The store; it must hold a feature ``onset`` of the same frame rate.
    stored : StoredRows
        The feature whose rows are drawn.
    seconds : float
        Length of the segments.

    Attributes
    ----------
    onset : StoredRows
        The onset feature.

    Raises
    ------
    ConfigError
        If a row is a whole track, the length is not above 0, or the store has no onset feature of
        the same frame rate, or several.

    References
    ----------
    J. Nam, J. Herrera, M. Slaney, J. Smith, "Learning sparse feature representations for music
    annotation and retrieval", ISMIR 2012. Differs from the paper: a segment without an onset gives
    no row, and a last segment of less than half the length is ignored.
    """

    def __init__(self, store: Store, stored: StoredRows, seconds: float) -> None:
        if stored.frame_rate is None:
            raise ConfigError(
                f"onset sampling needs frames, but a row of {stored.name!r} is a whole track"
            )
        if not seconds > 0:
            raise ConfigError(f"the segment length is {seconds:g} s; expected more than 0")
        self.onset = _find_onset(store, stored, stored.frame_rate)
        self.length = max(1, round(seconds * stored.frame_rate))
        settings = self.onset.settings
        self.delay = onset_delay(int(settings["n_fft"]), int(settings["hop_length"]))

    def __call__(self, track: int, n: int) -> np.ndarray:
        """Return the onset rows among the first `n` rows of a track, int64, ascending."""
        return onset_rows(self.onset.track(track)[self.delay :, 0], n, self.length)


def onset_rows(strength: np.ndarray, n: int, length: int) -> np.ndarray:
    """Return the row of the largest onset strength in each segment of a track.

    Parameters
    ----------
    strength : np.ndarray, shape (n_frames,)
        Onset strength of each frame, 0 or more.
    n : int
        Number of rows, from the first, that may be taken.
    length : int
        Rows per segment. A last segment of less than half is ignored, unless it is the only one.

    Returns
    -------
    np.ndarray, int64, ascending
        At most one row per segment; none where the strength is 0.

    Examples
    --------
    >>> onset_rows(np.array([0, 0.1, 0.5, 0.2, 0, 0, 0.3, 0.3, 9]), n=8, length=4).tolist()
    [2, 6]
    """
    heights = np.zeros(n, np.float32)
    heights[: len(strength)] = strength[:n]
    n_segments = max(1, math.floor(n / length + 0.5))
    heights = np.pad(heights[: n_segments * length], (0, max(0, n_segments * length - n)))
    segments = heights.reshape(n_segments, length)
    rows = segments.argmax(axis=1) + length * np.arange(n_segments)
    return rows[segments.max(axis=1) > 0]


def _find_onset(store: Store, stored: StoredRows, rate: float) -> StoredRows:
    """Return the only onset feature with the frame rate of another feature."""
    found = [
        one
        for one in store.features.values()
        if len(one.chain) == 1
        and one.chain[0].name == "onset"
        and one.frame_rate is not None
        and math.isclose(one.frame_rate, rate)
    ]
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(one.name for one in found)
        raise ConfigError(
            f"{store.path} has several onset features at {rate:g} rows/s ({names}); onset sampling "
            "needs exactly one"
        )
    hop = stored.chain[0].settings.get("hop_length")
    frames = f"hop_length={hop}" if hop else f"the hop of {stored.name!r}"
    raise ConfigError(
        f"{store.path} has no onset feature at the {rate:g} rows/s of {stored.name!r}, which onset "
        f"sampling needs; extract it too, with --feature onset:{frames}"
    )
