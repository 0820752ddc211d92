"""The findings of an audit: what is said of copies, groups, labels, faults and lengths."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mcls.audit.copies import Copy, groups_of
from mcls.audit.labels import disputed_labels
from mcls.auditing.audit_sources import AuditSource
from mcls.data.splits import find_leaks
from mcls.disk.audit_file import Finding
from mcls.errors import ConfigError
from mcls.judging.evaluate import open_predictions
from mcls.tables.labels import split_labels

#: How far a duration is from the median to be odd: in median absolute deviations, and as a factor.
_ODD_DEVIATIONS, _ODD_FACTOR = 8.0, 3.0
#: The most tracks of the commonest label per track of the rarest, and the fewest tracks of a label.
_IMBALANCE, _FEW = 10, 5


def exact_copies(source: AuditSource, exact: Sequence[Sequence[int]]) -> list[Finding]:
    """Return a finding per set of tracks with identical audio."""
    what = "the samples are identical" if source.manifest else "the files are identical"
    return [Finding("exact-copy", _named(source, rows), what) for rows in exact]


def near_copies(
    source: AuditSource, exact: Sequence[Sequence[int]], near: Sequence[Copy]
) -> list[Finding]:
    """Return a finding per group of tracks that are copies of each other."""
    same = {rows[0]: rows for rows in exact}
    groups = groups_of([(one.first, one.second) for one in near])
    place = {row: n for n, rows in enumerate(groups) for row in rows}
    pairs: dict[int, list[Copy]] = {}
    for one in near:
        pairs.setdefault(place[one.first], []).append(one)
    findings = []
    for n, rows in enumerate(groups):
        every = [row for first in rows for row in same.get(first, [first])]
        findings.append(Finding("near-copy", _named(source, every), _said(source, pairs[n])))
    return findings


def _said(source: AuditSource, pairs: Sequence[Copy]) -> str:
    """Return the agreement of the copies; of two also where the second begins in the first."""
    weakest = min(pairs, key=lambda one: one.agreement)
    if len(pairs) > 1:
        return f"{len(pairs)} pairs agree by {weakest.agreement:.2f} or more"
    in_order = source.track_ids[weakest.first] <= source.track_ids[weakest.second]
    sign = 1 if in_order else -1
    said = f"agreement {weakest.agreement:.2f}, from {sign * weakest.lag:+.2f} s"
    if weakest.shift:
        said += f", {sign * weakest.shift / source.bins_per_semitone:+.1f} semitones"
    return said


def groups_across(source: AuditSource) -> list[Finding]:
    """Return the groups of the group column that are in several parts."""
    if not source.parts or source.groups is None:
        return []
    return [
        Finding(
            "group",
            _named(source, [row for row, own in enumerate(source.groups) if own == name]),
            f"group {name!r} is in several parts",
        )
        for name in find_leaks(source.parts, source.groups).groups
    ]


def _named(source: AuditSource, rows: Sequence[int]) -> tuple[str, ...]:
    return tuple(sorted(source.track_ids[row] for row in rows))


def label_findings(run: Path) -> list[Finding]:
    """Return the labels that the predictions of a run dispute, the least likely label first."""
    predictions, _ = open_predictions(run, audited=False)
    if predictions.regression or predictions.multi_label:
        raise ConfigError(f"{run}: labels are disputed only where each track has one; omit --run")
    if any(predictions.parts):
        predictions = predictions.only("test")
    sure = predictions.probabilities
    probabilities = predictions.scores if sure is None else sure
    names = predictions.names
    return [
        Finding(
            "label",
            (predictions.track_ids[one.track],),
            f"labelled {names[one.given]}, predicted {names[one.predicted]} (+{one.margin:.2f})",
        )
        for one in disputed_labels(predictions.truth, probabilities)
    ]


def fault_findings(source: AuditSource) -> list[Finding]:
    """Return the faults of the audio, a finding per track and kind."""
    kinds = {"silent": "silence", "clipped": ""}
    found = {
        (kinds.get(kind, kind), track): detail
        for track, faults in zip(source.track_ids, source.faults, strict=True)
        for kind, detail in faults.items()
    }
    return [Finding(kind, (track,), detail) for (kind, track), detail in found.items() if kind]


def odd_durations(source: AuditSource) -> list[Finding]:
    """Return the tracks that are much shorter or longer than most."""
    seconds = np.array(source.seconds)
    known = np.flatnonzero(seconds > 0)
    if len(known) < 10:
        return []
    logs = np.log(seconds[known])
    centre = float(np.median(logs))
    deviation = 1.4826 * float(np.median(np.abs(logs - centre)))
    limit = max(_ODD_DEVIATIONS * deviation, float(np.log(_ODD_FACTOR)))
    odd = known[np.abs(logs - centre) > limit]
    return [
        Finding(
            "duration",
            (source.track_ids[row],),
            f"{seconds[row]:.2f} s; the median is {np.exp(centre):.2f} s",
        )
        for row in odd
    ]


def imbalanced_labels(source: AuditSource) -> list[Finding]:
    """Return labels with few tracks, in all or beside the commonest."""
    counts = Counter(label for cell in source.labels or () for label in split_labels(cell))
    if len(counts) < 2:
        return []
    name, most = counts.most_common(1)[0]
    return [
        Finding("imbalance", (), f"{label} has {n} tracks, {name} {most}")
        for label, n in reversed(counts.most_common())
        if n < _FEW or most > _IMBALANCE * n
    ]
