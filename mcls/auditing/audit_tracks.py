"""The work of the worker processes of `audit`: decode each track once and measure it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mcls.audio.digests import SampleDigest
from mcls.audio.files import AudioFile, read_audio
from mcls.audio.samples import resampled
from mcls.audit.copies import AudibleTrack
from mcls.audit.landmarks import Landmarks, landmarks
from mcls.audit.levels import LevelMeter
from mcls.audit.spectrogram import FRAME_RATE, SR, log_spectrogram
from mcls.errors import MclsError
from mcls.parallel.pool import Task


@dataclass(frozen=True)
class TrackMeasures:
    """What was measured of a track.

    Parameters
    ----------
    sha1 : str
        Digest of the decoded samples; ``""`` if they cannot be read.
    seconds : float
        Its length.
    landmarks : Landmarks
        Its landmarks.
    faults : dict of str to str
        What is wrong, by kind.
    error : str
        Why it cannot be read.
    """

    sha1: str
    seconds: float
    landmarks: Landmarks
    faults: dict[str, str] = field(default_factory=dict)
    error: str = ""


NO_LANDMARKS = Landmarks(np.zeros(0, np.int32), np.zeros(0, np.int32))


def measure_tracks(task: Task) -> list[TrackMeasures]:
    """Measure the audio files of a task; runs in a worker."""
    return [measure(path) for path in task.each()]


def measure(path: Path) -> TrackMeasures:
    """Decode an audio file once and measure it."""
    total = SampleDigest()
    try:
        with AudioFile(path) as file:
            meter = LevelMeter(file.sr)

            def seen() -> Iterator[np.ndarray]:
                for block in file.blocks():
                    total.add(block)
                    meter.add(block)
                    yield block

            y = np.concatenate(list(resampled(seen(), file.sr, SR)))
            faults = {**file.faults, **meter.faults()}
            seconds = total.n_samples / file.sr
    except (OSError, MclsError) as error:
        return TrackMeasures("", 0.0, NO_LANDMARKS, error=str(error))
    return TrackMeasures(
        total.hexdigest(), seconds, landmarks(log_spectrogram(y), FRAME_RATE), faults
    )


def read_track(path: Path) -> AudibleTrack:
    """Decode an audio file and return what is compared."""
    y, _ = read_audio(path, sr=SR)
    return AudibleTrack(log_spectrogram(y), y)
