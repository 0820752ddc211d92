"""Metrics of timelines: predicted events against the true events of the same tracks.

Every metric is a ratio of two sums over tracks, so a long track counts more than a short one, and
leaving a track out is a subtraction. The intervals are those of the jackknife over tracks.

============== ====================================================================================
frame-accuracy Share of the annotated time that has the right label: the accuracy of frames so
               short that no length of frames has to be chosen. As ``mir_eval`` weighs labelled
               intervals by their durations.
label-error    Insertions, deletions and substitutions that make the predicted sequence of labels
               the true one, per true event (Levenshtein 1966): the word error rate of speech.
segment-error  The segment-based error rate of DCASE: substitutions, deletions and insertions of
               labels in segments of 0.1 s, per true label (Mesaros, Heittola & Virtanen 2016).
segment-f1     The segment-based F1 of DCASE: of all labels and segments together.
============== ====================================================================================

Only annotated time counts: what is predicted where no true event is, is left out before.

References
----------
Mesaros, Heittola & Virtanen (2016), Metrics for polyphonic sound event detection, Applied Sciences
6(6), 162; Raffel et al. (2014), mir_eval: a transparent implementation of common MIR metrics.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from mcls.errors import DataError
from mcls.evaluation.jackknife import influence, interval, micro_spread
from mcls.evaluation.results import Estimate
from mcls.tables.events import Event

#: Length of the segments of the segment-based metrics, in seconds.
RESOLUTION = 0.1

#: The metrics, and whether 1 is the largest value.
METRICS = {
    "frame-accuracy": True,
    "label-error": False,
    "segment-error": False,
    "segment-f1": True,
}

#: The true and the predicted events of a track.
Pair = tuple[Sequence[Event], Sequence[Event]]


def measure_sequences(tracks: Sequence[Pair], *, intervals: bool = True) -> dict[str, Estimate]:
    """Return all metrics of some tracks, with 95 % intervals.

    Parameters
    ----------
    tracks : sequence of (true events, predicted events)
        A track each. Predicted events are cut to the annotated time first.
    intervals : bool
        Compute intervals.

    Raises
    ------
    DataError
        If there is no true event.
    """
    counts = [counts_of(true, annotated(predicted, true)) for true, predicted in tracks]
    found = {}
    for name, bounded in METRICS.items():
        above, below = np.array([one[name] for one in counts], dtype=np.float64).reshape(-1, 2).T
        if below.sum() == 0:
            raise DataError("there are no true events to compare with")
        value = float(above.sum() / below.sum())
        ends = None
        if intervals and len(counts) > 1:
            others = below.sum() - below
            left = np.ma.masked_invalid((above.sum() - above) / np.where(others, others, np.nan))
            spread = micro_spread(influence(left, value), len(counts))
            ends = interval(value, spread, bounded=bounded)
        found[name] = Estimate(value, *(ends or (None, None)))
    return found


def counts_of(true: Sequence[Event], predicted: Sequence[Event]) -> dict[str, tuple[float, float]]:
    """Return numerator and denominator of every metric for one track."""
    substituted, deleted, inserted, hits, n_true = segment_counts(true, predicted)
    labels = [one.label for one in true]
    return {
        "frame-accuracy": (agreement(true, predicted), sum(one.seconds for one in true)),
        "label-error": (edit_distance(labels, [one.label for one in predicted]), len(true)),
        "segment-error": (substituted + deleted + inserted, n_true),
        "segment-f1": (2 * hits, 2 * hits + 2 * substituted + deleted + inserted),
    }


def agreement(true: Sequence[Event], predicted: Sequence[Event]) -> float:
    """Return the seconds in which a true and a predicted event have the same label.

    Examples
    --------
    >>> agreement([Event(0, 2, "a"), Event(2, 3, "b")], [Event(0, 1.5, "a"), Event(1.5, 3, "b")])
    2.5
    """
    found, first = 0.0, 0
    for one in true:
        while first < len(predicted) and predicted[first].end <= one.start:
            first += 1
        for other in predicted[first:]:
            if other.start >= one.end:
                break
            if other.label == one.label:
                found += min(one.end, other.end) - max(one.start, other.start)
    return found


def edit_distance(true: Sequence[str], predicted: Sequence[str]) -> int:
    """Return the fewest insertions, deletions and substitutions between two sequences.

    Examples
    --------
    >>> edit_distance("kitten", "sitting")
    3
    """
    row = list(range(len(predicted) + 1))
    for i, one in enumerate(true, start=1):
        diagonal, row[0] = row[0], i
        for j, other in enumerate(predicted, start=1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (one != other))
    return row[-1]


def segment_counts(
    true: Sequence[Event], predicted: Sequence[Event], resolution: float = RESOLUTION
) -> tuple[int, int, int, int, int]:
    """Return the counts of DCASE's segment-based metrics.

    Parameters
    ----------
    true, predicted : sequence of Event
    resolution : float
        Length of a segment in seconds; DCASE takes 1.

    Returns
    -------
    substituted, deleted, inserted, hits, n_true : int
        Labels, summed over segments. A label is in a segment if an event with it is in a part of
        the segment.
    """
    both = [_roll(events, resolution) for events in (true, predicted)]
    substituted = deleted = inserted = hits = n_true = 0
    for segment in both[0].keys() | both[1].keys():
        here, said = (one.get(segment, set()) for one in both)
        common = len(here & said)
        missed, extra = len(here) - common, len(said) - common
        substituted += min(missed, extra)
        deleted += max(0, missed - extra)
        inserted += max(0, extra - missed)
        hits += common
        n_true += len(here)
    return substituted, deleted, inserted, hits, n_true


def annotated(predicted: Sequence[Event], true: Sequence[Event]) -> list[Event]:
    """Return predicted events without the time in which there is no true event.

    Examples
    --------
    >>> annotated([Event(0, 9, "a")], [Event(1, 2, "a"), Event(2, 3, "b"), Event(5, 6, "a")])
    [Event(start=1, end=3, label='a', probability=None), Event(start=5, end=6, label='a', \
probability=None)]
    """
    spans: list[list[float]] = []
    for one in true:
        if spans and math.isclose(one.start, spans[-1][1], abs_tol=1e-9):
            spans[-1][1] = one.end
        else:
            spans.append([one.start, one.end])
    found = []
    for event in predicted:
        for start, end in spans:
            first, last = max(start, event.start), min(end, event.end)
            if first < last:
                found.append(Event(first, last, event.label, event.probability))
    return found


def _roll(events: Sequence[Event], resolution: float) -> Mapping[int, set[str]]:
    """Return the labels in every segment that has any."""
    found: dict[int, set[str]] = {}
    for one in events:
        first, stop = math.floor(one.start * 1 / resolution), math.ceil(one.end * 1 / resolution)
        for segment in range(first, stop):
            found.setdefault(segment, set()).add(one.label)
    return found
