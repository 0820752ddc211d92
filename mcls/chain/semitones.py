"""How far a semitone is on the axis of the dimensions of some rows."""

import numpy as np

from mcls.chain.step import axes_of
from mcls.disk.chain import Chain
from mcls.errors import ConfigError


def dims_per_semitone(chain: Chain, n_dims: int, sr: int | None = None) -> int:
    """Return the number of dimensions per semitone of the rows that a chain ends in.

    Parameters
    ----------
    chain : Chain
        From the audio.
    n_dims : int
        Number of dimensions of its rows.
    sr : int or None
        Sample rate of the audio in Hz, for features that do not resample.

    Raises
    ------
    ConfigError
        If dimensions are no pitches, or a semitone is no whole number of them.
    """
    last = chain[-1]
    per_octave = float(last.settings.get("n_chroma", 0)) if last.kind == "feature" else 0.0
    if not per_octave:
        axis = axes_of(chain, sr, n_dims).dimensions
        if axis.frequencies is not None and axis.n_blocks == 1 and axis.frequencies[0] > 0:
            octaves = np.diff(np.log2(axis.frequencies))
            if len(octaves) and np.allclose(octaves, octaves[0], rtol=1e-3):
                per_octave = 1 / float(octaves[0])
    dims = per_octave / 12
    if dims < 0.99 or abs(dims - round(dims)) > 0.01:
        raise ConfigError(
            f"labels cannot follow a shift of {last.name} rows, since a semitone is no whole "
            "number of their dimensions; use chroma, or cqt with 12, 24 or 36 bins per octave"
        )
    return round(dims)
