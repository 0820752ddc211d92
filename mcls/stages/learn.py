"""Learn a dictionary from the rows of the train part."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mcls import __version__
from mcls.data.onsets import Onsets
from mcls.data.options import Split
from mcls.data.parts import resolve_parts
from mcls.data.sampling import Sample
from mcls.dictionaries.options import Learning
from mcls.dictionaries.preprocessing import Preprocessing
from mcls.disk.chain import Step, chain_digest, extend
from mcls.disk.dictionary import read_dictionary, write_dictionary
from mcls.disk.layers import LayerFiles
from mcls.disk.store import Store
from mcls.disk.workspace import Workspace
from mcls.errors import ConfigError, DataError
from mcls.options import takes_options
from mcls.parallel.progress import Progress
from mcls.registry import Entry, find
from mcls.settings import digest, parse_pairs, resolve


@dataclass(frozen=True)
class Learnt:
    """The result of `learn_dict`.

    Attributes
    ----------
    path : Path
        The dictionary.
    report : dict
        JSON-like: numbers of atoms, dimensions, rows and tracks, and figures of the method.
    computed : bool
        False if the dictionary existed already.
    """

    path: Path
    report: dict[str, Any]
    computed: bool


@takes_options
def learn_dict(
    store: Path | str,
    out: Path | str,
    *,
    learning: Learning,
    split: Split,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Learnt:
    """Learn a dictionary from the train part of a store.

    Finished layers of a ``dbn`` are kept beside `out` until it is complete. A command that was
    killed learns only the missing layers when it is started again, and writes the same bytes.

    Parameters
    ----------
    store : path
        A store.
    out : path
        The dictionary to write. If the same one exists, nothing is done.
    learning : Learning
        As keywords: ``method``, ``size``, ``rows`` and the other options of learning.
    split : Split
        As keywords: ``labels``, ``split``, ``fold``, ``valid``, ``group`` and ``seed``; they decide
        which tracks are in the train part.
    overwrite : bool
        Replace a dictionary with other settings.
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
    stored = opened.feature(learning.feature)
    entry = find("dictionaries", learning.method)
    method_settings = _method_settings(entry, learning, seed=split.seed)
    onsets = None
    if learning.sampling == "onset":
        onsets = Onsets(opened, stored, learning.segment)
    preprocessing = Preprocessing(
        standardize=learning.standardize, whiten=learning.whiten, eps=learning.whiten_eps
    )
    parts = resolve_parts(opened, split=split)
    train = parts.of("train")
    watched = parts.of("valid") if entry.facts.get("watches_valid") else train[:0]
    audio = opened.tracks.get("sha1")
    prepared = {
        "context": learning.context,
        "standardize": learning.standardize,
        "whiten": learning.whiten,
        "whiten_eps": learning.whiten_eps,
    }
    asked = {
        "method": method_settings,
        "rows": learning.rows,
        "sampling": None if onsets is None else [onsets.onset.digest, learning.segment],
        **prepared,
        "seed": split.seed,
        "feature": stored.digest,
        "train": [opened.track_ids[i] for i in train],
        "valid": [opened.track_ids[i] for i in watched],
        "audio": None if audio is None else [audio[i] for i in [*train, *watched]],
    }
    key = digest([learning.method, asked])
    work = Workspace(out, key)
    there = _there(out, key, overwrite=overwrite)
    if there is not None and not work.is_there:
        return there

    def draw(tracks: np.ndarray) -> Sample:
        return Sample(
            stored,
            tracks,
            n_rows=learning.rows,
            context=learning.context,
            seed=split.seed,
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
            learning.method,
            {
                "method": method_settings,
                **prepared,
                "encoder": entry.facts["encoder"],
                "encoder_settings": encoder_settings,
            },
            arrays={**preprocessing.arrays(), **_atoms_first(model.arrays())},
            learnt_from=tuple(opened.track_ids[i] for i in train),
        )
        chain = extend(stored.chain, step)
        report = {
            "method": learning.method,
            "feature": stored.name,
            "n_atoms": int(step.arrays["atoms"].shape[0]),
            "n_dims": int(step.arrays["atoms"].shape[1]),
            "rows": len(sample),
            "sampling": learning.sampling,
            "tracks": len(train),
            "split": parts.describe(),
            "split_id": parts.id,
            "feature_digest": chain_digest(stored.chain),
            **_measured(model, len(sample)),
        }
        write_dictionary(out, chain, report, key)
    return Learnt(out, report, computed=True)


def _method_settings(entry: Entry, learning: Learning, *, seed: int) -> dict[str, Any]:
    """Return all settings of a method; those of ``settings`` win over the options of the stage."""
    given: dict[str, Any] = dict(parse_pairs(learning.settings))
    if "device" not in entry.settings and learning.device != "cpu":
        raise ConfigError(f"device={learning.device}: {entry.name} computes on the CPU only")
    options = (("n_atoms", learning.size), ("random_state", seed), ("device", learning.device))
    for name, value in options:
        if name in entry.settings:
            given.setdefault(name, value)
    return resolve(entry, given)


def _there(out: Path, key: str, *, overwrite: bool) -> Learnt | None:
    """Return the dictionary if it was learnt before; refuse to replace a different one."""
    if not out.exists():
        return None
    there = read_dictionary(out)
    if there.key == key:
        return Learnt(out, there.report, computed=False)
    if not overwrite:
        raise ConfigError(
            f"{out} is a dictionary with other settings, features or tracks; choose another "
            "output, or pass --overwrite to replace it"
        )
    return None


def _atoms_first(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {"atoms": arrays["atoms"], **arrays}


def _measured(model: Any, n_rows: int) -> dict[str, Any]:
    """Return the figures that a method has measured."""
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
