"""Audio of rows that a dictionary has made: through the inverse of the feature, to a WAV file."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mcls.audio.write import write_wav
from mcls.chain.feature import feature_of
from mcls.disk.chain import Chain, spell_chain
from mcls.errors import ConfigError
from mcls.features.feature import Feature

#: Seconds for which a single frame is held, and of silence between two patches.
_HELD, _SILENCE = 0.5, 0.2


def audible(chain: Chain, sr: int | None) -> Feature:
    """Return the feature whose rows a chain makes, to turn rows back into audio.

    Parameters
    ----------
    chain : Chain
        The chain before a dictionary.
    sr : int or None
        Sample rate of the audio in Hz, for a feature that does not resample.

    Raises
    ------
    ConfigError
        If rows are not those of a feature, or the sample rate is unknown.
    """
    if len(chain) != 1:
        raise ConfigError(
            f"--audio: the dictionary reads {spell_chain(chain)}, and only rows of a feature can "
            "be turned back into audio"
        )
    feature = feature_of(chain[0], sr)
    if feature is None:
        raise ConfigError(
            f"--audio: {chain[0].name} was extracted without resampling, and the sample rate is "
            "not known; extract it with --sr"
        )
    return feature


def write_rows(path: Path, feature: Feature, patches: Sequence[np.ndarray]) -> str:
    """Write the audio of rows to a WAV file, and return a description.

    Parameters
    ----------
    path : Path
        The file, checked by `check_wav`.
    feature : Feature
        From `audible`.
    patches : sequence of np.ndarray, shape (n_frames, n_dims)
        Rows of the feature. A single frame is held for half a second, and there is silence between
        two patches.

    Returns
    -------
    str
        The duration, and the correlation of the rows of the audio with those that were given.

    Raises
    ------
    ConfigError
        If the feature cannot be turned back into audio.
    DataError
        If the audio has no samples, or is not finite.
    """
    wanted = [patch[:, : feature.n_static].astype(np.float64) for patch in patches]
    wanted = [_held(patch, feature) if len(patch) == 1 else patch for patch in wanted]
    parts = [feature.audio(patch) for patch in wanted]
    silence = np.zeros(round(_SILENCE * feature.sr))
    spaced = [piece for part in parts for piece in (part, silence)][:-1]
    changed = write_wav(path, np.concatenate(spaced), feature.sr)
    got = [feature.rows(part)[:, : feature.n_static] for part in parts]
    both = [(a[: len(b)], b[: len(a)]) for a, b in zip(wanted, got, strict=True)]
    likeness = _correlation(*(np.concatenate(side).ravel() for side in zip(*both, strict=True)))
    seconds = sum(map(len, spaced)) / feature.sr
    shown = [f"{seconds:.3g} s of audio in {path.name}"]
    if likeness is not None:
        shown.append(f"whose rows correlate {likeness:.3f} with those plotted")
    return ", ".join(shown + [changed] * bool(changed))


def _held(patch: np.ndarray, feature: Feature) -> np.ndarray:
    return np.repeat(patch, max(2, round(_HELD * feature.frame_rate)), axis=0)


def _correlation(first: np.ndarray, second: np.ndarray) -> float | None:
    """Return the correlation of two series; None if one is constant."""
    if not (np.ptp(first) > 0 and np.ptp(second) > 0):
        return None
    return float(np.corrcoef(first, second)[0, 1])
