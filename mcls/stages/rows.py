"""Where a run's chain begins when it scores: at the rows of a store, or at audio."""

from collections.abc import Mapping
from pathlib import Path

from mcls.disk.audio import parse_excerpt
from mcls.disk.chain import Chain
from mcls.disk.store import Store, StoredRows
from mcls.encoding import Timed
from mcls.errors import DataError
from mcls.features.extractor import Extractor
from mcls.features.specs import FeatureSpec
from mcls.stages.encode import reaches, stored_steps

#: Rows with their frame rate by the step of a chain that makes them; see `apply_chain`.
Given = Mapping[int, Timed]

#: Settings of a feature step that belong to the extraction, not to the feature.
_SHARED = ("sr", "excerpt", "dtype")


def rows_for_run(store: Store, chain: Chain, feature: str | None = None) -> dict[int, StoredRows]:
    """Return the features of a store that a run's chain can go on from, by its step.

    Parameters
    ----------
    store : Store
        A store.
    chain : Chain
        Of a run.
    feature : str or None
        The only one to take; None: whatever fits.

    Raises
    ------
    DataError
        If the store's rows were made otherwise; the message names what differs.
    """
    offered = [store.feature(feature)] if feature else list(store.features.values())
    names = {stored.name for stored in offered}
    found = {i: stored for i, stored in stored_steps(store, chain).items() if stored.name in names}
    if not reaches(chain, found):
        raise DataError(
            f"{store.path}: its rows are not those of the run: {_misfit(chain, offered)}"
        )
    return found


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


def _misfit(chain: Chain, offered: list[StoredRows]) -> str:
    """Name the first setting in which the nearest feature differs from the run's."""
    said = []
    for step in chain:
        if step.kind != "feature":
            continue
        same = [one.chain[0] for one in offered if one.chain[0].name == step.name]
        if not same:
            said.append(f"there is no {step.name}")
            continue
        differ = [
            f"{key} {same[0].settings.get(key)} instead of {value}"
            for key, value in step.settings.items()
            if same[0].settings.get(key) != value
        ]
        said.append(f"{step.name} has {', '.join(differ) or 'been encoded otherwise'}")
    return "; ".join(said)
