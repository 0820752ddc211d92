"""Extract features of audio files into a store.

Worker processes compute the tracks and write them to shards. A track that cannot be read is
recorded with the reason, and the others are computed. The finished file has the same bytes for any
number of jobs, interrupted or not.
"""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from mcls.audio.digests import file_sha1
from mcls.audio.faults import FAULTS, fault_notes
from mcls.audio.files import parse_excerpt
from mcls.data.label_rules import parse_rules
from mcls.disk.audit_file import carry_findings
from mcls.disk.workspace import Workspace
from mcls.errors import ConfigError, DataError
from mcls.extraction.event_cells import end_with_tracks, event_cells, refuse_moved_time
from mcls.extraction.extract_faults import (
    fault_columns,
    faults_of,
    feature_notes,
    refuse_missing_audio,
)
from mcls.extraction.extract_tracks import Item, compute_shard, shares
from mcls.extraction.label_notes import copied_label_notes, dropped_notes, move_labels, said_changes
from mcls.extraction.options import Extraction
from mcls.extraction.store_tracks import groups_across_parts, refuse_several_rates
from mcls.extraction.track_columns import complete_columns, no_split
from mcls.features.augmentations import let_labels_follow, parse_augmentations
from mcls.features.extractor import Extractor
from mcls.features.specs import parse_features
from mcls.options import takes_options
from mcls.parallel.pool import Pool, Task, given_or_new
from mcls.parallel.progress import Progress
from mcls.remote.functions import takes_urls
from mcls.remote.objects import RemoteError
from mcls.remote.places import spelled
from mcls.remote.urls import url_of
from mcls.settings import canonical, digest
from mcls.stores.shard_folder import check_output, check_replaced_store, write_tracks
from mcls.stores.shards import Shards, refuse_other_settings
from mcls.stores.store import Store, StoreContents, rows_of
from mcls.tables.manifest import Manifest, open_source


@dataclass(frozen=True)
class Extracted:
    """The result of `extract`.

    Attributes
    ----------
    path : Path
        The store.
    n_tracks : int
        The number of tracks in it.
    n_computed : int
        The number of tracks that this call computed; 0 if the store was complete.
    failed : list of dict
        ``track_id``, ``path`` and ``reason`` of every track that is not in it.
    seconds : float
        Seconds of audio in it.
    spent : float
        Seconds that the call took.
    split_note : str
        A description of the split, if mcls made it.
    notes : list of str
        Notes for the user.
    """

    path: Path
    n_tracks: int
    n_computed: int
    failed: list[dict[str, str]]
    seconds: float
    spent: float
    split_note: str
    notes: list[str] = field(default_factory=list)


@takes_urls(reads=("source",), writes=("out",))
@takes_options
def extract(
    source: str | Path,
    out: str | Path,
    *,
    extraction: Extraction,
    add: bool = False,
    pack: bool = True,
    overwrite: bool = False,
    workers: Pool | None = None,
    progress: Progress | None = None,
) -> Extracted:
    """Compute features of every track of a manifest or a folder of class folders.

    Parameters
    ----------
    source : path
        A manifest or a folder with one folder per class.
    out : path
        The store to write. If it exists, only tracks that are missing, or whose audio was
        replaced, are computed.
    extraction : Extraction
        As keywords: ``features``, ``sr``, ``jobs`` and the other options of the extraction.
    add : bool
        Keep the tracks of `out` that are not in `source`, before those that are.
    pack : bool
        Write one file; else a folder of shards, `mcls.stores.shard_index`.
    overwrite : bool
        Replace a store with other settings or tracks.
    workers : Pool or None
        A pool that may have been started before, or a `DaskPool`; its number of processes
        replaces ``jobs``.
    progress : callable (done, total, seconds of audio), or None
        Called after every shard.

    Returns
    -------
    Extracted

    Raises
    ------
    ConfigError
        If a setting is wrong, or `overwrite` is false and `out` has other settings or tracks that
        are not in `source`.
    DataError
        If the source cannot be used, no track could be read, or `out` cannot be written.
    """
    started = time.monotonic()
    jobs = extraction.jobs if workers is None else workers.jobs
    copies, seed = extraction.copies, extraction.seed
    changes = parse_augmentations(extraction.augmentations, label_safe=extraction.keep_label_safe)
    if bool(extraction.augmentations) != (copies > 0):
        raise ConfigError("augmented copies need both --augment NAME and --copies N")
    rules = parse_rules(extraction.label_rules)
    changes = let_labels_follow(changes, list(rules.values()))
    refuse_moved_time(extraction, changes)
    extractor = Extractor(
        parse_features(extraction.features, extraction.settings),
        sr=extraction.sr,
        excerpt=parse_excerpt(extraction.excerpt),
        dtype=extraction.dtype,
    )
    asked: dict[str, Any] = {
        "features": {
            name: {"feature": step.name, **step.settings}
            for name, step in extractor.steps().items()
        },
    }
    if changes:
        asked["augment"] = {"copies": copies, "seed": seed, "by": [str(one) for one in changes]}
        if rules:
            asked["augment"]["label_rules"] = rules
    out = Path(out)
    check_output(out, packed=pack)
    manifest = open_source(source, reading=extraction)
    items = _items(manifest, copies if changes else 0)
    old = _open_old(out, asked, items, overwrite=overwrite, add=add)
    with Workspace(out, digest(asked)) as work:
        if old is None:  # another process may have made it meanwhile
            old = _open_old(out, asked, items, overwrite=overwrite, add=add)
        shards = Shards(work, asked, overwrite=overwrite)
        columns, split_note, notes = _columns(manifest, items, old, extraction)
        move_labels(columns, changes, rules, seed)
        if "augmented_from" in columns:
            by = said_changes(changes, rules)
            columns["augmented_by"] = {
                track: by if source else "" for track, source in columns["augmented_from"].items()
            }
        notes += copied_label_notes(columns, changes, rules, (extraction.split, extraction.group))
        notes += dropped_notes(extraction.augmentations, changes)
        known = ([old] if old else []) + shards.stores()
        found, replaced, gone = _found_as_now(known, items, columns["path"], extraction.jobs)
        missing = [item for item in items if item.track_id not in found]
        compute = partial(compute_shard, extractor=extractor, changes=changes, seed=seed)
        total, seconds = len(missing), 0.0
        n_done = 0
        failed: dict[str, str] = {}
        parts = shares(missing, jobs)
        names = shards.new_names(len(parts))
        tasks = [Task(tuple(some), name) for some, name in zip(parts, names, strict=True)]
        with given_or_new(workers, jobs, apart=True) as team:
            for task, result in team.map(compute, tasks, time_limit=extraction.time_limit):
                done, some_failed, some_seconds = result
                some_failed |= {task.items[i].track_id: why for i, why in task.failed.items()}
                failed |= some_failed
                n_done, seconds = n_done + done + len(some_failed), seconds + some_seconds
                if progress is not None:
                    progress(n_done, total, seconds)
        before = {store.path for store in known}
        found |= _found([one for one in shards.stores() if one.path not in before], items)
        notes += _replacement_notes([i for i in replaced if i in found], gone)
        if extraction.sr is None:
            _refuse_other_rates(found, failed)
        if extraction.strict:
            refuse_missing_audio(found, failed)
        if not found:
            raise DataError(_none_left(source, failed))
        contents, sources = _contents(items, columns, found, failed, asked, split_note)
        if extraction.annotations is not None:
            end_with_tracks(contents.tracks, extraction.annotations, extraction.background)
        contents.notes += feature_notes(extractor, contents.tracks["sample_rate"])
        if old is not None and add:
            contents, sources = _added(old, contents, sources)
        if old is None or overwrite or not _same(old, contents):
            write_tracks(out, sources, contents, packed=pack)
    carry_findings([source], out, contents.tracks["track_id"])
    notes += contents.notes
    return Extracted(
        out,
        len(sources),
        total - len(failed),
        rows_of(contents.failed),
        float(sum(contents.tracks["seconds"])),
        time.monotonic() - started,
        split_note,
        notes,
    )


def _open_old(
    out: Path, asked: dict[str, Any], items: Sequence[Item], *, overwrite: bool, add: bool
) -> Store | None:
    """Open the store if it exists; refuse one with other settings, or with tracks of its own."""
    if overwrite:
        check_replaced_store(out)
    if not out.exists() or overwrite:
        return None
    old = Store(out)
    if canonical(old.settings) != canonical(asked):
        refuse_other_settings(out, old.settings, asked)
    listed = {item.track_id for item in items}
    lost = [track_id for track_id in old.track_ids if track_id not in listed]
    if lost and not add:
        raise ConfigError(
            f"{out} has {len(lost)} tracks that are not in the dataset ({_first(lost)}) and would "
            "be lost; choose another output, or pass --add to keep them, --overwrite to replace it"
        )
    return old


def _items(manifest: Manifest, copies: int) -> list[Item]:
    """Return the tracks, each followed by its copies.

    These are ``ID#1``, ``ID#2``, ...; or ``ID##1``, ... if a track has such a name.
    """
    ids, mark = set(manifest.track_ids), "#"
    while any(f"{i}{mark}{copy}" in ids for i in ids for copy in range(1, copies + 1)):
        mark += "#"
    items = []
    for track_id, path in zip(manifest.track_ids, manifest.paths(), strict=True):
        items.append(Item(track_id, path))
        items += [
            Item(f"{track_id}{mark}{copy}", path, copy, track_id) for copy in range(1, copies + 1)
        ]
    return items


def _columns(
    manifest: Manifest,
    items: Sequence[Item],
    old: Store | None,
    extraction: Extraction,
) -> tuple[dict[str, dict[str, str]], str, list[str]]:
    """Return the columns by name and track, a description of the split, and notes."""
    notes = list(manifest.notes)
    columns = dict(manifest.columns)
    if extraction.annotations is not None:
        columns[extraction.annotations], more = event_cells(manifest, extraction)
        notes += more
    if taken := sorted(set(columns) & set(FAULTS)):
        raise ConfigError(
            f"{manifest.source}: extraction writes its own column {taken[0]!r}; rename it there"
        )
    split_note = complete_columns(columns, manifest, old, extraction)
    if split_note:
        notes.append(no_split(columns, split_note, extraction))
    per_track = {
        name: dict(zip(manifest.track_ids, values, strict=True)) for name, values in columns.items()
    }
    origin = {item.track_id: item.copy_of for item in items if item.copy}
    if origin:
        for name, values in per_track.items():
            values |= {new: values[first] for new, first in origin.items() if name != "track_id"}
        per_track["track_id"] |= {new: new for new in origin}
        per_track["augmented_from"] = {item.track_id: "" for item in items} | origin
    return per_track, split_note, notes


Found = dict[str, tuple[Store, int]]


def _found(
    stores: Sequence[Store],
    items: Sequence[Item],
    fits: Callable[[Store, int], bool] = lambda store, track: True,
) -> Found:
    """Return the store and the index of every finished track that fits."""
    wanted = {item.track_id for item in items}
    return {
        track_id: (store, track)
        for store in stores
        for track, track_id in enumerate(store.track_ids)
        if track_id in wanted and fits(store, track)
    }


def _found_as_now(
    stores: Sequence[Store], items: Sequence[Item], paths: dict[str, str], jobs: int
) -> tuple[Found, list[str], list[str]]:
    """Return the finished tracks whose rows are those of the audio as it is now, by its SHA-1.

    Also return the tracks whose audio was replaced, and those whose audio cannot be read, whose
    rows stay if the path is the same.
    """
    known = _found(stores, items)
    audio = {item.track_id: item.path for item in items if item.track_id in known}
    each = sorted(set(audio.values()))
    with ThreadPoolExecutor(jobs) as team:
        sha1s = dict(zip(each, team.map(_sha1_now, each), strict=True))

    def fits(store: Store, track: int) -> bool:
        track_id = store.track_ids[track]
        path, sha1 = audio[track_id], sha1s[audio[track_id]]
        if sha1 is None:
            return store.tracks["path"][track] in (paths[track_id], str(path))
        return bool(store.tracks["sha1"][track] == sha1)

    found = _found(stores, items, fits)
    replaced = [track_id for track_id in audio if track_id not in found]
    gone = [track_id for track_id in found if sha1s[audio[track_id]] is None]
    return found, replaced, gone


def _sha1_now(path: Path) -> str | None:
    try:
        return file_sha1(path) if url_of(path) or path.is_file() else None
    except (OSError, RemoteError):
        return None


def _replacement_notes(again: Sequence[str], gone: Sequence[str]) -> list[str]:
    notes = []
    if again:
        what = f"computed {len(again)} tracks again, as their audio was replaced"
        notes.append(f"{what}: {_first(again)}")
    if gone:
        what = f"kept the rows of {len(gone)} tracks whose audio cannot be read now"
        notes.append(f"{what}: {_first(gone)}")
    return notes


def _first(names: Sequence[str], n: int = 5) -> str:
    return ", ".join(names[:n]) + (", ..." if len(names) > n else "")


def _refuse_other_rates(found: Found, failed: dict[str, str]) -> None:
    """Let the tracks fail whose sampling rate is not that of most tracks."""
    rates = {i: store.tracks["sample_rate"][track] for i, (store, track) in found.items()}
    counts = Counter(rates.values())
    most = min(counts, key=lambda rate: (-counts[rate], rate), default=0)
    for track_id, rate in rates.items():
        if rate != most:
            del found[track_id]
            failed[track_id] = (
                f"its sampling rate is {rate} Hz, that of most tracks {most} Hz; pass --sr"
            )


def _contents(
    items: Sequence[Item],
    columns: dict[str, dict[str, str]],
    found: Found,
    failed: dict[str, str],
    asked: dict[str, Any],
    split_note: str,
) -> tuple[StoreContents, list[tuple[Store, int]]]:
    ids = [item.track_id for item in items if item.track_id in found]
    sources = [found[track_id] for track_id in ids]
    tracks: dict[str, Any] = {
        name: [values[track_id] for track_id in ids] for name, values in columns.items()
    }
    for name in ("seconds", "sample_rate", "sha1"):
        tracks[name] = [store.tracks[name][track] for store, track in sources]
    faults = {track_id: faults_of(*found[track_id]) for track_id in ids}
    tracks |= fault_columns(faults)
    bad = [item.track_id for item in items if item.track_id not in found]
    failures = {
        "track_id": bad,
        "path": [columns["path"][track_id] for track_id in bad],
        "reason": [failed.get(track_id, "unknown") for track_id in bad],
    }
    return StoreContents(tracks, failures, asked, split_note, fault_notes(faults)), sources


def _added(
    old: Store, contents: StoreContents, sources: list[tuple[Store, int]]
) -> tuple[StoreContents, list[tuple[Store, int]]]:
    """Put the tracks of a store that the dataset does not list before those that it lists."""
    new = contents.tracks
    listed = {*new["track_id"], *contents.failed["track_id"]}
    kept = [i for i, track_id in enumerate(old.track_ids) if track_id not in listed]
    bad = [row for row in old.failed if row["track_id"] not in listed]
    n_new = len(new["track_id"])
    tracks = {
        name: [old.tracks[name][i] if name in old.tracks else "" for i in kept]
        + list(new.get(name, [""] * n_new))
        for name in dict.fromkeys([*old.tracks, *new])
    }
    failed = {
        name: [row.get(name, "") for row in bad] + list(cells)
        for name, cells in contents.failed.items()
    }
    refuse_several_rates(old, tracks)
    notes = [*contents.notes, *groups_across_parts(tracks)]
    note = contents.split_note or old.split_note
    return (
        StoreContents(tracks, failed, contents.settings, note, notes),
        [*((old, i) for i in kept), *sources],
    )


def _same(old: Store, new: StoreContents) -> bool:
    """Return whether a store already holds these tracks, columns and failures."""
    return (
        old.tracks == new.tracks
        and old.failed == rows_of(new.failed)
        and old.split_note == new.split_note
        and old.notes == [*map(spelled, new.notes)]
    )


def _none_left(source: str | Path, failed: dict[str, str]) -> str:
    reasons = Counter(failed.values()).most_common(3)
    said = "; ".join(f"{reason} ({n} tracks)" for reason, n in reasons)
    return f"{source}: no track could be read: {said}"
