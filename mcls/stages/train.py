"""Train a model on the train part, score all parts, and write a run folder.

A model is a classifier or a net (`mcls.stages.train_net`). A classifier learns from rows: frames,
windows or whole tracks, according to the chain. Every row has the labels of its track. Settings of
a classifier are chosen on the valid part, or by folds of the train part in which the rows of a
group stay together. The scores of rows, or of a net's segments, are combined to scores of tracks
(`mcls.evaluation.aggregate`). The tracks of the train part are scored, too, except augmented
copies, so that overfitting can be seen.
"""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mcls.chain.match import encoded_track, stored_steps
from mcls.chain.options import Representation
from mcls.chain.step import RowsAndRate
from mcls.data.options import Split
from mcls.data.parts import copies
from mcls.disk.run import open_run, write_parts, written_folder
from mcls.disk.workspace import Workspace
from mcls.errors import ConfigError, DataError
from mcls.evaluation import evaluate
from mcls.evaluation.aggregate import score_tracks
from mcls.evaluation.thresholds import best_thresholds
from mcls.options import takes_options
from mcls.parallel.memory import memory_budget
from mcls.parallel.progress import Progress
from mcls.registry import find
from mcls.remote.functions import takes_urls
from mcls.stages.calibrate import calibrate_run
from mcls.stages.moved_labels import label_notes
from mcls.stages.options import Model
from mcls.stages.plan import Plan, plan_run
from mcls.stages.pooling_notes import pooling_notes
from mcls.stages.predict_events import learnt_order, measure_events, predict_events
from mcls.stages.provenance import provenance
from mcls.stages.train_classifier import fit_classifier
from mcls.stages.train_net import train_net, with_surroundings
from mcls.stores.event_store import EventStore
from mcls.stores.store import Store
from mcls.tables.event_table import EVENTS_FILE, write_event_table
from mcls.tables.predictions import Predictions, write_predictions
from mcls.tabular import Tabular, metric_columns
from mcls.training.options import Training
from mcls.training.task import OnEpoch, OnNote


@dataclass(frozen=True, repr=False)
class Trained(Tabular):
    """The result of `train`.

    Parameters
    ----------
    path : Path
        The run folder.
    summary : dict
        JSON-like: model, labels, tracks per part, split id, metrics, notes, seconds.
    computed : bool
        False if the run existed already.
    """

    path: Path
    summary: dict[str, Any]
    computed: bool

    @property
    def title(self) -> str:
        """The path, the model, the number of rows and of labels."""
        told = self.summary
        return f"{self.path}: {told['model']} on {told['rows']} rows, {told['n_labels']} labels"

    def columns(self, most: int | None = None) -> dict[str, list[Any]]:
        """Return a row per part and metric."""
        return metric_columns(self.summary["metrics"])


@takes_urls(reads=("store", "dicts", "init"), writes=("run", "tensorboard"))
@takes_options
def train(
    store: Path | str,
    run: Path | str,
    *,
    model: Model,
    representation: Representation,
    split: Split,
    training: Training,
    overwrite: bool = False,
    progress: Progress | None = None,
    on_epoch: OnEpoch | None = None,
    on_note: OnNote | None = None,
    origins: Mapping[str, str] | None = None,
) -> Trained:
    """Train a classifier or a net on the rows of a store and write a run folder.

    A training that was killed continues when it is started again.

    Parameters
    ----------
    store : path
        A store.
    run : path
        The run folder to make. With the same settings and data it is left as it is.
    model : Model
        As keywords: ``model``, ``settings`` and ``aggregate``.
    representation : Representation
        As keywords: ``feature``, ``dicts``, ``encoder`` and ``pool``; rows are encoded as `encode`
        does it.
    split : Split
        As keywords: ``labels``, ``split``, ``fold``, ``valid``, ``group`` and ``seed``. A ``|`` in
        the label column makes every label a decision of its own.
    training : Training
        As keywords: the options of the training of nets, such as ``epochs``.
    overwrite : bool
        Replace a run made with other settings.
    progress : callable or None
        ``progress(tracks done, tracks in all, seconds of audio)``; for a net, steps.
    on_epoch : callable or None
        Called with the figures of a net after each epoch, by name.
    on_note : callable or None
        Called with notes about how a net is trained, before its first epoch; ``summary["notes"]``
        has them, too.
    origins : mapping or None
        Where each setting came from, for run.toml.

    Returns
    -------
    Trained

    Raises
    ------
    ConfigError
        If a setting is wrong, or the folder holds another run.
    DataError
        If labels or parts cannot be used, or a step was learnt from valid or test tracks.
    """
    run = Path(run)
    plan = plan_run(
        Store(Path(store)),
        model=model,
        representation=representation,
        split=split,
        training=training,
        origins=origins,
    )
    work = Workspace(run, plan.key)
    there = _there(run, plan, overwrite=overwrite)
    if there is not None and not work.is_there:
        return there
    with work:
        there = _there(run, plan, overwrite=overwrite)
        if there is not None:
            return there
        started = None if any(work.pieces.iterdir()) else time.monotonic()
        with written_folder(run, overwrite=overwrite) as folder:
            summary = fill_run(
                folder,
                work.pieces,
                plan,
                started=started,
                progress=progress,
                on_epoch=on_epoch,
                on_note=on_note,
            )
    return Trained(run, summary, computed=True)


def _there(run: Path, plan: Plan, *, overwrite: bool) -> Trained | None:
    """Return the run if it was trained before; refuse to replace another one."""
    if not (run / "about.json").is_file():
        return None
    there = open_run(run)
    if there.about.get("key") == plan.key:
        return Trained(run, {**there.about["summary"], "metrics": there.metrics()}, computed=False)
    if not overwrite:
        raise ConfigError(_other_run(run, there.settings.get("train", {}), plan.settings))
    return None


def fill_run(
    folder: Path,
    pieces: Path,
    plan: Plan,
    *,
    started: float | None,
    progress: Progress | None = None,
    on_epoch: OnEpoch | None = None,
    on_note: OnNote | None = None,
) -> dict[str, Any]:
    """Train, score and write all files of a run into an empty folder; return the summary.

    The state of a training that may be killed is kept in the folder `pieces`. `started` is the time
    (``time.monotonic``) from which the training counts; None if another process began it, so that
    its duration is not known.
    """
    opened = time.monotonic()
    store, parts, names = plan.store, plan.parts, plan.table.names
    scored = parts.of("valid", "test")
    stored = stored_steps(store, plan.chain)

    def encoded(i: int) -> RowsAndRate:
        if any(np.ptp(some.spans[i]) == 0 for some in stored.values()):
            raise DataError(f"{store.path}: track {store.track_ids[i]!r} has no rows")
        return encoded_track(stored, plan.chain, i)

    if plan.training is None:
        same = stored.get(len(plan.chain) - 1)
        fitted = fit_classifier(plan, encoded, progress, stored=same, folder=pieces)
        rows, n_rows, held_out = fitted.rows, fitted.n_rows, fitted.held_out
        model, notes, more = plan.model, fitted.notes, {}
    else:
        states = find("nets", plan.settings["model"]).facts.get("outputs") == "states"
        if isinstance(store, EventStore) and not states:
            plan, stored = with_surroundings(plan, encoded)
        if states:
            from mcls.stages.train_dnn_hmm import train_dnn_hmm as train_it  # scikit-learn, numba
        else:
            train_it = train_net
        trained = train_it(
            folder,
            pieces,
            plan,
            stored,
            encoded,
            on_epoch=on_epoch,
            on_step=None if progress is None else lambda done, total: progress(done, total, 0.0),
            on_note=on_note,
        )
        rows, n_rows, held_out = {}, trained.n_rows, None
        model, notes, more = trained.model, trained.notes, trained.about
    trained_at = time.monotonic()
    scores = _score(plan, model, (encoded(i)[0] for i in map(int, scored)))
    scored_at = time.monotonic()
    originals = _originals(plan)
    kept = (rows[i] if i in rows else encoded(i)[0] for i in map(int, originals))
    scores += _score(plan, model, kept)
    predictions = _predictions(plan, np.concatenate([scored, originals]), scores)
    write_predictions(folder / "predictions.csv", predictions)
    calibration, more["calibration"] = calibrate_run(plan, model, predictions, held_out)
    metrics: dict[str, Any] = {
        part: evaluate(predictions.only(part)).as_dict()
        for part in ("valid", "test")
        if part in predictions.parts
    }
    learnt: dict[str, Any] = {}
    if isinstance(store, EventStore):
        learnt["events"] = learnt_order(plan)
        timelines = predict_events(plan, model, learnt["events"], calibration)
        write_event_table(folder / EVENTS_FILE, timelines)
        for part in metrics:
            measured = measure_events(timelines, {part})
            metrics[part]["timelines"] = {name: one.as_dict() for name, one in measured.items()}
    summary = {
        "model": plan.settings["model"],
        "n_labels": len(names),
        "multi_label": plan.table.multi_label,
        **({"regression": True} if plan.table.regression else {}),
        "tracks": parts.counts(),
        "rows": n_rows,
        "split": parts.describe(),
        "split_id": parts.id,
        "notes": [
            *parts.notes,
            *_unknown(plan),
            *_absent(plan),
            *pooling_notes(plan),
            *label_notes(plan),
            *notes,
        ],
        **({"training": more} if plan.training is not None else {}),
        "seconds": round(time.monotonic() - opened, 3),
    }
    more["training_seconds"] = None if started is None else round(trained_at - started, 3)
    more["tracks_per_second"] = round(len(scored) / max(scored_at - trained_at, 1e-6), 1)
    write_parts(
        folder,
        command="train",
        settings=plan.settings,
        origins=plan.origins,
        chain=plan.chain,
        model=model,
        learnt_from=plan.train_ids(),
        metrics=metrics,
        calibration=None if calibration is None else calibration.as_dict(),
        about={**_with_thresholds(provenance(plan, model, summary), predictions), **more, **learnt},
    )
    return {**summary, "metrics": metrics}


def _with_thresholds(about: dict[str, Any], predictions: Predictions) -> dict[str, Any]:
    """Add the threshold of each label, learnt on the valid part, if tracks have several labels."""
    if not predictions.multi_label or "valid" not in predictions.parts:
        return about
    valid = predictions.only("valid")
    found = best_thresholds(
        valid.truth, valid.scores, default=about["threshold"], unknown=valid.unknown
    )
    return {**about, "thresholds": found.tolist()}


def _score(plan: Plan, model: Any, rows: Iterable[np.ndarray]) -> list[np.ndarray]:
    how, memory = plan.settings["aggregate"], memory_budget(plan.settings["memory"])
    return list(
        score_tracks(model, rows, n_labels=len(plan.table.names), how=how, block_bytes=memory // 2)
    )


def _originals(plan: Plan) -> np.ndarray:
    """Return the tracks of the train part that are no augmented copies."""
    train = plan.parts.of("train")
    return train[~np.isin(train, list(copies(plan.store)))]


def _predictions(plan: Plan, tracks: np.ndarray, scores: list[np.ndarray]) -> Predictions:
    used = plan.parts.of("train", "valid", "test")
    lines = np.searchsorted(used, tracks)
    unknown = plan.table.unknown
    return Predictions(
        track_ids=[plan.store.source_ids[i] for i in tracks],
        parts=[plan.parts.values[i] for i in tracks],
        folds=[plan.parts.fold or ""] * len(tracks),
        names=plan.table.names,
        truth=plan.table.matrix[lines],
        scores=np.array(scores).reshape(len(tracks), len(plan.table.names)),
        multi_label=plan.table.multi_label,
        times=[plan.store.times[i] for i in tracks] if isinstance(plan.store, EventStore) else None,
        unknown=None if unknown is None else unknown[lines],
    )


def _unknown(plan: Plan) -> list[str]:
    """Say how many labels of tracks are unknown, and which label is known of the fewest tracks."""
    unknown = plan.table.unknown
    if unknown is None:
        return []
    used = plan.parts.of("train", "valid", "test")
    known = (~unknown[np.isin(used, plan.parts.of("train"))]).sum(axis=0)
    fewest = int(known.argmin())
    return [
        f"{int(unknown.sum())} of {unknown.size} pairs of a track and a label are unknown, so they "
        f"are neither learnt from nor measured; {plan.table.names[fewest]!r} is known of the "
        f"fewest train tracks, {int(known[fewest])}"
    ]


def _absent(plan: Plan) -> list[str]:
    """Name the labels that no train track has."""
    if plan.table.regression:
        return []
    used = plan.parts.of("train", "valid", "test")
    train = np.isin(used, plan.parts.of("train"))
    absent = np.flatnonzero(~plan.table.matrix[train].any(axis=0))
    if not len(absent):
        return []
    names = ", ".join(plan.table.names[label] for label in absent)
    return [f"{len(absent)} labels are on no train track and are given the lowest score: {names}"]


def _other_run(run: Path, there: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    differ = [
        f"{key} is {there.get(key)} there and {value} here"
        for key, value in wanted.items()
        if there.get(key) != value and key != "dict"
    ]
    what = "; ".join(differ) or "its store, split or dictionary differs"
    return (
        f"{run} holds another run ({what}); choose another name, or pass --overwrite to replace it"
    )
