"""Which metrics suit predictions, and what they need: labels, thresholds, probabilities."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from mcls.errors import ConfigError, DataError
from mcls.registry import Entry, entries, find
from mcls.settings import resolve, split_spec
from mcls.tables.predictions import Predictions


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


def default_metrics(predictions: Predictions) -> list[str]:
    """Return the metrics that suit predictions: of one label per track, of several, of numbers."""
    kind = "multi-label" if predictions.multi_label else "single-label"
    kind = "regression" if predictions.regression else kind
    return [e.name for e in entries("metrics").values() if kind in e.facts["default_for"]]


def resolve_metric(
    spec: str, predictions: Predictions, threshold: float | Sequence[float] | None
) -> tuple[str, Entry, dict[str, Any]]:
    """Return the spec, the metric and its settings.

    Raises
    ------
    ConfigError
        If the metric is unknown, or unsuitable for the predictions.
    """
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
