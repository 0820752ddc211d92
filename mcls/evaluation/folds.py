"""Mean and standard deviation of metrics over folds."""

from collections.abc import Mapping
from statistics import fmean, stdev
from typing import Any

from mcls.evaluation.results import Evaluation


def across_folds(evaluations: Mapping[str, Evaluation]) -> dict[str, Any]:
    """Return the mean and standard deviation of every metric over the folds.

    Parameters
    ----------
    evaluations : mapping of str to Evaluation
        The evaluation of each fold, all with the same metrics.

    Returns
    -------
    dict
        Metric to ``macro`` and ``micro`` to ``mean``, ``sd`` (with n - 1; None for one fold),
        ``n_folds`` and ``values`` (fold to value). Folds in which the metric cannot be computed are
        left out and do not count in ``n_folds``.
    """
    first = next(iter(evaluations.values()))
    return {
        metric: {kind: _mean_and_sd(evaluations, metric, kind) for kind in ("macro", "micro")}
        for metric in first.metrics
    }


def _mean_and_sd(
    evaluations: Mapping[str, Evaluation], metric: str, kind: str
) -> dict[str, Any] | None:
    values = {
        fold: estimate.value
        for fold, evaluation in evaluations.items()
        if (estimate := getattr(evaluation[metric], kind)) is not None
    }
    if not values:
        return None
    numbers = list(values.values())
    sd = stdev(numbers) if len(numbers) > 1 else None
    return {"mean": fmean(numbers), "sd": sd, "n_folds": len(numbers), "values": values}
