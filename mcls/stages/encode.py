"""Encode: rows to rows, by dictionaries, trained nets and poolers."""

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mcls.disk.chain import Chain, Step, chain_digest, concatenate, extend
from mcls.disk.dictionary import read_dictionary
from mcls.disk.run import open_run
from mcls.disk.shards import Shards, pack, refuse_other_settings
from mcls.disk.store import NewRows, Store, StoreContents, StoredRows, write_store
from mcls.disk.tensors import read_tensors
from mcls.encoding import Timed, apply_chain
from mcls.errors import ConfigError
from mcls.pooling import parse_pool, pool_settings
from mcls.registry import find
from mcls.scoring import scores_step
from mcls.settings import resolve, split_spec

Progress = Callable[[int, int, float], None]

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


def build_chain(
    store: Store,
    feature: str | None,
    dicts: Sequence[Path | str] = (),
    encoder: str | None = None,
    pool: Sequence[str] = (),
    layers: Sequence[str] = (),
) -> Chain:
    """Put together what turns the rows of a store into other rows.

    Parameters
    ----------
    store : Store
        Where the rows are.
    feature : str or None
        The feature, without dictionaries; with them, each finds its own.
    dicts : sequence of path
        Dictionary files, and runs of nets, of which hidden layers are the codes; the codes of
        several stand side by side.
    encoder : str or None
        ``NAME[:key=value,...]``; None: each method's own. Where it is the method's own, settings
        left out are those the dictionary was learnt with.
    pool : sequence of str
        Poolers, one after the other, applied to the codes of each dictionary.
    layers : sequence of str
        Hidden layers of nets, side by side: names, numbers from 1 on, or ``all``; of maps the
        maximum over a segment, or with ``:mean`` after it, as in ``all:mean``. None given: the
        last. Or ``scores`` alone: what runs, of nets or classifiers, say of the track.

    Returns
    -------
    Chain

    Raises
    ------
    ConfigError
        If an encoder or pooler is unknown, or a dictionary is of features that the store does not
        have; the message says which setting differs.
    """
    runs = [Path(path).is_dir() for path in dicts]
    if encoder is not None and (not dicts or all(runs)):
        raise ConfigError(f"encoder {encoder!r} needs a dictionary to encode with")
    if layers and not any(runs):
        raise ConfigError(f"layer {', '.join(layers)}: there is no run to take it from")
    bases: list[Chain] = [
        _with_run(store, path, layers) if is_run else _with_dictionary(store, path, encoder)
        for path, is_run in zip(dicts, runs, strict=True)
    ]
    if not dicts:
        bases = [store.feature(feature).chain]
    poolers = [parse_pool(spec) for spec in pool]
    branches = []
    for chain in bases:
        for pooler in poolers:
            chain = extend(chain, Step("pool", pooler.name, dict(pool_settings(pooler))))
        branches.append(chain)
    return concatenate(branches)


def _with_dictionary(store: Store, path: Path | str, encoder: str | None) -> Chain:
    kept = read_dictionary(path)
    base, step = kept.chain[:-1], kept.step
    same = chain_digest(base)
    for stored in store.features.values():
        if stored.digest == same:
            break
    else:
        raise ConfigError(_misfit(store, kept.path, base))
    if encoder is not None:
        name, given = split_spec(encoder)
        entry = find("encoders", name)
        own = step.settings["encoder_settings"] if name == step.settings["encoder"] else {}
        settings = {"encoder": name, "encoder_settings": resolve(entry, {**own, **given})}
        step = replace(step, settings={**step.settings, **settings})
    return extend(stored.chain, step)


def _with_run(store: Store, path: Path | str, layers: Sequence[str]) -> Chain:
    run = open_run(path)
    chain = run.chain()
    if not reaches(chain, stored_steps(store, chain)):
        raise ConfigError(_misfit(store, Path(path), chain))
    if "scores" in layers:
        if len(layers) > 1:
            raise ConfigError(f"layer {', '.join(layers)}: scores are taken alone")
        return extend(chain, scores_step(run))
    if run.net_file is None:
        raise ConfigError(
            f"{path}: its model is {run.settings['train']['model']!r}, which has no hidden layers "
            "to encode with; train a net (mcls list nets), or take its scores (--layer scores)"
        )
    from mcls.training.hidden import net_step

    return extend(chain, net_step(*read_tensors(run.net_file), layers))


def _misfit(store: Store, path: Path, base: Chain) -> str:
    """Say why no feature of a store fits a dictionary."""
    wanted = base[0]
    for stored in store.features.values():
        there = stored.chain[0]
        if there.name == wanted.name and len(stored.chain) == len(base):
            differ = [
                f"{key} is {wanted.settings.get(key)} there, {there.settings.get(key)} here"
                for key in sorted({*wanted.settings, *there.settings})
                if wanted.settings.get(key) != there.settings.get(key)
            ]
            why = "; ".join(differ) or "its learnt steps differ"
            return f"{path} was learnt from other features than {store.path} holds: {why}"
    return (
        f"{path} was learnt from {wanted.name!r} ({len(base)} steps); {store.path} holds "
        f"{', '.join(store.features)}"
    )


def stored_steps(store: Store, chain: Chain) -> dict[int, StoredRows]:
    """Return which steps of a chain a store has the rows of, by index."""
    digests = {stored.digest: stored for stored in store.features.values()}
    found = {}
    for i in range(len(chain)):
        digest = chain_digest(_up_to(chain, i))
        if digest in digests:
            found[i] = digests[digest]
    return found


def reaches(chain: Chain, found: Collection[int]) -> bool:
    """Return whether the result of a chain follows from the rows of some of its steps."""

    def follows(i: int) -> bool:
        return i in found or (bool(chain[i].inputs) and all(map(follows, chain[i].inputs)))

    return follows(len(chain) - 1)


def _up_to(chain: Chain, last: int) -> Chain:
    """Return the part of a chain that step `last` depends on, renumbered."""
    needed, waiting = set(), [last]
    while waiting:
        i = waiting.pop()
        needed.add(i)
        waiting.extend(chain[i].inputs)
    place = {old: new for new, old in enumerate(sorted(needed))}
    return tuple(
        replace(chain[i], inputs=tuple(place[j] for j in chain[i].inputs)) for i in sorted(needed)
    )


def encoded_track(stored: dict[int, StoredRows], chain: Chain, track: int) -> Timed:
    """Return the result of a chain for a track of a store, and its frame rate.

    Parameters
    ----------
    stored : dict
        From `stored_steps`.
    chain : Chain
        From `build_chain`.
    track : int
        Index in the store.
    """
    return apply_chain(
        chain, {i: (rows.track(track), rows.frame_rate) for i, rows in stored.items()}
    )


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
    if out.exists() and not overwrite:
        old = Store(out)
        if old.settings != asked:
            refuse_other_settings(out, old.settings, asked)
        if old.track_ids == source.track_ids:
            return _encoded(old, computed=False)
    stored = stored_steps(source, chain)
    with Shards(out, asked, overwrite=overwrite) as shards:
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
        shards.remove()
    return _encoded(Store(out), computed=True)


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
