"""What `audit` reads: the columns of a manifest or a store, and the landmarks of its tracks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np

from mcls.audio.faults import FAULTS
from mcls.audit.copies import AudibleTrack
from mcls.audit.landmarks import MAX_BIN, Landmarks, landmarks
from mcls.audit.spectrogram import BINS_PER_SEMITONE, FRAME_RATE
from mcls.auditing.audit_tracks import NO_LANDMARKS, measure_tracks, read_track
from mcls.data.parts import copies, optional_column, split_cells
from mcls.data.split_cells import read_split_cells
from mcls.errors import ConfigError
from mcls.parallel.pool import Task, given_or_new
from mcls.parallel.progress import Progress
from mcls.stores.store import Store, is_store
from mcls.stores.stored_rows import StoredRows
from mcls.tables.manifest import Manifest, open_source
from mcls.tables.options import Reading

#: The most semitones by which a copy may be transposed.
SEMITONES = 2
#: Tracks that are kept in memory while they are compared.
_KEPT = 64
#: Files per task.
_TASK = 16
#: The fewest rows per second, and the fewest dimensions, in which landmarks can be found.
_FEWEST_ROWS, _FEWEST_DIMS = 10.0, 20


@dataclass
class AuditSource:
    """The tracks to audit.

    Parameters
    ----------
    track_ids : list of str
    parts : list of str
        Part or fold of each track; empty without a split column.
    groups, labels : list of str, or None
        The cells of the columns.
    sha1s : list of str
        Digest of the audio of each track; ``""`` if it is unknown.
    seconds : list of float
        Length of each track; 0 if it is unknown.
    faults : list of dict of str to str
        What is wrong with each track, by kind.
    landmarks : list of Landmarks
    read : callable
        Returns what is compared of a track.
    frame_rate : float
        Frames per second of the landmarks.
    bins_per_semitone : int
        0 if a transposition cannot be seen.
    notes : list of str
    manifest : Manifest or None
    """

    track_ids: list[str]
    parts: list[str]
    groups: list[str] | None
    labels: list[str] | None
    sha1s: list[str]
    seconds: list[float]
    faults: list[dict[str, str]]
    landmarks: list[Landmarks]
    read: Callable[[int], AudibleTrack]
    frame_rate: float = FRAME_RATE
    bins_per_semitone: int = BINS_PER_SEMITONE
    notes: list[str] = field(default_factory=list)
    manifest: Manifest | None = None


def open_audit_source(
    source: Path,
    *,
    reading: Reading,
    split: str | None,
    group: str | None,
    feature: str | None,
    jobs: int,
    progress: Progress | None,
) -> AuditSource:
    """Read a manifest, a folder or a store; parameters as of `mcls.auditing.audit.audit`."""
    if is_store(source):
        return _from_store(Store(source), split, group, reading.labels, feature, progress)
    if feature is not None:
        raise ConfigError("--feature is for stores; a manifest is audited from its audio")
    manifest = open_source(source, reading=reading)
    return _from_manifest(manifest, split, group, reading.labels, jobs, progress)


def _from_manifest(
    manifest: Manifest,
    split: str | None,
    group: str | None,
    labels: str,
    jobs: int,
    progress: Progress | None,
) -> AuditSource:
    cells = manifest.optional_column(split, default="split")
    parts = (
        [] if cells is None else read_split_cells(cells, str(split), where=manifest.where).values
    )
    has_labels = manifest.optional_column(labels, default="labels") is not None
    paths = manifest.paths()
    places = [range(i, min(i + _TASK, len(paths))) for i in range(0, len(paths), _TASK)]
    tasks = [Task([paths[i] for i in some]) for some in places]
    first = {id(task.items): some[0] for task, some in zip(tasks, places, strict=True)}
    sha1s, seconds = [""] * len(paths), [0.0] * len(paths)
    faults: list[dict[str, str]] = [{} for _ in paths]
    marks = [NO_LANDMARKS] * len(paths)
    n_done = 0
    with given_or_new(None, jobs) as team:
        for task, found in team.map(measure_tracks, tasks):
            left = [i for i in range(len(task.items)) if i not in task.failed]
            at = first[id(task.items)]
            for i, one in zip(left, found, strict=True):
                sha1s[at + i], seconds[at + i], marks[at + i] = one.sha1, one.seconds, one.landmarks
                faults[at + i] = {"unreadable": one.error} if one.error else one.faults
            for i, reason in task.failed.items():
                faults[at + i] = {"unreadable": reason}
            n_done += len(task.items)
            if progress is not None:
                progress(n_done, len(paths), sum(seconds))
    return AuditSource(
        track_ids=manifest.track_ids,
        parts=parts,
        groups=manifest.optional_column(group, default="group"),
        labels=manifest.label_cells(labels) if has_labels else None,
        sha1s=sha1s,
        seconds=seconds,
        faults=faults,
        landmarks=marks,
        read=lru_cache(_KEPT)(lambda i: read_track(paths[i])),
        notes=[*manifest.notes],
        manifest=manifest,
    )


def _from_store(
    store: Store,
    split: str | None,
    group: str | None,
    labels: str,
    feature: str | None,
    progress: Progress | None,
) -> AuditSource:
    originals = [i for i in range(store.n_tracks) if i not in copies(store)]

    def of_originals(cells: Sequence[str] | None) -> list[str] | None:
        return None if cells is None else [str(cells[i]) for i in originals]

    has_split = optional_column(store, split, default="split") is not None
    parts = split_cells(store, str(split)).values if has_split else []
    notes = []
    rows = _spectrogram(store, feature)
    if rows is None:
        notes.append(
            f"{store.path} has no spectrogram with {_FEWEST_ROWS:g} rows per second or more, so "
            "only identical files are found; audit the manifest to find other copies"
        )
        marks = [NO_LANDMARKS] * len(originals)
    else:
        marks = []
        for i in originals:
            marks.append(landmarks(_levels(rows, i), rows.frame_rate or 1.0))
            if progress is not None:
                progress(len(marks), len(originals), 0.0)
    per_octave = 0 if rows is None else int(rows.settings.get("bins_per_octave", 0))
    if rows is not None:
        what = "" if per_octave else "transposed copies are not found in it, and "
        notes.append(
            f"compared rows of {rows.name!r}: {what}copies that are short or strongly compressed "
            "are found better from the audio of the manifest"
        )
    nothing = [0] * len(originals)
    known = [{f: str(store.tracks[f][i]) for f in FAULTS if f in store.tracks} for i in originals]
    return AuditSource(
        track_ids=[store.track_ids[i] for i in originals],
        parts=[parts[i] for i in originals] if parts else [],
        groups=of_originals(optional_column(store, group, default="group")),
        labels=of_originals(optional_column(store, labels, default="labels")),
        sha1s=of_originals(store.tracks.get("sha1")) or [""] * len(originals),
        seconds=[float(cell) for cell in of_originals(store.tracks.get("seconds")) or nothing],
        faults=[{name: cell for name, cell in one.items() if cell} for one in known],
        landmarks=marks,
        read=lru_cache(_KEPT)(lambda i: AudibleTrack(_levels(rows, originals[i]))),  # type: ignore[arg-type]
        frame_rate=1.0 if rows is None else rows.frame_rate or 1.0,
        bins_per_semitone=per_octave // 12,
        notes=notes,
    )


def _spectrogram(store: Store, feature: str | None) -> StoredRows | None:
    """Return the feature whose rows are a spectrogram; the one that is asked for, or the best."""
    known = [store.feature(feature)] if feature else [*store.features.values()]
    fits = [
        one
        for one in known
        if (one.frame_rate or 0) >= _FEWEST_ROWS
        and _FEWEST_DIMS <= _n_bins(one) <= MAX_BIN
        and one.chain[-1].name in ("cqt", "mel")
    ]
    return min(fits, key=lambda one: one.chain[-1].name != "cqt", default=None)


def _n_bins(rows: StoredRows) -> int:
    """Return the bins of a row, without those of their differences over time."""
    return int(rows.settings.get("n_bins") or rows.settings.get("n_mels") or 0)


def _levels(rows: StoredRows, i: int) -> np.ndarray:
    """Return the rows of a track as compressed levels."""
    levels = rows.track(i)[:, : _n_bins(rows)].astype(np.float32)
    return (
        np.log10(np.maximum(levels, 1e-10)) if rows.settings.get("compress") == "none" else levels
    )
