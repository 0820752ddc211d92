"""Learn-dict: rows of the train part to a dictionary.

Rows are drawn equally per track and streamed from the store in batches; they are held in memory
only while they fit `HELD_BYTES`. So memory grows neither with the store nor with what is drawn.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mcls.dictionaries.preprocessing import Preprocessing, join_frames
from mcls.disk.chain import Step, chain_digest, extend
from mcls.disk.dictionary import read_dictionary, write_dictionary
from mcls.disk.store import Store, StoredRows
from mcls.errors import ConfigError, DataError
from mcls.registry import find
from mcls.settings import digest, parse_pairs, resolve
from mcls.stages.parts import resolve_parts

Progress = Callable[[int, int, float], None]

#: Bytes of preprocessed rows that are held; more are read again on every pass.
HELD_BYTES = 1 << 29
#: Numbers of raw rows that are read from the store at once.
_READ = 1 << 21
#: Rows in a batch.
_BATCH = 8192


@dataclass(frozen=True)
class Learnt:
    """What `learn_dict` made.

    Attributes
    ----------
    path : Path
        The dictionary.
    report : dict
        JSON-like: atoms, dims, rows, tracks, and what the method measured.
    computed : bool
        False if the dictionary was there already.
    """

    path: Path
    report: dict[str, Any]
    computed: bool


def learn_dict(
    store: Path | str,
    out: Path | str,
    *,
    feature: str | None = None,
    method: str = "kmeans",
    size: int = 256,
    rows: int | None = 500_000,
    context: int = 1,
    standardize: bool = True,
    whiten: float | None = None,
    whiten_eps: float = 0.01,
    settings: Sequence[str] = (),
    device: str = "cpu",
    labels: str = "labels",
    split: str = "split",
    fold: str | None = None,
    valid: float = 0.1,
    group: str | None = "group",
    seed: int = 0,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Learnt:
    """Learn a dictionary from the train part of a store.

    Parameters
    ----------
    store : path
        A store.
    out : path
        The dictionary to make. If the same one is there, nothing is done.
    feature : str or None
        Which feature; may be left out if there is one.
    method : str
        A dictionary of the registry.
    size : int
        Atoms.
    rows : int or None
        Rows drawn, equally from every track; None takes all.
    context : int
        Frames joined to one row.
    standardize, whiten, whiten_eps
        See `Preprocessing`.
    settings : sequence of str
        Settings of the method, ``key=value``.
    device : str
        Where a method that computes with torch does so: ``cpu``, ``cuda``, ``cuda:1``.
    labels, split, fold, valid, group, seed
        Which tracks are in the train part; see `resolve_parts`.
    overwrite : bool
        Replace a dictionary made otherwise.
    progress : callable or None
        ``progress(batches read, 0, 0.0)``.

    Returns
    -------
    Learnt

    Raises
    ------
    ConfigError
        If a setting is wrong, or `out` is another dictionary.
    DataError
        If the split cannot be used, or there are fewer rows than atoms.
    """
    out = Path(out)
    opened = Store(store)
    stored = opened.feature(feature)
    entry = find("dictionaries", method)
    given: dict[str, Any] = dict(parse_pairs(settings))
    given.setdefault("n_atoms", size)
    if "random_state" in entry.settings:
        given.setdefault("random_state", seed)
    if "device" in entry.settings:
        given.setdefault("device", device)
    elif device != "cpu":
        raise ConfigError(f"device={device}: {method} computes on the CPU only")
    method_settings = resolve(entry, given)
    if context < 1 or (rows is not None and rows < 1):
        raise ConfigError(f"context={context}, rows={rows}; expected 1 or more")
    preprocessing = Preprocessing(standardize=standardize, whiten=whiten, eps=whiten_eps)
    parts = resolve_parts(
        opened, split=split, fold=fold, valid=valid, group=group, labels=labels, seed=seed
    )
    train = parts.of("train")
    asked = {
        "method": method_settings,
        "rows": rows,
        "context": context,
        "standardize": standardize,
        "whiten": whiten,
        "whiten_eps": whiten_eps,
        "seed": seed,
        "feature": stored.digest,
        "train": [opened.track_ids[i] for i in train],
    }
    key = digest([method, asked])
    if out.exists():
        there = read_dictionary(out)
        if there.key == key:
            return Learnt(out, there.report, computed=False)
        if not overwrite:
            raise ConfigError(
                f"{out} is a dictionary made otherwise (other settings, features or tracks); use "
                "another output, or --overwrite"
            )
    sample = Sample(stored, train, n_rows=rows, context=context, seed=seed, progress=progress)
    if len(sample) < method_settings["n_atoms"]:
        raise DataError(
            f"{len(sample)} rows of {len(train)} train tracks are fewer than "
            f"{method_settings['n_atoms']} atoms; use a smaller --size or more data"
        )
    preprocessing.fit_batches(sample.raw)
    sample.preprocessing = preprocessing
    model = entry.load()(**method_settings)
    if entry.facts.get("watches_valid"):
        watched = parts.of("valid")
        unseen = Sample(stored, watched, n_rows=rows, context=context, seed=seed)
        unseen.preprocessing = preprocessing
        model.fit_batches(sample, valid=unseen if len(watched) else None)
    else:
        model.fit_batches(sample)
    encoder_settings = model.encoder_settings() if hasattr(model, "encoder_settings") else {}
    step = Step(
        "dictionary",
        method,
        {
            "method": method_settings,
            "context": context,
            "standardize": standardize,
            "whiten": whiten,
            "whiten_eps": whiten_eps,
            "encoder": entry.facts["encoder"],
            "encoder_settings": encoder_settings,
        },
        arrays={**preprocessing.arrays(), **_atoms_first(model.arrays())},
        learnt_from=tuple(opened.track_ids[i] for i in train),
    )
    chain = extend(stored.chain, step)
    report = {
        "method": method,
        "feature": stored.name,
        "n_atoms": int(step.arrays["atoms"].shape[0]),
        "n_dims": int(step.arrays["atoms"].shape[1]),
        "rows": len(sample),
        "tracks": len(train),
        "split": parts.describe(),
        "split_id": parts.id,
        "feature_digest": chain_digest(stored.chain),
        **_measured(model, len(sample)),
    }
    write_dictionary(out, chain, report, key)
    return Learnt(out, report, computed=True)


class Sample:
    """Rows drawn equally from tracks; every call yields them all, in batches.

    Rows that fit in memory are held, preprocessed, in a random order; more are read from the store
    at each call, track after track in a random order of tracks.

    Parameters
    ----------
    stored : StoredRows
        The feature.
    tracks : np.ndarray
        Which tracks.
    n_rows : int or None
        How many rows; None: all.
    context : int
        Frames joined to a row.
    seed : int
        Of the drawing and the order.
    """

    def __init__(
        self,
        stored: StoredRows,
        tracks: np.ndarray,
        *,
        n_rows: int | None,
        context: int,
        seed: int,
        progress: Progress | None = None,
    ) -> None:
        self.stored = stored
        self.context = context
        self.seed = seed
        self.progress = progress
        self.preprocessing: Preprocessing | None = None
        self._held: np.ndarray | None = None
        rng = np.random.default_rng([seed, 1])
        order = rng.permutation(tracks)
        lengths = stored.offsets[order + 1] - stored.offsets[order]
        there = np.where(lengths > 0, np.maximum(1, lengths - context + 1), 0)
        quota = there if n_rows is None else equal_shares(there, n_rows)
        self._plan = [
            (int(track), None if take == n else np.sort(rng.choice(n, take, replace=False)), int(n))
            for track, take, n in zip(order, quota, there, strict=True)
            if take
        ]
        self._n = int(quota.sum())
        self._batches = 0

    def __len__(self) -> int:
        return self._n

    def __call__(self) -> Iterator[np.ndarray]:
        """Yield batches of preprocessed rows ``(n, n_dims)``, float32."""
        if self._held is None:
            preprocessing = self.preprocessing or Preprocessing(standardize=False)
            batches = (preprocessing.transform(batch) for batch in self.raw())
            first = next(batches, None)
            if first is None:
                return
            if 4 * self._n * first.shape[1] > HELD_BYTES:
                yield first
                yield from batches
                return
            held = np.empty((self._n, first.shape[1]), np.float32)
            held[: len(first)] = first
            done = len(first)
            for batch in batches:
                held[done : done + len(batch)] = batch
                done += len(batch)
            rng = np.random.default_rng([self.seed, 2])
            rng.shuffle(held)
            self._held = held
        for start in range(0, self._n, _BATCH):
            self._tell()
            yield self._held[start : start + _BATCH]

    def raw(self) -> Iterator[np.ndarray]:
        """Yield batches of joined rows before preprocessing."""
        waiting: list[np.ndarray] = []
        n_waiting = 0
        for track, picked, n in self._plan:
            for rows in self._track(track, picked, n):
                waiting.append(rows)
                n_waiting += len(rows)
                if n_waiting >= _BATCH:
                    self._tell()
                    yield np.concatenate(waiting)
                    waiting, n_waiting = [], 0
        if waiting:
            yield np.concatenate(waiting)

    def _track(self, track: int, picked: np.ndarray | None, n: int) -> Iterator[np.ndarray]:
        """Yield the picked rows of one track, reading bounded stretches of it."""
        begin, end = int(self.stored.offsets[track]), int(self.stored.offsets[track + 1])
        step = max(1, _READ // (self.stored.n_dims * self.context))
        for start in range(0, n, step):
            stop = min(start + step, n)
            some = None if picked is None else picked[(picked >= start) & (picked < stop)] - start
            if some is not None and not len(some):
                continue
            last = min(begin + stop + self.context - 1, end)
            joined = join_frames(self.stored.read(begin + start, last), self.context)
            yield joined if some is None else joined[some]

    def _tell(self) -> None:
        self._batches += 1
        if self.progress is not None:
            self.progress(self._batches, 0, 0.0)


def equal_shares(there: np.ndarray, wanted: int) -> np.ndarray:
    """Share `wanted` rows out: as equally as tracks of ``there`` rows allow.

    Examples
    --------
    >>> equal_shares(np.array([2, 100, 100]), 62).tolist()
    [2, 30, 30]
    """
    if wanted >= there.sum():
        return there
    low, high = 0, int(there.max(initial=0))
    while low < high:  # the largest level at which the tracks together give no more than wanted
        level = (low + high + 1) // 2
        low, high = (level, high) if np.minimum(there, level).sum() <= wanted else (low, level - 1)
    shares = np.minimum(there, low)
    more = np.flatnonzero(there > low)[: wanted - int(shares.sum())]
    shares[more] += 1
    return shares


def _atoms_first(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {"atoms": arrays["atoms"], **arrays}


def _measured(model: Any, n_rows: int) -> dict[str, Any]:
    """Return what a method measured, as far as it did."""
    measured: dict[str, Any] = {}
    if hasattr(model, "inertia_"):
        measured["inertia"] = float(model.inertia_) / n_rows
    if hasattr(model, "usage_"):
        usage = np.asarray(model.usage_)
        measured["usage"] = [round(float(share), 9) for share in usage]
        measured["utilisation"] = float(np.mean(usage > 0))
    if hasattr(model, "perplexity_"):
        measured["perplexity"] = float(model.perplexity_)
    if hasattr(model, "history_"):
        measured["history"] = model.history_
    return {
        key: value
        for key, value in measured.items()
        if not (isinstance(value, float) and not math.isfinite(value))
    }
