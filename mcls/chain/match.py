"""Match a chain against a store: which of its steps the store has the rows of."""

from collections.abc import Collection, Mapping
from dataclasses import replace

from mcls.chain.apply import Timed, apply_chain
from mcls.disk.chain import Chain, chain_digest
from mcls.disk.store import Store, StoredRows
from mcls.errors import DataError

#: Rows with their frame rate by the step of a chain that makes them; see `apply_chain`.
Given = Mapping[int, Timed]


def stored_steps(store: Store, chain: Chain) -> dict[int, StoredRows]:
    """Return which steps of a chain a store has the rows of, by index."""
    digests = {stored.digest: stored for stored in store.features.values()}
    found = {}
    for i in range(len(chain)):
        digest = chain_digest(_up_to(chain, i))
        if digest in digests:
            found[i] = digests[digest]
    return found


def reaches(chain: Chain, found: Collection[int]) -> bool:
    """Return whether the result of a chain follows from the rows of some of its steps."""

    def follows(i: int) -> bool:
        return i in found or (bool(chain[i].inputs) and all(map(follows, chain[i].inputs)))

    return follows(len(chain) - 1)


def _up_to(chain: Chain, last: int) -> Chain:
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


def encoded_track(stored: dict[int, StoredRows], chain: Chain, track: int) -> Timed:
    """Return the result of a chain for a track of a store, and its frame rate.

    Parameters
    ----------
    stored : dict
        From `stored_steps`.
    chain : Chain
        From `build_chain`.
    track : int
        Index in the store.
    """
    return apply_chain(
        chain, {i: (rows.track(track), rows.frame_rate) for i, rows in stored.items()}
    )


def rows_for_run(store: Store, chain: Chain, feature: str | None = None) -> dict[int, StoredRows]:
    """Return the features of a store that a run's chain can go on from, by its step.

    Parameters
    ----------
    store : Store
        A store.
    chain : Chain
        Of a run.
    feature : str or None
        The only one to take; None: whatever fits.

    Raises
    ------
    DataError
        If the store's rows were made otherwise; the message names what differs.
    """
    offered = [store.feature(feature)] if feature else list(store.features.values())
    names = {stored.name for stored in offered}
    found = {i: stored for i, stored in stored_steps(store, chain).items() if stored.name in names}
    if not reaches(chain, found):
        raise DataError(
            f"{store.path}: its rows are not those of the run: {_misfit(chain, offered)}"
        )
    return found


def _misfit(chain: Chain, offered: list[StoredRows]) -> str:
    """Name the first setting in which the nearest feature differs from the run's."""
    said = []
    for step in chain:
        if step.kind != "feature":
            continue
        same = [one.chain[0] for one in offered if one.chain[0].name == step.name]
        if not same:
            said.append(f"there is no {step.name}")
            continue
        differ = [
            f"{key} {same[0].settings.get(key)} instead of {value}"
            for key, value in step.settings.items()
            if same[0].settings.get(key) != value
        ]
        said.append(f"{step.name} has {', '.join(differ) or 'been encoded otherwise'}")
    return "; ".join(said)
