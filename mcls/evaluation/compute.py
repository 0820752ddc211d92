"""Computing the metrics of predictions, with confidence intervals."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mcls.disk.predictions import Predictions
from mcls.errors import ConfigError, DataError
from mcls.evaluation.classification import confusion_matrix
from mcls.evaluation.jackknife import (
    Spread,
    influence,
    interval,
    label_spread,
    leave_out,
    macro_spread,
    micro_spread,
    units_of,
)
from mcls.evaluation.measure_numbers import measure_numbers
from mcls.evaluation.results import Estimate, Evaluation, MetricResult
from mcls.registry import Entry, entries, find
from mcls.settings import resolve, split_spec


def evaluate(
    predictions: Predictions,
    metrics: Sequence[str] | None = None,
    *,
    threshold: float | Sequence[float] | None = None,
    intervals: bool = True,
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
    threshold : float, sequence of float or None
        Score from which each label counts as predicted, for multi-label data. None takes 0.5 if all
        scores are in [0, 1].
    intervals : bool
        Compute 95 % confidence intervals; see `mcls.evaluation.jackknife`.
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
    metrics = metrics or default_metrics(predictions)
    wanted = [_resolve_metric(spec, predictions, threshold) for spec in dict.fromkeys(metrics)]
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
    left_out = (
        {}
        if predictions.regression
        else {
            name: "no track has it" if n == 0 else "every track has it"
            for name, n in zip(predictions.names, support.tolist(), strict=True)
            if n in (0, n_tracks)
        }
    )
    units = units_of(predictions.track_ids)
    results = {
        spec: _result(entry, settings, predictions, units if intervals else None)
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
        left_out=left_out,
        metrics=results,
        intervals=intervals,
        threshold=thresholds[0] if thresholds else None,
        confusion=confusion_matrix(truth, predictions.scores).tolist() if confusion else None,
    )


def default_metrics(predictions: Predictions) -> list[str]:
    """Return the metrics that suit predictions: of one label per track, of several, of numbers."""
    kind = "multi-label" if predictions.multi_label else "single-label"
    kind = "regression" if predictions.regression else kind
    return [e.name for e in entries("metrics").values() if kind in e.facts["default_for"]]


def _result(
    entry: Entry, settings: dict[str, Any], predictions: Predictions, units: np.ndarray | None
) -> MetricResult:
    if predictions.regression:
        return measure_numbers(entry, settings, predictions, units)
    return measure(entry, settings, predictions, units).result()


def measured(
    predictions: Predictions,
    metric: str,
    *,
    threshold: float | list[float] | None = None,
    intervals: bool = True,
) -> "Measured":
    """Compute a metric of labels, with the influence of each track; see `evaluate`."""
    validate(predictions)
    _, entry, settings = _resolve_metric(metric, predictions, threshold)
    units = units_of(predictions.track_ids) if intervals else None
    return measure(entry, settings, predictions, units)


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
    if shape[1] < (1 if predictions.regression else 2) or len(set(predictions.names)) < shape[1]:
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


@dataclass(frozen=True)
class Measured:
    """A metric of some tracks, with the influence of each unit of tracks on it.

    Parameters
    ----------
    entry : Entry
        The metric.
    names : list of str
        The labels for which it can be computed.
    per_label : np.ndarray, shape (n_names,), or None
        Its values.
    micro : float or None
        The value of all labels together.
    n : np.ndarray, shape (n_names,)
        Number of tracks on which each value rests; see `Spread`.
    n_micro : int
        That of the value of all labels together.
    influences : np.ndarray, shape (n_units, n_names), or None
        Influence of each unit on each label; None without intervals.
    influences_micro : np.ndarray, shape (n_units,), or None
    having : np.ndarray, shape (n_units, n_names), bool, or None
        The units with each label.
    """

    entry: Entry
    names: list[str]
    per_label: np.ndarray | None
    micro: float | None
    n: np.ndarray
    n_micro: int
    influences: np.ndarray | None = None
    influences_micro: np.ndarray | None = None
    having: np.ndarray | None = None

    def result(self) -> MetricResult:
        """Return the values with their intervals."""
        micro = self._estimate(self.micro, self.spread_micro())
        per_label, macro = {}, None
        if self.per_label is not None:
            per_label = {
                name: Estimate(*self._ends(float(value), self.spread(j)))
                for j, (name, value) in enumerate(zip(self.names, self.per_label, strict=True))
            }
            if self.names:
                macro = self._estimate(float(self.per_label.mean()), self.spread_macro())
        return MetricResult(self.entry.facts["headline"], macro, micro, per_label)

    def spread(self, j: int) -> Spread | None:
        """Return the spread of the value of a label; None without influences."""
        if self.influences is None or self.having is None:
            return None
        return label_spread(self.influences[:, j], self.having[:, j], int(self.n[j]))

    def spread_macro(self) -> Spread | None:
        """Return the spread of the mean over labels; None without influences."""
        if self.influences is None or self.having is None:
            return None
        return macro_spread(self.influences, self.having, self.n)

    def spread_micro(self) -> Spread | None:
        """Return the spread of the value of all labels together; None without influences."""
        if self.influences_micro is None or self.n_micro < self.entry.facts.get("micro_from", 0):
            return None
        return micro_spread(self.influences_micro, self.n_micro)

    def _estimate(self, value: float | None, spread: Spread | None) -> Estimate | None:
        return None if value is None else Estimate(*self._ends(value, spread))

    def _ends(
        self, value: float, spread: Spread | None
    ) -> tuple[float, float | None, float | None]:
        bounded = not self.entry.facts.get("unbounded", False)
        ends = None if spread is None else interval(value, spread, bounded=bounded)
        return (value, *(ends or (None, None)))


def measure(
    entry: Entry, settings: dict[str, Any], predictions: Predictions, units: np.ndarray | None
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
    """
    metric = entry.load()
    truth, scores = predictions.truth, predictions.scores
    if entry.facts.get("probabilities") and predictions.probabilities is not None:
        scores = predictions.probabilities
    once = np.ones((1, len(truth)), dtype=np.int32)
    weights = None if units is None or units.max() == 0 else leave_out(units)
    plain = metric(truth, scores, once, **settings)
    left = None if weights is None else metric(truth, scores, weights, **settings)
    micro = None if plain.micro[0] is np.ma.masked else float(plain.micro[0])
    micro_influences = None
    if left is not None and micro is not None:
        micro_influences = influence(left.micro, micro)
    support = truth.sum(axis=0)
    n_micro = int(min(support.sum(), truth.size - support.sum()))
    if entry.facts.get("unbounded"):
        n_micro = len(truth)
    if predictions.times is not None:  # the events of a track are no independent trials
        n_micro = min(n_micro, len(set(predictions.track_ids)))
    if plain.per_label is None:
        n_micro = len(truth if predictions.times is None else set(predictions.track_ids))
        none = np.zeros(0, dtype=int)
        return Measured(entry, [], None, micro, none, n_micro, None, micro_influences)
    values = _with_both_classes(plain.per_label, truth, once)[0]
    kept = np.flatnonzero(~np.ma.getmaskarray(values))
    influences = having = None
    if left is not None and units is not None and weights is not None:
        per_label = _with_both_classes(left.per_label, truth, weights)
        influences = influence(per_label[:, kept], values[kept])
        having = np.zeros((len(weights), len(kept)), dtype=bool)
        np.logical_or.at(having, units, truth[:, kept])
    return Measured(
        entry,
        [predictions.names[j] for j in kept],
        np.ma.getdata(values)[kept],
        micro,
        np.minimum(support, len(truth) - support)[kept],
        n_micro,
        influences,
        micro_influences,
        having,
    )


def _with_both_classes(
    per_label: np.ma.MaskedArray, truth: np.ndarray, weights: np.ndarray
) -> np.ma.MaskedArray:
    """Mask the labels that all tracks of a weighting have, or no track."""
    having = weights.astype(np.float64) @ truth.astype(np.float64)
    one_class = (having == 0) | (having == weights.sum(axis=1, keepdims=True))
    return np.ma.array(per_label.data, mask=np.ma.getmaskarray(per_label) | one_class)
