"""Shards: what a long command has finished, kept beside its output until all of it is there.

HDF5 does not survive a kill in mid-write. So ``extract`` writes whole small stores into
``OUT.h5.parts/``, each under a temporary name first, and packs them into ``OUT.h5`` at the end. A
command that is started again finds what is finished by the names of the tracks; how tracks were
spread over shards does not matter for the result.
"""

import fcntl
import glob
import json
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from mcls.disk.atomic import written_whole
from mcls.disk.store import NewRows, Store, StoreContents, StoredRows, write_store
from mcls.errors import ConfigError, DataError, FormatError
from mcls.settings import canonical


class Shards:
    """The folder ``OUT.h5.parts/``, held by one process at a time.

    Parameters
    ----------
    out : Path
        The file that is being made.
    settings : dict
        What makes its rows what they are. Shards of other settings are refused.
    overwrite : bool
        Throw away shards of other settings instead.

    Raises
    ------
    DataError
        If another process is writing `out`, or the folder cannot be made.
    ConfigError
        If there are shards of other settings and `overwrite` is false.
    """

    def __init__(self, out: Path, settings: Mapping[str, Any], *, overwrite: bool = False) -> None:
        self.out = out
        self.folder = out.with_name(out.name + ".parts")
        self._lock = self._locked()
        try:
            self._check_settings(settings, overwrite)
            for pattern in (".*.tmp", "*.journal", "*.overtime"):
                for stale in self.folder.glob(pattern):
                    stale.unlink(missing_ok=True)
            for stale in out.parent.glob(f".{glob.escape(out.name)}.*.tmp"):
                stale.unlink(missing_ok=True)
        except OSError as error:
            self._lock.close()
            raise DataError(f"{self.folder} cannot be written: {error.strerror}") from error
        except BaseException:
            self._lock.close()
            raise

    def __enter__(self) -> "Shards":
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.close()

    def _locked(self) -> TextIO:
        """Make the folder and lock it.

        Another process that finishes meanwhile may remove either: then once more.
        """
        for _ in range(100):
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                lock = (self.folder / "lock").open("w")
            except FileNotFoundError:
                continue
            except OSError as error:
                raise DataError(f"{self.folder} cannot be written: {error.strerror}") from error
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.path.samestat(os.fstat(lock.fileno()), (self.folder / "lock").stat()):
                    return lock
                lock.close()
            except FileNotFoundError:
                lock.close()
            except BlockingIOError:
                lock.close()
                raise DataError(
                    f"another process is writing {self.out}; wait for it, or choose another output"
                ) from None
            except OSError as error:
                lock.close()
                raise DataError(f"{self.folder} cannot be locked: {error.strerror}") from error
        raise DataError(f"{self.folder} cannot be made")

    def _check_settings(self, settings: Mapping[str, Any], overwrite: bool) -> None:
        note = self.folder / "settings.json"
        if note.exists():
            try:
                old = json.loads(note.read_text(encoding="utf-8"))
            except ValueError as error:
                raise DataError(f"{note} is damaged; remove {self.folder}") from error
            if old != json.loads(canonical(settings)):
                if not overwrite:
                    refuse_other_settings(self.folder, old, settings)
                for path in self.folder.iterdir():
                    if path.name != "lock":
                        path.unlink()
        with written_whole(note) as temporary:
            temporary.write_text(canonical(settings), encoding="utf-8")

    def new_names(self, n: int) -> list[Path]:
        """Return `n` names for shards; absolute, as workers may live elsewhere.

        No other call gives the same names: what a killed command leaves running for a moment
        cannot replace a shard of the next.
        """
        mark = secrets.token_hex(4)
        return [self.folder.absolute() / f"{i:06d}-{mark}.h5" for i in range(n)]

    def stores(self) -> list[Store]:
        """Return the finished shards; one that is damaged is thrown away."""
        found = []
        for path in sorted(self.folder.glob("[0-9]*.h5")):
            try:
                found.append(Store(path))
            except FormatError:
                path.unlink()
        return found

    def remove(self) -> None:
        """Remove the folder, once everything in it is in the output.

        The lock goes last; where another process has come for it meanwhile, the folder stays.
        """
        for path in self.folder.iterdir():
            if path.name != "lock":
                path.unlink()
        with suppress(OSError):
            (self.folder / "lock").unlink()
            self.folder.rmdir()


def refuse_other_settings(path: Path, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    """Raise a ConfigError that names the settings in which two commands differ."""
    old, new = _flat(old), _flat(json.loads(canonical(new)))
    differ = [
        f"{key} is {old.get(key, 'not there')}, asked for {new.get(key, 'nothing')}"
        for key in sorted({*old, *new})
        if old.get(key) != new.get(key)
    ]
    shown = "; ".join(differ[:5]) + ("; ..." if len(differ) > 5 else "")
    raise ConfigError(
        f"{path} was made with other settings ({shown}); use another output, or --overwrite"
    )


def pack(
    out: Path,
    sources: Sequence[tuple[Store, int]],
    contents: StoreContents,
) -> None:
    """Write one store from the tracks of several.

    Parameters
    ----------
    out : Path
        The file to write; it appears whole.
    sources : sequence of (store, track)
        Where the rows of each track of the output are, in the output's order. All stores have the
        same features; at least one track.
    contents : StoreContents
        The columns and the rest.

    Raises
    ------
    DataError
        If the file cannot be written.
    """
    first = sources[0][0]
    features = []
    for name, like in first.features.items():
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
    """Read spans in order; neighbours in one file are read at once, up to `at_most` numbers."""
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
