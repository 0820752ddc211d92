"""Plot a trained net over the time of a track: its saliency, a taggram, states of an HMM."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mcls.chain.feature import FeatureReader
from mcls.chain.match import rows_for_run, rows_of_track
from mcls.chain.model_cache import fitted_model, net_of_labels
from mcls.chain.step import RowAxes, RowsByStep, apply_chain
from mcls.disk.chain import Chain, spell_chain
from mcls.disk.run import Run, open_run
from mcls.errors import ConfigError, DataError, suggest
from mcls.inspection.over_time import run_axes, scores_over_time
from mcls.inspection.run_parts import open_net_run
from mcls.inspection.saliency import METHODS
from mcls.plots.axes import DimensionAxis
from mcls.plots.page import Figure, shortened
from mcls.plots.track import Panel, draw_track
from mcls.remote.places import kept
from mcls.stores.store import Store, is_store

if TYPE_CHECKING:
    from mcls.training.model import TrainedNet

#: Default number of labels of a taggram.
_LABELS = 25


def plot_saliency(
    path: Path,
    *,
    track: str,
    label: str | None = None,
    store: Path | None = None,
    how: str = "gradients",
    layer: str | None = None,
) -> tuple[Figure, str]:
    """Plot the parts of a track from which a net's score of a label comes.

    Parameters
    ----------
    path : Path
        A run folder of a net.
    track : str
        An audio file, or a ``track_id`` of the store.
    label : str or None
        The label; None: the one of the highest score.
    store : Path or None
        Store of the track; None: the store that the run was trained on.
    how : {'gradients', 'grad-cam'}
        ``gradients``: the contribution of each number to the logit (integrated gradients).
        ``grad-cam``: the feature maps of a layer, weighted by their gradients.
    layer : str or None
        Layer for ``grad-cam``; None: the last one with feature maps.

    Returns
    -------
    page : Figure
        The input of the net, and its saliency below.
    shows : str

    Raises
    ------
    ConfigError
        If the model is not a net, has no such label, or no feature maps.
    DataError
        If there is no such track.
    """
    if how not in METHODS:
        raise ConfigError(f"--how {how}: {suggest(how, METHODS)}")
    if layer is not None and how != "grad-cam":
        raise ConfigError("--layer selects the feature maps for --how grad-cam; give that as well")
    run, _ = _net_of(path)
    model, chain = net_of_labels(run), run.chain()
    rows, rate = apply_chain(chain, _given(run, chain, track, store))
    if not len(rows):
        raise DataError(f"{track}: no rows")
    means = dict(zip(model.classes_.tolist(), model.scores_of([rows])[0].mean(axis=0), strict=True))
    outputs = {run.labels[i]: place for place, i in enumerate(model.spec.outputs)}
    if label is None:
        label = run.labels[max(model.spec.outputs, key=lambda i: means[i])]
    elif label not in outputs:
        raise ConfigError(f"--label {label}: the net has no such output; {suggest(label, outputs)}")
    output = outputs[label]
    axes = run_axes(run, chain, rows, rate)
    read = _input_panel(chain, rows, axes)
    seen = METHODS[how](model, rows, output, label, layer, read)
    score = means[model.spec.outputs[output]]
    title = f"{shortened(Path(track).name, 60)}: {label} {score:.3f} by {path.name}"
    page = draw_track([read, seen], title=title, seconds=_length(axes, rows))
    return page, f"saliency of {label} ({score:.3f}) in {Path(track).name}"


def plot_taggram(
    path: Path,
    *,
    track: str,
    store: Path | None = None,
    every: float | None = None,
    top: int | None = None,
) -> tuple[Figure, str]:
    """Plot the scores of labels over the time of a track.

    Parameters
    ----------
    path : Path
        A run folder of any model.
    track, store
        See `plot_saliency`.
    every : float or None
        Seconds between scores; None: a quarter of a segment for nets, 1 s for other models.
    top : int or None
        Number of labels, those of the highest scores; None: 25.

    Returns
    -------
    page : Figure
        The input of the model, and the scores below; the label of the highest mean is on top.
    shows : str

    Raises
    ------
    DataError
        If there is no such track, or its rows have no time.
    """
    run = open_run(path)
    chain = run.chain()
    found = scores_over_time(run, track, _given(run, chain, track, store), every=every)
    names, scores, step, start = found.labels, found.scores, found.step, found.start
    rows, axes = found.rows, found.axes
    best = np.argsort(-scores.max(axis=0), kind="stable")[: top or _LABELS]
    order = best[np.argsort(scores[:, best].mean(axis=0), kind="stable")]  # the last is on top
    axis = DimensionAxis("", len(order), names=tuple(shortened(names[i], 24) for i in order))
    taggram = Panel(
        f"scores of {len(order)} labels, every {step:.3g} s",
        scores[:, order],
        axis,
        step,
        start,
        "score",
        codes=bool(scores.min() >= 0),
        share=1.0,
        height=min(6.0, 0.7 + 0.17 * len(order)),
    )
    panels = [taggram] if axes.hop is None else [_input_panel(chain, rows, axes), taggram]
    seconds = max(_length(axes, rows), start - step / 2 + step * len(scores))
    title = f"{shortened(Path(track).name, 60)}: labels over time by {path.name}"
    return draw_track(panels, title=title, seconds=seconds), (
        f"{len(order)} labels at {len(scores)} times of {Path(track).name}"
    )


def plot_alignment(
    path: Path, *, track: str, label: str | None = None, store: Path | None = None
) -> tuple[Figure, str]:
    """Plot how the HMM of a label explains a track: the best path, and the posteriors of states.

    Parameters
    ----------
    path : Path
        A run folder of a ``gmm-hmm`` or ``dnn-hmm``.
    track, store
        See `plot_saliency`.
    label : str or None
        The label whose HMM is drawn; None: the likeliest.

    Returns
    -------
    page : Figure
        The rows of the track, the state of each row on the best path, and the probability of each
        state in each row, given the whole track.
    shows : str

    Raises
    ------
    ConfigError
        If the model has no HMMs, or none of the label.
    DataError
        If there is no such track.
    """
    run = open_run(path)
    model, chain = fitted_model(run), run.chain()
    if not hasattr(model, "align"):
        raise ConfigError(
            f"{path}: its model is {run.settings['train']['model']!r}, which has no states; give a "
            "run of gmm-hmm or dnn-hmm"
        )
    rows, rate = apply_chain(chain, _given(run, chain, track, store))
    if label is None and run.about.get("events") is not None:
        raise ConfigError(
            f"{path} learnt from events, so a track has many labels; name the one to draw with "
            "--label (`mcls predict --timeline` shows all)"
        )
    if label is None:
        label = run.labels[model.classes_[model.scores_of([rows])[0][0].argmax()]]
    elif label not in run.labels:
        raise ConfigError(f"--label {label}: {suggest(label, run.labels)}")
    states, gamma = model.align(rows, run.labels.index(label))
    axes = run_axes(run, chain, rows, rate)
    hop, n_states = axes.hop or 1.0, gamma.shape[1]
    names = tuple(str(1 + i) for i in range(n_states))
    panels = [
        _input_panel(chain, rows, axes),
        Panel("best path", 1.0 + states[:, None], DimensionAxis("state", 1), hop, axes.start),
        Panel(
            "probability of each state, given the track",
            gamma,
            DimensionAxis("state", n_states, names=names),
            hop,
            axes.start,
            "probability",
            codes=True,
            share=1.0,
        ),
    ]
    title = f"{shortened(Path(track).name, 60)}: states of {label} by {path.name}"
    page = draw_track(panels, title=title, seconds=_length(axes, rows))
    return page, f"{n_states} states of {label} in {Path(track).name}"


def _net_of(path: Path) -> tuple[Run, "TrainedNet"]:
    run = open_net_run(path, "saliency")
    return run, fitted_model(run)


def _given(run: Run, chain: Chain, track: str, store: Path | None) -> RowsByStep:
    """Return the rows of the first steps of a run's chain, for an audio file or a stored track."""
    if store is None and Path(track).is_file():
        return FeatureReader(chain, run.about.get("sample_rate")).read(Path(track))[0]
    place = kept(store or run.about.get("store", ""))
    if not is_store(place):
        raise DataError(
            f"there is no audio file {track}, and no store at {place} to look for such a track in; "
            "name the store with --store"
        )
    opened = Store(place)
    steps = rows_for_run(opened, chain)
    if track not in opened.track_ids:
        near = suggest(track, opened.track_ids)
        near = near if len(near) < 200 else f"such as {', '.join(opened.track_ids[:3])}"
        raise DataError(f"there is no audio file and no track {track!r} in {place}; {near}")
    i = opened.track_ids.index(track)
    return rows_of_track(steps, i)


def _input_panel(chain: Chain, rows: np.ndarray, axes: RowAxes) -> Panel:
    """Return the panel of the rows that the model reads."""
    level = not axes.codes and axes.dimensions.frequencies is not None
    return Panel(
        spell_chain(chain),
        rows,
        axes.dimensions,
        axes.hop or 1.0,
        axes.start,
        axes.unit,
        axes.codes,
        signed=not level,
    )


def _length(axes: RowAxes, rows: np.ndarray) -> float:
    """Return the duration of a track in seconds, or in rows if they have no time."""
    step = axes.hop or 1.0
    return max(step, axes.start + step * len(rows) - step / 2)
