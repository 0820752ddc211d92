"""The scores of labels over the time of a track, by any model."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from mcls.chain.model_cache import net_of_labels
from mcls.chain.step import RowAxes, RowsByStep, apply_chain, axes_of
from mcls.disk.chain import Chain
from mcls.disk.run import Run
from mcls.errors import DataError
from mcls.stages.predict import Scorer

if TYPE_CHECKING:
    from mcls.training.model import TrainedNet

#: Default seconds between scores for models other than nets.
_EVERY = 1.0


@dataclass(frozen=True)
class ScoresOverTime:
    """The scores of labels over the time of a track.

    Parameters
    ----------
    labels : list of str
    scores : np.ndarray, shape (n_times, n_labels)
    step : float
        Seconds from one time to the next.
    start : float
        The first time, in seconds: the middle of the first segment or window.
    rows : np.ndarray, shape (n_rows, n_dims)
        What the model reads.
    axes : RowAxes
        The axes of `rows`.
    """

    labels: list[str]
    scores: np.ndarray
    step: float
    start: float
    rows: np.ndarray
    axes: RowAxes


def scores_over_time(
    run: Run, track: str, given: RowsByStep, *, every: float | None = None
) -> ScoresOverTime:
    """Return the scores of labels over the time of a track.

    Parameters
    ----------
    run : Run
        A run of any model.
    track : str
        Its name, for errors.
    given : mapping of int to (rows, frame rate)
        The rows of the first steps of the chain of the run.
    every : float or None
        Seconds between scores; None: a quarter of a segment for nets, 1 s for other models.

    Raises
    ------
    DataError, ConfigError
        If the rows of the track have no time.
    """
    chain = run.chain()
    rows, rate = apply_chain(chain, given)
    axes = run_axes(run, chain, rows, rate)
    if run.net_file is None:
        windows = Scorer(run, every or _EVERY).score(track, given).windows
        step = windows[0].stop - windows[0].start
        scores = np.stack([window.scores for window in windows])
        return ScoresOverTime(run.labels, scores, step, step / 2, rows, axes)
    if axes.hop is None:
        raise DataError(f"{track}: a row is a whole track here, so scores have no time")
    return _of_net(run, rows, axes, every)


def _of_net(run: Run, rows: np.ndarray, axes: RowAxes, every: float | None) -> ScoresOverTime:
    from mcls.training.interpret import scores_over_time as of_segments

    model: TrainedNet = net_of_labels(run)
    assert axes.hop is not None
    length = model.spec.n_frames
    hop = max(1, length // 4 if every is None else round(every / axes.hop))
    scores = of_segments(model, rows, hop)
    start = axes.start + (min(length, len(rows)) - 1) / 2 * axes.hop
    step = hop if len(scores) > 1 else min(length, len(rows))
    labels = [run.labels[i] for i in model.classes_]
    return ScoresOverTime(labels, scores, step * axes.hop, start, rows, axes)


def run_axes(run: Run, chain: Chain, rows: np.ndarray, rate: float | None) -> RowAxes:
    """Return the axes of the rows that a run's model reads."""
    axes = axes_of(chain, run.about.get("sample_rate"), rows.shape[1])
    if rate is not None and axes.hop is None:
        axes = replace(axes, hop=1 / rate)
    return axes
