"""The panels of a plot of a track: the rows in a store, and what a chain makes of them."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from mcls.chain.build import build_chain
from mcls.chain.match import stored_steps
from mcls.chain.options import Representation
from mcls.chain.step import RowAxes, RowsAndRate, apply_chain, axes_of, kind_of
from mcls.disk.chain import Chain, Step
from mcls.errors import ConfigError, DataError
from mcls.plots.axes import DimensionAxis
from mcls.plots.track import Panel
from mcls.stores.store import Store


def track_panels(
    store: Store,
    track: str,
    *,
    features: Sequence[str] = (),
    dicts: Sequence[Path | str] = (),
    encoder: str | None = None,
    pool: Sequence[str] = (),
) -> tuple[list[Panel], int]:
    """Return the panels of a plot of a track.

    Parameters
    ----------
    store : Store
        The store with the rows of the track.
    track : str
        Its ``track_id``.
    features : sequence of str
        The features; none, without dictionaries and poolers: every feature.
    dicts, encoder, pool
        The steps that follow; see `build_chain`.

    Returns
    -------
    panels : list of Panel
        In the order of the chain.
    index : int
        Index of the track in the store.

    Raises
    ------
    DataError
        If the store has no such track, or no rows of it.
    ConfigError
        If the chain does not fit the store, or features are given beside dictionaries.
    """
    if dicts and features:
        raise ConfigError("a dictionary finds its own feature; leave out --feature")
    index = store.index_of(track)
    rates = store.tracks.get("sample_rate")
    sr = None if rates is None else int(rates[index])
    if dicts or pool or encoder is not None or features:
        names: Sequence[str | None] = features or [None]
        words = tuple(map(str, dicts)), encoder, tuple(pool)
        chains = [build_chain(store, Representation(name, *words)) for name in names]
    else:
        chains = [stored.chain for stored in store.features.values()]
    panels = [panel for chain in chains for panel in _panels(store, chain, index, sr)]
    return panels, index


def _panels(store: Store, chain: Chain, index: int, sr: int | None) -> list[Panel]:
    """Return the panels of each step that can be computed from the rows of the store."""
    stored = stored_steps(store, chain)
    known: dict[int, RowsAndRate] = {}
    axes: dict[int, RowAxes] = {}
    panels = []
    for i, step in enumerate(chain):
        if i in stored:
            rows, rate = known[i] = stored[i].track(index), stored[i].frame_rate
            axes[i] = axes_of(stored[i].chain, sr)
            if rate is not None and axes[i].hop is None:
                axes[i] = replace(axes[i], hop=1 / rate)
        elif step.inputs and all(j in known for j in step.inputs):
            rows, _ = known[i] = apply_chain(chain[: i + 1], known)
            axes[i] = kind_of(step).axes(step, [axes[j] for j in step.inputs], sr)
        else:
            continue
        if not len(rows):
            raise DataError(f"{store.path}: track {store.track_ids[index]!r} has no rows")
        if axes[i].dimensions.n_dims != rows.shape[1]:
            axes[i] = axes[i].counted(step.name, rows.shape[1])
        panels += panels_of_step(step, rows, axes[i])
    return panels


def panels_of_step(step: Step, rows: np.ndarray, axes: RowAxes) -> list[Panel]:
    """Return the panels of the rows that a step makes.

    What is on another scale gets a panel of its own: the deltas, and the level of a frame.
    """
    if axes.order is not None:
        rows = rows[:, axes.order]
    if axes.hop is None and len(rows) > 1:
        axes = replace(axes, hop=1.0)
    level = not axes.codes and axes.dimensions.frequencies is not None
    title = kind_of(step).title
    whole = Panel(
        title(step, rows.shape[1]),
        rows,
        axes.dimensions,
        axes.hop,
        axes.start,
        axes.unit,
        axes.codes,
        signed=not level,
    )
    n_blocks = axes.dimensions.n_blocks
    if axes.hop is None or (n_blocks == 1 and not axes.apart):
        return [whole]
    size = rows.shape[1] // n_blocks
    axis = replace(axes.dimensions, n_dims=size, n_blocks=1)
    blocks = [rows[:, start : start + size] for start in range(0, rows.shape[1], size)]
    static = replace(whole, title=title(step, size), rows=blocks[0], axis=axis)
    deltas = [
        replace(
            static, title=f"delta {order} of {step.name}", rows=block, unit="value", signed=True
        )
        for order, block in enumerate(blocks[1:], 1)
    ]
    return [*_apart(step, static, axes.apart), *deltas]


def _apart(step: Step, panel: Panel, n_apart: int) -> list[Panel]:
    """Return a panel with its first dimensions as curves of their own."""
    curves = [
        replace(
            panel,
            title=f"{step.name}, dimension {i}",
            rows=panel.rows[:, i : i + 1],
            axis=DimensionAxis(panel.axis.name, 1),
            height=0.9,
        )
        for i in range(n_apart)
    ]
    if not n_apart:
        return [panel]
    rest = panel.rows[:, n_apart:]
    axis = replace(panel.axis, n_dims=rest.shape[1], first=n_apart)
    title = f"{step.name}, dimensions {n_apart} to {n_apart + rest.shape[1] - 1}"
    return [*curves, replace(panel, title=title, rows=rest, axis=axis)]
