"""Computing the metrics of predictions, with confidence intervals."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from mcls.errors import ConfigError, DataError
from mcls.evaluation.classification import confusion_matrix
from mcls.evaluation.jackknife import influence, influence_of_known, leave_out, units_of
from mcls.evaluation.known_pairs import of_known_pairs
from mcls.evaluation.measured import Measured, mean_of
from mcls.evaluation.metric import MetricValues
from mcls.evaluation.results import Evaluation
from mcls.registry import Entry, entries, find
from mcls.settings import resolve, split_spec
from mcls.tables.predictions import Predictions


def evaluate(
    predictions: Predictions | Sequence[Predictions],
    metrics: Sequence[str] | None = None,
    *,
    threshold: float | Sequence[float] | None = None,
    intervals: bool = True,
    confusion: bool = False,
    groups: Sequence[str] | None = None,
) -> Evaluation:
    """Compute metrics of predictions.

    Parameters
    ----------
    predictions : Predictions, or several
        Predictions of the tracks to evaluate; see `Predictions.only`. Of several seeds, which
        scored the same lines, the mean is measured.
    metrics : sequence of str or None
        Names or specs of metrics, such as ``precision-at-k:k=5``. None takes accuracy, AUC and F1
        for single-label data, AUC and average precision for multi-label data.
    threshold : float, sequence of float or None
        Score from which each label counts as predicted, for multi-label data. None takes 0.5 if all
        scores are in [0, 1].
    intervals : bool
        Compute 95 % confidence intervals; see `mcls.evaluation.jackknife`.
    confusion : bool
        Compute the confusion matrix too; not of several seeds.
    groups : sequence of str or None
        The group of each line: intervals are over groups in place of tracks.

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
    seeds = [predictions] if isinstance(predictions, Predictions) else list(predictions)
    predictions = seeds[0]
    for one in seeds:
        validate(one)
    metrics = metrics or default_metrics(predictions)
    wanted = [_resolve_metric(spec, predictions, threshold) for spec in dict.fromkeys(metrics)]
    if confusion and len(seeds) > 1:
        raise ConfigError("a confusion matrix is that of one seed; name the folder of one")
    if confusion and (predictions.multi_label or predictions.regression):
        raise ConfigError(
            "a confusion matrix needs exactly one label per track; use --per-label instead"
        )

    truth, n_tracks = predictions.truth, len(predictions)
    if predictions.regression:
        if threshold:
            raise ConfigError("numbers are predicted here, not labels; leave out the threshold")
        truth = np.ones(truth.shape, dtype=bool)  # every track has every number
    support = truth.sum(axis=0)
    n_known = _known(predictions).sum(axis=0)
    left_out = {} if predictions.regression else _left_out(predictions, support, n_known)
    units = units_of(predictions.track_ids if groups is None else groups) if intervals else None
    results = {
        spec: mean_of(
            [measure(entry, settings, one, units, grouped=groups is not None) for one in seeds]
        ).result()
        for spec, entry, settings in wanted
    }
    thresholds = [settings["threshold"] for *_, settings in wanted if "threshold" in settings]
    return Evaluation(
        part="+".join(dict.fromkeys(part for part in predictions.parts if part)) or "all",
        n_tracks=n_tracks,
        names=predictions.names,
        multi_label=predictions.multi_label,
        regression=predictions.regression,
        support=dict(zip(predictions.names, support.tolist(), strict=True)),
        n_known=None
        if predictions.unknown is None
        else dict(zip(predictions.names, n_known.tolist(), strict=True)),
        left_out=left_out,
        metrics=results,
        intervals=intervals,
        n_groups=None if groups is None else len(set(groups)),
        threshold=thresholds[0] if thresholds else None,
        confusion=confusion_matrix(truth, predictions.scores).tolist() if confusion else None,
    )


def _left_out(predictions: Predictions, support: np.ndarray, n_known: np.ndarray) -> dict[str, str]:
    """Return the labels that cannot be measured, and why."""
    every = "every track has it" if predictions.unknown is None else "every known track has it"
    counts = zip(predictions.names, support.tolist(), n_known.tolist(), strict=True)
    return {
        name: "it is unknown on every track" if not known else every if n else "no track has it"
        for name, n, known in counts
        if n in (0, known)
    }


def default_metrics(predictions: Predictions) -> list[str]:
    """Return the metrics that suit predictions: of one label per track, of several, of numbers."""
    kind = "multi-label" if predictions.multi_label else "single-label"
    kind = "regression" if predictions.regression else kind
    return [e.name for e in entries("metrics").values() if kind in e.facts["default_for"]]


def measured(
    predictions: Predictions,
    metric: str,
    *,
    threshold: float | list[float] | None = None,
    intervals: bool = True,
    groups: Sequence[str] | None = None,
) -> Measured:
    """Compute a metric, with the influence of each track or group; see `evaluate`."""
    validate(predictions)
    _, entry, settings = _resolve_metric(metric, predictions, threshold)
    units = units_of(predictions.track_ids if groups is None else groups) if intervals else None
    return measure(entry, settings, predictions, units, grouped=groups is not None)


def common_threshold(
    predictions: Predictions, threshold: float | Sequence[float] | None
) -> float | Sequence[float]:
    """Return the score from which labels count as predicted, as for metrics without their own.

    Raises
    ------
    ConfigError
        If there is no threshold, and scores are not between 0 and 1.
    """
    found = _threshold("predicted labels", predictions, None, threshold)
    assert found is not None
    return found


def validate(predictions: Predictions) -> None:
    """Check that predictions are consistent.

    Raises
    ------
    DataError
        If there are no tracks, fewer than two labels (or none where a track may have several),
        arrays of the wrong shape, NaN among the scores, or single-label tracks without exactly one
        label.
    """
    shape = (len(predictions.track_ids), len(predictions.names))
    if shape[0] == 0:
        raise DataError("there are no tracks to evaluate")
    fewest = 1 if predictions.regression or predictions.multi_label else 2
    if shape[1] < fewest or len(set(predictions.names)) < shape[1]:
        raise DataError(
            f"the labels are {predictions.names}; expected two or more different labels"
        )
    for what, array in (("true labels", predictions.truth), ("scores", predictions.scores)):
        if array.shape != shape:
            raise DataError(f"the {what} have shape {array.shape}; expected {shape}")
    if predictions.regression and predictions.truth.dtype != np.float64:
        raise DataError(f"the true labels are {predictions.truth.dtype}; expected bool or float64")
    if predictions.regression and not np.isfinite(predictions.truth).all():
        raise DataError("some true numbers are NaN or infinite")
    bad = np.isnan(predictions.scores).any(axis=1)
    if bad.any():
        first = predictions.track_ids[int(bad.argmax())]
        raise DataError(f"{int(bad.sum())} tracks have NaN scores, such as {first!r}")
    odd = predictions.truth.sum(axis=1) != 1
    if not predictions.multi_label and not predictions.regression and odd.any():
        first = predictions.track_ids[int(odd.argmax())]
        raise DataError(
            f"track {first!r} has {int(predictions.truth[odd][0].sum())} labels; expected exactly "
            "one"
        )


def _resolve_metric(
    spec: str, predictions: Predictions, threshold: float | Sequence[float] | None
) -> tuple[str, Entry, dict[str, Any]]:
    """Return a metric and its settings; raise if it is unsuitable for the labels."""
    name, given = split_spec(spec)
    entry = find("metrics", name)
    settings = resolve(entry, given)
    if predictions.regression != entry.facts.get("regression", False):
        others = ", ".join(default_metrics(predictions))
        said = "predicted numbers" if predictions.regression else "labels with scores"
        raise ConfigError(f"{name} does not fit {said}; use one of {others}")
    if predictions.multi_label and entry.facts.get("single_label_only"):
        known = entries("metrics").values()
        fitting = [e.name for e in known if not {"single_label_only", "regression"} & {*e.facts}]
        raise ConfigError(
            f"{name} needs exactly one label per track, but this data is multi-label; "
            f"use one of {', '.join(fitting)}"
        )
    if predictions.unknown is not None and entry.facts.get("whole_tracks"):
        raise ConfigError(
            f"{name} needs all labels of a track, but some are unknown here; use one of "
            f"{', '.join(default_metrics(predictions))}"
        )
    if entry.facts.get("probabilities"):
        probabilities_of(predictions, name)
    if "threshold" in settings:
        settings["threshold"] = _threshold(name, predictions, settings["threshold"], threshold)
    return spec, entry, settings


def probabilities_of(predictions: Predictions, name: str) -> np.ndarray:
    """Return the calibrated probabilities, or the scores if they are probabilities.

    Raises
    ------
    ConfigError
        If neither gives probabilities; the message says what `name` needs.
    """
    p = predictions.probabilities if predictions.probabilities is not None else predictions.scores
    sums = p.sum(axis=1)
    if p.min() >= 0 and p.max() <= 1:
        if predictions.multi_label or np.allclose(sums, 1, atol=1e-3):
            return p
        said = f"the scores of a track add up to between {sums.min():.3g} and {sums.max():.3g}"
    else:
        said = f"scores are from {p.min():.3g} to {p.max():.3g}"
    why = predictions.no_probability
    because = f", and there is no calibration: {why}" if why else ""
    raise ConfigError(f"{name} needs probabilities, but {said}{because}")


def _threshold(
    name: str,
    predictions: Predictions,
    own: float | None,
    common: float | Sequence[float] | None,
) -> float | Sequence[float] | None:
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


def measure(
    entry: Entry,
    settings: dict[str, Any],
    predictions: Predictions,
    units: np.ndarray | None,
    *,
    grouped: bool = False,
) -> Measured:
    """Compute a metric, and the influence of each unit of tracks on it.

    Parameters
    ----------
    entry : Entry
        The metric.
    settings : dict
        Its settings.
    predictions : Predictions
    units : np.ndarray, shape (n_lines,), or None
        The lines that are left out together; None computes no influences.
    grouped : bool
        Whether they are lines of a group of tracks; otherwise they are those of a track.
    """
    metric = entry.load()
    truth, scores = predictions.truth, predictions.scores
    if entry.facts.get("probabilities") and predictions.probabilities is not None:
        scores = predictions.probabilities
    once = np.ones((1, len(truth)), dtype=np.int32)
    weights = None if units is None or units.max() == 0 else leave_out(units)
    known = _known(predictions)

    def values(some: np.ndarray) -> MetricValues:
        if predictions.unknown is None:
            found: MetricValues = metric(truth, scores, some, **settings)
            return found
        return of_known_pairs(metric, truth, scores, some, known, settings)

    plain = values(once)
    left = None if weights is None else values(weights)
    micro = None if plain.micro[0] is np.ma.masked else float(plain.micro[0])
    micro_influences = None
    if left is not None and micro is not None:
        micro_influences = influence(left.micro, micro)
    grouped = (
        grouped or predictions.times is not None
    )  # events of a track are no independent trials
    having = _with_label(predictions)
    n, n_micro = _tracks_behind(entry, having, known)
    if grouped and weights is not None:
        n_micro = min(n_micro, len(weights))
    kept = np.zeros(0, dtype=int)
    per_label = influences = units_having = units_lacking = None
    if plain.per_label is not None:
        of_labels = _with_both_classes(plain.per_label, predictions, once)[0]
        kept = np.flatnonzero(~np.ma.getmaskarray(of_labels))
        per_label = np.ma.getdata(of_labels)[kept]
    n = n[kept]
    of_left = None if left is None else left.per_label
    if per_label is not None and of_left is not None and weights is not None:
        assert units is not None
        without = _with_both_classes(of_left, predictions, weights)
        units_having = _of_units(having[:, kept], units, len(weights))
        if predictions.unknown is None:
            influences = influence(without[:, kept], np.ma.array(per_label))
        else:
            units_known = _of_units(known[:, kept], units, len(weights))
            influences = influence_of_known(without[:, kept], per_label, units_known)
            units_lacking = units_known & ~units_having
        n = np.minimum(n, units_having.sum(axis=0)) if grouped else n
    return Measured(
        entry,
        [predictions.names[j] for j in kept],
        per_label,
        micro,
        n,
        n_micro,
        influences,
        micro_influences,
        units_having,
        grouped,
        units_lacking,
    )


def _known(predictions: Predictions) -> np.ndarray:
    """Return which labels of which tracks are known."""
    if predictions.unknown is None:
        return np.ones(predictions.truth.shape, dtype=bool)
    return ~predictions.unknown


def _of_units(lines: np.ndarray, units: np.ndarray, n_units: int) -> np.ndarray:
    """Return what is true of some line of each unit, ``(n_units, n_labels)``."""
    found = np.zeros((n_units, lines.shape[1]), dtype=bool)
    np.logical_or.at(found, units, lines)
    return found


def _with_label(predictions: Predictions) -> np.ndarray:
    """Return which tracks have each label; all have every number of a regression."""
    truth = predictions.truth
    return np.ones(truth.shape, dtype=bool) if predictions.regression else truth


def _tracks_behind(entry: Entry, having: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, int]:
    """Return the number of tracks on which the value of each label, and the micro value, rests."""
    if entry.facts.get("regression"):
        return np.full(having.shape[1], len(having)), len(having)
    support = having.sum(axis=0)
    n_known = known.sum(axis=0)
    n = np.minimum(support, n_known - support)
    if entry.facts.get("unbounded") or entry.facts["headline"] == "micro":
        return n, len(having)
    return n, int(min(support.sum(), n_known.sum() - support.sum()))


def _with_both_classes(
    per_label: np.ma.MaskedArray, predictions: Predictions, weights: np.ndarray
) -> np.ma.MaskedArray:
    """Mask the labels that all tracks of a weighting have, or no track."""
    if predictions.regression:
        return per_label
    having = weights.astype(np.float64) @ predictions.truth.astype(np.float64)
    every = weights.sum(axis=1, keepdims=True)
    if predictions.unknown is not None:
        every = weights.astype(np.float64) @ ~predictions.unknown
    one_class = (having == 0) | (having == every)
    return np.ma.array(per_label.data, mask=np.ma.getmaskarray(per_label) | one_class)
