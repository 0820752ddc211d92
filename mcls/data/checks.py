"""Checks of a manifest: counts, missing audio, and leaks that make scores too good."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mcls.audio.digests import SampleDigest, file_sha1
from mcls.audio.faults import fault_notes
from mcls.data.datasets.inventory import first_few
from mcls.data.look_alikes import name_notes, name_problems
from mcls.data.parts import published_as
from mcls.data.split_cells import PARTS, SplitCells, read_split_cells
from mcls.data.split_column import describe_split
from mcls.data.splits import Leaks, find_leaks
from mcls.errors import MclsError
from mcls.options import takes_options
from mcls.parallel.progress import Progress
from mcls.remote.places import size_of
from mcls.tables.labels import UNKNOWN, LabelTable
from mcls.tables.manifest import Manifest, open_source
from mcls.tables.options import Reading


@dataclass(frozen=True)
class ManifestCheck:
    """The result of `check_manifest`.

    Parameters
    ----------
    source : str
        The manifest or folder.
    n_tracks : int
        Number of tracks.
    labels : dict of str to dict of str to int, or None
        Tracks per part of every label (part ``all`` without a split column); None without a label
        column.
    parts : dict of str to int
        Tracks per part or fold, with ``""`` for those in no part; empty without a split column.
    multi_label : bool
        True if some track has several labels.
    groups : dict of str to int
        Groups per part or fold; empty without a group column.
    problems : list of str
        Errors in the data: missing or unreadable files, groups and identical audio in several
        parts, labels that cannot be learnt, names that look alike.
    notes : list of str
        Remarks that are not errors.
    straddling : dict of str to dict of str to int
        Tracks per part of each group that is in several parts.
    identical : list of list of str
        The track ids of identical audio in different parts.
    missing : list of str
        The track ids without an audio file.
    """

    source: str
    n_tracks: int
    labels: dict[str, dict[str, int]] | None
    parts: dict[str, int]
    multi_label: bool = False
    groups: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    straddling: dict[str, dict[str, int]] = field(default_factory=dict)
    identical: list[list[str]] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


@takes_options
def check_manifest(
    source: str | Path,
    *,
    reading: Reading,
    split: str | None = "split",
    group: str | None = "group",
    decode: bool = False,
    progress: Progress | None = None,
) -> ManifestCheck:
    """Check a manifest or a folder of class folders.

    Parameters
    ----------
    source : path
        The manifest or folder.
    reading : Reading
        As keywords: ``audio_root``, ``path_column``, ``labels``, ``sep`` and ``skip_unlabelled``.
    split, group : str or None
        The columns. The defaults may be absent; other names must exist. None or ``none`` ignores
        the column.
    decode : bool
        Decode every file, which finds unreadable files, and identical audio in different formats.
        Otherwise files are compared byte by byte.
    progress : callable or None
        Called with the number of files done, the number of files, and the seconds of audio done.

    Returns
    -------
    ManifestCheck

    Raises
    ------
    DataError
        If the manifest cannot be read, a column is missing, a track has no label or a part is
        unknown.
    """
    labels = reading.labels
    manifest = open_source(source, reading=reading)
    read = _split_cells(manifest, split)
    parts, names = read.values, read.names
    table = None
    cells = manifest.optional_column(labels, default="labels")
    if cells is not None:
        cells = manifest.label_cells(labels)
        table = _labels_of_used(manifest, labels, parts)
    groups = manifest.optional_column(group, default="group")
    missing = manifest.missing()
    sums, broken, faults = _audio_sums(manifest, set(missing), decode, progress)
    leaks = find_leaks(parts, groups, sums) if parts else Leaks()
    counts = None if table is None else _label_counts(table, parts, names)
    problems = _audio_problems(manifest, missing, broken) + _leak_problems(manifest, parts, leaks)
    problems += name_problems(cells, groups, parts)
    if table is None and labels != "none":
        others = [name for name in manifest.columns if name not in ("track_id", "path")]
        found = f"the other columns are {', '.join(others)}" if others else "there are no others"
        problems.append(
            f"there is no column 'labels' ({found}); name it with --labels, or pass --labels none"
        )
    notes = [*manifest.notes, *read.notes]
    notes += name_notes(manifest.track_ids, {labels: cells, str(group): groups})
    if not parts:
        hint = "; pass --split fold to check the folds" if "fold" in manifest.columns else ""
        notes.append(f"there is no split column, so parts were not checked{hint}")
    if table is not None and table.unknown is not None:
        n, label = int(table.unknown.sum()), table.names[int(table.unknown.sum(axis=0).argmax())]
        notes.append(
            f"{n} of {table.unknown.size} pairs of a track and a label are unknown, as {label!r} "
            f"where a cell has {label + UNKNOWN!r}"
        )
    used = [row for row in manifest.unlabelled(labels) if not parts or parts[row]] if table else []
    if n := len(used):
        first = manifest.where(used[0])
        notes.append(f"{n} tracks have no label, taken as none of the labels: {first}")
    if counts is not None:
        unlearnable, absent = _absent_labels(counts, names)
        problems += unlearnable
        notes += absent
    notes += fault_notes({manifest.track_ids[row]: found for row, found in faults.items()})
    notes += _copies(parts, sums, decode) + describe_split(manifest, split, parts)
    if parts and (published := published_as(str(split), manifest.track_ids, parts)):
        notes.append(f"column {split!r} is the published split {published}")
    return ManifestCheck(
        source=str(source),
        n_tracks=len(manifest),
        labels=counts,
        parts={name: parts.count(name) for name in [*names, *([""] if "" in parts else [])]},
        multi_label=table is not None and table.multi_label,
        groups=_group_counts(groups, parts, names),
        problems=problems,
        notes=notes,
        straddling=leaks.groups,
        identical=[[manifest.track_ids[row] for row in rows] for rows in leaks.audio],
        missing=[manifest.track_ids[row] for row in missing],
    )


def _split_cells(manifest: Manifest, column: str | None) -> SplitCells:
    """Read the split column; without one there are no cells."""
    cells = manifest.optional_column(column, default="split")
    if cells is None:
        return SplitCells([], [])
    return read_split_cells(cells, str(column), where=manifest.where)


def _labels_of_used(manifest: Manifest, column: str, parts: list[str]) -> LabelTable:
    """Parse the labels; only tracks in a part need one, unless tracks have several."""
    unlabelled = manifest.unlabelled(column)
    if len(unlabelled) < len(manifest):
        table = manifest.labels(column, allow_empty=True)
        if table.multi_label or not any(not parts or parts[row] for row in unlabelled):
            return table
    return manifest.labels(column)  # raises, with the line


def _label_counts(
    table: LabelTable, parts: list[str], names: list[str]
) -> dict[str, dict[str, int]]:
    if not names:
        totals = table.matrix.sum(axis=0)
        return {label: {"all": int(n)} for label, n in zip(table.names, totals, strict=True)}
    cells = np.array(parts, dtype=str)
    per_part = {name: table.matrix[cells == name].sum(axis=0) for name in names}
    return {
        label: {name: int(per_part[name][i]) for name in names}
        for i, label in enumerate(table.names)
    }


def _group_counts(groups: list[str] | None, parts: list[str], names: list[str]) -> dict[str, int]:
    if groups is None:
        return {}
    pairs = {(part, group) for part, group in zip(parts, groups, strict=True) if group}
    return {name: sum(part == name for part, _ in pairs) for name in names}


def _absent_labels(
    counts: dict[str, dict[str, int]], names: list[str]
) -> tuple[list[str], list[str]]:
    """Return problems (labels that cannot be learnt) and notes (labels that cannot be scored)."""
    if not names:
        return [], []
    is_parts = set(names) <= set(PARTS)
    problems, notes = [], []
    for name in names:
        absent = [label for label, row in counts.items() if not row[name] and any(row.values())]
        if absent and is_parts and name == "train":
            problems.append(f"{len(absent)} labels have no track in train: {first_few(absent)}")
        elif absent:
            notes.append(f"{len(absent)} labels have no track in {name}: {first_few(absent)}")
    if not is_parts:
        single = [label for label, row in counts.items() if sum(n > 0 for n in row.values()) == 1]
        if single:
            problems.append(
                f"{len(single)} labels have tracks in one fold only: {first_few(single)}"
            )
    return problems, notes


def _audio_problems(manifest: Manifest, missing: list[int], broken: dict[int, str]) -> list[str]:
    problems = []
    if missing:
        first = missing[0]
        path = manifest.columns["path"][first]
        problems.append(
            f"{len(missing)} of {len(manifest)} audio files are missing, the first at "
            f"{manifest.where(first)}: {path}"
        )
    if broken:
        first = min(broken)
        problems.append(
            f"{len(broken)} of {len(manifest)} audio files cannot be read, the first at "
            f"{manifest.where(first)}: {broken[first]}"
        )
    return problems


def _leak_problems(manifest: Manifest, parts: list[str], leaks: Leaks) -> list[str]:
    problems = []
    if leaks.groups:
        said = [
            f"{name} ({', '.join(f'{n} in {part}' for part, n in where.items())})"
            for name, where in sorted(leaks.groups.items())
        ]
        problems.append(f"{len(said)} groups are in several parts: {first_few(said)}")
    if leaks.audio:
        said = [
            " = ".join(f"{manifest.track_ids[row]} ({parts[row]})" for row in rows[:3])
            for rows in leaks.audio
        ]
        problems.append(f"{len(said)} recordings are in several parts: {first_few(said)}")
    return problems


def _copies(parts: list[str], sums: list[str], decode: bool) -> list[str]:
    """Return a note on identical audio within a part."""
    times = Counter(zip(parts or [""] * len(sums), sums, strict=True))
    copies = sum(n - 1 for (_, total), n in times.items() if total and n > 1)
    what = "audio" if decode else "file"
    return [f"{copies} tracks have the same {what} as another in their part"] if copies else []


def _audio_sums(
    manifest: Manifest,
    missing: set[int],
    decode: bool,
    progress: Progress | None,
) -> tuple[list[str], dict[int, str], dict[int, dict[str, str]]]:
    """Return the digests of the tracks' audio (``""`` if unknown), errors, and faults.

    Without decoding, files of a unique size are not read and get no digest.
    """
    paths = manifest.paths()
    sums, broken, faults, seconds = [""] * len(paths), {}, {}, 0.0
    there = [row for row in range(len(paths)) if row not in missing]
    if not decode:  # files of different size differ
        sizes = {row: size_of(paths[row]) for row in there}
        times = Counter(sizes.values())
        there = [row for row in there if times[sizes[row]] > 1]
    for done, row in enumerate(there, start=1):
        try:
            if decode:
                sums[row], length, faults[row] = _decoded_sum(paths[row])
                seconds += length
            else:
                sums[row] = file_sha1(paths[row])
        except (OSError, MclsError) as error:
            broken[row] = str(error)
        if progress is not None:
            progress(done, len(there), seconds)
    return sums, broken, faults


def _decoded_sum(path: Path) -> tuple[str, float, dict[str, str]]:
    """Return the digest of a file's samples, its seconds and its faults."""
    from mcls.audio.files import AudioFile

    total = SampleDigest()
    with AudioFile(path) as file:
        for block in file.blocks():
            total.add(block)
        return total.hexdigest(), total.n_samples / file.sr, file.faults
