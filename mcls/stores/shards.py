"""Shards: small stores of finished tracks, the pieces of a store that is being made.

HDF5 does not survive a kill in the middle of writing. So ``extract`` and ``encode`` write whole
small stores into the workspace of their output, and pack them into the output at the end. A command
that is started again finds the finished tracks by their names; which shard a track is in does not
matter for the result.
"""

import json
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mcls.disk.text_files import read_json
from mcls.disk.workspace import Workspace, written_whole
from mcls.errors import ConfigError, FormatError
from mcls.settings import canonical
from mcls.stores.store import NewRows, Store, StoreContents, StoredRows, write_store

#: A track: its store and its index there.
TrackOf = tuple[Store, int]


class Shards:
    """The shards in a workspace.

    Parameters
    ----------
    work : Workspace
        The workspace of the store that is being made, held by this process.
    settings : dict
        The settings that determine its rows. Shards of other settings are refused.
    overwrite : bool
        Throw away shards of other settings instead.

    Raises
    ------
    ConfigError
        If there are shards of other settings and `overwrite` is false.
    """

    def __init__(
        self, work: Workspace, settings: Mapping[str, Any], *, overwrite: bool = False
    ) -> None:
        for folder in work.other_pieces:
            if overwrite:
                shutil.rmtree(folder)
            elif (note := folder / "settings.json").is_file():
                try:
                    old = read_json(note)
                except FormatError as error:
                    raise FormatError(f"{error}; remove {work.folder}") from error
                refuse_other_settings(work.folder, old, settings)
        self.folder = work.pieces
        for stale in self.folder.glob(".[0-9]*.work"):
            shutil.rmtree(stale, ignore_errors=True)
        with written_whole(self.folder / "settings.json") as new:
            new.write_text(canonical(settings), encoding="utf-8")

    def new_names(self, n: int) -> list[Path]:
        """Return `n` absolute paths for shards.

        No other call returns the same paths: a worker that outlives a killed command for a moment
        cannot replace a shard of the next command.
        """
        mark = secrets.token_hex(4)
        return [self.folder / f"{i:06d}-{mark}.h5" for i in range(n)]

    def stores(self) -> list[Store]:
        """Return the finished shards; a corrupt one is removed."""
        found = []
        for path in sorted(self.folder.glob("[0-9]*.h5")):
            try:
                found.append(Store(path))
            except FormatError:
                path.unlink()
        return found


def refuse_other_settings(path: Path, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    """Raise a ConfigError that names the settings that differ."""
    old, new = _flat(old), _flat(json.loads(canonical(new)))
    differ = [
        f"{key} is {old.get(key, 'not set')} there and {new.get(key, 'not set')} here"
        for key in sorted({*old, *new})
        if old.get(key) != new.get(key)
    ]
    shown = "; ".join(differ[:5]) + ("; ..." if len(differ) > 5 else "")
    raise ConfigError(
        f"{path} was made with other settings ({shown}); choose another output, or pass --overwrite"
    )


def pack(
    out: Path,
    sources: Sequence[TrackOf],
    contents: StoreContents,
    names: Sequence[str] | None = None,
) -> None:
    """Write one store from tracks of several stores.

    Parameters
    ----------
    out : Path
        The file to write; it appears whole.
    sources : sequence of (store, track)
        The store and the index of every track of the output, at least one. All stores have the
        same features.
    contents : StoreContents
        The columns, the failed tracks and the settings.
    names : sequence of str or None
        The features to write; None: all.

    Raises
    ------
    DataError
        If the file cannot be written.
    """
    first = sources[0][0]
    features = []
    for name in first.features if names is None else names:
        like = first.features[name]
        spans = [_span(store.features[name], track) for store, track in sources]
        features.append(
            NewRows(
                name,
                like.chain,
                like.frame_rate,
                like.n_dims,
                [stop - start for _, start, stop in spans],
                _blocks(spans),
                like.dtype.name,
            )
        )
    write_store(out, contents, features)


_Span = tuple[StoredRows, int, int]


def _span(rows: StoredRows, track: int) -> _Span:
    return rows, int(rows.offsets[track]), int(rows.offsets[track + 1])


def _blocks(spans: Sequence[_Span], at_most: int = 1 << 22) -> Iterator[np.ndarray]:
    """Read spans in order, adjacent spans of one file together, at most `at_most` values each."""
    i = 0
    while i < len(spans):
        rows, start, stop = spans[i]
        limit = max(1, at_most // max(1, rows.n_dims))
        i += 1
        while i < len(spans) and spans[i][0] is rows and spans[i][1] == stop:
            if spans[i][2] - start > limit:
                break
            stop = spans[i][2]
            i += 1
        for begin in range(start, stop, limit):
            yield rows.read(begin, min(begin + limit, stop))


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat
