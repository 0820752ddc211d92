"""Encode: rows to rows, by dictionaries, trained nets and poolers."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mcls.chain.build import build_chain
from mcls.chain.match import encoded_track, stored_steps
from mcls.disk.chain import Chain, chain_digest
from mcls.disk.shards import Shards, pack, refuse_other_settings
from mcls.disk.store import NewRows, Store, StoreContents, write_store
from mcls.disk.workspace import Workspace
from mcls.errors import ConfigError
from mcls.parallel.progress import Progress
from mcls.settings import digest

#: Bytes of rows that are held before a shard is written.
_HELD_BYTES = 1 << 26


@dataclass(frozen=True)
class Encoded:
    """What `encode` made.

    Attributes
    ----------
    path : Path
        The store.
    feature : str
        The name of its feature.
    n_tracks, n_rows, n_dims : int
        Its size.
    computed : bool
        False if it was there already.
    """

    path: Path
    feature: str
    n_tracks: int
    n_rows: int
    n_dims: int
    computed: bool


def encode(
    store: Path | str,
    out: Path | str,
    *,
    dicts: Sequence[Path | str] = (),
    feature: str | None = None,
    encoder: str | None = None,
    pool: Sequence[str] = (),
    layers: Sequence[str] = (),
    name: str | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Encoded:
    """Encode and pool every track of a store into another store.

    Parameters
    ----------
    store : path
        A store.
    out : path
        The store to make. If it is there and the same, nothing is done; if a call was
        interrupted, it goes on.
    dicts, feature, encoder, pool, layers
        See `build_chain`.
    name : str or None
        Of the feature in `out`; None: ``mfcc-kmeans`` and the like.
    overwrite : bool
        Replace a store that was made otherwise.
    progress : callable or None
        ``progress(tracks done, tracks in all, seconds of audio)``.

    Returns
    -------
    Encoded

    Raises
    ------
    ConfigError
        If a setting is wrong or does not fit, or `out` was made otherwise.
    DataError
        If a file cannot be read or written.
    """
    source, out = Store(store), Path(out)
    if not dicts and not pool:
        raise ConfigError("nothing to do: give a dictionary (--with) or a pooler (--pool)")
    chain = build_chain(source, feature, dicts, encoder, pool, layers)
    name = name or "-".join(dict.fromkeys(s.name for s in chain if s.kind != "concat"))
    asked = {"encode": {name: chain_digest(chain)}}
    work = Workspace(out, digest(asked))
    made = _made(out, asked, source, overwrite)
    if made is not None and not work.is_there:
        return made
    stored = stored_steps(source, chain)
    with work:
        made = _made(out, asked, source, overwrite)
        if made is not None:
            return made
        shards = Shards(work, asked, overwrite=overwrite)
        ready = {i: (shard, t) for shard in shards.stores() for t, i in enumerate(shard.track_ids)}
        waiting = [t for t, i in enumerate(source.track_ids) if i not in ready]
        names = iter(shards.new_names(len(waiting)))
        held: list[tuple[int, np.ndarray]] = []
        started, rate = time.monotonic(), None
        for done, track in enumerate(waiting, 1):
            rows, rate = encoded_track(stored, chain, track)
            held.append((track, rows))
            full = sum(some.nbytes for _, some in held) > _HELD_BYTES
            if full or time.monotonic() - started > 60 or done == len(waiting):
                _write_shard(next(names), source, name, chain, rate, held)
                held, started = [], time.monotonic()
            if progress is not None:
                progress(done, len(waiting), 0.0)
        ready = {i: (shard, t) for shard in shards.stores() for t, i in enumerate(shard.track_ids)}
        failed = {
            key: [failure[key] for failure in source.failed]
            for key in ("track_id", "path", "reason")
        }
        contents = StoreContents(source.tracks, failed, asked, source.split_note)
        pack(out, [ready[i] for i in source.track_ids], contents)
    return _encoded(Store(out), computed=True)


def _made(out: Path, asked: Mapping[str, Any], source: Store, overwrite: bool) -> Encoded | None:
    """Return what is there already; refuse to replace a store made with other settings."""
    if overwrite or not out.exists():
        return None
    old = Store(out)
    if old.settings != asked:
        refuse_other_settings(out, old.settings, asked)
    return _encoded(old, computed=False) if old.track_ids == source.track_ids else None


def _write_shard(
    path: Path,
    source: Store,
    name: str,
    chain: Chain,
    frame_rate: float | None,
    held: Sequence[tuple[int, np.ndarray]],
) -> None:
    tracks = {"track_id": [source.track_ids[track] for track, _ in held]}
    lengths = [len(rows) for _, rows in held]
    blocks = (rows for _, rows in held)
    new = NewRows(name, chain, frame_rate, held[0][1].shape[1], lengths, blocks)
    write_store(path, StoreContents(tracks), [new])


def _encoded(store: Store, *, computed: bool) -> Encoded:
    stored = store.feature()
    return Encoded(store.path, stored.name, store.n_tracks, len(stored), stored.n_dims, computed)
