"""Encode: turn the rows of a store into other rows, with dictionaries, trained nets and poolers."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mcls.chain.build import build_chain
from mcls.chain.match import encoded_track, stored_steps
from mcls.chain.options import Encoding
from mcls.disk.audit_file import carry_findings
from mcls.disk.chain import Chain, chain_digest
from mcls.disk.workspace import Workspace
from mcls.errors import ConfigError, DataError
from mcls.options import takes_options
from mcls.parallel.pool import Pool, Task, given_or_new
from mcls.parallel.progress import Progress
from mcls.remote.functions import takes_urls
from mcls.settings import digest
from mcls.stores.shard_folder import check_output, check_replaced_store, write_tracks
from mcls.stores.shards import Shards, refuse_other_settings
from mcls.stores.store import NewRows, Store, StoreContents, StoredRows, write_store

#: Tracks in a task, at most.
_TASK_TRACKS = 64

#: Bytes of rows, and seconds, after which a worker writes what it holds to a shard.
_HELD_BYTES, _HELD_SECONDS = 1 << 26, 60


@dataclass(frozen=True)
class Encoded:
    """The result of `encode`.

    Attributes
    ----------
    path : Path
        The store.
    feature : str
        The name of its feature.
    n_tracks, n_rows, n_dims : int
        Numbers of tracks, rows and dimensions.
    computed : bool
        False if the store was there already.
    """

    path: Path
    feature: str
    n_tracks: int
    n_rows: int
    n_dims: int
    computed: bool


@takes_urls(reads=("store", "dicts", "with_"), writes=("out",))
@takes_options
def encode(
    store: Path | str,
    out: Path | str,
    *,
    encoding: Encoding,
    pack: bool = True,
    overwrite: bool = False,
    workers: Pool | None = None,
    progress: Progress | None = None,
) -> Encoded:
    """Encode and pool every track of a store into another store.

    Parameters
    ----------
    store : path
        A store.
    out : path
        The store to make. If it is there and was made from the same tracks, nothing is done; if
        an earlier call was interrupted, this one continues from its finished shards.
    encoding : Encoding
        As keywords: ``dicts``, ``feature``, ``encoder``, ``pool``, ``layers``, ``name`` and
        ``jobs``; see `build_chain`. The rows do not depend on ``jobs``.
    pack : bool
        Write one file; else a folder of shards, `mcls.stores.shard_index`.
    overwrite : bool
        Replace a store that was made with other settings.
    workers : Pool or None
        A pool to use, such as a `DaskPool`; its number of processes replaces ``jobs``.
    progress : callable or None
        ``progress(tracks done, tracks in all, seconds of audio)``.

    Returns
    -------
    Encoded

    Raises
    ------
    ConfigError
        If a setting is wrong or does not fit, or `out` was made with other settings.
    DataError
        If a file cannot be read or written.
    """
    source, out = Store(store), Path(out)
    check_output(out, packed=pack)
    if out.exists() and out.samefile(store):
        raise ConfigError(f"{out} is the store to encode; choose another output")
    if not encoding.dicts and not encoding.pool:
        raise ConfigError("nothing to do: give a dictionary (--with) or a pooler (--pool)")
    chain = build_chain(source, encoding, encoding.layers)
    jobs = encoding.jobs if workers is None else workers.jobs
    name = encoding.name or "-".join(dict.fromkeys(s.name for s in chain if s.kind != "concat"))
    asked = {"encode": {name: chain_digest(chain)}}
    work = Workspace(out, digest(asked))
    made = _made(out, asked, source, overwrite)
    if made is not None and not work.is_there:
        return made
    with work:
        made = _made(out, asked, source, overwrite)
        if made is not None:
            return made
        shards = Shards(work, asked, overwrite=overwrite)
        done = _ready(source, shards)
        waiting = [t for t, i in enumerate(source.track_ids) if i not in done]
        size = max(1, min(_TASK_TRACKS, -(-len(waiting) // (8 * jobs))))
        starts = range(0, len(waiting), size)
        tasks = [
            Task(waiting[start : start + size], path)
            for start, path in zip(starts, shards.new_names(len(waiting)), strict=False)
        ]
        compute = partial(
            encode_shard,
            track_ids=source.track_ids,
            sha1s=_sha1s(source),
            stored=stored_steps(source, chain),
            chain=chain,
            name=name,
        )
        n_done = 0
        with given_or_new(workers, jobs) as team:
            for task, n_tracks in team.map(compute, tasks):
                for i, reason in task.failed.items():
                    raise DataError(f"track {source.track_ids[task.items[i]]!r}: {reason}")
                n_done += n_tracks
                if progress is not None:
                    progress(n_done, len(waiting), 0.0)
        _write(out, source, shards, asked, packed=pack)
    return _encoded(Store(out), source, computed=True)


def encode_shard(
    task: Task,
    *,
    track_ids: Sequence[str],
    sha1s: Sequence[str],
    stored: Mapping[int, StoredRows],
    chain: Chain,
    name: str,
) -> int:
    """Encode the tracks of a task into shards; runs in a worker. Returns the number of tracks."""
    out = task.out
    assert out is not None
    held: list[tuple[str, str, np.ndarray]] = []
    n_shards, started, rate = 0, time.monotonic(), None

    def write() -> None:
        nonlocal held, n_shards, started
        suffix = f"-{n_shards}" if n_shards else ""
        _write_shard(out.with_stem(out.stem + suffix), name, chain, rate, held)
        held, n_shards, started = [], n_shards + 1, time.monotonic()

    for track in task.each():
        rows, rate = encoded_track(stored, chain, track)
        held.append((track_ids[track], sha1s[track], rows))
        full = sum(some.nbytes for *_, some in held) > _HELD_BYTES
        if full or time.monotonic() - started > _HELD_SECONDS:
            write()
    if held:
        write()
    return len(task.items) - len(task.failed)


def _made(out: Path, asked: Mapping[str, Any], source: Store, overwrite: bool) -> Encoded | None:
    """Return what is there already; refuse to replace a store made with other settings."""
    if overwrite:
        check_replaced_store(out)
    if overwrite or not out.exists():
        return None
    old = Store(out)
    if old.settings != asked:
        refuse_other_settings(out, old.settings, asked)
    if lost := sorted(set(old.track_ids) - set(source.track_ids)):
        raise ConfigError(
            f"{out} has {len(lost)} tracks that are not in {source.path} ({', '.join(lost[:5])}) "
            "and would be lost; choose another output, or pass --overwrite to replace it"
        )
    same = (old.tracks, old.failed, old.split_note) == (
        source.tracks,
        source.failed,
        source.split_note,
    )
    return _encoded(old, source, computed=False) if same else None


def _sha1s(store: Store) -> list[str]:
    """Return the SHA-1 of the audio of every track, empty where it is not known."""
    return store.tracks.get("sha1", [""] * store.n_tracks)


def _ready(source: Store, shards: Shards) -> dict[str, tuple[Store, int]]:
    """Return where the finished tracks are whose audio is still that of the source."""
    now = dict(zip(source.track_ids, _sha1s(source), strict=True))
    return {
        i: (shard, t)
        for shard in shards.stores()
        for t, (i, sha1) in enumerate(zip(shard.track_ids, _sha1s(shard), strict=True))
        if now.get(i) == sha1
    }


def _write_shard(
    path: Path,
    name: str,
    chain: Chain,
    frame_rate: float | None,
    held: Sequence[tuple[str, str, np.ndarray]],
) -> None:
    track_ids, sha1s, rows = zip(*held, strict=True)
    tracks = {"track_id": track_ids, "sha1": sha1s}
    lengths = [len(some) for some in rows]
    new = NewRows(name, chain, frame_rate, rows[0].shape[1], lengths, rows)
    write_store(path, StoreContents(tracks), [new])


def _write(
    out: Path, source: Store, shards: Shards, asked: Mapping[str, Any], *, packed: bool
) -> None:
    """Write the finished tracks as a store, in the order of the source."""
    ready = _ready(source, shards)
    failed = {
        key: [failure[key] for failure in source.failed] for key in ("track_id", "path", "reason")
    }
    contents = StoreContents(source.tracks, failed, dict(asked), source.split_note, source.notes)
    write_tracks(out, [ready[i] for i in source.track_ids], contents, packed=packed)


def _encoded(store: Store, source: Store, *, computed: bool) -> Encoded:
    carry_findings([source.path], store.path, store.track_ids)
    stored = store.feature()
    return Encoded(store.path, stored.name, store.n_tracks, len(stored), stored.n_dims, computed)
