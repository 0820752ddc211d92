"""Pack a folder of shards into one file, and split a file into shards; the rows stay the same."""

from dataclasses import replace
from pathlib import Path

from mcls.errors import ConfigError
from mcls.extraction.store_copy import Copied, write_copy
from mcls.stores.shard_folder import SHARD_BYTES, shards_of_size
from mcls.stores.store import Store


def pack_store(store: Path | str, out: Path | str, *, overwrite: bool = False) -> Copied:
    """Write a store as one file.

    A folder that `extract` wrote becomes the file that it writes without ``--no-pack``.

    Parameters
    ----------
    store : path
        A store that is a folder of shards.
    out : path
        The file to write.
    overwrite : bool
        Replace another store.

    Raises
    ------
    ConfigError
        If the store is one file, or `out` is something else.
    DataError
        If the store cannot be read or `out` cannot be written.
    """
    opened = Store(store)
    if opened.index is None:
        raise ConfigError(f"{store} is one file already; expected a folder of shards")
    sources = [(opened, i) for i in range(opened.n_tracks)]
    names = list(opened.features)
    return write_copy(Path(out), sources, opened.contents, names, shards=None, overwrite=overwrite)


def split_store(
    store: Path | str,
    out: Path | str,
    *,
    n_shards: int | None = None,
    n_bytes: int | None = None,
    overwrite: bool = False,
) -> Copied:
    """Write a store as a folder of shards, with the tracks in their order.

    Parameters
    ----------
    store : path
        A store, a file or a folder with other shards.
    out : path
        The folder to write.
    n_shards : int or None
        The number of shards, about equally large.
    n_bytes : int or None
        The most bytes of rows of a shard; by default 1 GB, if `n_shards` is not given.
    overwrite : bool
        Replace another store.

    Raises
    ------
    ConfigError
        If both sizes are given, there are more shards than tracks, or `out` is something else.
    DataError
        If the store cannot be read or `out` cannot be written.
    """
    if n_shards is not None and n_bytes is not None:
        raise ConfigError("give the number of shards (--shards) or their size (--size), not both")
    opened = Store(store)
    sources = [(opened, i) for i in range(opened.n_tracks)]
    names = list(opened.features)
    shards = shards_of_size(sources, names, n_shards=n_shards, n_bytes=n_bytes or SHARD_BYTES)
    contents = replace(opened.contents, tracks=opened.tracks)
    return write_copy(Path(out), sources, contents, names, shards=shards, overwrite=overwrite)
