"""Timelines: the events that a trained run finds in a track, for any kind of model.

* HMMs (``gmm-hmm``, ``dnn-hmm``) score every row in every state; those of all labels are joined
  to a loop (`mcls.hmm.loop`), whose best path is the timeline.
* All other models score windows: the segments of a net, a quarter of a segment apart; the rows of
  a classifier; or, where a row is a whole track, stretches of some seconds, a quarter apart. The
  probabilities of the labels take the place of densities, and every label is an HMM of one state.
* Where a track may have several labels at a time, each label is decoded on its own, against its
  absence.

The loop has one switch cost per pair of labels: a label is left after its mean length, for one of
the labels that follow it. A run that learnt from events has counted both in them (`LabelOrder`);
for others all labels are equally likely and last as long.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mcls.chain.step import RowsByStep, apply_chain, axes_of
from mcls.disk.chain import Chain
from mcls.errors import ConfigError, FormatError
from mcls.evaluation.aggregate import score_tracks
from mcls.evaluation.calibration import Calibration, probabilities
from mcls.hmm.loop import LabelOrder, decode_loop, one_state_models
from mcls.hmm.models import HMMs
from mcls.stores.event_store import rows_between
from mcls.tables.events import Event

#: Windows that begin within the length of one. On validation tracks of drum loops, 8 found more
#: labels than there were for a net, and 3 found changes too late.
_PER_WINDOW = 4
#: Seconds of a window of a run that learnt from whole tracks, where a row is a whole track.
WINDOW = 3.0
#: Mean length of an event of a run that did not learn from events, in seconds.
DURATION = 1.0
#: Probabilities are kept this far from 0 before their logarithm.
_LEAST = 1e-6


@dataclass(frozen=True)
class Timeline:
    """What is asked of timelines.

    Parameters
    ----------
    window : float or None
        Seconds of the windows where a row is a whole track; None: the median length of the events
        that the run learnt from, or 3 s.
    duration : float or None
        Mean length of an event in seconds; None: those that the run learnt from, or 1 s.
    """

    window: float | None = None
    duration: float | None = None


@dataclass(frozen=True)
class TimelineMaker:
    """Finds the events of tracks with a model.

    Parameters
    ----------
    model : classifier or TrainedNet
    chain : Chain
        The steps from the audio to its rows.
    labels : list of str
        The labels, in the order of its scores.
    order : LabelOrder
        How labels follow each other.
    window : float
        Seconds of the windows where a row is a whole track.
    calibration : Calibration or None
        From scores to probabilities.
    sample_rate : int or None
        Of the audio in Hz, for a feature that does not resample.
    """

    model: Any
    chain: Chain
    labels: list[str]
    order: LabelOrder
    window: float
    calibration: Calibration | None = None
    sample_rate: int | None = None

    def events(self, known: RowsByStep) -> list[Event]:
        """Return the events of a track, given the rows of the first steps of the chain.

        Raises
        ------
        ConfigError
            If the rows have no times.
        """
        rows, rate = apply_chain(self.chain, known)
        if rate is not None and hasattr(self.model, "emissions"):
            first = axes_of(self.chain, self.sample_rate).start
            hmms, emissions = self.model.emissions(rows)
            times = first + np.arange(len(rows)) / rate
            return self._decoded(hmms, emissions, self.model.hmm_labels, times, _end_of(known))
        scores, times = self._window_scores(known, rows, rate)
        if self.calibration is not None:
            p = self.calibration(scores)
        elif (self.model.lowest, self.model.highest) == (0.0, 1.0):
            p = scores
        else:
            p = probabilities(scores, multi_label=self.model.multi_label_)
        p = np.clip(np.concatenate([p, 1 - p], axis=1) if self.model.multi_label_ else p, _LEAST, 1)
        hmms, every = one_state_models(p.shape[1]), np.arange(len(self.labels))
        return self._decoded(hmms, np.log(p), every, times, _end_of(known))

    def _window_scores(
        self, known: RowsByStep, rows: np.ndarray, rate: float | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the scores of windows and the times of their middles."""
        model = self.model
        if rate is None:
            return self._scores_of_stretches(known)
        first = axes_of(self.chain, self.sample_rate).start
        offsets = np.arange(len(rows), dtype=float)
        if hasattr(model, "spec"):
            model = model.with_overlap(1 - 1 / _PER_WINDOW)
            offsets = model.first_rows(len(rows)) + model.middle
        return self._scores(model, [rows], "rows"), first + offsets / rate

    def _scores_of_stretches(self, known: RowsByStep) -> tuple[np.ndarray, np.ndarray]:
        length = _end_of(known)
        window = min(self.window, length)
        starts = np.arange(0, max(length - window, 0) + 1e-9, window / _PER_WINDOW)
        cut = [apply_chain(self.chain, _stretch(known, at, at + window))[0] for at in starts]
        scores = np.concatenate([self._scores(self.model, [one], "mean") for one in cut])
        return scores, starts + window / 2

    def _scores(self, model: Any, tracks: list[np.ndarray], how: str) -> np.ndarray:
        found = score_tracks(model, tracks, n_labels=len(self.labels), how=how)
        return np.concatenate([np.atleast_2d(one) for one in found])

    def _decoded(
        self,
        hmms: HMMs,
        emissions: np.ndarray,
        places: np.ndarray,
        times: np.ndarray,
        end: float,
    ) -> list[Event]:
        """Return the events of rows or windows with these middles, up to the end of the track.

        The HMMs are those of the labels at `places`; with several labels at a time, those of their
        absence follow.
        """
        step = float(np.median(np.diff(times))) if len(times) > 1 else end
        if not self.model.multi_label_:
            order = self.order.of(places)
            found = decode_loop(hmms, emissions, order.seconds / step, order)
            return self._as_events(*found, times, end, [self.labels[i] for i in places])
        events = []
        for j, place in enumerate(places):
            pair = _models_of(hmms, [j, j + len(places)])
            order = LabelOrder.equal(2, float(self.order.seconds[place]))
            found = decode_loop(pair, emissions, order.seconds / step, order)
            events += self._as_events(*found, times, end, [self.labels[place], ""])
        return sorted(events, key=lambda event: (event.start, event.label))

    def _as_events(
        self,
        starts: np.ndarray,
        labels: np.ndarray,
        posteriors: np.ndarray,
        times: np.ndarray,
        end: float,
        names: Sequence[str],
    ) -> list[Event]:
        """Return events that begin and end halfway between rows; those without a name are none."""
        bounds = [0.0, *((times[starts[1:] - 1] + times[starts[1:]]) / 2), end]
        stops = [*starts[1:], len(times)]
        found = []
        for i, label in enumerate(labels):
            sure = float(posteriors[starts[i] : stops[i], label].mean())
            if names[label]:
                found.append(Event(float(bounds[i]), float(bounds[i + 1]), names[label], sure))
        return found


def timeline_maker(
    model: Any,
    chain: Chain,
    labels: list[str],
    known: Mapping[str, Any] | None,
    asked: Timeline,
    *,
    calibration: Calibration | None,
    aggregate: str,
    sample_rate: int | None,
) -> TimelineMaker:
    """Return the maker of the timelines of a run; other parameters as of `TimelineMaker`.

    Parameters
    ----------
    known : mapping or None
        ``events`` of its ``about.json``: `LabelOrder.as_dict`, and ``median_seconds`` of an event;
        None if it did not learn from events.
    asked : Timeline
        What was asked for in place of what it has learnt.
    aggregate : str
        That of the run: a calibration of votes does not fit the scores of rows and is not used.

    Raises
    ------
    FormatError
        If the numbers do not fit the labels.
    """
    n, window = len(labels), WINDOW
    if known is None:
        order = LabelOrder.equal(n, DURATION)
    else:
        shapes = {"seconds": (n,), "first": (n,), "following": (n, n), "median_seconds": ()}
        arrays = {}
        for name, shape in shapes.items():
            try:
                arrays[name] = np.asarray(known[name], dtype=np.float64)
            except (KeyError, TypeError, ValueError) as error:
                raise FormatError(f"about.json: events have no usable {name} ({error})") from error
            if arrays[name].shape != shape or not (arrays[name] > 0).all():
                raise FormatError(f"about.json: {name} of events: expected numbers {shape} above 0")
        window = float(arrays.pop("median_seconds"))
        order = LabelOrder(**arrays)
    if asked.duration is not None:
        order = replace(order, seconds=np.full(n, asked.duration))
    window = window if asked.window is None else asked.window
    fits = None if known is None or aggregate == "vote" else calibration
    return TimelineMaker(model, chain, labels, order, window, fits, sample_rate)


def _end_of(known: RowsByStep) -> float:
    """Return the end of a track in seconds, half a row after the middle of its last row."""
    ends = [(len(rows) - 0.5) / rate for rows, rate in known.values() if rate is not None]
    if len(ends) < len(known):
        raise ConfigError("rows that are whole tracks have no timeline; score the audio")
    return max(ends)


def _models_of(hmms: HMMs, some: list[int]) -> HMMs:
    return HMMs(**{name: array[some] for name, array in vars(hmms).items()})


def _stretch(known: RowsByStep, start: float, end: float) -> RowsByStep:
    """Return the rows between two times; at least one of each step."""
    cut = {}
    for i, (rows, rate) in known.items():
        assert rate is not None
        first, stop = rows_between(start, end, 0.0, rate)
        first = min(first, len(rows) - 1)
        cut[i] = (rows[first : max(first + 1, stop)], rate)
    return cut
