"""A metric of predicted numbers, with its intervals over tracks."""

from typing import Any

import numpy as np

from mcls.disk.predictions import Predictions
from mcls.evaluation.jackknife import influence, interval, leave_out, micro_spread
from mcls.evaluation.results import Estimate, MetricResult
from mcls.registry import Entry

#: Offset and factor to the scale of an interval, and whether its values cannot exceed 1.
_SCALES = {
    "ratio": (0.0, 1.0, False),
    "unexplained": (1.0, -1.0, False),
    "correlation": (0.5, 0.5, True),
}


def measure_numbers(
    entry: Entry, settings: dict[str, Any], predictions: Predictions, units: np.ndarray | None
) -> MetricResult:
    """Compute a metric for each target and its mean over the targets.

    Parameters
    ----------
    entry : Entry
        A metric with the fact ``regression``.
    settings : dict
        Its settings.
    predictions : Predictions
    units : np.ndarray, shape (n_lines,), or None
        The lines that are left out together; None computes no intervals.
    """
    metric = entry.load()
    truth, scores = predictions.truth, predictions.scores
    once = np.ones((1, len(truth)), dtype=np.int32)
    values = metric(truth, scores, once, **settings).per_label[0]
    kept = np.flatnonzero(~np.ma.getmaskarray(values))
    values = np.ma.getdata(values)[kept]
    influences = None
    if units is not None and units.max() > 0:
        left = metric(truth, scores, leave_out(units), **settings).per_label
        influences = influence(left[:, kept], np.ma.array(values))
    per_target = {
        predictions.names[j]: _estimate(
            entry, values[i], None if influences is None else influences[:, i], len(truth)
        )
        for i, j in enumerate(kept)
    }
    macro = None
    if len(kept):
        mean = None if influences is None else influences.mean(axis=1)
        macro = _estimate(entry, values.mean(), mean, len(truth))
    return MetricResult(entry.facts["headline"], macro, None, per_target)


def _estimate(entry: Entry, value: float, influences: np.ndarray | None, n: int) -> Estimate:
    if influences is None:
        return Estimate(float(value), None, None)
    offset, factor, bounded = _SCALES[entry.facts["interval"]]
    spread = micro_spread(factor * influences, n)
    ends = interval(offset + factor * float(value), spread, bounded=bounded)
    low, high = (None, None) if ends is None else sorted((end - offset) / factor for end in ends)
    return Estimate(float(value), low, high)
