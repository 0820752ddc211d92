"""Learn a dictionary from the rows of the train part."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mcls import __version__
from mcls.data.onsets import Onsets
from mcls.data.options import Split
from mcls.data.parts import Parts, resolve_parts
from mcls.data.sampling import Sample
from mcls.dictionaries.options import Learning
from mcls.dictionaries.preprocessing import Preprocessing
from mcls.disk.chain import Chain, Step, chain_digest, extend
from mcls.disk.dictionary import read_dictionary, write_dictionary
from mcls.disk.finite import not_finite
from mcls.disk.layers import LayerFiles, LayerState
from mcls.disk.outputs import check_suffix
from mcls.disk.workspace import Workspace
from mcls.errors import ConfigError, DataError
from mcls.options import takes_options
from mcls.parallel.memory import memory_budget
from mcls.parallel.processes import differing, from_first, lead, n_joined
from mcls.parallel.progress import Progress
from mcls.registry import Entry, entries, find
from mcls.remote.functions import takes_urls
from mcls.settings import digest, parse_pairs, resolve
from mcls.stages.dictionary_labels import TrackLabels, labels_of_tracks
from mcls.stores.store import Store, StoredRows


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


@takes_urls(reads=("store",), writes=("out",))
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
        If a setting is wrong, the store has no onset feature for onset sampling, or `out` is
        another dictionary.
    DataError
        If the split cannot be used, or there are fewer rows than atoms.
    """
    out = Path(out)
    check_suffix(out, "a dictionary")
    plan = _plan(Store(store), learning, split)
    work = Workspace(out, plan.key)
    there = _there(out, plan.key, overwrite=overwrite)
    if there is not None and not work.is_there:
        return there
    with work:
        there = _there(out, plan.key, overwrite=overwrite)
        if there is not None:
            return there
        layers = LayerFiles(work.pieces, digest([plan.key, __version__]))
        kept = layers.read() if plan.entry.facts.get("resumes") else []
        chain, report = lead(_learn, plan, kept, keep=layers.write, progress=progress)
        write_dictionary(out, chain, report, plan.key)
    return Learnt(out, report, computed=True)


@dataclass(frozen=True)
class _Plan:
    """Everything that decides a dictionary, checked before any work."""

    stored: StoredRows
    learning: Learning
    seed: int
    entry: Entry
    method_settings: dict[str, Any]
    onsets: Onsets | None
    parts: Parts
    track_ids: Sequence[str]
    watched: np.ndarray
    labels: TrackLabels | None
    key: str

    @property
    def prepared(self) -> dict[str, Any]:
        """The options that decide what happens to rows before they are learnt from."""
        names = ("context", "standardize", "whiten", "whiten_eps")
        said = {name: getattr(self.learning, name) for name in names}
        return {**said, "min_max": True} if self.learning.min_max else said


def _plan(store: Store, learning: Learning, split: Split) -> _Plan:
    stored = store.feature(learning.feature)
    entry = find("dictionaries", learning.method)
    onsets = None
    if learning.sampling == "onset":
        onsets = Onsets(store, stored, learning.segment)
    parts = resolve_parts(store, split=split)
    train = parts.of("train")
    plan = _Plan(
        stored=stored,
        learning=learning,
        seed=split.seed,
        entry=entry,
        method_settings=_method_settings(entry, learning, seed=split.seed),
        onsets=onsets,
        parts=parts,
        track_ids=store.track_ids,
        watched=parts.of("valid") if entry.facts.get("watches_valid") else train[:0],
        labels=None,
        key="",
    )
    if n_joined() > 1:
        _check_distributed(plan)
    wanted = entry.facts.get("labels_if")
    if wanted and plan.method_settings[wanted]:
        plan = replace(plan, labels=labels_of_tracks(store, parts, split))
    audio = store.tracks.get("sha1")
    decides = {
        "method": plan.method_settings,
        "rows": learning.rows,
        "sampling": None if onsets is None else [onsets.onset.digest, learning.segment],
        **plan.prepared,
        "seed": split.seed,
        "feature": stored.digest,
        "train": [store.track_ids[i] for i in train],
        "valid": [store.track_ids[i] for i in plan.watched],
        "audio": None if audio is None else [audio[i] for i in [*train, *plan.watched]],
    }
    if learning.memory is not None:
        decides["memory"] = learning.memory  # rows that do not fit come in another order
    memory_budget(learning.memory)
    if plan.labels is not None:
        decides["labels"] = [plan.labels.names, plan.labels.targets.argmax(axis=1).tolist()]
    return replace(plan, key=digest([learning.method, decides]))


def _learn(
    plan: _Plan,
    kept: list[LayerState],
    *,
    keep: Callable[[int, LayerState], None] | None = None,
    progress: Progress | None = None,
) -> tuple[Chain, dict[str, Any]]:
    """Learn the dictionary; return the chain that ends with it, and the report."""
    learning, train = plan.learning, plan.parts.of("train")
    memory = memory_budget(learning.memory)

    def draw(tracks: np.ndarray) -> Sample:
        return Sample(
            plan.stored,
            tracks,
            n_rows=learning.rows,
            context=learning.context,
            seed=plan.seed,
            hold=memory // (4 if len(plan.watched) else 2),
            onsets=plan.onsets,
            progress=progress,
        )

    sample = draw(train)
    n_atoms = plan.method_settings.get("n_atoms", 1)
    if len(sample) < n_atoms:
        raise DataError(
            f"{len(sample)} rows of {len(train)} train tracks are fewer than {n_atoms} atoms; use "
            f"a smaller --size{', a shorter --segment' if plan.onsets else ''} or more data"
        )
    preprocessing = Preprocessing(
        standardize=learning.standardize,
        whiten=learning.whiten,
        min_max=learning.min_max,
        eps=learning.whiten_eps,
    )
    preprocessing = from_first(preprocessing.fit_batches(sample.raw))
    sample.preprocessing = preprocessing
    model = plan.entry.load()(**plan.method_settings)
    more: dict[str, Any] = {}
    if len(plan.watched):
        more["valid"] = draw(plan.watched)
        more["valid"].preprocessing = preprocessing
    if plan.entry.facts.get("resumes"):
        more |= {"kept": kept, "keep": keep}
    if plan.labels is not None:
        targets = plan.labels.targets
        more["labelled"] = partial(sample.with_columns, targets)
        if "valid" in more:
            more["valid_labelled"] = partial(more["valid"].with_columns, targets)
    model.fit_batches(sample, **more)
    arrays = {**preprocessing.arrays(), **_atoms_first(model.arrays())}
    if bad := not_finite(arrays):
        raise DataError(
            f"{learning.method}: learning diverged: {bad} are NaN or infinite; try other settings, "
            "or rows that are standardised"
        )
    step = Step(
        "dictionary",
        learning.method,
        {
            "method": plan.method_settings,
            **plan.prepared,
            "encoder": plan.entry.facts["encoder"],
            "encoder_settings": (
                model.encoder_settings() if hasattr(model, "encoder_settings") else {}
            ),
            **({"labels": plan.labels.names} if plan.labels is not None else {}),
        },
        arrays=arrays,
        learnt_from=tuple(plan.track_ids[i] for i in train),
    )
    notes = [*plan.parts.notes]
    if (size := _gpu_batch_size(plan.entry, learning)) is not None:
        notes.append(
            f"{learning.method} learns from minibatches of {size} rows on a GPU; choose another "
            "size with --param batch_size=N"
        )
    if others := differing(chain_digest((step,))):
        notes.append(
            f"processes {', '.join(map(str, others))} have other last digits than process 0, as on "
            "processors of another type; one process would have others, too"
        )
    report = {
        "method": learning.method,
        "feature": plan.stored.name,
        "n_atoms": int(step.arrays["atoms"].shape[0]),
        "n_dims": int(step.arrays["atoms"].shape[1]),
        "rows": len(sample),
        "sampling": learning.sampling,
        "tracks": len(train),
        "split": plan.parts.describe(),
        "split_id": plan.parts.id,
        "feature_digest": chain_digest(plan.stored.chain),
        **_measured(model, len(sample)),
        **({"notes": notes} if notes else {}),
    }
    return extend(plan.stored.chain, step), report


def _check_distributed(plan: _Plan) -> None:
    """Refuse what several processes cannot share."""
    name = plan.entry.name
    if not plan.entry.facts.get("distributed"):
        can = [one for one, it in entries("dictionaries").items() if it.facts.get("distributed")]
        raise ConfigError(
            f"{name} learns in one process; run it without torchrun, or choose one of "
            f"{', '.join(can)}"
        )
    if plan.learning.device != "cpu":
        raise ConfigError(
            f"--device {plan.learning.device}: under torchrun, dictionaries are learnt on CPUs; "
            "leave --device out, or run the command without torchrun"
        )
    if plan.method_settings.get("up_down"):
        raise ConfigError(f"{name}: up_down learns in one process; run it without torchrun")


def _method_settings(entry: Entry, learning: Learning, *, seed: int) -> dict[str, Any]:
    """Return all settings of a method; those of ``settings`` win over the options of the stage."""
    given: dict[str, Any] = dict(parse_pairs(learning.settings))
    if "device" not in entry.settings and learning.device != "cpu":
        raise ConfigError(f"device={learning.device}: {entry.name} computes on the CPU only")
    options = (("n_atoms", learning.size), ("random_state", seed), ("device", learning.device))
    for name, value in options:
        if name in entry.settings:
            given.setdefault(name, value)
    if (size := _gpu_batch_size(entry, learning)) is not None:
        given["batch_size"] = size
    return resolve(entry, given)


def _gpu_batch_size(entry: Entry, learning: Learning) -> int | None:
    """Return the batch size that a method has on a GPU where none is given, if it has one."""
    given = parse_pairs(learning.settings)
    on_gpu = str(given.get("device", learning.device)).startswith("cuda")
    return entry.facts.get("gpu_batch_size") if on_gpu and "batch_size" not in given else None


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
