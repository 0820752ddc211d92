"""Plot the worst errors of a run: the tracks, with what is true and what was predicted."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from mcls.chain.step import RowAxes, axes_of
from mcls.errors import ConfigError, DataError
from mcls.evaluation.errors import LabelError, amounts, limits_of, worst_errors
from mcls.features.extractor import Extractor
from mcls.features.specs import parse_features
from mcls.inspection.run_parts import open_run_store
from mcls.inspection.track import panels_of_step
from mcls.judging.evaluate import open_part, run_threshold
from mcls.plots.errors import draw_small_tracks
from mcls.plots.page import Figure, shortened
from mcls.plots.track import Panel
from mcls.remote.urls import below
from mcls.stores.store import Store, StoredRows
from mcls.tables.predictions import Predictions

#: Tracks on a page by default, and the height of the page in inches at most.
_SHOWN, _PAGE = 12, 30.0

#: Characters of a line above an image.
_LINE = 36


def plot_errors(
    path: Path,
    *,
    part: str | None = None,
    top: int | None = None,
    store: Path | None = None,
    audio_root: Path | None = None,
) -> tuple[Figure, str]:
    """Plot the tracks that are wrong, the most confident first; see `worst_errors`.

    Parameters
    ----------
    path : Path
        A run folder, a cross-validation or a CSV of predictions.
    part : str or None
        See `mcls.judging.evaluate.open_part`.
    top : int or None
        Number of tracks; None: 12.
    store : Path or None
        The store with the tracks; None: the one that the run was trained on.
    audio_root : Path or None
        Folder that the paths of the store are relative to; mel spectrograms of the audio are drawn.
        None: the rows of the store, of a feature over frequency if there is one.

    Returns
    -------
    page : Figure
    shows : str

    Raises
    ------
    ConfigError
        If numbers are predicted, or no threshold is known.
    DataError
        If nothing is wrong, there is no store, or neither rows over time nor audio.
    """
    chosen, about = open_part(path, part)
    if chosen.regression:
        raise ConfigError(f"{path}: numbers are predicted; plot it without --errors")
    values, unit = amounts(chosen)
    try:
        limits = limits_of(chosen, run_threshold(about))
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    found = worst_errors(chosen.truth, values, threshold=limits, unknown=chosen.unknown)
    if not found:
        raise DataError(f"{path}: none of {len(chosen)} tracks is wrong")
    worst = {one.track: one for one in reversed(found)}  # of each track the worst
    order = list(dict.fromkeys(one.track for one in found))
    opened = open_run_store(path, about, store)
    draw = _of_audio(opened, audio_root) if audio_root is not None else _of_rows(opened)
    panels = []
    for i in order[: top or _SHOWN]:
        text = f"{shortened(chosen.track_ids[i], _LINE)}\n{_said(chosen, values, worst[i])}"
        panels.append(replace(draw(opened.index_of(chosen.track_ids[i])), title=text))
    parts = "+".join(dict.fromkeys(filter(None, chosen.parts)))
    tracks = f"{parts} tracks" if parts else "tracks"
    counts = f"{len(panels)} of {len(order)} wrong, of {len(chosen)} {tracks}"
    title = f"{shortened(str(path), 40)}: {counts}; in brackets the {unit}"
    return draw_small_tracks(panels, title=title, highest=_PAGE), f"{counts} of {path}"


def _said(chosen: Predictions, values: np.ndarray, error: LabelError) -> str:
    name, value = chosen.names[error.label], values[error.track, error.label]
    if error.kind == "wrong":
        true = chosen.names[int(chosen.truth[error.track].argmax())]
        half = _LINE // 2
        return f"{shortened(true, half)}, predicted {shortened(name, half)} ({value:.2f})"
    verb = "missed" if error.kind == "false negative" else "wrongly predicted"
    return f"{verb}: {shortened(name, 22)} ({value:.2f})"


def _of_audio(store: Store, root: Path) -> Callable[[int], Panel]:
    """Return a function that draws the mel spectrogram of the audio of a track."""
    extractor = Extractor(parse_features(["mel"]))
    [step] = extractor.steps().values()
    axes = axes_of((step,))

    def draw(i: int) -> Panel:
        audio = below(root, store.column("path")[i])
        try:
            return panels_of_step(step, extractor.track(audio).rows("mel"), axes)[0]
        except DataError as error:
            raise DataError(f"{audio}: {error}") from error

    return draw


def _of_rows(store: Store) -> Callable[[int], Panel]:
    """Return a function that draws the rows of a track in a store."""
    rates = store.tracks.get("sample_rate")

    def axes(rows: StoredRows, i: int) -> RowAxes:
        return axes_of(rows.chain, None if rates is None else int(rates[i]), rows.n_dims)

    timed = [one for one in store.features.values() if one.n_dims > 1 and axes(one, 0).hop]
    if not timed:
        raise DataError(
            f"{store.path}: it has no rows over time and frequency to draw; name the folder of the "
            "audio with --audio-root"
        )
    best = min(timed, key=lambda one: axes(one, 0).dimensions.frequencies is None)

    def draw(i: int) -> Panel:
        panels = panels_of_step(best.chain[-1], best.track(i), axes(best, i))
        return next(panel for panel in panels if panel.rows.shape[1] > 1)

    return draw
