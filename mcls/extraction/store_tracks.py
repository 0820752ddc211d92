"""Merge stores, and select or remove tracks of a store; the rows are copied, not computed again.

Rows are copied in blocks, so memory does not grow with the stores. The output says in its notes
what it was made from.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mcls.chain.match import different_settings
from mcls.data.split_cells import usual_part
from mcls.disk.text_files import read_text
from mcls.errors import ConfigError, DataError, suggest
from mcls.extraction.store_copy import Copied, write_copy
from mcls.settings import canonical
from mcls.stores.shard_folder import shards_of_size
from mcls.stores.shards import TrackOf
from mcls.stores.store import MEASURED, Store, StoreContents


def merge(
    stores: Sequence[Path | str], out: Path | str, *, pack: bool = True, overwrite: bool = False
) -> Copied:
    """Write a store with the tracks of several stores, in their order.

    A column that some of the stores lack is empty for their tracks.

    Parameters
    ----------
    stores : sequence of path
        Two or more stores with the same features, and no track in common.
    out : path
        The store to write.
    pack : bool
        Write one file; else a folder of shards.
    overwrite : bool
        Replace another store.

    Raises
    ------
    ConfigError
        If the features differ, a track is in two stores, or `out` is something else.
    DataError
        If a store cannot be read or `out` cannot be written.
    """
    opened = [Store(path) for path in stores]
    if len(opened) < 2:
        raise ConfigError("expected two or more stores to merge")
    sources = [(store, i) for store in opened for i in range(store.n_tracks)]
    said = " and ".join(f"{store.path} ({store.n_tracks} tracks)" for store in opened)
    return _write(out, sources, opened, f"merged from {said}", pack=pack, overwrite=overwrite)


def select(
    store: Path | str,
    out: Path | str,
    *,
    where: Sequence[str] = (),
    tracks: Path | str | None = None,
    features: Sequence[str] = (),
    pack: bool = True,
    overwrite: bool = False,
) -> Copied:
    """Write a store with some tracks, or some features, of another one.

    Parameters
    ----------
    store : path
        A store.
    out : path
        The store to write.
    where : sequence of str
        Conditions ``COLUMN=VALUE``. Of one column any value will do; all columns must fit.
    tracks : path or None
        A text file with a track_id per line.
    features : sequence of str
        Names of features; none given: all.
    pack : bool
        Write one file; else a folder of shards.
    overwrite : bool
        Replace another store.

    Raises
    ------
    ConfigError
        If nothing is asked for, no track fits, a name is unknown, or `out` is something else.
    DataError
        If a file cannot be read or `out` cannot be written.
    """
    opened = Store(store)
    if not (where or tracks or features):
        raise ConfigError("say what to select: --where COLUMN=VALUE, --tracks FILE or --feature")
    chosen = _chosen(opened, where, tracks)
    names = [opened.feature(name).name for name in features] or list(opened.features)
    what = f"selected {len(chosen)} of {opened.n_tracks} tracks of {opened.path}"
    sources = [(opened, i) for i in chosen]
    return _write(
        out, sources, [opened], what + _asked(where, tracks), names, pack=pack, overwrite=overwrite
    )


def remove(
    store: Path | str,
    out: Path | str,
    *,
    where: Sequence[str] = (),
    tracks: Path | str | None = None,
    pack: bool = True,
    overwrite: bool = False,
) -> Copied:
    """Write a store without some tracks of another one; parameters and errors as in `select`."""
    opened = Store(store)
    if not (where or tracks):
        raise ConfigError("say what to remove: --where COLUMN=VALUE or --tracks FILE")
    gone = set(_chosen(opened, where, tracks))
    sources = [(opened, i) for i in range(opened.n_tracks) if i not in gone]
    if not sources:
        raise ConfigError(f"{opened.path}: all tracks would be removed")
    what = f"removed {len(gone)} of {opened.n_tracks} tracks of {opened.path}"
    return _write(
        out, sources, [opened], what + _asked(where, tracks), pack=pack, overwrite=overwrite
    )


def joined(sources: Sequence[TrackOf], stores: Sequence[Store]) -> StoreContents:
    """Return the columns of tracks of several stores, and what else the stores hold.

    Parameters
    ----------
    sources : sequence of (store, track)
        The tracks.
    stores : sequence of Store
        The stores; their failed tracks and notes are kept.

    Raises
    ------
    ConfigError
        If the features differ, or a track is in two stores.
    """
    _refuse_other_features(stores)
    ids = [store.track_ids[i] for store, i in sources]
    if len(set(ids)) < len(ids):
        twice = sorted({name for name in ids if ids.count(name) > 1})
        raise ConfigError(
            f"{len(twice)} tracks are in several of the stores, such as {twice[0]!r}; remove them "
            "from one of the stores with `mcls store remove`"
        )
    columns = list(dict.fromkeys(name for store in stores for name in store.tracks))
    for name in [name for name in columns if name in MEASURED]:
        if lacks := [store.path for store in stores if name not in store.tracks]:
            raise ConfigError(f"{lacks[0]} has no column {name!r}, but other stores have")
    tracks = {
        name: [store.tracks[name][i] if name in store.tracks else "" for store, i in sources]
        for name in columns
    }
    refuse_several_rates(stores[0], tracks)
    there = set(ids)
    failed = {
        row["track_id"]: row
        for store in stores
        for row in store.failed
        if row["track_id"] not in there
    }
    settings = [store.settings for store in stores]
    same = all(canonical(one) == canonical(settings[0]) for one in settings)
    return StoreContents(
        tracks,
        {
            name: [row.get(name, "") for row in failed.values()]
            for name in ("track_id", "path", "reason")
        },
        settings[0] if same else {"merged": settings},
        "; ".join(dict.fromkeys(store.split_note for store in stores if store.split_note)),
        list(dict.fromkeys(note for store in stores for note in store.notes)),
    )


def refuse_several_rates(like: Store, tracks: Mapping[str, Sequence[Any]]) -> None:
    """Refuse tracks of several sampling rates, if a feature was computed at the native rate.

    Raises
    ------
    ConfigError
        Names the rates.
    """
    native = [
        name
        for name, rows in like.features.items()
        if any(step.kind == "feature" and step.settings.get("sr") is None for step in rows.chain)
    ]
    rates = sorted(set(tracks.get("sample_rate", [])))
    if native and len(rates) > 1:
        raise ConfigError(
            f"feature {native[0]!r} is at the native sampling rate, but tracks have "
            f"{' and '.join(map(str, rates))} Hz; extract with --sr"
        )


def groups_across_parts(tracks: Mapping[str, Sequence[Any]]) -> list[str]:
    """Return a note that names the groups that merged stores have in several parts, if any."""
    if not {"group", "split"} <= set(tracks):
        return []
    parts: dict[str, set[str]] = {}
    for group, part in zip(tracks["group"], tracks["split"], strict=True):
        if group and part:
            parts.setdefault(str(group), set()).add(usual_part(str(part)))
    several = sorted(group for group, found in parts.items() if len(found) > 1)
    if not several:
        return []
    return [
        f"{len(several)} groups of column 'group' are in several parts of column 'split', such as "
        f"{several[0]!r}; make a new split of all tracks"
    ]


def _write(
    out: Path | str,
    sources: Sequence[TrackOf],
    stores: Sequence[Store],
    note: str,
    features: Sequence[str] | None = None,
    *,
    pack: bool,
    overwrite: bool,
) -> Copied:
    """Write the tracks, unless the output holds just these."""
    contents = joined(sources, stores)
    contents.notes.append(note)
    contents.notes += groups_across_parts(contents.tracks) if len(stores) > 1 else []
    names = list(stores[0].features) if features is None else list(features)
    if features is not None and "features" in contents.settings:
        kept = {name: contents.settings["features"].get(name) for name in names}
        contents.settings = {**contents.settings, "features": kept}
    shards = None if pack else shards_of_size(sources, names)
    return write_copy(Path(out), sources, contents, names, shards=shards, overwrite=overwrite)


def _refuse_other_features(stores: Sequence[Store]) -> None:
    """Refuse stores whose features differ; the message names the settings."""
    first = stores[0]
    for other in stores[1:]:
        if {*first.features} != {*other.features}:
            raise ConfigError(
                f"{first.path} has the features {', '.join(first.features)}, but {other.path} has "
                f"{', '.join(other.features)}; select the common ones with `mcls store select`"
            )
        for name, rows in first.features.items():
            theirs = other.features[name]
            if (rows.digest, rows.dtype, rows.n_dims) == (
                theirs.digest,
                theirs.dtype,
                theirs.n_dims,
            ):
                continue
            pairs = zip(rows.chain, theirs.chain, strict=False)
            differ = [
                f"{key} is {a} in {first.path} but {b} in {other.path}"
                for one, two in pairs
                for key, a, b in different_settings(one, two)
            ]
            why = "; ".join(differ[:5]) or "the steps of their chains, or what they learnt, differ"
            raise ConfigError(f"feature {name!r} differs: {why}; extract both in the same way")


def _chosen(store: Store, where: Sequence[str], tracks: Path | str | None) -> list[int]:
    """Return the tracks that fit all conditions."""
    wanted: dict[str, list[str]] = {}
    for condition in where:
        column, equals, value = condition.partition("=")
        if not equals:
            raise ConfigError(f"{condition!r} is no condition; expected COLUMN=VALUE")
        if value not in store.column(column):
            known = sorted(set(store.column(column)))
            raise ConfigError(
                f"{store.path}: no track has {value!r} in column {column!r}; "
                f"{suggest(value, known[:50])}"
            )
        wanted.setdefault(column, []).append(value)
    chosen = list(range(store.n_tracks))
    for column, values in wanted.items():
        cells = store.column(column)
        chosen = [i for i in chosen if cells[i] in values]
    if tracks is not None:
        listed = [line.strip("\r") for line in read_text(Path(tracks)).split("\n") if line.strip()]
        if unknown := sorted(set(listed) - set(store.track_ids)):
            raise DataError(
                f"{tracks}: {len(unknown)} names are no track_id of {store.path}, such as "
                f"{unknown[0]!r}; {suggest(unknown[0], store.track_ids[:1000])}"
            )
        chosen = [i for i in chosen if store.track_ids[i] in set(listed)]
    if not chosen:
        raise ConfigError(f"{store.path}: no track fits all conditions")
    return chosen


def _asked(where: Sequence[str], tracks: Path | str | None) -> str:
    said = [*where, *([f"tracks in {tracks}"] if tracks is not None else [])]
    return f" ({', '.join(said)})" if said else ""
