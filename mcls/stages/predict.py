"""Scores of audio files, or of the tracks of a store, from a run folder alone.

The chain in the run folder makes the rows: its feature steps read the audio, its learnt steps carry
their arrays. So a track scored here has the score it had when the run was made.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import h5py
import numpy as np

from mcls.chain.feature import FeatureReader
from mcls.chain.match import rows_for_run, rows_of_track
from mcls.chain.model_cache import fitted_model
from mcls.chain.step import RowsAndRate, RowsByStep, apply_chain
from mcls.disk.chain import Chain
from mcls.disk.class_folders import audio_below
from mcls.disk.run import Run, open_run
from mcls.disk.store import Store
from mcls.errors import ConfigError, DataError, FormatError
from mcls.evaluation.aggregate import score_tracks
from mcls.parallel.progress import Progress

#: Reads the rows at the beginning of a chain; returns them and the seconds of audio.
Read = Callable[[], tuple[RowsByStep, float]]


@dataclass(frozen=True)
class Window:
    """A stretch of a track, in seconds from its beginning, with its scores."""

    start: float
    stop: float
    scores: np.ndarray


@dataclass(frozen=True)
class Scored:
    """A track and its scores.

    Parameters
    ----------
    name : str
        The file as it was named, or the ``track_id`` in a store.
    scores : np.ndarray, shape (n_labels,)
        Higher = likelier.
    windows : list of Window
        In order, if they were asked for.
    """

    name: str
    scores: np.ndarray
    windows: list[Window] = field(default_factory=list)


@dataclass(frozen=True)
class Predicted:
    """What `predict` found.

    Parameters
    ----------
    labels : list of str
        In the order of the scores.
    multi_label : bool
        Whether a track may have several.
    threshold : float
        Where a label counts as present.
    tracks : list of Scored
        In the order asked for.
    failed : list of (str, str)
        What could not be scored, and why.
    """

    labels: list[str]
    multi_label: bool
    threshold: float
    tracks: list[Scored]
    failed: list[tuple[str, str]]

    def chosen(self, scores: np.ndarray) -> list[str]:
        """Return the label of the highest score, or with several per track all above threshold."""
        if not self.multi_label:
            return [self.labels[int(np.argmax(scores))]]
        return [self.labels[i] for i in np.flatnonzero(scores >= self.threshold)]

    def top(self, scores: np.ndarray, k: int) -> list[tuple[str, float]]:
        """Return the `k` likeliest labels and their scores, best first."""
        order = np.argsort(-scores, kind="stable")[:k]
        return [(self.labels[i], float(scores[i])) for i in order]


def predict(
    run: Path | str,
    sources: Sequence[Path | str],
    *,
    feature: str | None = None,
    windows: float | None = None,
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
        Of a store: which rows to take, if several would do.
    windows : float or None
        Also score stretches of about so many seconds. Rows that have a time are taken by their
        time; where a row is a whole track, each stretch is treated as a track of its own.
    progress : callable or None
        ``progress(tracks done, tracks in all, seconds of audio)``.

    Returns
    -------
    Predicted
        A file that cannot be scored is in ``failed`` and stops nothing.

    Raises
    ------
    FormatError
        If `run` is not a run folder, or a store is damaged.
    DataError
        If there is nothing to score, or a store's rows were made otherwise than the run's.
    """
    opened = open_run(run)
    scorer = Scorer(opened, windows)
    tracks = list(_tracks(opened, sources, scorer.chain, feature))
    if not tracks:
        raise DataError(f"no audio files in {', '.join(str(source) for source in sources)}")
    scored: list[Scored] = []
    failed: list[tuple[str, str]] = []
    seconds = 0.0
    for done, (name, read) in enumerate(tracks, start=1):
        try:
            given, heard = read()
            scored.append(scorer.score(name, given))
            seconds += heard
        except (DataError, OSError) as error:
            failed.append((name, str(error)))
        if progress is not None:
            progress(done, len(tracks), seconds)
    threshold = float(opened.about["threshold"])
    return Predicted(opened.labels, opened.multi_label, threshold, scored, failed)


class Scorer:
    """From the rows at the beginning of a run's chain to scores."""

    def __init__(self, run: Run, windows: float | None) -> None:
        self.chain = run.chain()
        self.model = fitted_model(run)
        self.n_labels = len(run.labels)
        self.how = run.about["aggregate"]
        self.windows = windows
        if len(self.model.classes_) > self.n_labels or max(self.model.classes_) >= self.n_labels:
            raise FormatError(f"{run.path}: the classifier knows more labels than about.json names")

    def score(self, name: str, given: RowsByStep) -> Scored:
        """Score a track."""
        rows, rate = apply_chain(self.chain, given)
        expected = self.model.n_features_in_
        if rows.shape[1] != expected:
            raise FormatError(f"rows of {rows.shape[1]} numbers for a classifier of {expected}")
        if len(rows) == 0:
            raise DataError("no rows")
        windows = [] if self.windows is None else self._windows(given, rows, rate)
        return Scored(name, self._scores([rows])[0], windows)

    def _scores(self, tracks: list[np.ndarray]) -> np.ndarray:
        found = score_tracks(self.model, tracks, n_labels=self.n_labels, how=self.how)
        return np.array(list(found))

    def _windows(self, given: RowsByStep, rows: np.ndarray, rate: float | None) -> list[Window]:
        assert self.windows is not None
        if rate is not None:
            spans = _spans(len(rows), rate, self.windows)
            cut = [rows[start:stop] for start, stop in spans]
            times = [(start / rate, stop / rate) for start, stop in spans]
        else:
            first, first_rate = next(iter(given.values()))
            if first_rate is None or any(timed[1] is None for timed in given.values()):
                raise ConfigError("rows that are whole tracks have no windows; score the audio")
            times = [
                (start / first_rate, stop / first_rate)
                for start, stop in _spans(len(first), first_rate, self.windows)
            ]
            cut = [apply_chain(self.chain, _between(given, *span))[0] for span in times]
        scores = self._scores(cut)
        return [Window(*span, scores[i]) for i, span in enumerate(times)]


def _spans(n_rows: int, rate: float, seconds: float) -> list[tuple[int, int]]:
    """Cut rows into stretches; a last shorter one stays if it is at least half, or the only one."""
    length = max(1, round(seconds * rate))
    spans = [(start, min(start + length, n_rows)) for start in range(0, n_rows, length)]
    if len(spans) > 1 and spans[-1][1] - spans[-1][0] < length / 2:
        spans.pop()
    return spans


def _between(given: RowsByStep, start: float, stop: float) -> dict[int, RowsAndRate]:
    """Return the rows of a stretch of time; at least one of each."""
    cut: dict[int, RowsAndRate] = {}
    for i, (rows, rate) in given.items():
        assert rate is not None
        first = min(round(start * rate), len(rows) - 1)
        cut[i] = (rows[first : max(first + 1, round(stop * rate))], rate)
    return cut


def _tracks(
    run: Run, sources: Sequence[Path | str], chain: Chain, feature: str | None
) -> Iterator[tuple[str, Read]]:
    """Yield a name per track and a function that reads its rows."""
    audio: FeatureReader | None = None
    for source in map(Path, sources):
        if source.is_file() and h5py.is_hdf5(source):
            yield from _stored_tracks(Store(source), chain, feature)
            continue
        if audio is None:
            audio = FeatureReader(chain, run.about.get("sample_rate"))
        if source.is_dir():
            found = sorted(source / name for name in audio_below(source, Counter()))
            if not found:
                raise DataError(f"{source}: no audio files in it")
        else:
            found = [source]
        for path in found:
            yield str(path), partial(audio.read, path)


def _stored_tracks(store: Store, chain: Chain, feature: str | None) -> Iterator[tuple[str, Read]]:
    steps = rows_for_run(store, chain, feature)

    def read(i: int) -> tuple[RowsByStep, float]:
        return rows_of_track(steps, i), 0.0

    for i, name in enumerate(store.track_ids):
        yield name, partial(read, i)
