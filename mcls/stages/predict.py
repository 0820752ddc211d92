"""Predict: score audio files, or the tracks of a store, with a run folder alone.

The chain in the run folder makes the rows: its feature steps read the audio, and its learnt steps
carry their arrays. So a track gets the same score here as when the run was made.
"""

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from mcls.audio.faults import fault_notes
from mcls.chain.feature import FeatureReader
from mcls.chain.match import rows_for_run, rows_of_track
from mcls.chain.model_cache import fitted_model
from mcls.chain.step import RowsAndRate, RowsByStep, apply_chain
from mcls.disk.audio_suffixes import AUDIO_SUFFIXES
from mcls.disk.chain import Chain
from mcls.disk.run import Run, open_run
from mcls.errors import ConfigError, DataError, FormatError
from mcls.evaluation.aggregate import score_tracks
from mcls.extraction.extract_faults import stored_faults
from mcls.features.extractor import Change
from mcls.parallel.pool import Pool, Task, given_or_new
from mcls.parallel.progress import Progress
from mcls.remote.functions import takes_urls
from mcls.remote.places import is_folder, kept, spelled
from mcls.remote.urls import plain, url_of
from mcls.stages.calibrate import read_calibration, why_not
from mcls.stages.timeline import Timeline, TimelineMaker, timeline_maker
from mcls.stores.store import Store, StoredRows, is_store
from mcls.tables.class_folders import audio_below
from mcls.tables.events import Event
from mcls.tabular import Tabular

#: Tracks in the task of a worker, at most.
_TASK_TRACKS = 64


@dataclass(frozen=True)
class Window:
    """An excerpt of a track, in seconds from its beginning, with its scores."""

    start: float
    stop: float
    scores: np.ndarray


@dataclass(frozen=True)
class Scored:
    """A track and its scores.

    Parameters
    ----------
    name : str
        The path as it was given, or the ``track_id`` in a store.
    scores : np.ndarray, shape (n_labels,)
        Scores of the labels; higher is likelier.
    probabilities : np.ndarray, shape (n_labels,), or None
        Calibrated probabilities of the labels; None if the run has no calibration.
    windows : list of Window
        In the order of time, if they were asked for.
    faults : dict of str to str
        What is wrong with the audio, as in `AudioFile.faults`.
    events : list of Event or None
        The timeline, if it was asked for.
    """

    name: str
    scores: np.ndarray
    probabilities: np.ndarray | None = None
    windows: list[Window] = field(default_factory=list)
    faults: dict[str, str] = field(default_factory=dict)
    events: list[Event] | None = None


@dataclass(frozen=True, repr=False)
class Predicted(Tabular):
    """The result of `predict`.

    Parameters
    ----------
    labels : list of str
        In the order of the scores.
    multi_label : bool
        Whether a track may have several labels.
    threshold : float
        The score from which a label is predicted, where a track may have several.
    tracks : list of Scored
        In the order of the sources.
    failed : list of (str, str)
        The tracks that could not be scored, and the reasons.
    regression : bool
        Whether the scores are predicted numbers, and the labels their names.
    no_probability : str or None
        The reason why tracks have no probabilities; None if they have.
    thresholds : list of float or None
        The threshold of each label, if the run has learnt them.
    about_events : str or None
        What is to be said of the timelines, if there are any.
    """

    labels: list[str]
    multi_label: bool
    threshold: float
    tracks: list[Scored]
    failed: list[tuple[str, str]]
    regression: bool = False
    no_probability: str | None = None
    thresholds: list[float] | None = None
    about_events: str | None = None

    @classmethod
    def by(cls, run: Run) -> "Predicted":
        """Return no tracks, but the labels of a run and the rule by which it predicts them."""
        return cls(
            run.labels,
            run.multi_label,
            float(run.about["threshold"]),
            [],
            [],
            run.regression,
            thresholds=run.thresholds,
        )

    @property
    def notes(self) -> list[str]:
        """What is to be said of the audio, such as which tracks are truncated."""
        said = [self.about_events] if self.about_events else []
        return said + fault_notes({track.name: track.faults for track in self.tracks})

    @property
    def title(self) -> str:
        """The number of tracks and of those that failed."""
        return f"{len(self.tracks)} tracks scored, {len(self.failed)} failed"

    def columns(self, most: int | None = None) -> dict[str, list[Any]]:
        """Return a row per track: predicted labels, scores and probabilities."""
        tracks = self.tracks[:most]
        found: dict[str, list[Any]] = {"track": [track.name for track in tracks]}
        if not self.regression:
            found["labels"] = ["|".join(self.predicted(track.scores)) for track in tracks]
        kind = "predicted" if self.regression else "score"
        for i, label in enumerate(self.labels):
            found[f"{kind}:{label}"] = [float(track.scores[i]) for track in tracks]
        sure = [one for track in tracks if (one := track.probabilities) is not None]
        if sure and len(sure) == len(tracks):
            for i, label in enumerate(self.labels):
                found[f"probability:{label}"] = [float(one[i]) for one in sure]
        return found

    def predicted(self, scores: np.ndarray) -> list[str]:
        """Return the label of the highest score, or all above the threshold if several may hold."""
        if not self.multi_label:
            return [self.labels[int(np.argmax(scores))]]
        least = self.threshold if self.thresholds is None else np.asarray(self.thresholds)
        return [self.labels[i] for i in np.flatnonzero(scores >= least)]

    def top(self, scores: np.ndarray, k: int) -> list[tuple[str, float]]:
        """Return the `k` likeliest labels and their scores, best first."""
        order = np.argsort(-scores, kind="stable")[:k]
        return [(self.labels[i], float(scores[i])) for i in order]


@takes_urls(reads=("run",))
def predict(
    run: Path | str,
    sources: Sequence[Path | str],
    *,
    feature: str | None = None,
    windows: float | None = None,
    timeline: Timeline | None = None,
    jobs: int = 1,
    workers: Pool | None = None,
    progress: Progress | None = None,
) -> Predicted:
    """Score audio files, folders of audio files, or the tracks of a store.

    Parameters
    ----------
    run : path
        A run folder; nothing else that the run was made from is needed.
    sources : sequence of paths
        Audio files, folders (all audio files below them) and stores.
    feature : str or None
        The feature of a store to use, if several fit.
    windows : float or None
        Also score windows of about this many seconds. Rows that have a time are cut by their time;
        where a row is a whole track, each window is treated as a track of its own.
    timeline : Timeline or None
        Also find the events of each track.
    jobs : int
        Number of worker processes; 1 computes in this process.
    workers : Pool or None
        A pool to use, such as a `DaskPool`; its number of processes replaces ``jobs``.
    progress : callable or None
        ``progress(tracks done, tracks in all, seconds of audio)``.

    Returns
    -------
    Predicted
        A file that cannot be scored is in ``failed``; the others are scored all the same.

    Raises
    ------
    ConfigError
        If `jobs` is below 1, windows or a timeline are asked for where rows are whole tracks, or a
        timeline of a run that predicts numbers.
    FormatError
        If `run` is not a run folder, or a store is corrupt.
    DataError
        If there is nothing to score, or the rows of a store were made with other settings.
    """
    if jobs < 1:
        raise ConfigError(f"jobs={jobs}; expected 1 or more")
    opened = open_run(run)
    scorer = Scorer(opened, windows, timeline)
    tracks = list(tracks_of(opened, sources, scorer.chain, feature))
    if not tracks:
        raise DataError(f"no audio files in {', '.join(str(source) for source in sources)}")
    found = score_tracks_with(scorer, tracks, jobs=jobs, workers=workers, progress=progress)
    results = [(tracks[i].name, found[i]) for i in range(len(tracks))]
    known = opened.regression or scorer.calibration is not None
    return replace(
        Predicted.by(opened),
        tracks=[one for _, one in results if isinstance(one, Scored)],
        failed=[(name, one) for name, one in results if isinstance(one, str)],
        no_probability=None if known else why_not(opened),
        about_events=None if scorer.timeline is None else about_events(opened, scorer.timeline),
    )


def about_events(run: Run, maker: TimelineMaker) -> str | None:
    """Say how a run that did not learn from events finds them."""
    if run.about.get("events") is not None:
        return None
    return (
        f"{run.path} did not learn from events: they last {maker.order.seconds.mean():g} s on "
        "average (--duration), and their probabilities are not calibrated"
    )


def score_tracks_with(
    scorer: "Scorer",
    tracks: "Sequence[Track]",
    *,
    jobs: int = 1,
    workers: Pool | None = None,
    progress: Progress | None = None,
) -> dict[int, Scored | str]:
    """Return the scores of tracks by their index, or the reason why one could not be scored."""
    jobs = jobs if workers is None else workers.jobs
    size = 1 if jobs == 1 else max(1, min(_TASK_TRACKS, -(-len(tracks) // (8 * jobs))))
    tasks = [
        Task([*enumerate(tracks)][start : start + size]) for start in range(0, len(tracks), size)
    ]
    found: dict[int, Scored | str] = {}
    seconds = 0.0
    with given_or_new(workers, jobs) as team:
        for task, (scored, some_seconds) in team.map(partial(score_task, scorer=scorer), tasks):
            found |= scored
            found |= {task.items[i][0]: reason for i, reason in task.failed.items()}
            seconds += some_seconds
            if progress is not None:
                progress(len(found), len(tracks), seconds)
    return found


class Scorer:
    """Scores tracks from the rows of the first steps of a run's chain."""

    def __init__(self, run: Run, windows: float | None, timeline: Timeline | None = None) -> None:
        if timeline is not None and run.regression:
            raise ConfigError(f"{run.path} predicts numbers; a timeline is for labels")
        self.path = run.path
        self.chain = run.chain()
        self.model = fitted_model(run)
        self.n_labels = len(run.labels)
        self.aggregate = run.about["aggregate"]
        self.windows = windows
        self.asked = timeline
        self.calibration = read_calibration(run)
        if len(self.model.classes_) > self.n_labels or max(self.model.classes_) >= self.n_labels:
            raise FormatError(f"{run.path}: the classifier knows more labels than about.json names")
        self.timeline = None if timeline is None else self._timeline(run, timeline)

    def _timeline(self, run: Run, asked: Timeline) -> TimelineMaker:
        return timeline_maker(
            self.model,
            self.chain,
            run.labels,
            run.about.get("events"),
            asked,
            calibration=self.calibration,
            aggregate=self.aggregate,
            sample_rate=run.about.get("sample_rate"),
        )

    def __reduce__(self) -> tuple[Callable[..., "Scorer"], tuple[Any, ...]]:
        """Send a worker no arrays and tensors: it reads the run folder itself, once."""
        return _worker_scorer, (self.path, self.windows, self.asked)

    def score(self, name: str, known: RowsByStep) -> Scored:
        """Score a track."""
        rows, rate = apply_chain(self.chain, known)
        expected = self.model.n_features_in_
        if rows.shape[1] != expected:
            raise FormatError(f"rows of {rows.shape[1]} numbers for a classifier of {expected}")
        if len(rows) == 0:
            raise DataError("no rows")
        windows = [] if self.windows is None else self._windows(known, rows, rate)
        scores = self._scores([rows])
        probabilities = None if self.calibration is None else self.calibration(scores)[0]
        events = None if self.timeline is None else self.timeline.events(known)
        return Scored(name, scores[0], probabilities, windows, events=events)

    def _scores(self, tracks: list[np.ndarray]) -> np.ndarray:
        found = score_tracks(self.model, tracks, n_labels=self.n_labels, how=self.aggregate)
        return np.array(list(found))

    def _windows(self, known: RowsByStep, rows: np.ndarray, rate: float | None) -> list[Window]:
        assert self.windows is not None
        if rate is not None:
            spans = _spans(len(rows), rate, self.windows)
            cut = [rows[start:stop] for start, stop in spans]
            times = [(start / rate, stop / rate) for start, stop in spans]
        else:
            first, first_rate = next(iter(known.values()))
            if first_rate is None or any(rate is None for _, rate in known.values()):
                raise ConfigError("rows that are whole tracks have no windows; score the audio")
            times = [
                (start / first_rate, stop / first_rate)
                for start, stop in _spans(len(first), first_rate, self.windows)
            ]
            cut = [apply_chain(self.chain, _between(known, *span))[0] for span in times]
        scores = self._scores(cut)
        return [Window(*span, scores[i]) for i, span in enumerate(times)]


@lru_cache(maxsize=1)
def _worker_scorer(path: Path, windows: float | None, timeline: Timeline | None) -> Scorer:
    """Return the scorer of a worker, which serves one call of `predict`."""
    return Scorer(open_run(path), windows, timeline)


@dataclass(frozen=True)
class FileToScore:
    """An audio file to score, changed first if there is a change."""

    name: str
    path: Path
    reader: FeatureReader
    change: Change | None = None

    def read(self) -> tuple[RowsByStep, float, dict[str, str]]:
        """Return the rows of the feature steps, the seconds of audio, and its faults."""
        return self.reader.read(self.path, self.change)


@dataclass(frozen=True)
class _StoredTrack:
    """A track of a store to score."""

    name: str
    index: int
    stored: Mapping[int, StoredRows]
    faults: dict[str, str]

    def read(self) -> tuple[RowsByStep, float, dict[str, str]]:
        """Return the rows in the store; no audio is read."""
        return rows_of_track(self.stored, self.index), 0.0, self.faults


Track = FileToScore | _StoredTrack


def score_task(task: Task, *, scorer: Scorer) -> tuple[dict[int, Scored | str], float]:
    """Score the tracks of a task; runs in a worker.

    Returns the result or the error of each track by its index, and the seconds of audio.
    """
    found: dict[int, Scored | str] = {}
    seconds = 0.0
    for i, track in task.each():
        try:
            known, some_seconds, faults = track.read()
            found[i] = replace(scorer.score(track.name, known), faults=faults)
            seconds += some_seconds
        except (DataError, OSError) as error:
            found[i] = str(error)
    return found, seconds


def _spans(n_rows: int, rate: float, seconds: float) -> list[tuple[int, int]]:
    """Cut rows into windows; a shorter last one stays if it is half as long, or the only one."""
    length = max(1, round(seconds * rate))
    spans = [(start, min(start + length, n_rows)) for start in range(0, n_rows, length)]
    if len(spans) > 1 and spans[-1][1] - spans[-1][0] < length / 2:
        spans.pop()
    return spans


def _between(known: RowsByStep, start: float, stop: float) -> dict[int, RowsAndRate]:
    """Return the rows between two times; at least one of each step."""
    cut: dict[int, RowsAndRate] = {}
    for i, (rows, rate) in known.items():
        assert rate is not None
        first = min(round(start * rate), len(rows) - 1)
        cut[i] = (rows[first : max(first + 1, round(stop * rate))], rate)
    return cut


def tracks_of(
    run: Run, sources: Iterable[Path | str], chain: Chain, feature: str | None
) -> Iterator[Track]:
    """Yield the tracks to score; a folder is listed as its tracks are needed."""
    reader: FeatureReader | None = None
    for given in sources:
        is_audio = url_of(given) is not None and Path(given).suffix.lower() in AUDIO_SUFFIXES
        source = plain(given) if is_audio else kept(given)
        if is_store(source):
            store = Store(source)
            stored = rows_for_run(store, chain, feature)
            for i, name in enumerate(store.track_ids):
                yield _StoredTrack(name, i, stored, stored_faults(store, i))
            continue
        if reader is None:
            reader = FeatureReader(chain, run.about.get("sample_rate"))
        if not is_folder(source):
            yield FileToScore(spelled(source), source, reader)
            continue
        names = audio_below(source, Counter(), reader.suffixes)
        first = next(names, None)
        if first is None:
            shown = "audio" if ".wav" in reader.suffixes else ", ".join(sorted(reader.suffixes))
            raise DataError(f"{source}: no {shown} files in it")
        for name in itertools.chain([first], names):
            yield FileToScore(spelled(source / name), source / name, reader)
