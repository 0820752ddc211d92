"""Train the net of a plan: prepare the task, train it, and describe the result."""

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from mcls.chain.init_from import layer_arrays
from mcls.chain.match import stored_steps
from mcls.chain.step import RowsAndRate
from mcls.dictionaries.preprocessing import Preprocessing
from mcls.errors import ConfigError, DataError, MclsError
from mcls.registry import find
from mcls.settings import function_of, split_spec
from mcls.stages.hidden_groups import hidden_groups
from mcls.stages.moved_labels import moved_labels
from mcls.stages.plan import Plan
from mcls.stores.event_store import EventStore
from mcls.stores.store import StoredRows
from mcls.training.segment_augmentations import MovedLabels, augmentations_of
from mcls.training.segments import Batches, Tracks
from mcls.training.task import OnEpoch, OnNote, OnStep, TrainingTask

if TYPE_CHECKING:
    from torch import nn

    from mcls.training.model import TrainedNet
    from mcls.training.standardise import Standardise


@dataclass(frozen=True)
class NetResult:
    """A trained net and the facts of its training.

    Parameters
    ----------
    model : TrainedNet
        The net with the weights that are kept.
    n_rows : int
        Number of rows of the train part.
    about : dict
        JSON-like facts: the epoch that is kept, the number of epochs, the rows of a segment, ...
    notes : list of str
        Notes for readers of the scores, and hints, which start with ``hint:``.
    history : list of dict
        A row of figures per epoch.
    """

    model: "TrainedNet"
    n_rows: int
    about: dict[str, Any]
    notes: list[str] = field(default_factory=list)
    history: list[dict[str, float]] = field(default_factory=list)


def train_net(
    folder: Path,
    pieces: Path,
    plan: Plan,
    stored: Mapping[int, StoredRows],
    encoded: Callable[[int], RowsAndRate],
    *,
    on_epoch: OnEpoch | None = None,
    on_step: OnStep | None = None,
    on_note: OnNote | None = None,
) -> NetResult:
    """Train the net of a plan, or continue a training that was interrupted.

    Parameters
    ----------
    folder : Path
        The run folder that is being made.
    pieces : Path
        The folder for the state of the training, which is kept if the process is killed.
    plan : Plan
        The plan of a run with a net.
    stored : mapping of int to StoredRows
        Rows that the store has, by their step of the chain.
    encoded : callable
        Returns the rows of a track at the end of the chain, and their frame rate.
    on_epoch, on_step, on_note : callable or None
        Called with the row of the history after each epoch, with the number of steps done and of
        all steps after each step, and with notes about the training.

    Raises
    ------
    ConfigError
        If an option does not fit the rows.
    DataError
        If the labels of the train part cannot be learnt.
    MclsError
        If the loss becomes NaN or infinite.
    """
    from mcls.training.diagnosis import hints
    from mcls.training.fit import check_device, fit
    from mcls.training.logs import check_logs
    from mcls.training.losses import of_known
    from mcls.training.model import NetSpec, TrainedNet
    from mcls.training.validation import Validation

    training = plan.training
    assert training is not None and training.loss is not None
    check_device(training)
    check_logs(training)
    outputs, always = known_outputs(plan)
    numbers = _scale_of_numbers(plan)
    source, frame_rate = rows_of_parts(plan, stored, encoded, numbers)
    train = source("train", outputs)
    groups, notes = hidden_groups(plan, truth_of(plan, plan.parts.of("train")))
    train = replace(train, groups=groups)
    n_frames = segment_rows(plan, train.lengths, frame_rate)
    standardise = standardisation(plan, train)
    n_dims = train.array().shape[1]
    if training.test_shift >= n_dims:
        raise ConfigError(
            f"test_shift={training.test_shift}; expected 0 to {n_dims - 1}, as rows have {n_dims} "
            "dimensions"
        )
    net = first_net(plan, standardise.shape(n_frames, n_dims), len(outputs))
    spec = NetSpec(
        net=plan.settings["model"],
        settings=plan.model_settings,
        n_frames=n_frames,
        n_dims=n_dims,
        outputs=tuple(outputs),
        always=tuple(always),
        multi_label=plan.table.multi_label,
        loss=split_spec(training.loss)[0],
        short=training.short,
        learnt_from=learnt_from(plan),
        overlap=training.overlap,
        test_shift=training.test_shift,
        five_crop=training.five_crop,
        target_mean=() if numbers is None else tuple(numbers[0].tolist()),
        target_scale=() if numbers is None else tuple(numbers[1].tolist()),
    )
    batches = _batches(plan, train, n_frames, standardise, moved_labels(plan, n_dims, outputs))
    validation = None
    if plan.parts.counts()["valid"]:
        truth = truth_of(plan, plan.parts.of("valid"))
        how = plan.settings["aggregate"]
        validation = Validation(
            source("valid", outputs),
            truth,
            plan.table.names,
            how,
            training.monitor,
            unknown=unknown_of(plan, plan.parts.of("valid")),
        )
    loss = function_of("losses", training.loss)
    share = train.targets.mean(axis=0)
    if plan.table.unknown is not None:
        loss, share = partial(of_known, loss), np.nanmean(train.targets, axis=0)
    task = TrainingTask(
        model=TrainedNet(spec, net, standardise),
        batches=batches,
        valid=validation,
        loss=loss,
        optimizer=function_of("optimizers", training.optimizer),
        share=share,
        training=training,
        seed=plan.settings["seed"],
        path=pieces / "state.safetensors",
        head=None if groups is None else _group_head(plan, net, standardise, n_frames, train),
        name=folder.name,
        on_epoch=on_epoch,
        on_step=on_step,
        on_note=on_note,
    )
    try:
        model, state = fit(task)
    except MclsError:  # the checkpoint would only lead there again
        task.path.unlink(missing_ok=True)
        raise
    write_history(folder / "history.csv", state.history)
    if state.histograms:
        write_history(folder / "histograms.csv", state.histograms)
    notes += state.notes
    notes += [f"hint: {hint}" for hint in hints(task, state.history, state.best_epoch)]
    if validation is None:
        notes.append(
            f"no valid part: the last epoch ({state.best_epoch}) is kept, whether it is the best "
            "or not"
        )
    about = {
        "kept_epoch": state.best_epoch,
        "epochs": len(state.history),
        "monitor": training.monitor if validation is not None else None,
        "segment_rows": n_frames,
        "segment_seconds": None if frame_rate is None else n_frames / frame_rate,
        "segments_per_epoch": batches.n_segments,
        "parameters": sum(p.numel() for p in model.net.parameters()),
    }
    if state.rate is not None:
        about["lr"] = state.rate
    if state.batch_size is not None:
        about["batch_size"] = state.batch_size
    model.to(check_device(training))  # valid and test are scored where the net was trained
    return NetResult(model, int(train.lengths.sum()), about, notes, state.history)


def write_history(path: Path, history: Sequence[Mapping[str, Any]]) -> None:
    """Write a CSV file with a line per row; missing values are empty."""
    columns = list(dict.fromkeys(key for row in history for key in row))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(history)


def known_outputs(plan: Plan) -> tuple[list[int], list[int]]:
    """Return the labels that the net has outputs for, and those that all train tracks have."""
    targets = plan.table.targets()[_lines(plan, plan.parts.of("train"))]
    if plan.table.regression:
        return list(range(len(plan.table.names))), []
    known = np.asarray((targets == 1).any(axis=0))
    always = known & ~(targets == 0).any(axis=0)
    if not plan.table.multi_label:
        if known.sum() < 2:
            only = plan.table.names[int(known.argmax())]
            raise DataError(
                f"every train track is {only!r}: a net needs at least two classes "
                f"(label column {plan.settings['labels']!r})"
            )
        always = np.zeros_like(known)
    if not (known & ~always).any():
        raise DataError(
            "every label is on all train tracks or on none, so there is nothing to learn"
        )
    return np.flatnonzero(known & ~always).tolist(), np.flatnonzero(always).tolist()


def _scale_of_numbers(plan: Plan) -> tuple[np.ndarray, np.ndarray] | None:
    """Return mean and standard deviation of the train tracks' numbers; None without regression."""
    if not plan.table.regression:
        return None
    truth = truth_of(plan, plan.parts.of("train"))
    return truth.mean(axis=0), truth.std(axis=0)


def first_net(plan: Plan, sizes: tuple[int, int], n_outputs: int) -> "nn.Module":
    """Return the net with its initial weights, those of ``--init`` included."""
    from mcls.chain.init_weights import copy_layers
    from mcls.nets import build_net

    name = plan.settings["model"]
    net = build_net(name, plan.model_settings, *sizes, n_outputs, plan.settings["seed"])
    if plan.init is not None:
        if not hasattr(net, "load_layers"):
            raise ConfigError(
                f"--init: {name} cannot start from the layers of a dictionary; use --model mlp, or "
                "give a run"
            )
        layers = layer_arrays(plan.init)
        cast(Any, net).load_layers([w for w, _ in layers], [b for _, b in layers])
    if plan.inherited:
        copy_layers(net, plan.inherited)
    return net


def _batches(
    plan: Plan,
    train: Tracks,
    n_frames: int,
    standardise: "Standardise",
    moved: MovedLabels | None,
) -> Batches:
    """Return the batches of the train part, with its statistics for augmentations."""
    training = plan.training
    assert training is not None
    n_dims = train.array().shape[1]
    mean, scale = standardise.mean.numpy(), standardise.scale.numpy()
    if standardise.joined:
        mean, scale = np.zeros(1), np.ones(1)
    return Batches(
        train,
        n_frames,
        training.batch_size,
        seed=plan.settings["seed"],
        crops=training.crops,
        short=training.short,
        balance=training.balance,
        augment=augmentations_of(training.augment),
        moved_labels=moved,
        mean=np.broadcast_to(mean, n_dims).astype(np.float32),
        scale=np.broadcast_to(scale, n_dims).astype(np.float32),
    )


def _group_head(
    plan: Plan, net: "nn.Module", standardise: "Standardise", n_frames: int, train: Tracks
) -> "nn.Module":
    """Return the initial head of an adversary."""
    from mcls.training.adversary import group_head

    assert train.groups is not None
    sizes = standardise.shape(n_frames, train.array().shape[1])
    return group_head(net, *sizes, train.groups.shape[1], plan.settings["seed"])


def learnt_from(plan: Plan) -> tuple[str, ...]:
    """Return the train tracks and those that the layers of ``--init`` were learnt from."""
    seen = plan.train_ids()
    for step in (*([] if plan.init is None else [plan.init]), *plan.inherited):
        seen += step.learnt_from
    return tuple(dict.fromkeys(seen))


def truth_of(plan: Plan, tracks: np.ndarray) -> np.ndarray:
    """Return the labels of some tracks, ``(n_tracks, n_labels)`` bool, or their numbers."""
    return plan.table.matrix[_lines(plan, tracks)]


def _lines(plan: Plan, tracks: np.ndarray) -> np.ndarray:
    """Return the lines of some tracks in the table of labels."""
    return np.searchsorted(plan.parts.of("train", "valid", "test"), tracks)


def unknown_of(plan: Plan, tracks: np.ndarray) -> np.ndarray | None:
    """Return which labels of some tracks are unknown; None if all labels are known."""
    return None if plan.table.unknown is None else plan.table.unknown[_lines(plan, tracks)]


def rows_of_parts(
    plan: Plan,
    stored: Mapping[int, StoredRows],
    encoded: Callable[[int], RowsAndRate],
    numbers: tuple[np.ndarray, np.ndarray] | None = None,
) -> tuple[Callable[[str, list[int]], Tracks], float | None]:
    """Return a function that returns the tracks of a part, and the frame rate.

    Rows that the store has are read from its memory map; others are encoded once and kept in
    memory.
    """
    whole = stored.get(len(plan.chain) - 1)
    first = int(plan.parts.of("train")[0])
    frame_rate = encoded(first)[1] if whole is None else whole.frame_rate

    def tracks(part: str, outputs: list[int]) -> Tracks:
        index = plan.parts.of(part)
        truth = plan.table.targets()[_lines(plan, index)][:, outputs]
        if numbers is not None:
            truth = (truth - numbers[0]) / numbers[1]
        targets = truth.astype(np.float32)
        if whole is not None:
            rows: StoredRows | np.ndarray = whole
            starts, stops = whole.spans[index].T
        else:
            held = [encoded(int(i))[0] for i in index]
            rows, stops = np.concatenate(held), np.cumsum([len(one) for one in held])
            starts = np.concatenate([[0], stops[:-1]])
        empty = np.flatnonzero(stops == starts)
        if len(empty):
            name = plan.store.track_ids[index[empty[0]]]
            raise DataError(f"{plan.store.path}: track {name!r} has no rows")
        return Tracks(rows, starts.astype(np.int64), stops.astype(np.int64), targets)

    return tracks, frame_rate


def with_surroundings(
    plan: Plan, encoded: Callable[[int], RowsAndRate]
) -> tuple[Plan, dict[int, StoredRows]]:
    """Let a net that learns events read half a segment before and after each of them.

    So the middle of every segment is in the event whose label it has, wherever the segment ends,
    as when a timeline is predicted.

    Parameters
    ----------
    plan : Plan
        The plan of a run with a net that learns from an `EventStore`.
    encoded : callable
        Returns the rows of an event at the end of the chain, and their frame rate.

    Returns
    -------
    Plan
        With the number of rows of a segment and the wider events.
    dict of int to StoredRows
        Rows that the store has, by their step of the chain.
    """
    assert isinstance(plan.store, EventStore) and plan.training is not None
    index = plan.parts.of("train")
    rate = encoded(int(index[0]))[1]
    seconds = np.array([plan.store.events[i].seconds for i in index])
    n_frames = segment_rows(plan, np.maximum(1, seconds * (rate or 0)).astype(int), rate)
    if rate is not None:
        store = plan.store.widened((n_frames - 1) / 2 / rate)
        training = replace(plan.training, frames=n_frames, segment=None)
        plan = replace(plan, store=store, training=training)
    return plan, stored_steps(plan.store, plan.chain)


def segment_rows(plan: Plan, lengths: np.ndarray, frame_rate: float | None) -> int:
    """Return the number of rows of a segment."""
    training = plan.training
    assert training is not None
    if plan.init is not None:
        context = int(plan.init.settings["context"])
        if training.segment is not None or training.frames not in (None, context):
            raise ConfigError(
                f"--init was learnt from {context} frames at a time, so the net reads "
                f"segments of {context}; leave --segment and --frames out"
            )
        return context
    published = int(find("nets", plan.settings["model"]).facts.get("frames", 1))
    return training.segment_rows(frame_rate, published, int(np.median(lengths)))


def standardisation(plan: Plan, train: Tracks) -> "Standardise":
    """Return the standardisation of the input, learnt from the train part."""
    import torch

    from mcls.training.standardise import Standardise

    training = plan.training
    assert training is not None
    if plan.init is not None:
        kept = Preprocessing.from_arrays(plan.init.arrays)
        n_joined = int(plan.init.settings["context"]) * train.array().shape[1]
        mean = np.zeros(n_joined, np.float32) if kept.mean_ is None else kept.mean_
        scale = np.ones(n_joined, np.float32) if kept.scale_ is None else kept.scale_
        whitening = None if kept.components_ is None else torch.tensor(kept.components_)
        limits = None if kept.limits_ is None else torch.tensor(kept.limits_)
        return Standardise(torch.tensor(mean), torch.tensor(scale), whitening, limits, joined=True)
    if plan.inherited:
        from mcls.chain.init_weights import shared_standardisation

        return shared_standardisation(plan.inherited)
    mean, scale = np.zeros(1, np.float32), np.ones(1, np.float32)
    if training.standardize != "none":
        dims = train.array().shape[1] if training.standardize == "dims" else 1
        learnt = Preprocessing().fit_batches(
            lambda: (block.reshape(-1, dims) for block in train.blocks())
        )
        assert learnt.mean_ is not None and learnt.scale_ is not None
        mean, scale = learnt.mean_, learnt.scale_
    if not (np.isfinite(mean).all() and np.isfinite(scale).all()):
        raise DataError(f"{plan.store.path}: rows of the train part contain NaN or infinite values")
    return Standardise(torch.tensor(mean), torch.tensor(scale))
