"""Plot a store: one of its tracks, or an overview."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mcls.chain.step import axes_of
from mcls.errors import ConfigError, DataError
from mcls.inspection.track import track_panels
from mcls.plots.overview import FeatureStatistics, draw_store
from mcls.plots.page import Figure, shortened
from mcls.plots.track import draw_track
from mcls.stores.store import Store, StoredRows
from mcls.tables.labels import split_labels

#: Rows of a feature that the statistics of the overview use, at most.
_ROWS = 20_000

#: Features in the overview, at most.
_FEATURES = 3


def plot_track(path: Path, *, track: str, **options: Any) -> tuple[Figure, str]:
    """Plot a track of a store: its rows, codes and pooled vectors.

    Parameters
    ----------
    path : Path
        A store.
    track : str
        The ``track_id``.
    **options
        ``features``, ``dicts``, ``encoder`` and ``pool``; see `track_panels`.

    Returns
    -------
    page : Figure
    shows : str
    """
    store = Store(path)
    panels, place = track_panels(store, track, **options)
    ends = [panel.start + panel.hop * len(panel.rows) for panel in panels if panel.hop]
    measured = store.tracks.get("seconds")
    seconds = float(measured[place]) if measured is not None else max(ends, default=1.0)
    said = [shortened(track, 60)]
    if "labels" in store.tracks:
        said.append(shortened(store.column("labels")[place].replace("|", ", "), 50))
    page = draw_track(panels, title=": ".join(filter(None, said)), seconds=seconds)
    return page, f"track {track}, {len(panels)} panel{'s' * (len(panels) > 1)}"


def plot_overview(path: Path, *, features: Sequence[str] = ()) -> tuple[Figure, str]:
    """Plot the labels and durations of a store, and the statistics of each feature.

    Parameters
    ----------
    path : Path
        A store.
    features : sequence of str
        At most three; none: the first three.

    Returns
    -------
    page : Figure
    shows : str
    """
    store = Store(path)
    if not store.n_tracks:
        raise DataError(f"{store.path}: there are no tracks in it, so there is nothing to draw")
    if len(features) > _FEATURES:
        raise ConfigError(f"{len(features)} features; {_FEATURES} at most are plotted together")
    names = [store.feature(name).name for name in features] or list(store.features)[:_FEATURES]
    rates = {int(rate) for rate in store.tracks.get("sample_rate", [])}
    sr = rates.pop() if len(rates) == 1 else None
    statistics = [
        _statistics(store.features[name], sr) for name in names if len(store.features[name])
    ]
    seconds = [float(value) for value in store.tracks.get("seconds", [])]
    title = f"{store.path.name}: {store.n_tracks} tracks"
    if seconds:
        title += f", {sum(seconds) / 60:.3g} min"
    page = draw_store(_label_counts(store), seconds, statistics, title=title)
    return page, f"{store.n_tracks} tracks, {', '.join(names)}"


def _statistics(stored: StoredRows, sr: int | None) -> FeatureStatistics:
    step = -(-len(stored) // _ROWS)
    rows = np.asarray(stored.rows[::step], np.float64)
    axes = axes_of(stored.chain, sr, stored.n_dims)
    name = f"{stored.name}, {len(rows)} of {len(stored)} rows"
    mean, deviation, axis = rows.mean(axis=0), rows.std(axis=0), axes.dimensions
    if axes.apart and axis.n_blocks == 1:
        for i in range(axes.apart):
            name += f", dimension {i} apart ({mean[i]:.3g} ± {deviation[i]:.3g})"
        mean, deviation = mean[axes.apart :], deviation[axes.apart :]
        axis = replace(axis, n_dims=len(mean), first=axes.apart)
    return FeatureStatistics(name, mean, deviation, axis, axes.unit)


def _label_counts(store: Store) -> dict[str, dict[str, int]]:
    """Count the tracks of each label by part, or in all if there are no parts."""
    if "labels" not in store.tracks:
        return {}
    known = store.column("split") if "split" in store.tracks else [""] * store.n_tracks
    counts: dict[str, dict[str, int]] = {}
    for cell, part in zip(store.column("labels"), known, strict=True):
        for label in split_labels(cell):
            inside = counts.setdefault(label, dict.fromkeys(sorted(set(known)), 0))
            inside[part] += 1
    return counts
