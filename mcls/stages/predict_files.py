"""Score any number of audio files into a table that grows while they are scored.

Memory does not grow with the number of files: they are listed, scored and written as a stream, in
the order of the sources. ``NAME.about.json`` beside the table records the run, the settings and, at
the end, the files that could not be scored. A command that was killed continues behind the last
whole file; files that are in the table are not scored again.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np

from mcls import __version__
from mcls.audio.faults import fault_notes
from mcls.disk.outputs import check_suffix
from mcls.disk.run import Run, open_run, write_json
from mcls.disk.text_files import read_json
from mcls.disk.workspace import Workspace, written_whole
from mcls.errors import ConfigError, DataError, FormatError
from mcls.parallel.pool import Pool, Task, given_or_new
from mcls.parallel.progress import Progress
from mcls.remote.functions import takes_urls
from mcls.remote.places import spelled
from mcls.settings import digest
from mcls.stages.calibrate import why_not
from mcls.stages.predict import (
    Predicted,
    Scored,
    Scorer,
    Track,
    about_events,
    score_task,
    tracks_of,
)
from mcls.stages.timeline import Timeline
from mcls.tables.scored_files import ScoredLabel, ScoredWindow, TableFormat, read_finished

#: Files in the task of a worker.
_TASK_FILES = 16


@dataclass(frozen=True)
class PredictedFiles:
    """The result of `predict_files`.

    Parameters
    ----------
    path : Path
        The table.
    record : Path
        The file that lists the failures.
    n_scored, n_known : int
        The number of files scored by this call, and of those that were in the table before.
    failed : list of (str, str)
        The files that could not be scored, and the reasons.
    notes : list of str
        Why there are no probabilities, and what is to be said of the audio that this call read,
        such as which files are truncated.
    """

    path: Path
    record: Path
    n_scored: int
    n_known: int
    failed: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@takes_urls(reads=("run",), writes=("out",))
def predict_files(
    run: Path | str,
    sources: Iterable[Path | str],
    out: Path | str,
    *,
    jsonl: bool = False,
    top: int | None = None,
    feature: str | None = None,
    windows: float | None = None,
    timeline: Timeline | None = None,
    jobs: int = 1,
    overwrite: bool = False,
    workers: Pool | None = None,
    progress: Progress | None = None,
) -> PredictedFiles:
    """Score audio files, folders of audio files, or the tracks of a store into a table.

    Parameters
    ----------
    run : path
        A run folder.
    sources : iterable of paths
        Audio files, folders (all audio files below them) and stores; read as they are needed.
    out : path
        The table; see `mcls.tables.scored_files`. Files that are in it from an earlier call with
        the same run and settings are not scored again.
    jsonl : bool
        Write JSON Lines in place of CSV; so does a name that ends in ``.jsonl``.
    top : int or None
        Write this many labels of each file, the likeliest; None writes those that are predicted
        (CSV) or all of them (JSON Lines).
    feature : str or None
        The feature of a store to use, if several fit.
    windows : float or None
        Also write the labels of windows of about this many seconds, as in `predict`.
    timeline : Timeline or None
        Write the events of each file; in CSV in place of its labels.
    jobs : int
        Number of worker processes; 1 computes in this process. The table is the same for any.
    overwrite : bool
        Replace a table of another run or of other settings.
    workers : Pool or None
        A pool to use, such as a `DaskPool`; its number of processes replaces ``jobs``.
    progress : callable or None
        ``progress(files done, 0, seconds of audio)``.

    Raises
    ------
    ConfigError
        If `out` has another suffix, or holds something else; or windows and a timeline are asked
        for, or one of them with what it does not fit.
    DataError, FormatError
        If `run` is not a run folder, a folder has no audio, or no file is named.
    """
    if jobs < 1:
        raise ConfigError(f"jobs={jobs}; expected 1 or more")
    if windows is not None and timeline is not None:
        raise ConfigError("windows and a timeline: choose one")
    out = Path(out)
    check_suffix(out, "a table of scored files", (".jsonl",) if jsonl else (".csv", ".jsonl"))
    opened = open_run(run)
    scorer = Scorer(opened, windows, timeline)
    if top is not None and opened.regression:
        raise ConfigError(f"--top is for labels, but {run} predicts numbers; leave it out")
    form = TableFormat(
        jsonl or out.suffix.lower() == ".jsonl",
        calibrated=scorer.calibration is not None,
        regression=opened.regression,
        excerpts="windows" if windows is not None else "events" if timeline is not None else "",
    )
    asked = None if timeline is None else vars(timeline)
    key = digest([opened.about, opened.settings, top, feature, windows, asked, vars(form)])
    record = out.with_name(f"{out.stem}.about.json")
    tracks = tracks_of(opened, sources, scorer.chain, feature)
    first = next(tracks, None)
    if first is None:
        raise DataError("no audio files were named")
    tracks = chain([first], tracks)
    about = {"key": key, "run": spelled(run), "mcls": __version__, "complete": False}
    n_scored, failed, seconds = 0, [], 0.0
    faults: dict[str, dict[str, str]] = {}
    with Workspace(out, key):
        known, size = _known(out, record, key, form, overwrite=overwrite)
        _write_record(record, about)
        with out.open("r+b" if size else "wb") as file:
            if not known:  # a kill may have left less than the header
                size = 0
            file.truncate(size)
            file.seek(size)
            if not size:
                file.write(form.header().encode())
            left = (track for track in tracks if track.name not in known)
            for name, found, some_seconds in _in_order(scorer, left, jobs, workers):
                if isinstance(found, str):
                    failed.append((name, found))
                else:
                    file.write(_lines(found, opened, form, top).encode("utf-8", "surrogateescape"))
                    file.flush()
                    n_scored += 1
                    if found.faults:
                        faults[name] = found.faults
                seconds += some_seconds
                if progress is not None:
                    progress(n_scored + len(failed), 0, seconds)
        notes = [*_about_scores(opened, scorer, form), *fault_notes(faults)]
        about |= {"complete": True, "files": len(known) + n_scored, "notes": notes}
        about["failed"] = [{"path": name, "reason": reason} for name, reason in failed]
        _write_record(record, about)
    return PredictedFiles(out, record, n_scored, len(known), failed, notes)


def _about_scores(run: Run, scorer: Scorer, form: TableFormat) -> list[str]:
    """Say why there are no probabilities, or how a run that did not learn events finds them."""
    notes = []
    if not (form.calibrated or form.regression or (form.excerpts == "events" and not form.jsonl)):
        notes.append(f"{run.path} gives no probabilities: {why_not(run)}")
    said = None if scorer.timeline is None else about_events(run, scorer.timeline)
    return [*notes, *([said] if said else [])]


def _lines(found: Scored, run: Run, form: TableFormat, top: int | None) -> str:
    """Return the lines of a track."""
    labels = Predicted.by(run)
    sure: dict[str, float] = {}
    if found.probabilities is not None:
        sure = dict(zip(run.labels, found.probabilities.tolist(), strict=True))
    windows = [
        ScoredWindow(one.start, one.stop, *_labels(one.scores, labels, form, top, {}))
        for one in found.windows
    ]
    whole = _labels(found.scores, labels, form, top, sure)
    return form.lines(found.name, *whole, windows=windows, events=found.events or ())


def _labels(
    scores: np.ndarray,
    by: Predicted,
    form: TableFormat,
    top: int | None,
    probabilities: Mapping[str, float],
) -> tuple[list[ScoredLabel], list[str]]:
    """Return the labels to write, best first, and those that are predicted."""
    if by.regression:
        pairs = zip(by.labels, map(float, scores), strict=True)
        return [ScoredLabel(*pair) for pair in pairs], []
    predicted = by.predicted(scores)
    ranked = by.top(scores, top or len(by.labels))
    if top is None and not form.jsonl:
        ranked = [pair for pair in ranked if pair[0] in predicted]
    return [ScoredLabel(*pair, probabilities.get(pair[0])) for pair in ranked], predicted


def _known(
    out: Path, record: Path, key: str, form: TableFormat, *, overwrite: bool
) -> tuple[set[str], int]:
    """Return the files that are in the table, and the size of their lines; 0 writes a new one."""
    if not out.exists():
        return set(), 0
    about = _read_record(record)
    if about is None:
        raise ConfigError(
            f"{out} is not a table that `mcls predict` wrote and is not replaced; choose another "
            "output"
        )
    if about.get("key") == key:
        return read_finished(out, form, complete=bool(about.get("complete")))
    if not overwrite:
        raise ConfigError(
            f"{out} holds the scores of {about.get('run')}, or of other settings; choose another "
            "output, or pass --overwrite to replace it"
        )
    return set(), 0


def _read_record(record: Path) -> dict[str, Any] | None:
    if not record.is_file():
        return None
    try:
        about = read_json(record)
    except FormatError as error:
        raise FormatError(f"{error}; remove it and {record.stem}") from error
    return about if "key" in about else None


def _write_record(record: Path, about: dict[str, Any]) -> None:
    with written_whole(record) as temporary:
        write_json(temporary, about)


def _in_order(
    scorer: Scorer, tracks: Iterator[Track], jobs: int, workers: Pool | None
) -> Iterator[tuple[str, Scored | str, float]]:
    """Yield the name of each track, its scores or the error, and seconds of audio, in order."""
    size = 1 if jobs == 1 and workers is None else _TASK_FILES
    waiting: dict[int, list[tuple[str, Scored | str, float]]] = {}
    due = 0
    with given_or_new(workers, jobs) as team:
        for task, (scored, seconds) in team.map(
            partial(score_task, scorer=scorer), _tasks(tracks, size)
        ):
            first = task.items[0][0]
            found = scored | {task.items[i][0]: reason for i, reason in task.failed.items()}
            share = seconds / len(task.items)
            waiting[first] = [(track.name, found[i], share) for i, track in task.items]
            while due in waiting:
                done = waiting.pop(due)
                due += len(done)
                yield from done


def _tasks(tracks: Iterator[Track], size: int) -> Iterator[Task]:
    numbered = enumerate(tracks)
    while items := list(islice(numbered, size)):
        yield Task(items)
