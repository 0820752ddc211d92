"""Onset-synchronous sampling: rows are taken where something begins."""

import math

import numpy as np

from mcls.disk.store import Store, StoredRows
from mcls.errors import ConfigError
from mcls.features.onset import onset_delay


class Onsets:
    """Where the bands rise most: one row in every segment of a track.

    Parameters
    ----------
    store : Store
        In which a feature ``onset`` of the same frame rate gives the novelty.
    stored : StoredRows
        The feature that rows are drawn from.
    seconds : float
        Length of a segment.

    Attributes
    ----------
    novelty : StoredRows
        The feature found.

    Raises
    ------
    ConfigError
        If a row is a whole track, the length is not above 0, or the store has no such feature or
        several.

    References
    ----------
    J. Nam, J. Herrera, M. Slaney, J. Smith, "Learning sparse feature representations for music
    annotation and retrieval", ISMIR 2012. Differs from the paper: a segment in which nothing rises
    gives no row; a last segment of less than half the length is left out.
    """

    def __init__(self, store: Store, stored: StoredRows, seconds: float) -> None:
        if stored.frame_rate is None:
            raise ConfigError(f"onset sampling: a row of {stored.name!r} is a track, not a frame")
        if not seconds > 0:
            raise ConfigError(f"onset sampling: segment={seconds:g} s; expected more than 0")
        self.novelty = _novelty(store, stored, stored.frame_rate)
        self.length = max(1, round(seconds * stored.frame_rate))
        settings = self.novelty.settings
        self.late = onset_delay(int(settings["n_fft"]), int(settings["hop_length"]))

    def __call__(self, track: int, n: int) -> np.ndarray:
        """Return which of the first `n` rows of a track are drawn from, int64, ascending."""
        return onset_rows(self.novelty.track(track)[self.late :, 0], n, self.length)


def onset_rows(novelty: np.ndarray, n: int, length: int) -> np.ndarray:
    """Return the row of the largest novelty in each segment of a track.

    Parameters
    ----------
    novelty : np.ndarray, shape (n_frames,)
        How much the bands rise at each frame, 0 or more.
    n : int
        Rows that may be taken: the first ones.
    length : int
        Rows in a segment. A last one of less than half is left out, unless it is the only one.

    Returns
    -------
    np.ndarray, int64, ascending
        At most one row a segment; none where nothing rises.

    Examples
    --------
    >>> onset_rows(np.array([0, 0.1, 0.5, 0.2, 0, 0, 0.3, 0.3, 9]), n=8, length=4).tolist()
    [2, 6]
    """
    heights = np.zeros(n, np.float32)
    heights[: len(novelty)] = novelty[:n]
    n_segments = max(1, math.floor(n / length + 0.5))
    heights = np.pad(heights[: n_segments * length], (0, max(0, n_segments * length - n)))
    segments = heights.reshape(n_segments, length)
    rows = segments.argmax(axis=1) + length * np.arange(n_segments)
    return rows[segments.max(axis=1) > 0]


def _novelty(store: Store, stored: StoredRows, rate: float) -> StoredRows:
    """Find the one onset feature of the frame rate of another feature."""
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
            f"onset sampling: {store.path} holds several onset features of {rate:g} rows/s "
            f"({names}); extract one"
        )
    hop = stored.chain[0].settings.get("hop_length")
    frames = f"hop_length={hop}" if hop else f"the hop of {stored.name!r}"
    raise ConfigError(
        f"onset sampling: {store.path} holds no onset novelty at the {rate:g} rows/s of "
        f"{stored.name!r}; extract it too: --feature onset:{frames}"
    )
