"""Audio files that a command writes: WAV, 16 bits, with the mark of mcls."""

from pathlib import Path

import numpy as np

from mcls.disk.outputs import check_replaced
from mcls.disk.workspace import written_whole
from mcls.errors import ConfigError, DataError

#: The comment in a file, by which it is recognised.
_COMMENT = "made by mcls"


def check_wav(path: Path) -> None:
    """Refuse a name that does not end in .wav, and to replace a file that mcls did not write.

    Raises
    ------
    ConfigError
        Says what to change.
    """
    if path.suffix.lower() != ".wav":
        raise ConfigError(f"{path}: audio is written as WAV; use a name that ends in .wav")
    check_replaced(path, _COMMENT.encode(), "audio")


def write_wav(path: Path, samples: np.ndarray, sr: int) -> str:
    """Write a mono file; it appears whole or not at all.

    Parameters
    ----------
    path : Path
        The file, checked by `check_wav`.
    samples : np.ndarray, shape (n_samples,)
        Audio. Beyond [-1, 1] all of it is made quieter, so that nothing clips.
    sr : int
        Sampling rate in Hz.

    Returns
    -------
    str
        What was changed: by how many dB it is quieter; empty if it is not.

    Raises
    ------
    DataError
        If there are no samples, or some are NaN or infinite.
    """
    import soundfile

    if not len(samples):
        raise DataError(f"{path}: there are no samples to write; one frame alone has no duration")
    if not np.isfinite(samples).all():
        raise DataError(f"{path}: the audio to write has samples that are NaN or infinite")
    peak = max(1.0, float(np.abs(samples).max()))
    with (
        written_whole(path) as temporary,
        soundfile.SoundFile(temporary, "w", sr, 1, "PCM_16", format="WAV") as file,
    ):
        file.comment = _COMMENT
        file.write(samples / peak)
    return f"quieter by {20 * np.log10(peak):.1f} dB to avoid clipping" if peak > 1 else ""
