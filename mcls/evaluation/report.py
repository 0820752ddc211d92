"""The evaluation: any number of metrics of some predictions, with intervals and what was left out.

A label is left out of per-label and macro figures if no track has it or every track has it: then
there is nothing to tell apart. It is named, never counted as 0.5 or 0. Micro figures take all
labels together and leave nothing out.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mcls.disk.predictions import Predictions
from mcls.errors import ConfigError, DataError
from mcls.evaluation.bootstrap import LEVEL, draw_weights, interval
from mcls.evaluation.decisions import confusion as count_confusion
from mcls.registry import Entry, entries, find
from mcls.settings import resolve, split_spec


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval; without a bootstrap the interval is None."""

    value: float
    low: float | None
    high: float | None

    def as_dict(self) -> dict[str, float | None]:
        """Return what JSON can hold."""
        return {"value": self.value, "low": self.low, "high": self.high}


@dataclass(frozen=True)
class Measured:
    """One metric of one set of predictions.

    Parameters
    ----------
    headline : str
        ``macro`` or ``micro``: the figure to quote.
    macro : Estimate or None
        Mean over the labels that could be measured; None if none could.
    micro : Estimate or None
        All labels taken together.
    per_label : dict of str to Estimate
        The labels that could be measured.
    """

    headline: str
    macro: Estimate | None
    micro: Estimate | None
    per_label: dict[str, Estimate]

    @property
    def main(self) -> Estimate | None:
        """The figure to quote."""
        return self.macro if self.headline == "macro" else self.micro


@dataclass(frozen=True)
class Report:
    """The figures of some tracks.

    Parameters
    ----------
    part : str
        What was evaluated: a part, several joined by ``+``, or ``all``.
    n_tracks : int
        Of how many tracks the figures are.
    names : list of str
        The labels.
    multi_label : bool
        Whether a track may have any number of labels.
    support : dict of str to int
        Tracks that have the label.
    left_out : dict of str to str
        Labels that could not be measured, and why.
    metrics : dict of str to Measured
        By the name they were asked for.
    n_bootstrap, seed : int
        Of the intervals.
    threshold : float or None
        From which score on a label was chosen, if anything was.
    confusion : list of list of int, or None
        Row: the truth; column: the decision; both in the order of `names`.
    """

    part: str
    n_tracks: int
    names: list[str]
    multi_label: bool
    support: dict[str, int]
    left_out: dict[str, str]
    metrics: dict[str, Measured]
    n_bootstrap: int
    seed: int
    threshold: float | None = None
    confusion: list[list[int]] | None = field(default=None, repr=False)

    def __getitem__(self, metric: str) -> Measured:
        return self.metrics[metric]

    def as_dict(self) -> dict[str, Any]:
        """Return what JSON can hold: no NaN, no arrays."""
        n_measured = len(self.names) - len(self.left_out)
        said: dict[str, Any] = {
            "part": self.part,
            "n_tracks": self.n_tracks,
            "n_labels": len(self.names),
            "multi_label": self.multi_label,
            "interval": {
                "level": LEVEL,
                "over": "tracks",
                "n": self.n_bootstrap,
                "seed": self.seed,
            },
            "threshold": self.threshold,
            "left_out": self.left_out,
            "metrics": {
                name: {
                    "headline": one.headline,
                    "macro": _as_dict(one.macro, n_tracks=self.n_tracks, n_labels=n_measured),
                    "micro": _as_dict(one.micro, n_tracks=self.n_tracks),
                    "per_label": {
                        label: _as_dict(figure, support=self.support[label])
                        for label, figure in one.per_label.items()
                    },
                }
                for name, one in self.metrics.items()
            },
        }
        if self.confusion is not None:
            said["confusion"] = {"labels": self.names, "counts": self.confusion}
        return said


def evaluate(
    predictions: Predictions,
    metrics: Sequence[str] | None = None,
    *,
    threshold: float | None = None,
    n_bootstrap: int = 1000,
    seed: int = 0,
    confusion: bool = False,
) -> Report:
    """Measure predictions.

    Parameters
    ----------
    predictions : Predictions
        Of the tracks to measure; see `Predictions.only`.
    metrics : sequence of str or None
        Names or specs (``precision-at-k:k=5``) of the registry. None takes accuracy, AUC and F1
        where a track has exactly one label, AUC and average precision elsewhere.
    threshold : float or None
        For metrics of decisions where a track has any number of labels. None takes 0.5 if all
        scores are in [0, 1].
    n_bootstrap : int >= 0
        Replicates of the intervals; 0 leaves them out.
    seed : int
        Of the replicates.
    confusion : bool
        Also count which label was taken for which.

    Returns
    -------
    Report

    Raises
    ------
    ConfigError
        If a metric is unknown or does not fit the labels.
    DataError
        If the predictions are not what they claim.

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
        raise ConfigError(f"n_bootstrap={n_bootstrap} is negative; 0 leaves intervals out")
    kind = "multi-label" if predictions.multi_label else "single-label"
    if not metrics:
        known = entries("metrics").values()
        metrics = [entry.name for entry in known if kind in entry.facts["default_for"]]
    wanted = [_resolve(spec, predictions, threshold) for spec in dict.fromkeys(metrics)]
    if confusion and predictions.multi_label:
        raise ConfigError("a confusion matrix needs exactly one label per track; use --per-label")

    truth, n_tracks = predictions.truth, len(predictions)
    support = truth.sum(axis=0)
    left_out = {
        name: "no track has it" if n == 0 else "every track has it"
        for name, n in zip(predictions.names, support.tolist(), strict=True)
        if n in (0, n_tracks)
    }
    once = np.ones((1, n_tracks), dtype=np.int32)
    drawn = draw_weights(n_tracks, n_bootstrap, seed) if n_bootstrap else None
    measured = {
        spec: _measure(entry, settings, predictions, once, drawn)
        for spec, entry, settings in wanted
    }
    thresholds = [settings["threshold"] for *_, settings in wanted if "threshold" in settings]
    return Report(
        part="+".join(dict.fromkeys(part for part in predictions.parts if part)) or "all",
        n_tracks=n_tracks,
        names=predictions.names,
        multi_label=predictions.multi_label,
        support=dict(zip(predictions.names, support.tolist(), strict=True)),
        left_out=left_out,
        metrics=measured,
        n_bootstrap=n_bootstrap,
        seed=seed,
        threshold=thresholds[0] if thresholds else None,
        confusion=count_confusion(truth, predictions.scores).tolist() if confusion else None,
    )


def validate(predictions: Predictions) -> None:
    """Check that predictions are what they claim.

    Raises
    ------
    DataError
        If there are no tracks, fewer than two labels, shapes that do not fit, scores that are not
        numbers, or a track without exactly one label where there must be one.
    """
    shape = (len(predictions.track_ids), len(predictions.names))
    if shape[0] == 0:
        raise DataError("there are no tracks to evaluate")
    if shape[1] < 2 or len(set(predictions.names)) < shape[1]:
        raise DataError(f"expected two or more labels, each once; got {predictions.names}")
    for what, array in (("truth", predictions.truth), ("scores", predictions.scores)):
        if array.shape != shape:
            raise DataError(f"{what} have the shape {array.shape}; expected {shape}")
    if predictions.truth.dtype != bool:
        raise DataError(f"truth is {predictions.truth.dtype}; expected bool")
    bad = np.isnan(predictions.scores).any(axis=1)
    if bad.any():
        first = predictions.track_ids[int(bad.argmax())]
        raise DataError(f"{int(bad.sum())} tracks have scores that are not numbers, as {first!r}")
    odd = predictions.truth.sum(axis=1) != 1
    if not predictions.multi_label and odd.any():
        first = predictions.track_ids[int(odd.argmax())]
        raise DataError(f"track {first!r} has no label or several; expected exactly one")


def _resolve(
    spec: str, predictions: Predictions, threshold: float | None
) -> tuple[str, Entry, dict[str, Any]]:
    """Find a metric and its settings; refuse one that does not fit the labels."""
    name, given = split_spec(spec)
    entry = find("metrics", name)
    settings = resolve(entry, given)
    if predictions.multi_label and entry.facts.get("single_label_only"):
        fitting = [
            e.name for e in entries("metrics").values() if "multi-label" in e.facts["default_for"]
        ]
        raise ConfigError(
            f"{name} needs exactly one label per track, and these tracks have any number: most "
            "labels are absent from most tracks, so saying no to everything would look good; "
            f"use {', '.join(fitting)} or f1"
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
                f"{name}: one label per track is decided by the highest score, without a threshold"
            )
        return None
    if given is not None:
        return given
    scores = predictions.scores
    if scores.min() < 0 or scores.max() > 1:
        raise ConfigError(
            f"{name}: scores from {scores.min():.3g} to {scores.max():.3g} are no probabilities; "
            "say from which score on a label counts as present, with --threshold"
        )
    return 0.5


def _measure(
    entry: Entry,
    settings: dict[str, Any],
    predictions: Predictions,
    once: np.ndarray,
    drawn: np.ndarray | None,
) -> Measured:
    """Compute one metric, plainly and for the replicates."""
    metric = entry.load()
    truth, scores = predictions.truth, predictions.scores
    plain = metric(truth, scores, once, **settings)
    replicated = metric(truth, scores, drawn, **settings) if drawn is not None else None
    micro = _estimate(plain.micro[0], replicated.micro if replicated else None)
    if plain.per_label is None:
        return Measured(entry.facts["headline"], None, micro, {})
    labels = _measurable(plain.per_label, truth, once)
    spread = None
    if replicated is not None and drawn is not None:
        spread = _measurable(replicated.per_label, truth, drawn)
    per_label = {}
    for j, name in enumerate(predictions.names):
        estimate = _estimate(labels[0, j], spread[:, j] if spread is not None else None)
        if estimate is not None:
            per_label[name] = estimate
    macro = _estimate(labels.mean(axis=1)[0], spread.mean(axis=1) if spread is not None else None)
    return Measured(entry.facts["headline"], macro, micro, per_label)


def _measurable(
    per_label: np.ma.MaskedArray, truth: np.ndarray, weights: np.ndarray
) -> np.ma.MaskedArray:
    """Mask the labels that all tracks of a weighting have, or none."""
    having = weights.astype(np.float64) @ truth.astype(np.float64)
    one_class = (having == 0) | (having == weights.sum(axis=1, keepdims=True))
    return np.ma.array(per_label.data, mask=np.ma.getmaskarray(per_label) | one_class)


def _estimate(value: Any, replicates: np.ma.MaskedArray | None) -> Estimate | None:
    if value is np.ma.masked:
        return None
    ends = None if replicates is None else interval(replicates)
    return Estimate(float(value), *(ends or (None, None)))


def _as_dict(estimate: Estimate | None, **more: int) -> dict[str, Any] | None:
    return None if estimate is None else {**estimate.as_dict(), **more}
