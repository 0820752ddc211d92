"""Train a DNN-HMM: align frames with states, train the net on them, align again, and so on.

The steps are those of Dahl et al. (2012), section III, as far as a classifier of tracks has them:

1. train GMM-HMMs, one per class, and find the best path of each train track (forced alignment);
2. count how often each state occurs (its prior) and the transitions between states;
3. train a net on the state of the middle frame of each window, from the layers of ``--init``;
4. with the posteriors divided by the priors in place of the Gaussian mixtures, align again and go
   to 2, until the valid part is not recognised better.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.preprocessing import StandardScaler

from mcls.chain.step import RowsAndRate
from mcls.errors import ConfigError
from mcls.hmm.alignment import best_states
from mcls.hmm.baum_welch import Sequences, with_counts
from mcls.hmm.gmm_hmm import GMMHMMOptions, fit_gmm_hmms
from mcls.hmm.models import HMMs, offsets_of
from mcls.registry import find
from mcls.settings import function_of, split_spec
from mcls.stages.plan import Plan
from mcls.stages.train_net import (
    NetResult,
    first_net,
    known_outputs,
    learnt_from,
    rows_of_parts,
    segment_rows,
    standardisation,
    truth_of,
    write_history,
)
from mcls.stores.store import StoredRows
from mcls.training.options import Training
from mcls.training.segment_augmentations import augmentations_of
from mcls.training.segments import Batches, Tracks
from mcls.training.task import OnEpoch, OnNote, OnStep, TrainingTask

if TYPE_CHECKING:
    from mcls.training.hybrid import HybridNet, StateDecoder

#: Options of the training of nets that have no meaning here, at their defaults.
_REFUSED = (
    *("overlap", "test_shift", "five_crop", "crops", "balance"),
    *("label_rules", "short", "adversary"),
)


#: The tracks of the train and of the valid part, if there is one; targets are their labels.
_Parts = Mapping[str, Tracks]
#: The state of each row of each track, by part.
_Paths = Mapping[str, list[np.ndarray]]


def train_dnn_hmm(
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
    """Train the DNN-HMM of a plan; parameters and errors as in `train_net`."""
    from mcls.training.fit import check_device, fit
    from mcls.training.hybrid import HybridNet
    from mcls.training.logs import check_logs
    from mcls.training.model import NetSpec

    training = plan.training
    assert training is not None and training.loss is not None
    check_options(plan)
    check_device(training)
    check_logs(training)
    labels, _ = known_outputs(plan)
    source, frame_rate = rows_of_parts(plan, stored, encoded)
    parts = {part: source(part, labels) for part in ("train", "valid") if plan.parts.counts()[part]}
    train = parts["train"]
    n_frames = segment_rows(plan, train.lengths, frame_rate)
    n_dims = train.array().shape[1]
    standardise = standardisation(plan, train)
    hmms, paths = _first_alignment(plan, parts, len(labels))
    spec = NetSpec(
        net=plan.settings["model"],
        settings=plan.model_settings,
        n_frames=n_frames,
        n_dims=n_dims,
        outputs=tuple(range(hmms.n_pdfs)),
        always=(),
        multi_label=False,
        loss=split_spec(training.loss)[0],
        short=training.short,
        learnt_from=learnt_from(plan),
        overlap=(n_frames - 1) / n_frames,
    )
    rounds: list[dict[str, Any]] = []
    history: list[dict[str, float]] = []
    histograms: list[dict[str, Any]] = []
    notes: list[str] = []
    best, best_value = None, None
    for number in range(1 + plan.model_settings["realignments"]):
        hmms = _with_paths(hmms, train, paths["train"])
        net = first_net(plan, standardise.shape(n_frames, n_dims), hmms.n_pdfs)
        decoder = _decoder(plan, hmms, labels, train, paths["train"])
        model = HybridNet(spec, net, standardise, decoder)
        task = _task(plan, parts, paths, model)
        task.path = pieces / f"round-{number}.safetensors"
        task.name, task.on_step, task.on_note = folder.name, on_step, on_note
        numbered = partial(_numbered, number, len(history))
        if on_epoch is not None:
            task.on_epoch = _after(numbered, on_epoch)
        _, state = fit(task)
        kept = numbered(state.history[state.best_epoch - 1])
        facts: dict[str, Any] = {"round": number, "kept_epoch": kept["epoch"]}
        facts |= {key: value for key, value in kept.items() if key.startswith("valid_")}
        histograms += map(numbered, state.histograms)
        history += map(numbered, state.history)
        notes += [note for note in state.notes if note not in notes]
        rounds.append(facts)
        value = _value_of_round(task, kept)
        if value is not None and best_value is not None and value <= best_value:
            break
        best, best_value = (number, model), value
        if number < plan.model_settings["realignments"]:
            again = _aligned(parts, model)
            both = (np.concatenate(some["train"]) for some in (again, paths))
            facts["moved"] = float(np.not_equal(*both).mean())
            paths = again
    assert best is not None
    kept_round, model = best
    write_history(folder / "history.csv", history)
    if histograms:
        write_history(folder / "histograms.csv", histograms)
    about = {
        "kept_epoch": rounds[kept_round]["kept_epoch"],
        "epochs": len(history),
        "monitor": training.monitor if "valid" in parts else None,
        "kept_round": kept_round,
        "rounds": rounds,
        "states": hmms.n_pdfs,
        "segment_rows": n_frames,
        "segment_seconds": None if frame_rate is None else n_frames / frame_rate,
        "parameters": sum(p.numel() for p in model.net.parameters()),
    }
    model.to(check_device(training))
    if "valid" not in parts:
        notes.append(_unchosen(len(rounds)))
    return NetResult(model, int(train.lengths.sum()), about, notes, history)


def _value_of_round(task: TrainingTask, kept: Mapping[str, float]) -> float | None:
    """Return the value by which rounds are compared: the monitored one, or the accuracy.

    Losses on different alignments cannot be compared.
    """
    if task.valid is None:
        return None
    return kept["valid_accuracy"] if task.valid.monitor == "loss" else task.valid.value(kept)


def _numbered(number: int, before: int, row: Mapping[str, Any]) -> dict[str, Any]:
    """Return an epoch's row with the round, and with the epoch counted over all rounds."""
    return {**row, "epoch": before + row["epoch"], "round": number}


def _after(
    numbered: Callable[[Mapping[str, float]], dict[str, float]], on_epoch: OnEpoch
) -> OnEpoch:
    return lambda row: on_epoch(numbered(row))


def check_options(plan: Plan) -> None:
    """Refuse options that a DNN-HMM has no use for.

    Raises
    ------
    ConfigError
        Names the option and why.
    """
    training = plan.training
    assert training is not None and training.loss is not None
    if plan.table.multi_label or plan.table.regression:
        raise ConfigError(
            "dnn-hmm has one HMM per class, so every track needs one label; with several labels "
            "per track, use gmm-hmm or another net, and for numbers another net"
        )
    again = plan.model_settings["realignments"]
    if again < 0:
        raise ConfigError(f"realignments={again}; expected 0 or more")
    default = Training()
    for name in _REFUSED:
        if getattr(training, name) != getattr(default, name):
            raise ConfigError(
                f"{name}={getattr(training, name)} does not go with dnn-hmm, which learns the "
                "state of every frame from a window around it; leave the option out"
            )
    loss = split_spec(training.loss)[0]
    if find("losses", loss).facts["scores"] != "softmax":
        raise ConfigError(
            f"--loss {loss}: dnn-hmm needs posteriors of states; use --loss cross-entropy"
        )


def _first_alignment(plan: Plan, parts: _Parts, n_labels: int) -> tuple[HMMs, _Paths]:
    """Train GMM-HMMs; return their HMMs, and the best path of each track through that of its class.

    Rows are standardised per dimension for the Gaussians, whatever the net reads.
    """
    settings = plan.model_settings
    scaler = StandardScaler().fit(np.concatenate(list(_rows(parts["train"]))))
    rows = {part: [scaler.transform(one) for one in _rows(parts[part])] for part in parts}
    labels = _labels(parts["train"])
    data = []
    for label in range(n_labels):
        own = [rows["train"][i] for i in np.flatnonzero(labels == label)]
        data.append(Sequences(np.concatenate(own), offsets_of([len(one) for one in own])))
    hmms, mixtures, _ = fit_gmm_hmms(
        data,
        GMMHMMOptions(
            states=settings["states"],
            mixtures=settings["mixtures"],
            topology=settings["hmm"],
            skips=settings["skips"],
            tied_states=settings["tied_states"],
            random_state=plan.settings["seed"],
        ),
    )
    return hmms, {
        part: _best_paths(hmms, parts[part], map(mixtures.log_densities, rows[part]))
        for part in parts
    }


def _aligned(parts: _Parts, model: "HybridNet") -> _Paths:
    """Return the best path of each track through the HMM of its class, according to a DNN-HMM."""
    emissions = model.decoder.log_emissions
    return {
        part: _best_paths(
            model.decoder.hmms, tracks, (emissions(model.logits(rows)) for rows in _rows(tracks))
        )
        for part, tracks in parts.items()
    }


def _best_paths(hmms: HMMs, tracks: Tracks, emissions: Iterable[np.ndarray]) -> list[np.ndarray]:
    pairs = zip(_labels(tracks), emissions, strict=True)
    return [best_states(hmms, int(label), one, offsets_of([len(one)])) for label, one in pairs]


def _with_paths(hmms: HMMs, train: Tracks, paths: list[np.ndarray]) -> HMMs:
    """Return HMMs with starts and transitions counted along paths; each possible one counts 1 more.

    So a track that does what no train track does stays possible.
    """
    starts, arcs = ((one > -np.inf).astype(float) for one in (hmms.log_start, hmms.log_transitions))
    for label, path in zip(_labels(train), paths, strict=True):
        starts[label, path[0]] += 1
        np.add.at(arcs[label], (path[:-1], path[1:]), 1)
    return with_counts(hmms, starts, arcs)


def _decoder(
    plan: Plan, hmms: HMMs, labels: list[int], train: Tracks, paths: list[np.ndarray]
) -> "StateDecoder":
    """Return the decoder of an alignment, with the priors of states and classes."""
    from mcls.training.hybrid import StateDecoder

    outputs = np.concatenate(_outputs(hmms, train, paths))
    counts = np.bincount(outputs, minlength=hmms.n_pdfs) + 1.0
    log_priors = np.log(counts / counts.sum())
    if not plan.model_settings["prior_scaling"]:
        log_priors = np.zeros_like(log_priors)
    share = train.targets.mean(axis=0, dtype=np.float64)
    equal = plan.model_settings["priors"] == "equal"
    of_class = np.zeros(len(labels)) if equal else np.log(share)
    return StateDecoder(hmms, np.array(labels, dtype=np.int64), log_priors, of_class)


def _task(plan: Plan, parts: _Parts, paths: _Paths, model: "HybridNet") -> TrainingTask:
    """Return the training of the net on the states of the train part."""
    from mcls.training.hybrid import HybridValidation, padded

    training, spec, hmms = plan.training, model.spec, model.decoder.hmms
    assert training is not None and training.loss is not None
    one_hot = np.eye(len(spec.outputs), dtype=np.float32)
    train = parts["train"]
    targets = one_hot[np.concatenate(_outputs(hmms, train, paths["train"]))]
    rows = [padded(one, spec.n_frames) for one in _rows(train)]
    first = offsets_of([len(one) for one in rows])[:-1]
    starts = np.concatenate([first[i] + np.arange(n) for i, n in enumerate(train.lengths)])
    windows = Tracks(np.concatenate(rows), starts, starts + spec.n_frames, targets)
    validation = None
    if "valid" in parts:
        valid = parts["valid"]
        validation = HybridValidation(
            valid,
            truth_of(plan, plan.parts.of("valid")),
            plan.table.names,
            plan.settings["aggregate"],
            training.monitor,
            [one_hot[some] for some in _outputs(hmms, valid, paths["valid"])],
        )
    return TrainingTask(
        model=model,
        batches=Batches(
            windows,
            spec.n_frames,
            training.batch_size,
            seed=plan.settings["seed"],
            augment=augmentations_of(training.augment),
        ),
        valid=validation,
        loss=function_of("losses", training.loss),
        optimizer=function_of("optimizers", training.optimizer),
        share=targets.mean(axis=0),
        training=training,
        seed=plan.settings["seed"],
        path=Path(),
    )


def _rows(tracks: Tracks) -> Iterator[np.ndarray]:
    return (tracks.track(i).astype(np.float32, copy=False) for i in range(len(tracks)))


def _labels(tracks: Tracks) -> np.ndarray:
    """Return the class of each track, as the index of its HMM."""
    return np.asarray(tracks.targets.argmax(axis=1))


def _outputs(hmms: HMMs, tracks: Tracks, paths: list[np.ndarray]) -> list[np.ndarray]:
    """Return the output of the net for every row of each track."""
    pairs = zip(_labels(tracks), paths, strict=True)
    return [hmms.pdfs[label, path] for label, path in pairs]


def _unchosen(n_rounds: int) -> str:
    return (
        f"no valid part: the last epoch of the last of {n_rounds} trainings is kept, whether it "
        "is the best or not"
    )
