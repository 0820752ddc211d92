"""Write a store with rows of other stores, in one file or as a folder of shards."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mcls.disk.audit_file import carry_findings
from mcls.disk.workspace import Workspace
from mcls.errors import ConfigError
from mcls.stores.shard_folder import (
    NewShard,
    check_output,
    check_replaced_store,
    write_folder,
)
from mcls.stores.shards import TrackOf, pack
from mcls.stores.store import Store, StoreContents, rows_of


@dataclass(frozen=True)
class Copied:
    """The result of copying rows of stores.

    Parameters
    ----------
    path : Path
        The store.
    n_tracks : int
        The number of tracks in it.
    notes : list of str
        Its notes: where its tracks are from, and what to know about them.
    computed : bool
        False if the store was there already.
    """

    path: Path
    n_tracks: int
    notes: list[str]
    computed: bool


def write_copy(
    out: Path,
    sources: Sequence[TrackOf],
    contents: StoreContents,
    names: Sequence[str],
    *,
    shards: Sequence[NewShard] | None,
    overwrite: bool,
) -> Copied:
    """Write tracks of stores, unless the output holds just these.

    Parameters
    ----------
    out : Path
        The store to write.
    sources : sequence of (store, track)
        The store and the index of every track.
    contents : StoreContents
        What is written besides the rows.
    names : sequence of str
        The features.
    shards : sequence of NewShard or None
        The shards of a folder; None: one file.
    overwrite : bool
        Replace another store.

    Raises
    ------
    ConfigError
        If the output is one of the stores, or something else is there.
    """
    check_output(out, packed=shards is None)
    stores = list({id(store): store for store, _ in sources}.values())
    for store in stores:
        if out.exists() and out.samefile(store.path):
            raise ConfigError(f"{out} is read and cannot be the output, too; choose another name")
    paths = [store.path for store in stores]
    with Workspace(out):
        computed = True
        if out.exists():
            check_replaced_store(out)
            computed = not _holds(Store(out), stores[0], contents, names, shards)
            if computed and not overwrite:
                raise ConfigError(
                    f"{out} is another store; choose another output, or pass --overwrite to "
                    "replace it"
                )
        if computed and shards is not None:
            write_folder(out, shards, sources, contents, names)
        elif computed:
            pack(out, sources, contents, names)
    carry_findings(paths, out, contents.tracks["track_id"])
    return Copied(out, len(sources), contents.notes, computed)


def _holds(
    there: Store,
    like: Store,
    contents: StoreContents,
    names: Sequence[str],
    shards: Sequence[NewShard] | None,
) -> bool:
    """Return whether a store has these contents and features, and these shards."""
    if shards is not None and there.index is not None:
        counts = there.index.n_tracks.tolist()
        if counts != [len(shard.tracks) for shard in shards]:
            return False
    return (
        there.tracks == contents.tracks
        and there.failed == rows_of(contents.failed)
        and there.notes == contents.notes
        and {name: rows.digest for name, rows in there.features.items()}
        == {name: like.features[name].digest for name in names}
    )
