"""The layers of a track: what a store holds of it, and what a chain makes of that."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from mcls.chain.apply import Timed, apply_chain
from mcls.chain.axes import Meaning, meaning_of, next_meaning, unknown_dims
from mcls.chain.build import build_chain
from mcls.chain.match import stored_steps
from mcls.disk.chain import Chain, Step
from mcls.disk.store import Store
from mcls.errors import DataError, suggest
from mcls.plots.track import Layer


def track_layers(
    store: Store,
    track: str,
    *,
    feature: str | None = None,
    dicts: Sequence[Path | str] = (),
    encoder: str | None = None,
    pool: Sequence[str] = (),
) -> tuple[list[Layer], int]:
    """Return what there is to see of a track.

    Parameters
    ----------
    store : Store
        Where its rows are.
    track : str
        Its ``track_id``.
    feature : str or None
        The feature; None, without dictionaries and poolers: all of them.
    dicts, encoder, pool
        What is made of the rows; see `build_chain`.

    Returns
    -------
    layers : list of Layer
        In the order of the chain.
    place : int
        Of the track in the store.

    Raises
    ------
    DataError
        If the store has no such track, or no rows of it.
    ConfigError
        If the chain does not fit the store.
    """
    if track not in store.track_ids:
        raise DataError(f"{store.path}: there is no track {track!r}; {_near(track, store)}")
    place = store.track_ids.index(track)
    rates = store.tracks.get("sample_rate")
    sr = None if rates is None else int(rates[place])
    if dicts or pool or encoder is not None or feature is not None:
        chains = [build_chain(store, feature, dicts, encoder, pool)]
    else:
        chains = [stored.chain for stored in store.features.values()]
    layers = [layer for chain in chains for layer in _layers(store, chain, place, sr)]
    return layers, place


def _layers(store: Store, chain: Chain, place: int, sr: int | None) -> list[Layer]:
    """Return a layer for each step that can be computed from what the store holds."""
    stored = stored_steps(store, chain)
    done: dict[int, Timed] = {}
    meanings: dict[int, Meaning] = {}
    layers = []
    for i, step in enumerate(chain):
        if i in stored:
            rows = stored[i].track(place)
            rate = stored[i].frame_rate
            done[i] = (rows, rate)
            meaning = meaning_of(stored[i].chain, sr, rows.shape[1])
            if rate is not None and meaning.step is None:
                meaning = replace(meaning, step=1 / rate)
        elif step.inputs and all(j in done for j in step.inputs):
            done[i] = apply_chain(chain[: i + 1], done)
            meaning = next_meaning(step, [meanings[j] for j in step.inputs], sr)
        else:
            continue
        rows = done[i][0]
        if not len(rows):
            raise DataError(f"{store.path}: track {store.track_ids[place]!r} has no rows")
        if meaning.axis.n_dims != rows.shape[1]:
            meaning = unknown_dims(meaning, step, rows.shape[1])
        meanings[i] = meaning
        layers += _layers_of(step, rows, meaning)
    return layers


def _layers_of(step: Step, rows: np.ndarray, meaning: Meaning) -> list[Layer]:
    """Return the layer of a step; deltas, which are on another scale, are layers of their own."""
    if meaning.order is not None:
        rows = rows[:, meaning.order]
    if meaning.step is None and len(rows) > 1:
        meaning = replace(meaning, step=1.0)
    level = not meaning.codes and meaning.axis.frequencies is not None
    whole = Layer(
        _title(step, rows.shape[1]),
        rows,
        meaning.axis,
        meaning.step,
        meaning.start,
        meaning.unit,
        meaning.codes,
        signed=not level,
    )
    n_blocks = meaning.axis.n_blocks
    if n_blocks == 1 or meaning.step is None:
        return [whole]
    size = rows.shape[1] // n_blocks
    axis = replace(meaning.axis, n_dims=size, n_blocks=1)
    blocks = [rows[:, start : start + size] for start in range(0, rows.shape[1], size)]
    static = replace(whole, title=_title(step, size), rows=blocks[0], axis=axis)
    deltas = [
        replace(
            static, title=f"delta {order} of {step.name}", rows=block, unit="value", signed=True
        )
        for order, block in enumerate(blocks[1:], 1)
    ]
    return [static, *deltas]


def _title(step: Step, n_dims: int) -> str:
    if step.kind == "dictionary":
        return f"{n_dims} codes: {step.name}, encoder {step.settings['encoder']}"
    if step.kind == "pool":
        window, hop = step.settings["window"], step.settings["hop"]
        over = "the track" if window is None else f"{window:g} s"
        every = "" if hop == window else f" every {hop:g} s"
        return f"{step.name} over {over}{every}"
    if step.kind == "concat":
        return "side by side"
    return f"{step.name}, {n_dims} dimensions"


def _near(track: str, store: Store) -> str:
    """Suggest a track; of many only some are named."""
    ids = store.track_ids
    said = suggest(track, ids)
    if len(ids) > 10 and said.startswith("there are"):
        return f"there are {len(ids)}, such as {', '.join(ids[:3])}"
    return said
