"""Match a chain against a store: find the steps whose rows the store holds."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from mcls.chain.step import RowsAndRate, RowsByStep, apply_chain
from mcls.disk.chain import Chain, Step, chain_digest
from mcls.errors import DataError
from mcls.stores.store import Store, StoredRows


def stored_steps(store: Store, chain: Chain) -> dict[int, StoredRows]:
    """Return the rows in a store that steps of a chain make, by the index of the step."""
    digests = {stored.digest: stored for stored in store.features.values()}
    found = {}
    for i in range(len(chain)):
        digest = chain_digest(chain_up_to(chain, i))
        if digest in digests:
            found[i] = digests[digest]
    return found


def reaches(chain: Chain, found: Collection[int]) -> bool:
    """Return whether the result of a chain follows from the rows of some of its steps."""

    def follows(i: int) -> bool:
        return i in found or (bool(chain[i].inputs) and all(map(follows, chain[i].inputs)))

    return follows(len(chain) - 1)


def chain_up_to(chain: Chain, last: int) -> Chain:
    """Return the part of a chain that step `last` depends on, renumbered."""
    needed, waiting = set(), [last]
    while waiting:
        i = waiting.pop()
        needed.add(i)
        waiting.extend(chain[i].inputs)
    place = {old: new for new, old in enumerate(sorted(needed))}
    return tuple(
        replace(chain[i], inputs=tuple(place[j] for j in chain[i].inputs)) for i in sorted(needed)
    )


def rows_of_track(stored: Mapping[int, StoredRows], track: int) -> RowsByStep:
    """Return the rows of one track by the index of the step that makes them."""
    return {i: (rows.track(track), rows.frame_rate) for i, rows in stored.items()}


def encoded_track(stored: Mapping[int, StoredRows], chain: Chain, track: int) -> RowsAndRate:
    """Return the result of a chain for a track of a store, and its frame rate.

    Parameters
    ----------
    stored : mapping of int to StoredRows
        From `stored_steps`.
    chain : Chain
        From `build_chain`.
    track : int
        Index of the track in the store.
    """
    return apply_chain(chain, rows_of_track(stored, track))


def rows_for_run(store: Store, chain: Chain, feature: str | None = None) -> dict[int, StoredRows]:
    """Return the features of a store that a run's chain can start from, by the index of the step.

    Parameters
    ----------
    store : Store
        A store.
    chain : Chain
        The chain of a run.
    feature : str or None
        The only feature to use; None: every feature that fits.

    Raises
    ------
    DataError
        If the rows of the store were made with other settings; the message names them.
    """
    offered = [store.feature(feature)] if feature else list(store.features.values())
    names = {stored.name for stored in offered}
    found = {i: stored for i, stored in stored_steps(store, chain).items() if stored.name in names}
    if not reaches(chain, found):
        raise DataError(
            f"{store.path}: its rows are not those of the run: {_mismatch(chain, offered)}"
        )
    return found


def different_settings(there: Step, here: Step) -> list[tuple[str, Any, Any]]:
    """Return name and both values of each setting in which two steps differ."""
    names = sorted({*there.settings, *here.settings})
    pairs = [(name, there.settings.get(name), here.settings.get(name)) for name in names]
    return [(name, first, second) for name, first, second in pairs if first != second]


def _mismatch(chain: Chain, offered: list[StoredRows]) -> str:
    """Say for each feature of a run how the same feature of a store differs."""
    said = []
    for step in chain:
        if step.inputs:
            continue  # it does not read audio
        same = [one.chain[0] for one in offered if one.chain[0].name == step.name]
        if not same:
            said.append(f"there is no {step.name}")
            continue
        differ = [
            f"{name} is {here} in the store but {there} in the run"
            for name, there, here in different_settings(step, same[0])
        ]
        said.append(f"{step.name}: {', '.join(differ) or 'later steps of its chain differ'}")
    return "; ".join(said)
