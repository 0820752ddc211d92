"""Computing the metrics of predictions, with confidence intervals."""

from collections.abc import Sequence

import numpy as np

from mcls.errors import ConfigError
from mcls.evaluation.classification import confusion_matrix
from mcls.evaluation.jackknife import units_of
from mcls.evaluation.measure import known_labels, measure
from mcls.evaluation.measured import Measured, mean_of
from mcls.evaluation.results import Evaluation
from mcls.evaluation.suitable import default_metrics, resolve_metric, validate
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
    wanted = [resolve_metric(spec, predictions, threshold) for spec in dict.fromkeys(metrics)]
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
    n_known = known_labels(predictions).sum(axis=0)
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
    _, entry, settings = resolve_metric(metric, predictions, threshold)
    units = units_of(predictions.track_ids if groups is None else groups) if intervals else None
    return measure(entry, settings, predictions, units, grouped=groups is not None)
