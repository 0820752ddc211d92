"""Feature steps: where a chain begins, at the audio."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mcls.audio.files import parse_excerpt
from mcls.chain.step import Kind, RowAxes, RowsAndRate
from mcls.disk.audio_suffixes import AUDIO_SUFFIXES
from mcls.disk.chain import Chain, Step
from mcls.errors import ConfigError, DataError
from mcls.features.extractor import Change, Extractor
from mcls.features.feature import Feature
from mcls.features.specs import FeatureSpec
from mcls.plots.axes import DimensionAxis, feature_axis
from mcls.registry import find, register
from mcls.remote.places import local_copy
from mcls.stores.row_files import ARRAY_SUFFIXES, checked_rows, read_array_file

if TYPE_CHECKING:
    from torch import nn

#: Settings of a feature step that belong to the extraction, not to the feature.
_EXTRACTION = ("sr", "excerpt", "dtype")


@register("steps", "feature", inputs="none", needs=("sr", "excerpt", "dtype"))
class FeatureKind(Kind):
    """Computes a feature from audio."""

    noun = "feature"

    def apply(self, step: Step, inputs: Sequence[RowsAndRate]) -> RowsAndRate:
        """Refuse: the rows of a feature come from a store or from `FeatureReader`."""
        raise DataError(f"the rows of the feature {step.name!r} were not given")

    def axes(self, step: Step, inputs: Sequence[RowAxes], sr: int | None) -> RowAxes:
        """Return the feature's frequencies, frame period and unit."""
        unit = {"db": "dB", "log1p": f"log10(1 + {step.settings.get('gain', 10):g} x)"}.get(
            str(step.settings.get("compress")), "value"
        )
        feature = feature_of(step, sr)
        if feature is None:
            return RowAxes(DimensionAxis(f"{step.name} dimension", 0), None, unit=unit)
        axis = feature_axis(step.name, feature.n_dims, feature.axis, feature.delta)
        if feature.names is not None and not feature.delta:
            axis = replace(axis, names=feature.names)
        if unit == "value":
            unit = feature.unit
        apart = int(feature.level_first and feature.n_static > 1)
        n_fft = 0 if getattr(feature, "center", True) else getattr(feature, "n_fft", 0)
        start = n_fft / 2 / feature.sr
        return RowAxes(axis, 1 / feature.frame_rate, start, unit, apart=apart)

    def graph(self, step: Step, sr: int | None) -> "nn.Module":
        """Return the feature at one sampling rate as a torch module."""
        from mcls.export.mel_graph import feature_graph

        feature = feature_of(step, sr)
        if feature is None:
            raise ConfigError(
                f"the feature {step.name} has the sampling rate of each file, so it cannot be "
                "exported; extract with --sr"
            )
        return feature_graph(feature, step.name, half=step.settings.get("dtype") == "float16")


def feature_of(step: Step, sr: int | None) -> Feature | None:
    """Build the feature of a step; None where it does not resample and `sr` is unknown.

    Parameters
    ----------
    step : Step
        A step of kind ``feature``.
    sr : int or None
        Sample rate of the audio file in Hz, for a feature that does not resample.
    """
    rate = step.settings.get("sr") or sr
    if rate is None:
        return None
    own = find("features", step.name).settings
    settings = {key: value for key, value in step.settings.items() if key in own}
    return FeatureSpec(step.name, step.name, settings).make(int(rate))


class FeatureReader:
    """Computes the feature steps of a chain from audio files.

    Parameters
    ----------
    chain : Chain
        The chain of a run.
    sample_rate : int or None
        The one sample rate in Hz that a chain which does not resample was learnt with.
    """

    def __init__(self, chain: Chain, sample_rate: int | None = None) -> None:
        self.sample_rate = sample_rate
        self._imported = {i: step for i, step in enumerate(chain) if step.kind == "imported"}
        groups: dict[tuple[object, ...], list[FeatureSpec]] = {}
        for i, step in enumerate(chain):
            if step.kind == "feature":
                own = {key: value for key, value in step.settings.items() if key not in _EXTRACTION}
                shared = tuple(step.settings[key] for key in _EXTRACTION)
                groups.setdefault(shared, []).append(FeatureSpec(str(i), step.name, own))
        self._extractors = [
            Extractor(specs, sr=sr, excerpt=parse_excerpt(excerpt), dtype=dtype)  # type: ignore[arg-type]
            for (sr, excerpt, dtype), specs in groups.items()
        ]

    def read(
        self, path: Path, change: Change | None = None
    ) -> tuple[dict[int, RowsAndRate], float, dict[str, str]]:
        """Return the rows of every feature step, the seconds of audio, and its faults.

        Parameters
        ----------
        path : Path
            The audio file.
        change : callable or None
            Applied to the audio first, such as an augmentation.

        Raises
        ------
        DataError
            If the file cannot be used. The message gives the reason, without the path.
        """
        if self._imported:
            if change is not None:
                raise DataError("rows that another program made cannot be changed as audio can")
            return self._read_imported(path), 0.0, {}
        found: dict[int, RowsAndRate] = {}
        seconds, faults = 0.0, dict[str, str]()
        for extractor in self._extractors:
            track = extractor.track(path, change)
            if extractor.sr is None and self.sample_rate not in (None, track.sample_rate):
                raise DataError(
                    f"its sample rate is {track.sample_rate} Hz, but the run was trained at "
                    f"{self.sample_rate} Hz; resample it"
                )
            features = extractor.features(extractor.sr or track.sample_rate)
            for name, feature in features.items():
                found[int(name)] = (track.rows(name), feature.frame_rate)
            seconds, faults = max(seconds, track.seconds), faults | track.faults
        return found, seconds, faults

    @property
    def suffixes(self) -> frozenset[str]:
        """The suffixes of the files that are read."""
        return frozenset(ARRAY_SUFFIXES) if self._imported else AUDIO_SUFFIXES

    def _read_imported(self, path: Path) -> dict[int, RowsAndRate]:
        """Return the rows in a file that another program made."""
        if len(self._imported) > 1 or self._extractors:
            raise DataError("the run reads several features, not all from audio; score a store")
        [(i, step)] = self._imported.items()
        if path.suffix.lower() not in ARRAY_SUFFIXES:
            raise DataError(
                f"the run reads {step.name!r}, rows that another program made, and not audio; "
                f"give a {' or '.join(ARRAY_SUFFIXES)} file of them, or a store"
            )
        with local_copy(path) as local:
            rows = checked_rows(read_array_file(local))
        rate, n_dims = step.settings["rate"], step.settings["n_dims"]
        if rows.shape[1] != n_dims or (rate is None and len(rows) > 1):
            expected = f"(1, {n_dims})" if rate is None else f"(rows, {n_dims})"
            raise DataError(f"{step.name!r} has the size {expected}, this file {rows.shape}")
        return {i: (rows, rate)}
