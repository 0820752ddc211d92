"""Outputs at a URL: made on this machine, uploaded whole.

A command that writes to a URL works in the cache, in the folder ``outputs/KEY`` with the name of
the output, where workspaces, resuming and replacing are those of local files. It holds::

    lock           held by the process that makes the output
    uploaded.json  the versions at the URL, and the files here that equal them
    files/         what is at the URL, and the workspaces of the output

The output is uploaded when its workspace is done. A command that was killed leaves its pieces, or
an output that was not uploaded, to the same command on the same machine.
"""

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from mcls.errors import DataError
from mcls.remote.cache import cache_folder
from mcls.remote.objects import (
    NoObjectError,
    RemoteFile,
    download,
    files_below,
    look,
    refuse_read_only,
    remove,
    upload,
)
from mcls.remote.places import MARKS, companions, stand_for
from mcls.remote.urls import beside, name_of, plain, url_of

#: Files that are removed first and uploaded last, in this order: without one of `MARKS` a folder is
#: not taken for one of mcls, so that a folder of which only a part is uploaded is refused.
_LAST = ("run.sha256", *MARKS)


@dataclass
class _Output:
    """An output at a URL and what is known of it."""

    url: str
    folder: Path
    remote: dict[str, str] = field(default_factory=dict)
    same: dict[str, list[int]] = field(default_factory=dict)

    @property
    def local(self) -> Path:
        return self.folder / "files" / name_of(self.url)

    def there(self) -> dict[str, RemoteFile]:
        """Return the files at the URL, by their paths in ``files``."""
        name = name_of(self.url)
        try:
            file = look(self.url)
        except NoObjectError:
            return {}
        if file is None:
            return {f"{name}/{path}": one for path, one in files_below(self.url).items()}
        return {name: file, **companions(self.url)}

    def here(self) -> dict[str, list[int]]:
        """Return the size and the time of the files here; hidden ones are workspaces."""
        root = self.folder / "files"
        found = {}
        for path in sorted(root.rglob("*")):
            relative = path.relative_to(root)
            if path.is_file() and not any(part.startswith(".") for part in relative.parts):
                found[relative.as_posix()] = [path.stat().st_size, path.stat().st_mtime_ns]
        return found

    def write_record(self, *, sending: bool = False) -> None:
        """Write down what equals what."""
        new = self.folder / "uploaded.new"
        record = {"remote": self.remote, "same": self.same, "sending": sending}
        new.write_text(json.dumps(record), encoding="utf-8")
        new.replace(self.folder / "uploaded.json")

    def fetch(self) -> None:
        """Make the files here those at the URL, unless they are ahead of them."""
        there = self.there()
        versions = _versions(there)
        try:
            known = json.loads((self.folder / "uploaded.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            known = {}
        if known.get("sending"):
            self.remote, self.same = versions, {}
        elif known.get("remote") == versions:
            self.remote, self.same = versions, known["same"]
        else:
            for path in self.here():
                (self.folder / "files" / path).unlink()
            for path, file in there.items():
                place = self.folder / "files" / path
                place.parent.mkdir(parents=True, exist_ok=True)
                download(file, place)
            self.remote, self.same = versions, self.here()
            self.write_record()

    def send(self) -> None:
        """Upload the files that changed, and remove those that are gone."""
        here = self.here()
        changed = [path for path, stamp in here.items() if self.same.get(path) != stamp]
        there = self.there()
        gone = [path for path in there if path not in here]
        if not changed and not (gone and here):
            return
        if _versions(there) != self.remote:
            raise DataError(
                f"{self.url} was changed by another program meanwhile; run the command again"
            )
        self.write_record(sending=True)
        for path in [*filter(_place, there), *gone]:
            remove(self._url(path))
        changed += [path for path in filter(_place, here) if path not in changed]
        for path in sorted(changed, key=_place):
            upload(self.folder / "files" / path, self._url(path))
        self.remote, self.same = _versions(self.there()), here
        self.write_record()

    def is_finished(self) -> bool:
        """Return whether nothing is left here that is not at the URL, nor a workspace."""
        works = (self.folder / "files").rglob(".*.work")
        return self.here() == self.same and next(works, None) is None

    def _url(self, path: str) -> str:
        return beside(self.url, path)


#: The outputs that this process makes, by their local paths.
_outputs: dict[Path, _Output] = {}


@contextmanager
def destination(path: Path | str) -> Iterator[Path]:
    """Yield the local path at which to make an output; upload it to its URL if it has one.

    What is at the URL is there already. A local path is yielded as it is.

    Parameters
    ----------
    path : path
        A path or a URL.

    Raises
    ------
    DataError
        If another process of this machine makes the output, or it cannot be uploaded.
    ConfigError
        If nothing can be written to the URL, or it holds a credential.
    """
    url = url_of(path)
    if url is None:
        yield plain(path)
        return
    url = url.rstrip("/")
    refuse_read_only(url)
    folder = cache_folder() / "outputs" / hashlib.sha256(url.encode()).hexdigest()[:40]
    with _lock(url, folder):
        one = _Output(url, folder)
        one.fetch()
        _outputs[one.local] = one
        stand_for(one.local, url)
        try:
            yield one.local
            one.send()
        finally:
            del _outputs[one.local]
            if one.is_finished():
                shutil.rmtree(folder, ignore_errors=True)


def send(local: Path) -> None:
    """Upload an output that is done; a local one has nowhere to go.

    Raises
    ------
    DataError
        If it cannot be uploaded.
    """
    if local in _outputs:
        _outputs[local].send()


@contextmanager
def _lock(url: str, folder: Path) -> Iterator[None]:
    """Hold the folder of an output alone."""
    try:
        (folder / "files").mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise DataError(
            f"the cache {folder} cannot be written ({error.strerror}); set MCLS_CACHE to another "
            "folder"
        ) from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DataError(f"another process is writing {url}; wait for it") from None
        yield
    finally:
        os.close(lock)


def _versions(there: dict[str, RemoteFile]) -> dict[str, str]:
    return {path: file.version for path, file in there.items()}


def _place(path: str) -> int:
    """Return when a file is uploaded: 0 for most, more for those of `_LAST`."""
    name = path.rpartition("/")[2]
    return _LAST.index(name) + 1 if name in _LAST else 0
