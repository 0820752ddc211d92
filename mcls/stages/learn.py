"""Learn-dict: rows of the train part to a dictionary."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mcls import __version__
from mcls.data.onsets import Onsets
from mcls.data.parts import resolve_parts
from mcls.data.sampling import SAMPLINGS, Sample
from mcls.dictionaries.preprocessing import Preprocessing
from mcls.disk.chain import Step, chain_digest, extend
from mcls.disk.dictionary import read_dictionary, write_dictionary
from mcls.disk.layers import LayerFiles
from mcls.disk.store import Store
from mcls.disk.workspace import Workspace
from mcls.errors import ConfigError, DataError, suggest
from mcls.parallel.progress import Progress
from mcls.registry import Entry, find
from mcls.settings import digest, parse_pairs, resolve


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
    sampling: str = "random",
    segment: float = 1.0,
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

    Layers of a ``dbn`` that have learnt are kept beside `out` until it is there: killed and started
    again, it learns those that are missing, and becomes the same bytes.

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
        Atoms; says nothing to a method whose settings have other sizes in its place (``dbn``).
    rows : int or None
        Rows drawn, equally from every track; None takes all.
    sampling : {'random', 'onset'}
        Draw from all rows of a track, or from those where in each segment the novelty is largest.
    segment : float
        Seconds of a segment, for onset sampling.
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
        If a setting is wrong, onset sampling finds no novelty in the store, or `out` is another
        dictionary.
    DataError
        If the split cannot be used, or there are fewer rows than atoms.
    """
    out = Path(out)
    opened = Store(store)
    stored = opened.feature(feature)
    entry = find("dictionaries", method)
    method_settings = _method_settings(entry, settings, size=size, seed=seed, device=device)
    if context < 1 or (rows is not None and rows < 1):
        raise ConfigError(f"context={context}, rows={rows}; expected 1 or more")
    if sampling not in SAMPLINGS:
        raise ConfigError(f"sampling {sampling!r}: {suggest(sampling, SAMPLINGS)}")
    onsets = Onsets(opened, stored, segment) if sampling == "onset" else None
    preprocessing = Preprocessing(standardize=standardize, whiten=whiten, eps=whiten_eps)
    parts = resolve_parts(
        opened, split=split, fold=fold, valid=valid, group=group, labels=labels, seed=seed
    )
    train = parts.of("train")
    watched = parts.of("valid") if entry.facts.get("watches_valid") else train[:0]
    audio = opened.tracks.get("sha1")
    asked = {
        "method": method_settings,
        "rows": rows,
        "sampling": None if onsets is None else [onsets.onset.digest, segment],
        "context": context,
        "standardize": standardize,
        "whiten": whiten,
        "whiten_eps": whiten_eps,
        "seed": seed,
        "feature": stored.digest,
        "train": [opened.track_ids[i] for i in train],
        "valid": [opened.track_ids[i] for i in watched],
        "audio": None if audio is None else [audio[i] for i in [*train, *watched]],
    }
    key = digest([method, asked])
    work = Workspace(out, key)
    there = _there(out, key, overwrite=overwrite)
    if there is not None and not work.is_there:
        return there

    def draw(tracks: np.ndarray) -> Sample:
        return Sample(
            stored,
            tracks,
            n_rows=rows,
            context=context,
            seed=seed,
            onsets=onsets,
            progress=progress,
        )

    with work:
        there = _there(out, key, overwrite=overwrite)
        if there is not None:
            return there
        sample = draw(train)
        if len(sample) < method_settings.get("n_atoms", 1):
            raise DataError(
                f"{len(sample)} rows of {len(train)} train tracks are fewer than "
                f"{method_settings['n_atoms']} atoms; use a smaller --size"
                f"{', a shorter --segment' if onsets else ''} or more data"
            )
        preprocessing.fit_batches(sample.raw)
        sample.preprocessing = preprocessing
        model = entry.load()(**method_settings)
        more: dict[str, Any] = {}
        if len(watched):
            more["valid"] = draw(watched)
            more["valid"].preprocessing = preprocessing
        if entry.facts.get("resumes"):
            layers = LayerFiles(work.pieces, digest([key, __version__]))
            model.fit_batches(sample, **more, kept=layers.read(), keep=layers.write)
        else:
            model.fit_batches(sample, **more)
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
            "sampling": sampling,
            "tracks": len(train),
            "split": parts.describe(),
            "split_id": parts.id,
            "feature_digest": chain_digest(stored.chain),
            **_measured(model, len(sample)),
        }
        write_dictionary(out, chain, report, key)
    return Learnt(out, report, computed=True)


def _method_settings(
    entry: Entry, settings: Sequence[str], *, size: int, seed: int, device: str
) -> dict[str, Any]:
    """Return all settings of a method; what the stage says counts where `settings` are silent."""
    given: dict[str, Any] = dict(parse_pairs(settings))
    if "device" not in entry.settings and device != "cpu":
        raise ConfigError(f"device={device}: {entry.name} computes on the CPU only")
    for name, value in (("n_atoms", size), ("random_state", seed), ("device", device)):
        if name in entry.settings:
            given.setdefault(name, value)
    return resolve(entry, given)


def _there(out: Path, key: str, *, overwrite: bool) -> Learnt | None:
    """Return the dictionary if it was learnt before; refuse to replace another one."""
    if not out.exists():
        return None
    there = read_dictionary(out)
    if there.key == key:
        return Learnt(out, there.report, computed=False)
    if not overwrite:
        raise ConfigError(
            f"{out} is a dictionary made otherwise (other settings, features or tracks); use "
            "another output, or --overwrite"
        )
    return None


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
