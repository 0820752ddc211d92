"""Digests of audio: of the bytes of a file, and of its samples, whatever the format."""

import hashlib
from pathlib import Path

import numpy as np

from mcls.remote.places import local_copy


def file_sha1(path: str | Path) -> str:
    """Return the SHA-1 of a file's bytes, in hex."""
    with local_copy(path) as local, local.open("rb") as file:
        return hashlib.file_digest(file, "sha1").hexdigest()


class SampleDigest:
    """The SHA-1 of decoded samples that come in blocks.

    Examples
    --------
    >>> whole, pieces = SampleDigest(), SampleDigest()
    >>> whole.add(np.array([0.5, -0.25], np.float32))
    >>> pieces.add(np.array([0.5])), pieces.add(np.array([-0.25]))
    (None, None)
    >>> whole.hexdigest() == pieces.hexdigest(), whole.n_samples
    (True, 2)
    """

    def __init__(self) -> None:
        self._total = hashlib.sha1(usedforsecurity=False)
        self.n_samples = 0

    def add(self, block: np.ndarray) -> None:
        """Add mono samples; they count as float32."""
        self._total.update(np.ascontiguousarray(block, dtype="<f4").tobytes())
        self.n_samples += len(block)

    def hexdigest(self) -> str:
        """Return the digest of all samples so far."""
        return self._total.hexdigest()
