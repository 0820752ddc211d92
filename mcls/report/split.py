"""The split of a run as a report shows it: tracks, groups and labels per part, and leaks."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from mcls.data.datasets.inventory import first_few
from mcls.data.splits import find_leaks
from mcls.disk.audit_file import across_notes, across_parts, audit_file
from mcls.disk.run import Run
from mcls.report.runs import ReportedRun, RunStore
from mcls.report.tables import PageTable
from mcls.stores.store import Store
from mcls.tables.labels import split_labels
from mcls.tables.predictions import read_predictions

#: The parts, in order.
_PARTS = ("train", "valid", "test")


@dataclass(frozen=True)
class SplitReport:
    """The split of a run.

    Parameters
    ----------
    tables : list of PageTable
        Tracks and groups per part of each run folder; tracks per label.
    findings : list of str
        What is wrong with it.
    checked : list of str
        What was checked and found right, and what could not be checked.
    """

    tables: list[PageTable]
    findings: list[str]
    checked: list[str]


def report_split(run: ReportedRun, stores: Mapping[str, RunStore]) -> SplitReport:
    """Return the split of a run.

    Parameters
    ----------
    run : ReportedRun
    stores : mapping of str to RunStore
        The store of each fold.
    """
    if not run.folders:
        counts = Counter(part or "without a part" for part in run.predictions.parts)
        table = PageTable("Tracks per part", [*counts], [[str(n) for n in counts.values()]], 0)
        said = "This is a table of predictions: the train part is unknown, and nothing was checked."
        return SplitReport([table], [], [said])
    rows, findings, checked = [], [], []
    labels: dict[str, Counter[str]] = {}  # by part; of several runs the test part of each
    alone = len(run.runs) == 1
    counted = not run.predictions.regression and run.predictions.times is None
    for fold, folder in run.folders.items():
        parts = parts_of(folder)
        store = stores[fold].store
        sizes = Counter(parts.values())
        row = [folder.path.name, *(str(sizes[part] or "") for part in _PARTS)]
        if store is None:
            checked.append(f"{folder.path.name}: not checked, as {stores[fold].missing}.")
            rows.append([*row, "", "", ""])
            continue
        if not audit_file(store.path).exists():
            checked.append(f"No audit of copies is known: mcls data audit {store.path}")
        found, groups = _check(folder, parts, store, labels, alone=alone, counted=counted)
        findings += [f"{folder.path.name}: {one}" for one in found]
        rows.append([*row, *(str(groups[part] or "") for part in _PARTS)])
    columns = ["run", *_PARTS, *(f"{part} groups" for part in _PARTS)]
    tables = [PageTable("Tracks and groups per part", columns, rows).filled]
    if labels:
        tables.append(_labels(run, labels))
    if not findings and any(one.store is not None for one in stores.values()):
        checked.insert(0, "No group and no identical file is in two parts of a run.")
    return SplitReport(tables, findings, list(dict.fromkeys(checked)))


def parts_of(run: Run) -> dict[str, str]:
    """Return the part of every track of a run, by ``track_id``."""
    parts = dict.fromkeys(run.learnt_from(), "train")
    scored = read_predictions(run.path / "predictions.csv")
    return parts | dict(zip(scored.track_ids, scored.parts, strict=True))


def _check(
    run: Run,
    parts: Mapping[str, str],
    store: Store,
    labels: dict[str, Counter[str]],
    *,
    alone: bool,
    counted: bool,
) -> tuple[list[str], Counter[str]]:
    """Return leaks and the groups per part, and count tracks per label and part."""
    of_track = [parts.get(track, "") for track in store.track_ids]
    settings = run.settings.get("train", {})
    group = settings.get("group", "group")
    groups = store.column(group) if group in store.tracks else None
    sums = store.column("sha1") if "sha1" in store.tracks else None
    leaks = find_leaks(of_track, groups, sums)
    findings = []
    unknown = len(set(parts) - set(store.track_ids))
    if unknown:
        findings.append(f"{unknown} of its tracks are not in {store.path}, so they are not checked")
    if leaks.groups:
        findings.append(
            f"{len(leaks.groups)} groups are in several parts: {first_few(sorted(leaks.groups))}"
        )
    if leaks.audio:
        pairs = [" = ".join(store.track_ids[i] for i in some[:3]) for some in leaks.audio]
        findings.append(f"{len(pairs)} identical files are in several parts: {first_few(pairs)}")
    findings += across_notes(store.path, across_parts(store.path, parts))
    column = settings.get("labels", "labels")
    if counted and column in store.tracks:
        for part, cell in zip(of_track, store.column(column), strict=True):
            key = part if alone else run.path.name
            if part and (alone or part == "test"):
                labels.setdefault(key, Counter()).update(split_labels(cell))
    used: dict[str, set[str]] = {}
    for part, name in zip(of_track, groups or [""] * len(of_track), strict=True):
        if part and name:
            used.setdefault(part, set()).add(name)
    return findings, Counter({part: len(names) for part, names in used.items()})


def _labels(run: ReportedRun, counts: Mapping[str, Counter[str]]) -> PageTable:
    alone = len(run.runs) == 1
    columns = [part for part in _PARTS if part in counts] if alone else [*counts]
    cells = [
        [name, *(f"{counts[column][name]:,}" for column in columns)]
        for name in run.predictions.names
    ]
    of = "part" if alone else "test part of each run"
    return PageTable(f"Tracks with each label per {of}", ["label", *columns], cells)
