"""Calibration: probabilities of labels from the scores of tracks.

A calibration is learnt from the scores of tracks that the model did not learn from: the valid part,
or inner folds of the train part.

* **One label per track**: the softmax of the slope times the scores. For the probabilities of a net
  their logarithms are taken first, so this is temperature scaling [1]_ with a temperature of
  1 / slope. For the margins of a classifier it is Platt scaling of several classes with a common
  slope.
* **Several labels**: Platt scaling [2]_ of each label, a sigmoid of slope times score plus offset.
  Labels that fewer than ten tracks have, or lack, share a slope.

True labels are smoothed as Platt does it, so that scores without an error do not give certainty.

Differs from the paper: in [2]_ a label may get a negative slope. Here a slope is at least 0, so a
calibration never reverses the order of the scores of a label.

References
----------
.. [1] C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger, "On calibration of modern neural networks",
   ICML 2017.
.. [2] J. Platt, "Probabilistic outputs for support vector machines and comparisons to regularized
   likelihood methods", Advances in Large Margin Classifiers, 1999.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from mcls.errors import FormatError

#: A calibration is not learnt from fewer tracks.
MIN_TRACKS = 10

#: A label has a slope of its own if this many tracks have it, and as many lack it.
_OWN_SLOPE = 10

#: Probabilities are kept this far from 0 and 1 before their logarithm, unless some are 0.
_CLIP = 1e-6


@dataclass(frozen=True)
class Calibration:
    """A map from scores to probabilities.

    Parameters
    ----------
    multi_label : bool
        True if a track can have any number of labels.
    are_probabilities : bool
        True if the scores are in [0, 1] and their logarithm (logit, for several labels) is taken.
    slope : np.ndarray, shape (n_labels,)
        >= 0; the same for all labels where a track has one.
    offset : np.ndarray, shape (n_labels,)
    floor : float
        Probabilities are kept this far from 0 and 1 before their logarithm: half of the smallest
        one above 0 that it was learnt from if some were 0, as those of neighbours are.
    """

    multi_label: bool
    are_probabilities: bool
    slope: np.ndarray
    offset: np.ndarray
    floor: float = _CLIP

    def __call__(self, scores: np.ndarray) -> np.ndarray:
        """Return probabilities of scores, ``(n_tracks, n_labels)``.

        Examples
        --------
        >>> calibration = Calibration(False, True, np.full(2, 2.0), np.zeros(2))
        >>> calibration(np.array([[0.25, 0.75]])).round(4).tolist()
        [[0.1, 0.9]]
        """
        z = self.slope * self.evidence(scores) + self.offset
        return probabilities(z, multi_label=self.multi_label)

    def evidence(self, scores: np.ndarray) -> np.ndarray:
        """Return the scores on the scale of logarithms (logits, for several labels) or margins."""
        if not self.are_probabilities:
            return np.asarray(scores, dtype=np.float64)
        p = np.clip(scores, self.floor, 1 - self.floor)
        return np.log(p) - np.log1p(-p) if self.multi_label else np.log(p)

    def as_dict(self) -> dict[str, Any]:
        """Return what a TOML file can hold; see `calibration_of`."""
        return {
            "multi_label": self.multi_label,
            "are_probabilities": self.are_probabilities,
            "slope": self.slope.tolist(),
            "offset": self.offset.tolist(),
            "floor": self.floor,
        }


def probabilities(z: np.ndarray, *, multi_label: bool) -> np.ndarray:
    """Return the softmax over the labels, or the sigmoid of each label with `multi_label`."""
    from scipy.special import expit, softmax

    return np.asarray(expit(z) if multi_label else softmax(z, axis=1))


def calibration_of(content: Mapping[str, Any], n_labels: int, where: object) -> Calibration:
    """Return the calibration in the content of a file.

    Raises
    ------
    FormatError
        With the file `where`, if a value is missing or wrong.
    """
    flags = [content.get(key) for key in ("multi_label", "are_probabilities")]
    arrays = [content.get(key) for key in ("slope", "offset")]
    if not all(isinstance(flag, bool) for flag in flags):
        raise FormatError(f"{where}: multi_label and are_probabilities must be true or false")
    for array in arrays:
        right = isinstance(array, list) and len(array) == n_labels
        if not right or not all(isinstance(x, int | float) and np.isfinite(x) for x in array or []):
            raise FormatError(f"{where}: slope and offset must be lists of {n_labels} numbers")
    slope, offset = (np.array(array, dtype=np.float64) for array in arrays)
    if (slope < 0).any():
        raise FormatError(f"{where}: a slope is below 0")
    floor = content.get("floor")
    if not isinstance(floor, float) or not 0 < floor < 0.5:
        raise FormatError(f"{where}: floor is {floor!r}; expected a number above 0 and below 0.5")
    return Calibration(bool(flags[0]), bool(flags[1]), slope, offset, floor)


def calibrate(
    scores: np.ndarray,
    truth: np.ndarray,
    *,
    multi_label: bool,
    are_probabilities: bool,
    unknown: np.ndarray | None = None,
) -> Calibration:
    """Learn a calibration.

    Parameters
    ----------
    scores : np.ndarray, shape (n_tracks, n_labels)
        Scores of tracks that the model did not learn from.
    truth : np.ndarray, shape (n_tracks, n_labels), bool
        Their true labels.
    multi_label, are_probabilities : bool
        See `Calibration`.
    unknown : np.ndarray, shape (n_tracks, n_labels), bool, or None
        Labels that are unknown, with `multi_label`; these tracks do not count for them.

    Returns
    -------
    Calibration
    """
    n_labels = scores.shape[1]
    floor = _CLIP
    if are_probabilities and (scores <= 0).any() and (scores > 0).any():
        floor = max(_CLIP, float(scores[scores > 0].min()) / 2)
    start = Calibration(
        multi_label, are_probabilities, np.ones(n_labels), np.zeros(n_labels), min(floor, 0.25)
    )
    z = start.evidence(scores)
    if not multi_label:
        slope, offset = np.full(n_labels, _temperature(z, truth)), np.zeros(n_labels)
    else:
        slope, offset = _platt(z, truth, True if unknown is None else ~unknown)
    return replace(start, slope=slope, offset=offset)


def _temperature(z: np.ndarray, truth: np.ndarray) -> float:
    """Return the slope of the softmax with the highest likelihood of the smoothed true labels."""
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax

    n, n_labels = truth.shape
    smooth = np.where(truth, (n + 1) / (n + 2), 1 / ((n + 2) * (n_labels - 1)))
    scale = float(np.median(z.max(axis=1) - np.median(z, axis=1))) or 1.0

    def loss(log_slope: float) -> float:
        return -float((smooth * log_softmax(np.exp(log_slope) / scale * z, axis=1)).sum()) / n

    found = minimize_scalar(loss, bounds=(-7, 7), method="bounded", options={"xatol": 1e-6})
    return float(np.exp(found.x)) / scale


def _platt(
    z: np.ndarray, truth: np.ndarray, known: np.ndarray | Literal[True]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the slopes and offsets of the sigmoids of labels; `known` may be True of all."""
    n_labels = z.shape[1]
    having, lacking = truth.sum(axis=0), (~truth & known).sum(axis=0)
    own = np.minimum(having, lacking) >= _OWN_SLOPE
    varies = np.ptp(z, axis=0) > 0

    def of(labels: np.ndarray) -> np.ndarray | Literal[True]:
        return True if known is True else known[:, labels]

    slope, offset = np.zeros(n_labels), np.zeros(n_labels)
    for j in np.flatnonzero(own):
        one = np.array([j])
        slope[j], offset[one] = _sigmoid(z[:, one], truth[:, one], of(one))
    rest = np.flatnonzero(~own & varies)
    if len(rest):
        slope[rest], offset[rest] = _sigmoid(z[:, rest], truth[:, rest], of(rest))
    constant = np.flatnonzero(~own & ~varies)
    smooth = _smoothed(truth[:, constant], of(constant))
    with np.errstate(invalid="ignore"):
        share = smooth.mean(axis=0, where=of(constant))
    share = np.where(having[constant] + lacking[constant] > 0, share, 0.5)
    offset[constant] = np.log(share / (1 - share))
    return slope, offset


def _sigmoid(
    z: np.ndarray, truth: np.ndarray, known: np.ndarray | Literal[True]
) -> tuple[float, np.ndarray]:
    """Return the common slope and the offset of each label with the highest likelihood."""
    from scipy.optimize import minimize
    from scipy.special import expit

    smooth = _smoothed(truth, known)
    middle, scale = z.mean(axis=0), float(z.std(axis=0).mean()) or 1.0
    scaled = (z - middle) / scale

    def loss(x: np.ndarray) -> tuple[float, np.ndarray]:
        found = x[0] * scaled + x[1:]
        error = (expit(found) - smooth) * known
        value = float(((np.logaddexp(0, found) - smooth * found) * known).sum())
        return value, np.concatenate([[(error * scaled).sum()], error.sum(axis=0)])

    share = smooth.mean(axis=0)
    start = np.concatenate([[1.0], np.log(share / (1 - share))])
    bounds = [(0.0, None), *[(None, None)] * z.shape[1]]
    x = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, tol=1e-10).x
    slope = float(x[0]) / scale
    return slope, x[1:] - slope * middle


def _smoothed(truth: np.ndarray, known: np.ndarray | Literal[True]) -> np.ndarray:
    """Return Platt's targets: (n + 1) / (n + 2) of the n tracks with a label, 1 / (n + 2) else."""
    having, lacking = truth.sum(axis=0), (~truth & known).sum(axis=0)
    return np.where(truth, (having + 1) / (having + 2), 1 / (lacking + 2))
