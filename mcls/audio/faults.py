"""Faults of audio that is used all the same: which tracks have them, and how that is said.

A store has a column for each fault that some of its tracks have; the cell is empty for the others.
"""

import math
from collections.abc import Mapping

#: What is said of the tracks with each fault.
FAULTS = {
    "truncated": "are truncated, used as far as they go",
    "skipped": "have streams or packets that cannot be decoded and were left out",
    "silent": "are silent",
    "cancelling": "have channels that cancel out (L = -R), so that their mean is silent",
    "dead-channel": "have a silent channel, so that the mean is 6 dB softer than the other one",
    "clipped": "have values beyond the range of float16, which were clipped",
}
#: The faults because of which audio is missing.
MISSING_AUDIO = ("truncated", "skipped")
_SHOWN = 5


def spell_lost(seconds: float) -> str:
    """Return what a truncated track lacks, as it is stored; seconds may be infinite: unknown."""
    return "unknown" if math.isinf(seconds) else f"{seconds:.2f}"


def fault_notes(tracks: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Count the tracks with each fault and name the first.

    Parameters
    ----------
    tracks : mapping of str to mapping
        The faults of every track by its name, as `AudioFile.faults` gives them.
    """
    notes = []
    for fault, what in FAULTS.items():
        having = {name: found[fault] for name, found in tracks.items() if found.get(fault)}
        if having:
            named = [_spell(fault, name, detail) for name, detail in [*having.items()][:_SHOWN]]
            more = [f"{len(having) - _SHOWN} more"] if len(having) > _SHOWN else []
            notes.append(f"{len(having)} tracks {what}: {', '.join(named + more)}")
    return notes


def _spell(fault: str, name: str, detail: str) -> str:
    if fault == "truncated":
        lacks = "an unknown length" if detail == "unknown" else f"{float(detail):.1f} s"
        return f"{name} lacks {lacks}"
    return f"{name} ({detail})" if fault in ("skipped", "dead-channel", "clipped") else name
