"""The figures of several folds side by side."""

from collections.abc import Mapping
from statistics import fmean, stdev
from typing import Any

from mcls.evaluation.report import Report


def across_folds(reports: Mapping[str, Report]) -> dict[str, Any]:
    """Return mean and standard deviation of every figure over the folds.

    Parameters
    ----------
    reports : mapping of str to Report
        A report per fold, all of the same metrics.

    Returns
    -------
    dict
        Metric to ``macro`` and ``micro`` to ``mean``, ``sd`` (of a sample, n - 1; None for one
        fold), ``n_folds`` and ``values`` (fold to value). Folds in which a figure could not be
        computed are left out and do not count in ``n_folds``.
    """
    first = next(iter(reports.values()))
    return {
        metric: {kind: _spread(reports, metric, kind) for kind in ("macro", "micro")}
        for metric in first.metrics
    }


def _spread(reports: Mapping[str, Report], metric: str, kind: str) -> dict[str, Any] | None:
    values = {
        fold: estimate.value
        for fold, report in reports.items()
        if (estimate := getattr(report[metric], kind)) is not None
    }
    if not values:
        return None
    figures = list(values.values())
    sd = stdev(figures) if len(figures) > 1 else None
    return {"mean": fmean(figures), "sd": sd, "n_folds": len(figures), "values": values}
