"""Faults of the audio in a store that is being made: which columns and notes they become."""

from collections.abc import Mapping, Sequence

import numpy as np

from mcls.audio.faults import FAULTS, MISSING_AUDIO
from mcls.features.extractor import Extractor
from mcls.stores.store import Store

#: A finished track: its store and its index there.
StoredTrack = tuple[Store, int]
#: The bits of the largest float16, to which values are clipped.
_LARGEST_HALF = 0x7BFF


def stored_faults(store: Store, track: int) -> dict[str, str]:
    """Return the faults in the columns of a store."""
    faults = {name: str(store.tracks[name][track]) for name in FAULTS if name in store.tracks}
    return {name: cell for name, cell in faults.items() if cell}


def faults_of(store: Store, track: int) -> dict[str, str]:
    """Return the faults of a finished track; values were clipped if they are the largest."""
    faults = stored_faults(store, track)
    clipped = []
    for name, rows in store.features.items():
        if rows.dtype == np.float16:
            bits = np.ascontiguousarray(rows.track(track)).view(np.uint16)
            if np.any(bits & 0x7FFF == _LARGEST_HALF):
                clipped.append(name)
    return {**faults, "clipped": " ".join(clipped)}


def refuse_missing_audio(found: dict[str, StoredTrack], failed: dict[str, str]) -> None:
    """Let the tracks fail of which audio is missing, as ``--strict`` asks."""
    for track_id, (store, track) in list(found.items()):
        faults = stored_faults(store, track)
        if has := {name: faults[name] for name in MISSING_AUDIO if name in faults}:
            del found[track_id]
            failed[track_id] = "; ".join(_refusal(*one) for one in has.items())


def _refusal(fault: str, detail: str) -> str:
    if fault == "skipped":
        return f"{detail} streams or packets cannot be decoded"
    if detail == "unknown":
        return "truncated: an unknown length is missing"
    return f"truncated: {float(detail):.1f} s are missing"


def fault_columns(tracks: Mapping[str, Mapping[str, str]]) -> dict[str, list[str]]:
    """Return a column of each fault that some of the tracks have."""
    return {
        fault: [found.get(fault, "") for found in tracks.values()]
        for fault in FAULTS
        if any(found.get(fault) for found in tracks.values())
    }


def feature_notes(extractor: Extractor, rates: Sequence[int]) -> list[str]:
    """Return what is to be said of the features at the sampling rates of the files."""
    notes = [
        f"{name}: {note}"
        for sr in sorted({extractor.sr or rate for rate in rates})
        for name, feature in extractor.features(sr).items()
        for note in feature.notes
    ]
    return list(dict.fromkeys(notes))
