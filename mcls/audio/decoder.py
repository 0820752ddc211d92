"""What decoders of audio files have in common.

A decoder reads one file with one library. It gives blocks of samples and knows what the file says
of its own length, so that a truncated file can be told from a whole one.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator

import numpy as np

#: The bytes at which a part of a file starts and stops; the stop is None at the end of the file.
ByteRange = tuple[int, int | None]
#: Samples that an encoder may add at the ends, and a frame that only describes the file.
CODEC_DELAY = 4 * 1152


class Decoder(ABC):
    """A decoder of one audio file.

    Attributes
    ----------
    sr : int
        The sampling rate in Hz.
    n_channels : int
        The number of channels.
    n_samples : int or None
        The number of samples per channel; None where it is not known without decoding.
    declared : int or None
        The samples per channel that the header promises; None where it does not say.
    tolerance : int
        Samples that may be missing from a whole file.
    is_cut : bool
        Whether the end of the file is missing, where the header does not say how much.
    n_skipped : int
        Streams and packets that could not be decoded and were left out so far.
    """

    sr: int
    n_channels: int
    n_samples: int | None = None
    declared: int | None = None
    tolerance: int = CODEC_DELAY
    is_cut: bool = False
    n_skipped: int = 0

    @abstractmethod
    def blocks(self, start: int, left: int | None) -> Iterator[np.ndarray]:
        """Yield blocks ``(n, n_channels)``, float32 or int16.

        Parameters
        ----------
        start : int
            The first sample.
        left : int or None
            The number of samples; None reads up to the end.
        """

    @abstractmethod
    def close(self) -> None:
        """Close the file."""

    def lost(self, start: int, left: int | None, n_read: int) -> float:
        """Return the seconds that a truncated file lacks, after `n_read` samples were read.

        Parameters
        ----------
        start, left : int, int or None
            What was asked of `blocks`.
        n_read : int
            The number of samples that it gave.

        Returns
        -------
        float
            0 if nothing is missing; infinity if it is unknown how much.
        """
        if left is not None and n_read >= left:
            return 0.0
        if self.declared is None:
            return math.inf if self.is_cut else 0.0
        expected = max(0, self.declared - start)
        missing = (expected if left is None else min(left, expected)) - n_read
        return missing / self.sr if missing > self.tolerance else 0.0


def spell_reason(error: object) -> str:
    """Return the last part of the message of a library, without the path."""
    text = " ".join(str(error).split())
    text = text.rpartition("': ")[2] or text
    return text.removesuffix(".")[:200]
