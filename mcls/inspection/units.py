"""Plot the hidden units of a net: their maps of a track, what excites them, what would most."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mcls.audio.files import Excerpt, read_audio
from mcls.audio.write import check_wav, write_wav
from mcls.chain.match import encoded_track, rows_for_run
from mcls.chain.model_cache import fitted_model
from mcls.chain.step import RowAxes, axes_of
from mcls.disk.chain import Chain
from mcls.disk.run import Run
from mcls.errors import ConfigError, DataError
from mcls.inspection.run_parts import open_net_run, open_run_store
from mcls.plots.maps import draw_maps
from mcls.plots.page import Figure, shortened
from mcls.remote.urls import below
from mcls.stores.store import Store
from mcls.stores.stored_rows import StoredRows
from mcls.training.segments import grid
from mcls.training.units import excitations, feature_maps, layer_of, maximise

if TYPE_CHECKING:
    from mcls.training.model import TrainedNet

#: Maps or units on a page.
_SHOWN = 16


@dataclass(frozen=True)
class NetRun:
    """A run of a net with the axes of what it reads."""

    run: Run
    model: "TrainedNet"
    chain: Chain
    axes: RowAxes

    @property
    def seconds(self) -> float:
        """The duration of a segment; in frames if rows have no time."""
        return self.model.spec.n_frames * (self.axes.hop or 1.0)

    def store(self, place: Path | None) -> tuple[Store, dict[int, StoredRows]]:
        """Return the store of the run, and the rows in it that its chain starts from."""
        store = open_run_store(self.run.path, self.run.about, place)
        return store, rows_for_run(store, self.chain)


def net_of(path: Path) -> NetRun:
    """Read the run of a net.

    Raises
    ------
    ConfigError
        If its model is not a net.
    """
    run = open_net_run(path, "filters and no hidden units")
    model, chain = fitted_model(run), run.chain()
    axes = axes_of(chain, run.about.get("sample_rate"), model.spec.n_dims)
    return NetRun(run, model, chain, axes)


def plot_maps(
    path: Path,
    *,
    track: str,
    layer: str | None = None,
    store: Path | None = None,
    top: int | None = None,
) -> tuple[Figure, str]:
    """Plot the feature maps of a layer for the segment in the middle of a track.

    Parameters
    ----------
    path : Path
        A run folder of a net.
    track : str
        A ``track_id`` of the store.
    layer : str or None
        A hidden layer by name or number; None: the first.
    store : Path or None
        The store; None: the one the run was trained on.
    top : int or None
        Number of maps, those of the largest variance; None: 16.

    Returns
    -------
    page : Figure
        The standardised segment, and the maps.
    shows : str

    Raises
    ------
    ConfigError
        If the model is not a net, or the layer is unknown or has no frames.
    DataError
        If there is no such track.
    """
    net = net_of(path)
    layer = layer_of(net.model, layer or "1")
    opened, steps = net.store(store)
    rows, _ = encoded_track(steps, net.chain, opened.index_of(track))
    segments = next(net.model.segments(rows))
    segment = segments[len(segments) // 2 :][:1]
    maps = feature_maps(net.model, segment, layer)[0]
    if maps.ndim < 2:
        raise ConfigError(f"layer {layer} has no frames; plot an earlier one")
    if maps.ndim == 2:
        maps = maps[:, :, None]
    chosen = np.argsort(-maps.var(axis=(1, 2)), kind="stable")[: top or _SHOWN]
    images = [segment[0, 0].cpu().numpy(), *maps[chosen]]
    names = ["the segment, standardised", *(f"map {i + 1}" for i in chosen)]
    n_frames, n_dims = maps.shape[1:]
    size = f"{n_frames} frames x {n_dims} dimensions"
    title = f"{shortened(track, 50)}: {len(chosen)} of {len(maps)} maps of {layer}, {size}"
    page = draw_maps(images, names, net.axes.dimensions, net.seconds, title=title)
    return page, f"{len(chosen)} maps of {layer}"


def plot_maximised(
    path: Path, *, layer: str | None = None, top: int | None = None
) -> tuple[Figure, str]:
    """Plot the inputs that excite the units of a layer most, found by gradient ascent.

    Parameters
    ----------
    path : Path
        A run folder of a net.
    layer : str or None
        A hidden layer by name or number; None: the last.
    top : int or None
        Number of units, from the first; None: 16.

    Returns
    -------
    page : Figure
        Inputs in standard deviations from the mean of the train part.
    shows : str

    Raises
    ------
    ConfigError
        If the model is not a net, or there is no such layer.
    """
    net = net_of(path)
    layer = layer_of(net.model, layer)
    example = next(net.model.segments(np.zeros((1, net.model.spec.n_dims), np.float32)))
    n_units = feature_maps(net.model, example, layer).shape[1]
    images = maximise(net.model, layer, min(top or _SHOWN, n_units))
    title = f"{path.name}: inputs that excite {len(images)} of {n_units} units of {layer}"
    names = [f"unit {unit}" for unit in range(1, len(images) + 1)]
    page = draw_maps([*images], names, net.axes.dimensions, net.seconds, title=title)
    return page, f"the inputs of {len(images)} units of {layer}"


def plot_exciting(
    path: Path,
    *,
    exciting: int,
    layer: str | None = None,
    store: Path | None = None,
    top: int | None = None,
    audio_root: Path | None = None,
    out: Path | None = None,
) -> tuple[Figure, str]:
    """Plot the segments of a store that excite a unit most, and write their audio.

    Parameters
    ----------
    path : Path
        A run folder of a net.
    exciting : int
        Number of the unit, from 1.
    layer : str or None
        A hidden layer by name or number; None: the last.
    store : Path or None
        The store; None: the one the run was trained on.
    top : int or None
        Number of segments, at most one per track; None: 16.
    audio_root : Path or None
        Folder that the paths of the store are relative to; None: no audio is written.
    out : Path or None
        The image; audio is written beside it as ``NAME-1.wav``, ``NAME-2.wav``, ...

    Returns
    -------
    page : Figure
    shows : str

    Raises
    ------
    ConfigError
        If the model is not a net, or there is no such layer or unit.
    DataError
        If audio cannot be read.
    """
    net = net_of(path)
    layer = layer_of(net.model, layer)
    opened, steps = net.store(store)
    found: list[tuple[float, int, int, np.ndarray]] = []
    for i in range(opened.n_tracks):
        rows, _ = encoded_track(steps, net.chain, i)
        values = [excitations(net.model, some, layer) for some in net.model.segments(rows)]
        values_of_all = np.concatenate(values)
        n_units = values_of_all.shape[1]
        if not 1 <= exciting <= n_units:
            raise ConfigError(f"unit {exciting}: layer {layer} has the units 1 to {n_units}")
        best = int(values_of_all[:, exciting - 1].argmax())
        start = int(grid(len(rows), net.model.spec.n_frames, net.model.spec.overlap)[best])
        segment = rows[start : start + net.model.spec.n_frames]
        found.append((float(values_of_all[best, exciting - 1]), i, start, segment))
    found = sorted(found, key=lambda one: -one[0])[: top or _SHOWN]
    names = [f"{value:.3g}: {shortened(opened.track_ids[i], 28)}" for value, i, _, _ in found]
    level = net.axes.dimensions.frequencies is not None
    page = draw_maps(
        [segment for *_, segment in found],
        names,
        net.axes.dimensions,
        net.seconds,
        title=f"{path.name}: the segments that excite unit {exciting} of {layer} most",
        signed=not level,
    )
    shows = f"{len(found)} segments for unit {exciting} of {layer}"
    if audio_root is None or out is None:
        return page, shows
    if net.axes.hop is None:
        raise ConfigError("a row is a whole track here, so segments have no audio")
    beside = [out.with_name(f"{out.stem}-{place}.wav") for place in range(1, 1 + len(found))]
    for wav in beside:
        check_wav(wav)
    for (_, i, start, _), wav in zip(found, beside, strict=True):
        excerpt = Excerpt(net.seconds, start * net.axes.hop)
        audio = below(audio_root, opened.column("path")[i])
        _copy_excerpt(audio, excerpt, wav)
    return page, f"{shows}, with their audio"


def _copy_excerpt(path: Path, excerpt: Excerpt, out: Path) -> None:
    try:
        samples, rate = read_audio(path, sr=None, excerpt=excerpt)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    write_wav(out, samples, rate)
