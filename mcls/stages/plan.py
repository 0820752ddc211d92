"""The plan of a run: everything that decides it, checked before any work.

`train` and `cross_validate` make plans with the same function.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mcls.chain.build import build_chain
from mcls.chain.init_from import mlp_settings, read_init
from mcls.chain.leaks import refuse_leaks
from mcls.chain.options import Representation
from mcls.data.options import Split
from mcls.data.parts import Parts, resolve_parts
from mcls.disk.chain import Chain, Step, chain_digest
from mcls.errors import ConfigError, DataError
from mcls.options import as_settings, options_of, takes_options
from mcls.parallel.memory import memory_budget
from mcls.registry import entries, find_in
from mcls.settings import digest, parse_pairs, resolve, spell_setting
from mcls.stages.event_tracks import event_tracks
from mcls.stages.options import Model
from mcls.stores.event_store import EventStore
from mcls.stores.store import Store
from mcls.tables.events import hold_events
from mcls.tables.labels import LabelTable, parse_labels
from mcls.tables.numbers import parse_numbers
from mcls.training.options import Training

#: The families of models.
MODELS = ("classifiers", "nets")

#: Keyword of an option to its key in run.toml, where they differ.
_KEYS = {
    one.name: one.word.replace("-", "_")
    for cls in (Representation, Model, Split, Training)
    for one in options_of(cls)
}


@dataclass(frozen=True)
class Plan:
    """A run whose settings and data have been checked.

    Parameters
    ----------
    store : Store
        The store with the rows; an `EventStore` if the label column holds events.
    settings : dict
        Every option of ``mcls train`` by its key in run.toml.
    origins : mapping of str to str
        The origin of each option: command line, environment, recipe or default.
    model : estimator or None
        The classifier before fitting; None for a net.
    model_settings : dict
        All settings of the classifier or the net.
    training : Training or None
        The options of the training of a net; None for a classifier.
    init : Step or None
        The dictionary that initialises the first layers of a net.
    inherited : tuple of Step
        The trained nets that initialise layers.
    chain : Chain
        The steps from the audio to the rows that the model reads.
    parts : Parts
        The part of every track.
    table : LabelTable
        The labels of the tracks that are in a part, in the order of the store.
    store_digest : str
        Digest of the store: its tracks, their audio and the settings of its features.
    key : str
        Digest of the plan: two plans with the same key make the same run.
    """

    store: Store
    settings: dict[str, Any]
    origins: Mapping[str, str]
    model: Any
    model_settings: dict[str, Any]
    training: Training | None
    init: Step | None
    inherited: tuple[Step, ...]
    chain: Chain
    parts: Parts
    table: LabelTable
    store_digest: str
    key: str

    def train_ids(self) -> list[str]:
        """Return the ``track_id`` of every track that the model learns from."""
        return list(dict.fromkeys(self.store.source_ids[i] for i in self.parts.of("train")))


@takes_options
def plan_run(
    store: Store,
    *,
    model: Model,
    representation: Representation,
    split: Split,
    training: Training,
    origins: Mapping[str, str] | None = None,
) -> Plan:
    """Check everything that decides a run; parameters and errors as in `train`."""
    entry = find_in(MODELS, model.model)
    given: dict[str, Any] = dict(parse_pairs(model.settings))
    if "random_state" in entry.settings:
        given.setdefault("random_state", split.seed)
    reads_scores = entry.facts.get("reads") == "scores"
    chain = build_chain(
        store,
        representation,
        layers=["scores"] if reads_scores and representation.dicts else (),
    )
    parts = resolve_parts(store, split=split)
    refuse_leaks(chain, parts, store.track_ids)
    store_digest = digest([store.track_ids, store.tracks.get("sha1"), store.settings])
    if hold_events(store.column(split.labels)):
        store, parts = event_tracks(store, chain, parts, split)
    table = _labels(store, split, parts)
    if table.regression:
        _check_regression(table, parts, model.aggregate)
    if entry.family == "classifiers" and entry.facts.get("regression", False) != table.regression:
        raise ConfigError(_wrong_kind(model.model, regression=table.regression))
    if reads_scores:
        check_scores(chain, table.names, model.model)
        given.setdefault("n_labels", len(table.names))
    how = init = None
    inherited: tuple[Step, ...] = ()
    if entry.family == "nets":
        how = training.for_labels(multi_label=table.multi_label, regression=table.regression)
        check_training(how, parts)
    else:
        _refuse_training(training, model.model)
    if how is not None and how.init:
        init, inherited = read_init(how.init, chain, store)
        refuse_leaks(((init,) if init else inherited), parts, store.source_ids)
        given = {**(mlp_settings(init) if init else {}), **given}
    model_settings = resolve(entry, given)
    chosen = replace(
        model,
        settings=tuple(f"{key}={spell_setting(value)}" for key, value in model_settings.items()),
    )
    options = [representation, chosen, split, *([] if how is None else [how])]
    settings, decides = (
        {key: value for one in options for key, value in as_settings(one, key_only=only).items()}
        for only in (False, True)
    )
    content = [store_digest, chain_digest(chain), parts.id, table.names, table.texts()]
    if how is None and model.memory is not None:
        content += [model.memory]  # it decides which rows are drawn, if not all fit
    memory_budget(model.memory)
    content += [store.times] if isinstance(store, EventStore) else []
    content += [chain_digest((step,)) for step in ((init,) if init else inherited)]
    said_by = {_KEYS.get(name, name): origin for name, origin in (origins or {}).items()}
    return Plan(
        store=store,
        settings=settings,
        origins={key: said_by.get(key, "default") for key in settings},
        model=None if how is not None else entry.load()(**model_settings),
        model_settings=model_settings,
        training=how,
        init=init,
        inherited=inherited,
        chain=chain,
        parts=parts,
        table=table,
        store_digest=store_digest,
        key=digest([decides, content]),
    )


def _refuse_training(training: Training, model: str) -> None:
    """Refuse options of the training of nets for a classifier."""
    for key, value in training.changed().items():
        raise ConfigError(
            f"{key}={value} is an option of nets (mcls list nets), but {model} is a classifier; "
            "its settings are given with -p"
        )


def check_scores(chain: Chain, labels: Sequence[str], model: str) -> None:
    """Refuse rows that are not scores of runs, for a model that reads scores.

    Raises
    ------
    ConfigError
        Names the step that is no run, or the labels that differ.
    """
    last = chain[-1]
    said = [chain[i] for i in last.inputs] if last.kind == "concat" else [last]
    for step in said:
        if step.kind != "scores":
            raise ConfigError(
                f"{model} reads scores of runs, but these rows are {step.name!r}; name the runs "
                "with --dict"
            )
        if step.settings["labels"] != list(labels):
            differ = ", ".join(sorted({*step.settings["labels"]} ^ {*labels})) or "in their order"
            raise ConfigError(
                f"{model}: the run of {step.name!r} was trained with different labels ({differ}); "
                "train both with the same label column"
            )


def check_training(training: Training, parts: Parts) -> None:
    """Refuse options that need a valid part if there is none.

    Raises
    ------
    ConfigError
        Names the options.
    """
    if parts.counts()["valid"]:
        return
    needs = find_in(("schedules",), training.schedule.partition(":")[0]).facts.get("needs_valid")
    asked = [f"--schedule {training.schedule}"] if needs else []
    if training.patience is not None:
        asked.append(f"--patience {training.patience}")
    if asked:
        raise ConfigError(
            f"{' and '.join(asked)} {'needs' if len(asked) == 1 else 'need'} a valid part, but "
            f"there is none ({parts.describe()}); draw one with --valid 0.1, or train without"
        )


def _wrong_kind(model: str, *, regression: bool) -> str:
    """Return what to say of a classifier for numbers, or of a regression for labels."""
    if not regression:
        return (
            f"{model} predicts numbers; pass --regression if the label column holds numbers, or "
            "use a classifier"
        )
    known = entries("classifiers").values()
    fitting = ", ".join(entry.name for entry in known if entry.facts.get("regression"))
    return f"{model} predicts labels; with --regression use {fitting}, or a net"


def _check_regression(table: LabelTable, parts: Parts, aggregate: str) -> None:
    """Refuse numbers that cannot be learnt, and what is for labels alone.

    Raises
    ------
    ConfigError
        If rows are to vote.
    DataError
        If all train tracks have the same number.
    """
    if aggregate == "vote":
        raise ConfigError("--aggregate vote is for labels; with --regression use mean or max")
    used = parts.of("train", "valid", "test")
    train = table.matrix[np.isin(used, parts.of("train"))]
    for name, column in zip(table.names, train.T, strict=True):
        if np.ptp(column) == 0:
            raise DataError(f"every train track has {name} = {column[0]:g}; nothing can be learnt")


def _labels(store: Store, split: Split, parts: Parts) -> LabelTable:
    column = split.labels
    used = parts.of("train", "valid", "test")
    cells = store.column(column)
    values = [cells[i] for i in used]
    multi = any("|" in value for value in values)
    where = [f"{store.path}: track {store.track_ids[i]!r}, column {column!r}" for i in used]
    if split.regression:
        return parse_numbers(values, column, where)
    may = multi and not isinstance(store, EventStore)  # no timeline knows of unknown labels
    return parse_labels(values, allow_empty=multi, unknown=may, where=where)
