"""Feature steps: where a chain begins, at audio."""

from pathlib import Path

from mcls.chain.apply import Timed
from mcls.disk.audio import parse_excerpt
from mcls.disk.chain import Chain
from mcls.errors import DataError
from mcls.features.extractor import Extractor
from mcls.features.specs import FeatureSpec

#: Settings of a feature step that belong to the extraction, not to the feature.
_SHARED = ("sr", "excerpt", "dtype")


class AudioRows:
    """The feature steps of a chain, computed from audio files.

    Parameters
    ----------
    chain : Chain
        Of a run.
    sample_rate : int or None
        Where the chain keeps each file's own rate: the one rate it was learnt with, in Hz.
    """

    def __init__(self, chain: Chain, sample_rate: int | None = None) -> None:
        self.sample_rate = sample_rate
        groups: dict[tuple[object, ...], list[FeatureSpec]] = {}
        for i, step in enumerate(chain):
            if step.kind == "feature":
                settings = {
                    key: value for key, value in step.settings.items() if key not in _SHARED
                }
                shared = tuple(step.settings[key] for key in _SHARED)
                groups.setdefault(shared, []).append(FeatureSpec(str(i), step.name, settings))
        self._extractors = [
            Extractor(specs, sr=sr, excerpt=parse_excerpt(excerpt), dtype=dtype)  # type: ignore[arg-type]
            for (sr, excerpt, dtype), specs in groups.items()
        ]

    def read(self, path: Path) -> tuple[dict[int, Timed], float]:
        """Return the rows of every feature step, and the seconds of audio.

        Raises
        ------
        DataError
            With the reason it cannot be done; the path is not in it.
        """
        given: dict[int, Timed] = {}
        seconds = 0.0
        for extractor in self._extractors:
            track = extractor.track(path)
            if extractor.sr is None and self.sample_rate not in (None, track.sample_rate):
                raise DataError(
                    f"{track.sample_rate} Hz, but the run was learnt at {self.sample_rate} Hz; "
                    "resample it"
                )
            features = extractor.features(extractor.sr or track.sample_rate)
            for name, feature in features.items():
                given[int(name)] = (track.rows(name), feature.frame_rate)
            seconds = max(seconds, track.seconds)
        return given, seconds
