"""Audit a manifest or a store: copies of recordings, groups across parts, doubtful labels, faults.

Findings that concern the parts are written to an audit file (`mcls.disk.audit_file`), and a split
that has one across its parts is not evaluated until it is acknowledged.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from mcls.audit.copies import Copy, find_copies, groups_of
from mcls.auditing.audit_findings import (
    exact_copies,
    fault_findings,
    groups_across,
    imbalanced_labels,
    label_findings,
    near_copies,
    odd_durations,
)
from mcls.auditing.audit_sources import SEMITONES, AuditSource, open_audit_source
from mcls.disk.audit_file import (
    Finding,
    across_parts,
    audit_file,
    carry_findings,
    keep_acknowledged,
    read_findings,
    write_findings,
)
from mcls.errors import ConfigError, DataError
from mcls.options import takes_options
from mcls.parallel.progress import Progress
from mcls.tables.manifest import is_written, write_manifest
from mcls.tables.options import Reading

#: The column that `write_groups` adds.
GROUP_COLUMN = "duplicate_group"


@dataclass(frozen=True)
class Audit:
    """The result of `audit`.

    Parameters
    ----------
    source : str
        The manifest, folder or store.
    n_tracks : int
    findings : list of Finding
        All findings, by kind.
    part_of : dict of str to str
        The part or fold of each track; empty without a split.
    file : Path
        The audit file.
    notes : list of str
    """

    source: str
    n_tracks: int
    findings: list[Finding]
    part_of: dict[str, str]
    file: Path
    notes: list[str] = field(default_factory=list)

    @property
    def across(self) -> list[Finding]:
        """The findings across parts that nobody has acknowledged."""
        found = across_parts(self.source, self.part_of)
        return [one for one in found if not one.acknowledged]

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON object."""
        said = [
            {"id": one.id, **asdict(one), "parts": one.parts(self.part_of)} for one in self.findings
        ]
        return {
            "source": self.source,
            "n_tracks": self.n_tracks,
            "findings": said,
            "across_parts": [one.id for one in self.across],
            "audit_file": str(self.file),
            "notes": self.notes,
        }


@takes_options
def audit(
    source: Path | str,
    *,
    reading: Reading,
    split: str | None = "split",
    group: str | None = "group",
    run: Path | str | None = None,
    groups: Path | str | None = None,
    feature: str | None = None,
    jobs: int = 1,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Audit:
    """Audit a manifest, a folder of class folders or a store, and write its audit file.

    Parameters
    ----------
    source : path
        A manifest or folder, of which the audio is decoded; or a store, of which the rows of a mel
        spectrogram or constant-Q transform are compared.
    reading : Reading
        As keywords: how a manifest is read.
    split, group : str or None
        The columns of parts or folds and of groups. The defaults may be absent.
    run : path or None
        A cross-validation or run; labels that its predictions dispute are findings.
    groups : path or None
        A manifest to write, with copies and groups in a column ``duplicate_group``.
    feature : str or None
        The feature of a store to compare.
    jobs : int
        Worker processes that decode audio.
    overwrite : bool
        Replace `groups`.
    progress : callable or None
        ``progress(tracks done, tracks in all, seconds of audio)``.

    Returns
    -------
    Audit

    Raises
    ------
    ConfigError
        If an option does not fit the source.
    DataError
        If the source or the run cannot be read.
    """
    source = Path(source)
    disputed = [] if run is None else label_findings(Path(run))
    opened = open_audit_source(
        source,
        reading=reading,
        split=split,
        group=group,
        feature=feature,
        jobs=jobs,
        progress=progress,
    )
    if groups is not None and opened.manifest is None:
        raise ConfigError("--groups writes a manifest; audit the manifest instead of the store")
    exact, near = _copies(opened)
    found = [
        *exact_copies(opened, exact),
        *near_copies(opened, exact, near),
        *groups_across(opened),
    ]
    old = read_findings(source)
    found = keep_acknowledged(found, old)
    write_findings(source, found)
    notes = [*opened.notes]
    ids = {one.id for one in found}
    if gone := [one.id for one in old if one.acknowledged and one.id not in ids]:
        notes.append(f"acknowledged findings that are not found any more: {', '.join(gone)}")
    if not opened.parts:
        notes.append("there is no split column, so parts were not compared")
    others = [
        *disputed,
        *fault_findings(opened),
        *odd_durations(opened),
        *imbalanced_labels(opened),
    ]
    if groups is not None:
        _write_groups(opened, Path(groups), exact, near, overwrite=overwrite)
        carry_findings([source], groups, opened.track_ids)
    part_of = dict(zip(opened.track_ids, opened.parts, strict=False))
    n_tracks = len(opened.track_ids)
    return Audit(str(source), n_tracks, [*found, *others], part_of, audit_file(source), notes)


def _copies(source: AuditSource) -> tuple[list[list[int]], list[Copy]]:
    """Return the groups of tracks with identical audio, and pairs of other copies."""
    rows_of: dict[str, list[int]] = {}
    for i, sha1 in enumerate(source.sha1s):
        rows_of.setdefault(sha1 or f"unknown {i}", []).append(i)
    firsts = [rows[0] for rows in rows_of.values()]
    found = find_copies(
        [source.landmarks[i] for i in firsts],
        lambda i: source.read(firsts[i]),
        frame_rate=source.frame_rate,
        max_shift=SEMITONES * source.bins_per_semitone,
    )
    near = [replace(one, first=firsts[one.first], second=firsts[one.second]) for one in found]
    return [rows for rows in rows_of.values() if len(rows) > 1], near


def _write_groups(
    source: AuditSource,
    out: Path,
    exact: Sequence[Sequence[int]],
    near: Sequence[Copy],
    *,
    overwrite: bool,
) -> None:
    """Write the manifest with a column in which copies, and tracks of one group, share a name."""
    manifest = source.manifest
    assert manifest is not None
    pairs = [(rows[0], row) for rows in exact for row in rows[1:]]
    pairs += [(one.first, one.second) for one in near]
    first_of: dict[str, int] = {}
    for row, name in enumerate(source.groups or ()):
        if name:
            pairs.append((first_of.setdefault(name, row), row))
    cells = [""] * len(source.track_ids)
    for rows in groups_of(pairs):
        name = source.track_ids[rows[0]] if source.groups is None else source.groups[rows[0]]
        for row in rows:
            cells[row] = name or source.track_ids[rows[0]]
    written = replace(manifest, columns={**manifest.columns, GROUP_COLUMN: cells})
    if is_written(written, out):
        return
    if out.exists() and not overwrite:
        raise DataError(f"{out} already exists; pass --overwrite to replace it")
    write_manifest(written, out)
