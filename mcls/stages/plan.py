"""What decides a run, checked before any work: shared by `train` and `cross_validate`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcls.chain.build import build_chain
from mcls.chain.init_from import layers_of, to_begin_with
from mcls.chain.leaks import refuse_leaks
from mcls.data.parts import Parts, resolve_parts
from mcls.disk.chain import Chain, Step, chain_digest
from mcls.disk.labels import LabelTable, parse_labels
from mcls.disk.store import Store
from mcls.errors import ConfigError, suggest
from mcls.evaluation.aggregate import AGGREGATES
from mcls.registry import find_in
from mcls.settings import digest, parse_pairs, resolve
from mcls.training.options import (
    NOT_DECIDING,
    Training,
    refuse_training,
    takes_training,
    training_of,
)

#: What a model may be.
MODELS = ("classifiers", "nets")


@dataclass(frozen=True)
class Plan:
    """A run that can be made.

    Parameters
    ----------
    store : Store
        Where the rows are.
    settings : dict
        Every option of ``mcls train``, as run.toml keeps them.
    origins : mapping of str to str
        Where each came from.
    model : estimator or None
        The classifier, not fitted; None for a net.
    model_settings : dict
        Of the classifier or the net, all of them.
    training : Training or None
        How a net is trained; None for a classifier.
    init : Step or None
        The dictionary that a net's first layers come from.
    inherited : tuple of Step
        The trained nets that layers come from.
    chain : Chain
        From the audio to the classifier's rows.
    parts : Parts
        The part of every track.
    table : LabelTable
        The labels of the tracks of any part, in the order of the store.
    store_digest : str
        16 hex digits that name the store: its tracks, their audio, how its rows were made.
    key : str
        16 hex digits: two plans with the same key make the same run.
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


@takes_training
def plan_run(
    store: Store,
    *,
    model: str = "svm",
    feature: str | None = None,
    dicts: Sequence[Path | str] = (),
    encoder: str | None = None,
    pool: Sequence[str] = (),
    settings: Sequence[str] = (),
    labels: str = "labels",
    split: str = "split",
    fold: str | None = None,
    valid: float = 0.1,
    group: str | None = "group",
    aggregate: str = "mean",
    seed: int = 0,
    origins: Mapping[str, str] | None = None,
    **training: Any,
) -> Plan:
    """Check everything that decides a run; parameters and errors as in `train`."""
    if aggregate not in AGGREGATES:
        raise ConfigError(f"aggregate {aggregate!r}: {suggest(aggregate, AGGREGATES)}")
    entry = find_in(MODELS, model)
    given: dict[str, Any] = dict(parse_pairs(settings))
    if "random_state" in entry.settings:
        given.setdefault("random_state", seed)
    if entry.family != "nets":
        refuse_training(training, model)
    reads_scores = entry.facts.get("reads") == "scores"
    chain = build_chain(
        store, feature, dicts, encoder, pool, layers=["scores"] if reads_scores and dicts else ()
    )
    parts = resolve_parts(
        store, split=split, fold=fold, valid=valid, group=group, labels=labels, seed=seed
    )
    refuse_leaks(chain, parts, store.track_ids)
    table = _labels(store, labels, parts)
    if reads_scores:
        check_scores(chain, table.names, model)
        given.setdefault("n_labels", len(table.names))
    how = init = None
    inherited: tuple[Step, ...] = ()
    if entry.family == "nets":
        how = training_of(training, multi_label=table.multi_label)
        check_training(how, parts)
    if how is not None and how.init:
        init, inherited = to_begin_with(how.init, chain, store)
        refuse_leaks(((init,) if init else inherited), parts, store.track_ids)
        given = {**(layers_of(init) if init else {}), **given}
    model_settings = resolve(entry, given)
    taken = {
        "feature": feature,
        "dict": [str(path) for path in dicts],
        "encoder": encoder,
        "pool": list(pool),
        "model": model,
        "param": [f"{key}={_said(value)}" for key, value in model_settings.items()],
        "aggregate": aggregate,
        "labels": labels,
        "split": split,
        "fold": fold,
        "valid": valid,
        "group": group,
        "seed": seed,
    }
    if how is not None:
        taken |= {key: _listed(value) for key, value in vars(how).items()}
    aside = ("dict", "init", *NOT_DECIDING)
    decides = {key: value for key, value in taken.items() if key not in aside}
    store_digest = digest([store.track_ids, store.tracks.get("sha1"), store.settings])
    content = [store_digest, chain_digest(chain), parts.id, table.names, table.texts()]
    content += [chain_digest((step,)) for step in ((init,) if init else inherited)]
    given_by = {"dicts": "dict", "settings": "param"}
    said = {given_by.get(name, name): origin for name, origin in (origins or {}).items()}
    return Plan(
        store=store,
        settings=taken,
        origins={key: said.get(key, "default") for key in taken},
        model=None if entry.family == "nets" else entry.load()(**model_settings),
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


def check_scores(chain: Chain, labels: Sequence[str], model: str) -> None:
    """Refuse rows that are not the scores of runs, for a model that reads nothing else.

    Raises
    ------
    ConfigError
        Saying what there is instead, or which labels differ.
    """
    last = chain[-1]
    said = [chain[i] for i in last.inputs] if last.kind == "concat" else [last]
    for step in said:
        if step.kind != "scores":
            raise ConfigError(
                f"{model} reads what runs say, and these rows are of {step.name!r}; name the runs "
                "with --dict"
            )
        if step.settings["labels"] != list(labels):
            differ = ", ".join(sorted({*step.settings["labels"]} ^ {*labels})) or "in their order"
            raise ConfigError(
                f"{model}: the run of {step.name!r} was trained with other labels than this one "
                f"would be ({differ})"
            )


def check_training(training: Training, parts: Parts) -> None:
    """Refuse what needs a valid part where there is none.

    Raises
    ------
    ConfigError
        Naming the option.
    """
    if parts.counts()["valid"]:
        return
    needs = find_in(("schedules",), training.schedule.partition(":")[0]).facts.get("needs_valid")
    asked = [f"--schedule {training.schedule}"] if needs else []
    if training.patience is not None:
        asked.append(f"--patience {training.patience}")
    if asked:
        raise ConfigError(
            f"{' and '.join(asked)}: there is no valid part to watch ({parts.describe()}); draw "
            "one with --valid 0.1, or leave them out"
        )


def _labels(store: Store, column: str, parts: Parts) -> LabelTable:
    used = parts.of("train", "valid", "test")
    cells = store.column(column)
    values = [cells[i] for i in used]
    multi = any("|" in value for value in values)
    where = [f"{store.path}: track {store.track_ids[i]!r}, column {column!r}" for i in used]
    return parse_labels(values, allow_empty=multi, where=where)


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _said(value: Any) -> str:
    """Write a setting as one writes it on the command line."""
    if isinstance(value, list | tuple):
        return "x".join(map(str, value))
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)
