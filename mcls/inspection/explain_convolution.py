"""The plot of what each layer of a net sees of a segment of a track."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mcls.chain.match import encoded_track, rows_for_run
from mcls.chain.model_cache import fitted_model
from mcls.chain.step import axes_of
from mcls.disk.chain import Chain
from mcls.disk.outputs import check_replaced
from mcls.disk.workspace import written_whole
from mcls.errors import ConfigError, DataError, suggest
from mcls.inspection.run_parts import open_net_run
from mcls.nets.describe import NetLayer, describe_net
from mcls.nets.field import ReceptiveField
from mcls.nets.receptive_field import receptive_fields
from mcls.registry import entries, find
from mcls.settings import parse_pairs
from mcls.stores.store import Store
from mcls.training.segments import cut


@dataclass(frozen=True)
class Convolution:
    """The layers of a net at the segment that it reads.

    Parameters
    ----------
    net : str
        Name of the net.
    n_frames, n_dims : int
        Size of the segment.
    layers : list of NetLayer
        Operations in the order a segment passes them.
    fields : list of ReceptiveField
        Receptive fields of the hidden layers.
    hop : float or None
        Seconds from frame to frame.
    """

    net: str
    n_frames: int
    n_dims: int
    layers: list[NetLayer]
    fields: list[ReceptiveField]
    hop: float | None


def convolution(
    net: str,
    path: Path,
    out: Path,
    *,
    track: str | None = None,
    feature: str | None = None,
    frames: int | None = None,
    settings: Iterable[str] = (),
) -> Convolution:
    """Plot the receptive field of each layer of a net on a segment of a track.

    Parameters
    ----------
    net : str
        A net of the registry, or the folder of a run of one.
    path : Path
        A store with the track.
    out : Path
        The image to write.
    track : str or None
        A ``track_id``; None: the first track.
    feature : str or None
        Feature of the store; a run knows its own.
    frames : int or None
        Frames of a segment; None: those of the run, or of the net's publication.
    settings : iterable of str
        Settings of the net, ``key=value``; a run has its own.

    Raises
    ------
    ConfigError
        If there is no such net, run or setting, or the segment is too small for it.
    DataError
        If there is no such track, or it has no rows.
    """
    from mcls.plots.page import MARKS, check_format, save, style
    from mcls.plots.receptive_fields import draw_receptive_fields
    from mcls.plots.track import Panel

    check_format(out)
    check_replaced(out, MARKS[out.suffix.lower()], "a plot")
    store = Store(path)
    track = store.track_ids[0] if track is None else track
    place = store.index_of(track)
    name, given, n_labels, length, rows, chain = _net_and_rows(net, store, place, feature, settings)
    length = frames or length
    if not len(rows):
        raise DataError(f"{path}: track {track!r} has no rows")
    zeros = np.zeros(1, np.int64)
    first = np.array([max(0, (len(rows) - length) // 2)])
    stops = np.array([len(rows)])
    segment = cut(rows, zeros, stops, first, length)[0]
    layers = describe_net(name, given, length, segment.shape[1], n_labels)
    fields = receptive_fields(name, given, length, segment.shape[1])
    axes = axes_of(chain, None, segment.shape[1])
    panel = Panel(
        f"{length} frames of {track}",
        segment,
        axes.dimensions,
        axes.hop or 1.0,
        (axes.hop or 1.0) / 2,
        axes.unit,
        axes.codes,
        signed=axes.dimensions.frequencies is None,
        height=3.2,
    )
    with style(), written_whole(out) as temporary:
        page = draw_receptive_fields(panel, fields, title=f"what the layers of {name} see")
        save(page, temporary, out.suffix)
    return Convolution(name, length, segment.shape[1], layers, fields, axes.hop)


def _net_and_rows(
    net: str, store: Store, place: int, feature: str | None, settings: Iterable[str]
) -> tuple[str, dict[str, Any], int, int, np.ndarray, Chain]:
    """Return the name of a net, its settings, outputs and frames, and the rows that it reads."""
    if net in entries("nets"):
        stored = store.feature(feature)
        facts = find("nets", net).facts
        given = dict(parse_pairs(settings))
        rows = stored.track(place)
        return net, given, facts["labels"], facts["frames"], rows, stored.chain
    if not Path(net).is_dir():
        raise ConfigError(f"{net}: there is no such run, and {suggest(net, entries('nets'))}")
    run = open_net_run(Path(net), "layers")
    if list(settings) or feature is not None:
        raise ConfigError(f"{net} is a run, which has its own settings and feature")
    model, chain = fitted_model(run), run.chain()
    rows, _ = encoded_track(rows_for_run(store, chain), chain, place)
    spec = model.spec
    return spec.net, spec.settings, len(spec.outputs), spec.n_frames, rows, chain
