"""Plot ROC, precision-recall and calibration curves of runs."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from mcls.errors import ConfigError, DataError
from mcls.evaluation import MetricResult
from mcls.evaluation.compute import measured
from mcls.evaluation.label_curves import Curve, precision_recall_curves, roc_curves
from mcls.evaluation.reliability import pooled, reliability
from mcls.evaluation.suitable import probabilities_of
from mcls.inspection.several_runs import run_names
from mcls.judging.evaluate import open_part
from mcls.plots.label_curves import MOST_PANELS, LabelLine, LabelPanel, draw_label_curves
from mcls.plots.page import Figure, shortened
from mcls.tables.predictions import Predictions

#: Points of a line; more could not be told apart.
_POINTS = 500

#: Bins of the calibration of all labels, and of one; and the tracks that a bin of one must have.
_BINS, _LABEL_BINS, _LEAST = 10, 5, 5


def plot_label_curves(
    paths: Sequence[Path], *, kinds: Sequence[str], part: str | None = None
) -> tuple[Figure, str]:
    """Plot curves of the labels of runs, side by side.

    Parameters
    ----------
    paths : sequence of Path
        Run folders, cross-validations (with the folds pooled) or CSVs of predictions.
    kinds : sequence of {'roc', 'pr', 'calibration'}
        The curves to plot of each run.
    part : str or None
        See `mcls.judging.evaluate.open_part`.

    Returns
    -------
    page : Figure
    shows : str

    Raises
    ------
    ConfigError
        If there are more than six panels, numbers are predicted, or scores are no probabilities.
    DataError
        If no label is on some of the tracks and absent from others.
    """
    if len(paths) * len(kinds) > MOST_PANELS:
        raise ConfigError(
            f"{len(kinds)} curves of {len(paths)} runs are {len(paths) * len(kinds)} panels; plot "
            f"at most {MOST_PANELS} in one picture"
        )
    opened = {path: open_part(path, part)[0] for path in paths}
    for path, one in opened.items():
        if one.regression:
            raise ConfigError(f"{path}: numbers are predicted, not labels; they have no curves")
    names = dict(zip(paths, run_names(paths), strict=True))
    panels = [
        replace(panel, title=f"{shortened(names[path], 36)}: {panel.title}")
        for kind in kinds
        for path, one in opened.items()
        for panel in [_PANELS[kind](path, one)]
    ]
    runs = ", ".join(shortened(str(path), 40) for path in paths)
    counts = {_counted(one) for one in opened.values()}
    said = counts.pop() if len(counts) == 1 else "other tracks each"
    words = " and ".join(_WORDS[kind] for kind in kinds)
    return draw_label_curves(panels, title=f"{runs}: {said}"), f"{words} of {runs}, {said}"


def _counted(one: Predictions) -> str:
    parts = "+".join(dict.fromkeys(filter(None, one.parts)))
    folds = len(one.fold_names())
    pooled_folds = f", {folds} folds pooled" if folds > 1 else ""
    return f"{len(one)} {parts + ' ' if parts else ''}tracks{pooled_folds}"


def _roc(path: Path, one: Predictions) -> LabelPanel:
    found = roc_curves(one.truth, one.scores, one.unknown)
    metric = measured(one, "auc").result()
    labels, means = _lines(path, one, found.per_label, found.macro, found.micro, metric)
    title = "ROC curves, AUC"
    return LabelPanel(title, "false positive rate", "true positive rate", labels, means)


def _precision_recall(path: Path, one: Predictions) -> LabelPanel:
    found = precision_recall_curves(one.truth, one.scores, one.unknown)
    metric = measured(one, "ap").result()
    labels, means = _lines(path, one, found.per_label, found.macro, found.micro, metric)
    title = "precision-recall curves, AP"
    return LabelPanel(title, "recall", "precision", labels, means, steps=True, diagonal=False)


def _lines(
    path: Path,
    one: Predictions,
    curves: Sequence[Curve | None],
    macro: Curve | None,
    micro: Curve | None,
    metric: MetricResult,
) -> tuple[list[LabelLine], list[LabelLine]]:
    """Return the lines of labels, and of all labels."""
    if macro is None or micro is None:
        raise DataError(f"{path}: no label is on some of the tracks and absent from others")
    named = [
        (name, curve, metric.per_label[name])
        for name, curve in zip(one.names, curves, strict=True)
        if curve is not None
    ]
    means = [("macro", macro, metric.macro), ("micro (dashed)", micro, metric.micro)]
    made = []
    for name, curve, estimate in [*named, *means]:
        few = curve.thinned(_POINTS)
        ends = None
        if estimate is not None and estimate.low is not None and estimate.high is not None:
            ends = estimate.low, estimate.high
        made.append(LabelLine(name, few.x, few.y, curve.area, ends))
    return made[:-2], made[-2:]


def _calibration(path: Path, one: Predictions) -> LabelPanel:
    try:
        p = probabilities_of(one, "--calibration")
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    whole = reliability(*pooled(one.truth, p, one.unknown), _BINS)
    single = "" if one.multi_label else "predicted label: "
    means = [
        LabelLine(
            "predicted labels" if single else "all labels",
            whole.probability,
            whole.fraction,
            _gap(whole.probability, whole.fraction, whole.count),
            bars=np.stack([whole.low, whole.high]),
        )
    ]
    labels = []
    for j, name in enumerate(one.names):
        if one.truth[:, j].any():
            rows = slice(None) if one.unknown is None else ~one.unknown[:, j]
            bins = reliability(one.truth[rows, j], p[rows, j], _LABEL_BINS)
            gap = _gap(bins.probability, bins.fraction, bins.count)
            sure = bins.count >= _LEAST
            labels.append(LabelLine(name, bins.probability[sure], bins.fraction[sure], gap))
    return LabelPanel(
        "calibration, mean distance",
        "probability",
        "fraction of tracks with the label",
        labels,
        means,
        rising=True,
        counts=(whole.probability, whole.count),
    )


def _gap(probability: np.ndarray, fraction: np.ndarray, count: np.ndarray) -> float:
    """Return the mean distance of probability and fraction, weighted by the counts."""
    return float(np.abs(probability - fraction) @ count / count.sum())


_PANELS = {"roc": _roc, "pr": _precision_recall, "calibration": _calibration}
_WORDS = {"roc": "ROC", "pr": "precision-recall", "calibration": "calibration"}
