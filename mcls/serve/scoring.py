"""Score uploaded files in a worker process, within limits of length and time."""

from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from threading import BoundedSemaphore, Lock
from types import TracebackType

import numpy as np

from mcls.audio.files import AudioFile
from mcls.chain.feature import FeatureReader
from mcls.chain.last_rows import last_rows_chain, mean_row
from mcls.chain.step import apply_chain
from mcls.disk.chain import Chain
from mcls.disk.run import open_run
from mcls.errors import DataError
from mcls.parallel.pool import Pool, Task
from mcls.stages.predict import Scored, Scorer

#: Requests that wait for the worker, at most.
_WAITING = 8


@dataclass(frozen=True)
class Limits:
    """What a file to score may be, and how long it may take.

    Parameters
    ----------
    max_bytes : int
        Size of a file in bytes.
    max_seconds : float
        Length of its audio in seconds.
    time_limit : float
        Seconds in which it must be scored.
    """

    max_bytes: int = 50_000_000
    max_seconds: float = 900.0
    time_limit: float = 60.0


@dataclass(frozen=True)
class ScoredFile:
    """An uploaded file and what the run says of it.

    Parameters
    ----------
    scored : Scored
        Its scores, as `mcls.stages.predict` gives them, with those of its windows.
    seconds : float
        Length of its audio.
    row : np.ndarray, shape (n_dims,)
        The mean of the last rows of the chain, by which it is compared with train tracks.
    """

    scored: Scored
    seconds: float
    row: np.ndarray


class BusyError(Exception):
    """Too many files are waiting."""


class FileScorer:
    """Scores one file at a time in a worker process, which is replaced when a file crashes it.

    Parameters
    ----------
    run : Path
        A run folder.
    window : float
        Length of the windows in seconds.
    limits : Limits
        What a file may be.
    """

    def __init__(self, run: Path, window: float, limits: Limits) -> None:
        self.limits = limits
        self._score = partial(score_file, run=run, window=window, max_seconds=limits.max_seconds)
        self._pool = Pool(1)
        self._one = Lock()
        self._waiting = BoundedSemaphore(_WAITING)

    def __enter__(self) -> "FileScorer":
        """Start the worker; it opens the run, so that the first file does not wait for that."""
        list(self._pool.map(self._score, [Task([])]))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pool.end()

    def score(self, path: Path) -> ScoredFile:
        """Score a file.

        Raises
        ------
        BusyError
            If too many files are waiting.
        DataError
            If the file is no audio, is longer than allowed, or could not be scored in time.
        """
        if not self._waiting.acquire(blocking=False):
            raise BusyError
        try:
            with self._one:
                found = list(
                    self._pool.map(self._score, [Task([path])], time_limit=self.limits.time_limit)
                )
        finally:
            self._waiting.release()
        task, result = found[0]
        if isinstance(result, ScoredFile):
            return result
        raise DataError(task.failed.get(0) or result or "it could not be scored")


def score_file(task: Task, *, run: Path, window: float, max_seconds: float) -> ScoredFile | str:
    """Score the file of a task, or return why it cannot be; runs in a worker."""
    result: ScoredFile | str = ""
    _opened(run, window)
    for path in task.each():
        try:
            result = _scored(path, run, window, max_seconds)
        except (DataError, OSError) as error:
            result = str(error)
    return result


@lru_cache(maxsize=1)
def _opened(run: Path, window: float) -> tuple[Scorer, FeatureReader, Chain]:
    """Return what scores files, built once in a worker."""
    opened = open_run(run)
    scorer = Scorer(opened, window)
    reader = FeatureReader(scorer.chain, opened.about.get("sample_rate"))
    return scorer, reader, last_rows_chain(opened)


def _scored(path: Path, run: Path, window: float, max_seconds: float) -> ScoredFile:
    scorer, reader, chain = _opened(run, window)
    _check_length(path, max_seconds)
    known, seconds, faults = reader.read(path)
    scored = replace(scorer.score("", known), faults=faults)
    row = mean_row(apply_chain(chain, known)[0])
    return ScoredFile(scored, seconds, row)


def _check_length(path: Path, max_seconds: float) -> None:
    """Decode a file up to the longest length that is allowed; a header may lie."""
    with AudioFile(path) as file:
        n_samples = 0
        for block in file.blocks():
            n_samples += len(block)
            if n_samples > max_seconds * file.sr:
                raise DataError(f"it is longer than {max_seconds:g} s")
