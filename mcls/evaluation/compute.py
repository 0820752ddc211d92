"""Computing the metrics of predictions, with confidence intervals."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from mcls.disk.predictions import Predictions
from mcls.errors import ConfigError, DataError
from mcls.evaluation.bootstrap import draw_weights, interval
from mcls.evaluation.classification import confusion_matrix
from mcls.evaluation.results import Estimate, Evaluation, MetricResult
from mcls.registry import Entry, entries, find
from mcls.settings import resolve, split_spec


def evaluate(
    predictions: Predictions,
    metrics: Sequence[str] | None = None,
    *,
    threshold: float | None = None,
    n_bootstrap: int = 1000,
    seed: int = 0,
    confusion: bool = False,
) -> Evaluation:
    """Compute metrics of predictions.

    Parameters
    ----------
    predictions : Predictions
        Predictions of the tracks to evaluate; see `Predictions.only`.
    metrics : sequence of str or None
        Names or specs of metrics, such as ``precision-at-k:k=5``. None takes accuracy, AUC and F1
        for single-label data, AUC and average precision for multi-label data.
    threshold : float or None
        Score from which a label counts as predicted, for multi-label data. None takes 0.5 if all
        scores are in [0, 1].
    n_bootstrap : int >= 0
        Bootstrap replicates of the confidence intervals; 0 omits the intervals.
    seed : int
        Random seed of the replicates.
    confusion : bool
        Compute the confusion matrix too.

    Returns
    -------
    Evaluation

    Raises
    ------
    ConfigError
        If a metric is unknown or unsuitable for the labels.
    DataError
        If the predictions are inconsistent.

    Examples
    --------
    >>> report = evaluate(Predictions(
    ...     track_ids=["a", "b", "c"], parts=["test"] * 3, folds=[""] * 3, names=["jazz", "rock"],
    ...     truth=np.array([[1, 0], [1, 0], [0, 1]], dtype=bool),
    ...     scores=np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]]), multi_label=False,
    ... ), ["accuracy"])
    >>> round(report["accuracy"].micro.value, 3)
    0.667
    """
    validate(predictions)
    if n_bootstrap < 0:
        raise ConfigError(f"n_bootstrap is {n_bootstrap}; expected 0 (no intervals) or more")
    kind = "multi-label" if predictions.multi_label else "single-label"
    if not metrics:
        known = entries("metrics").values()
        metrics = [entry.name for entry in known if kind in entry.facts["default_for"]]
    wanted = [_resolve_metric(spec, predictions, threshold) for spec in dict.fromkeys(metrics)]
    if confusion and predictions.multi_label:
        raise ConfigError(
            "a confusion matrix needs exactly one label per track; use --per-label instead"
        )

    truth, n_tracks = predictions.truth, len(predictions)
    support = truth.sum(axis=0)
    left_out = {
        name: "no track has it" if n == 0 else "every track has it"
        for name, n in zip(predictions.names, support.tolist(), strict=True)
        if n in (0, n_tracks)
    }
    once = np.ones((1, n_tracks), dtype=np.int32)
    drawn = draw_weights(n_tracks, n_bootstrap, seed) if n_bootstrap else None
    results = {
        spec: _compute(entry, settings, predictions, once, drawn)
        for spec, entry, settings in wanted
    }
    thresholds = [settings["threshold"] for *_, settings in wanted if "threshold" in settings]
    return Evaluation(
        part="+".join(dict.fromkeys(part for part in predictions.parts if part)) or "all",
        n_tracks=n_tracks,
        names=predictions.names,
        multi_label=predictions.multi_label,
        support=dict(zip(predictions.names, support.tolist(), strict=True)),
        left_out=left_out,
        metrics=results,
        n_bootstrap=n_bootstrap,
        seed=seed,
        threshold=thresholds[0] if thresholds else None,
        confusion=confusion_matrix(truth, predictions.scores).tolist() if confusion else None,
    )


def validate(predictions: Predictions) -> None:
    """Check that predictions are consistent.

    Raises
    ------
    DataError
        If there are no tracks, fewer than two labels, arrays of the wrong shape, NaN among the
        scores, or single-label tracks without exactly one label.
    """
    shape = (len(predictions.track_ids), len(predictions.names))
    if shape[0] == 0:
        raise DataError("there are no tracks to evaluate")
    if shape[1] < 2 or len(set(predictions.names)) < shape[1]:
        raise DataError(
            f"the labels are {predictions.names}; expected two or more different labels"
        )
    for what, array in (("true labels", predictions.truth), ("scores", predictions.scores)):
        if array.shape != shape:
            raise DataError(f"the {what} have shape {array.shape}; expected {shape}")
    if predictions.truth.dtype != bool:
        raise DataError(f"the true labels are {predictions.truth.dtype}; expected bool")
    bad = np.isnan(predictions.scores).any(axis=1)
    if bad.any():
        first = predictions.track_ids[int(bad.argmax())]
        raise DataError(f"{int(bad.sum())} tracks have NaN scores, such as {first!r}")
    odd = predictions.truth.sum(axis=1) != 1
    if not predictions.multi_label and odd.any():
        first = predictions.track_ids[int(odd.argmax())]
        raise DataError(
            f"track {first!r} has {int(predictions.truth[odd][0].sum())} labels; expected exactly "
            "one"
        )


def _resolve_metric(
    spec: str, predictions: Predictions, threshold: float | None
) -> tuple[str, Entry, dict[str, Any]]:
    """Return a metric and its settings; raise if it is unsuitable for the labels."""
    name, given = split_spec(spec)
    entry = find("metrics", name)
    settings = resolve(entry, given)
    if predictions.multi_label and entry.facts.get("single_label_only"):
        others = [e.name for e in entries("metrics").values() if "single_label_only" not in e.facts]
        raise ConfigError(
            f"{name} needs exactly one label per track, but this data is multi-label; "
            f"use one of {', '.join(others)}"
        )
    if "threshold" in settings:
        settings["threshold"] = _threshold(name, predictions, settings["threshold"], threshold)
    return spec, entry, settings


def _threshold(
    name: str, predictions: Predictions, own: float | None, common: float | None
) -> float | None:
    given = own if own is not None else common
    if not predictions.multi_label:
        if own is not None:
            raise ConfigError(
                f"{name}: each track has one label, so the label with the highest score is "
                "predicted; leave out the threshold"
            )
        return None
    if given is not None:
        return given
    scores = predictions.scores
    if scores.min() < 0 or scores.max() > 1:
        raise ConfigError(
            f"{name}: scores from {scores.min():.3g} to {scores.max():.3g} are not probabilities; "
            "pass --threshold with the score from which a label counts as predicted"
        )
    return 0.5


def _compute(
    entry: Entry,
    settings: dict[str, Any],
    predictions: Predictions,
    once: np.ndarray,
    drawn: np.ndarray | None,
) -> MetricResult:
    """Compute one metric for all tracks and for the bootstrap replicates."""
    metric = entry.load()
    truth, scores = predictions.truth, predictions.scores
    plain = metric(truth, scores, once, **settings)
    replicated = metric(truth, scores, drawn, **settings) if drawn is not None else None
    micro = _estimate(plain.micro[0], replicated.micro if replicated else None)
    if plain.per_label is None:
        return MetricResult(entry.facts["headline"], None, micro, {})
    labels = _with_both_classes(plain.per_label, truth, once)
    replicates = None
    if replicated is not None and drawn is not None:
        replicates = _with_both_classes(replicated.per_label, truth, drawn)
    per_label = {}
    for j, name in enumerate(predictions.names):
        estimate = _estimate(labels[0, j], replicates[:, j] if replicates is not None else None)
        if estimate is not None:
            per_label[name] = estimate
    macro = _estimate(
        labels.mean(axis=1)[0], replicates.mean(axis=1) if replicates is not None else None
    )
    return MetricResult(entry.facts["headline"], macro, micro, per_label)


def _with_both_classes(
    per_label: np.ma.MaskedArray, truth: np.ndarray, weights: np.ndarray
) -> np.ma.MaskedArray:
    """Mask the labels that all tracks of a weighting have, or no track."""
    having = weights.astype(np.float64) @ truth.astype(np.float64)
    one_class = (having == 0) | (having == weights.sum(axis=1, keepdims=True))
    return np.ma.array(per_label.data, mask=np.ma.getmaskarray(per_label) | one_class)


def _estimate(value: Any, replicates: np.ma.MaskedArray | None) -> Estimate | None:
    if value is np.ma.masked:
        return None
    ends = None if replicates is None else interval(replicates)
    return Estimate(float(value), *(ends or (None, None)))
