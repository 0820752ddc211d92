"""The charts of a run's results: per label, curves, calibration, learning curves, numbers."""

from collections.abc import Callable
from typing import Any

import numpy as np

from mcls.evaluation.label_curves import Curve, LabelCurves, precision_recall_curves, roc_curves
from mcls.evaluation.reliability import pooled, reliability
from mcls.inspection.run import read_history
from mcls.plots.curves import by_quantity
from mcls.report.charts import (
    Chart,
    calibration_chart,
    curves_chart,
    history_chart,
    label_bars,
    numbers_chart,
)
from mcls.report.runs import ReportedRun
from mcls.report.tables import PageTable, spell, spell_interval

#: Points of a curve, and labels with curves, at most.
_POINTS, _CURVES = 100, 40

#: Rates at which the tables of curves give values.
_RATES = (0.01, 0.05, 0.1, 0.2, 0.5)

#: Bins of probabilities.
_BINS = 10

#: The name of the mean curve among those of labels.
_MEAN = "mean of all labels"

#: Tracks of which a chart of numbers shows points, at most.
_NUMBERS = 2000

#: Ratio of largest to smallest value from which on an axis is logarithmic.
_WIDE = 100


def result_charts(run: ReportedRun) -> tuple[list[Chart], list[str]]:
    """Return the charts of a run, and what is left out and why."""
    if run.predictions.regression:
        charts = [_numbers(run, j) for j in range(len(run.predictions.names))]
        return charts, [
            "A regression predicts numbers, so there are no ROC and precision-recall curves, no "
            "calibration and no confusion matrix."
        ]
    missing = []
    charts = [_labels(run)] if run.found.overall.metrics["auc"].per_label else []
    charts += _curves(run)
    if run.predictions.probabilities is None:
        why = run.predictions.no_probability or "predictions alone have none"
        missing.append(f"There is no calibration curve, as probabilities are not known: {why}.")
    else:
        charts.append(_calibration(run))
    if run.predictions.multi_label:
        missing.append("A confusion matrix needs one label per track, so there is none.")
    if run.found.overall.left_out:
        n, all_ = len(run.found.overall.left_out), len(run.predictions.names)
        missing.append(f"{n} of {all_} labels have no curve, as all tracks or none have them.")
    return charts, missing


def _labels(run: ReportedRun) -> Chart:
    metrics = {"AUC": run.found["auc"].per_label, "average precision": run.found["ap"].per_label}
    order = sorted(metrics["AUC"], key=lambda name: -metrics["AUC"][name].value)
    rows = [
        {"name": name, "metric": metric, "value": one.value, "low": one.low, "high": one.high}
        for name in order
        for metric, values in metrics.items()
        if (one := values.get(name)) is not None
    ]
    cells = []
    n_known = run.found.overall.n_known
    for name in order:
        row = [name, str(run.found.overall.support[name])]
        row += [] if n_known is None else [str(n_known[name])]
        for values in metrics.values():
            one = values[name]
            row += [spell(one.value), spell_interval(one.low, one.high)]
        cells.append(row)
    table = PageTable(
        "AUC and average precision per label",
        [
            *("label", "tracks", *(() if n_known is None else ("known",))),
            *("AUC", "95 %", "average precision", "95 %"),
        ],
        cells,
    )
    best, worst = order[0], order[-1]
    said = (
        f"Bars of AUC and average precision of {len(order)} labels with 95 % intervals. AUC is "
        f"from {metrics['AUC'][worst].value:.3f} ({worst}) to {metrics['AUC'][best].value:.3f} "
        f"({best})."
    )
    return Chart("AUC and average precision per label", said, label_bars(rows, [*metrics]), table)


def _curves(run: ReportedRun) -> list[Chart]:
    known, names = run.predictions, run.predictions.names
    roc, recall = (
        curves(known.truth, known.scores, known.unknown)
        for curves in (roc_curves, precision_recall_curves)
    )
    if roc.macro is None:
        return []
    return [
        _curve_chart(
            roc,
            names,
            title="ROC curves",
            axes=("false positive rate", "true positive rate"),
            area="AUC",
            at=_highest,
            roc=True,
        ),
        _curve_chart(
            recall,
            names,
            title="Precision-recall curves",
            axes=("recall", "precision"),
            area="average precision",
            at=_reaching,
            roc=False,
        ),
    ]


def _highest(curve: Curve, rate: float) -> float:
    """Return the true positive rate at a false positive rate."""
    return float(curve.y[curve.x <= rate].max())


def _reaching(curve: Curve, rate: float) -> float:
    """Return the precision at the first threshold that reaches a recall."""
    return float(curve.y[np.searchsorted(curve.x, rate)])


def _curve_chart(
    found: LabelCurves,
    names: list[str],
    *,
    title: str,
    axes: tuple[str, str],
    area: str,
    at: Callable[[Curve, float], float],
    roc: bool,
) -> Chart:
    known = {
        name: curve for name, curve in zip(names, found.per_label, strict=True) if curve is not None
    }
    worst_first = sorted(known, key=lambda name: known[name].area)
    assert found.macro is not None
    mean = _MEAN if _MEAN not in known else f"{_MEAN} "
    drawn = {mean: found.macro} | {name: known[name] for name in worst_first[:_CURVES]}
    points = {
        name: list(zip(thin.x.tolist(), thin.y.tolist(), strict=True))
        for name, curve in drawn.items()
        for thin in [curve.thinned(_POINTS)]
    }
    rows = [
        [name, spell(curve.area), *(spell(at(curve, rate)) for rate in _RATES)]
        for name, curve in ({mean: found.macro} | known).items()
    ]
    columns = ["label", area, *(f"{axes[1]} at {axes[0]} {rate:g}" for rate in _RATES)]
    left = f" The {_CURVES} lowest are drawn." if len(known) > _CURVES else ""
    said = (
        f"{title} of {len(known)} labels, from {area} {known[worst_first[0]].area:.3f} "
        f"({worst_first[0]}) to {known[worst_first[-1]].area:.3f} ({worst_first[-1]}); the mean "
        f"curve has {found.macro.area:.3f}.{left} A list selects the label that is highlighted."
    )
    spec = curves_chart(points, x=axes[0], y=axes[1], picked=mean, roc=roc)
    return Chart(title, said, spec, PageTable(f"{title} in numbers", columns, rows))


def _calibration(run: ReportedRun) -> Chart:
    assert run.predictions.probabilities is not None
    found = reliability(
        *pooled(run.predictions.truth, run.predictions.probabilities, run.predictions.unknown),
        _BINS,
    )
    keys = ("probability", "observed", "low", "high", "n")
    columns = (found.probability, found.fraction, found.low, found.high, found.count)
    bins: list[dict[str, Any]] = [
        dict(zip(keys, row, strict=True))
        for row in zip(*(column.tolist() for column in columns), strict=True)
    ]
    gap = float(found.count @ np.abs(found.probability - found.fraction) / found.count.sum())
    of = "all labels" if run.predictions.multi_label else "the predicted labels"
    said = (
        f"The share of {of} that is true, by the predicted probability in {len(bins)} bins, with "
        f"95 % intervals; on the diagonal both agree. The mean distance (ECE) is {gap:.3f}."
    )
    rows = [
        [
            spell(one["probability"]),
            spell(one["observed"]),
            spell_interval(one["low"], one["high"]),
            str(one["n"]),
        ]
        for one in bins
    ]
    table = PageTable(
        "Calibration", ["mean probability", "share that is true", "95 %", "n"], rows, 0
    )
    return Chart("Calibration", said, calibration_chart(bins), table)


def _numbers(run: ReportedRun, j: int) -> Chart:
    predictions = run.predictions
    name = predictions.names[j]
    rows = [
        {"name": track, "x": float(true), "y": float(guess)}
        for track, true, guess in zip(
            predictions.track_ids, predictions.truth[:, j], predictions.scores[:, j], strict=True
        )
    ][:_NUMBERS]
    metrics = {key: one.per_label.get(name) for key, one in run.found.overall.metrics.items()}
    cells = [
        [key, spell(one.value), spell_interval(one.low, one.high)]
        for key, one in metrics.items()
        if one is not None
    ]
    shown = f" The first {_NUMBERS} are drawn." if len(predictions) > _NUMBERS else ""
    said = f"Predicted and true {name} of {len(predictions)} tracks, equal on the line.{shown}"
    table = PageTable(f"Metrics of {name}", ["metric", "value", "95 %"], cells)
    return Chart(f"Predicted and true {name}", said, numbers_chart(rows, name), table)


def history_charts(run: ReportedRun) -> list[Chart]:
    """Return the learning curves of a run of nets, those of all folds together."""
    rows: dict[str, list[dict[str, Any]]] = {}
    for one in run.runs:
        history, kept = read_history(one.path)
        fold = one.path.name if len(run.runs) > 1 else ""
        for quantity, parts in by_quantity(_overall(history)).items():
            for part, (epochs, values) in parts.items():
                rows.setdefault(quantity, []).extend(
                    {
                        "epoch": e,
                        "value": v,
                        "part": part or quantity,
                        "fold": fold,
                        "kept": e == kept,
                    }
                    for e, v in zip(epochs.tolist(), values.tolist(), strict=True)
                )
    return [
        _history(quantity, found)
        for quantity, found in rows.items()
        if len({row["value"] for row in found}) > 1
    ]


def _overall(history: list[dict[str, float]]) -> list[dict[str, float]]:
    """Return the measurements that are of no single layer, nor the duration."""
    out = ("grad_", "dead_", "seconds")
    return [{k: v for k, v in row.items() if not k.startswith(out)} for row in history]


def _history(quantity: str, rows: list[dict[str, Any]]) -> Chart:
    name = quantity.replace("_", " ")
    values = [row["value"] for row in rows]
    log = min(values) > 0 and max(values) > _WIDE * min(values)
    cells = [
        [row["fold"] or "run", row["part"], f"{row['epoch']:g}", f"{row['value']:.4g}"]
        for row in rows
        if row["kept"]
    ]
    parts = " and ".join(dict.fromkeys(row["part"] for row in rows))
    folds = len({row["fold"] for row in rows})
    said = (
        f"{name} over {int(max(row['epoch'] for row in rows))} epochs ({parts}"
        f"{f'; {folds} folds' if folds > 1 else ''}). A point marks the epoch that was kept."
    )
    table = PageTable(
        f"{name} in the epoch that was kept", ["fold", "part", "epoch", name], cells, 2
    )
    return Chart(f"Learning curve: {name}", said, history_chart(rows, name, log=log), table)
