"""A bounded folder of copies of objects.

It is ``~/.cache/mcls``, or the value of ``MCLS_CACHE``, and grows to ``MCLS_CACHE_SIZE`` (20GB).
Copies that have not been used for longest are removed first, never one that a process holds. In
the folder ``copies`` lies, for a key that names an object in one version::

    KEY         a folder with the copies, which appears whole
    KEY.new     the same while it is downloaded
    KEY.lock    locked by those who read (shared) or download (alone); modified at each use, and a
                sparse file as long as the copies are large, so that a listing knows their size
    total       the bytes of all copies, locked by whoever changes it; downloads that failed count
                until copies are removed
"""

import fcntl
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mcls.errors import ConfigError, DataError

#: The share of the bound that stays when copies are removed, so that this is not done at each file.
_ROOM = 0.9
_UNITS = {"": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}


def cache_folder() -> Path:
    """Return the folder of the cache."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("MCLS_CACHE") or Path(base) / "mcls").absolute()


def cache_bound() -> int:
    """Return the most bytes that copies may take together.

    Raises
    ------
    ConfigError
        If ``MCLS_CACHE_SIZE`` is not a size such as ``500MB`` or ``20GB``.
    """
    text = os.environ.get("MCLS_CACHE_SIZE") or "20GB"
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kMGT]?)B?\s*", text)
    if found is None:
        raise ConfigError(f"MCLS_CACHE_SIZE is {text!r}; expected a size such as 500MB or 20GB")
    return int(float(found[1]) * _UNITS[found[2]])


@contextmanager
def copies(key: str, size: int, fill: Callable[[Path], None]) -> Iterator[Path]:
    """Yield the folder of copies with a key; meanwhile nobody removes it.

    Parameters
    ----------
    key : str
        Names the objects and their version.
    size : int
        The bytes that the copies take.
    fill : callable
        Writes the copies into a new folder, if there are none.

    Raises
    ------
    DataError
        If the cache cannot be written.
    """
    root = cache_folder() / "copies"
    try:
        root.mkdir(parents=True, exist_ok=True)
        lock = _locked(root, key, size, fill)
    except OSError as error:
        raise DataError(
            f"the cache {root.parent} cannot be written ({error.strerror}); set MCLS_CACHE to "
            "another folder"
        ) from error
    try:
        yield root / key
    finally:
        os.close(lock)


def _locked(root: Path, key: str, size: int, fill: Callable[[Path], None]) -> int:
    """Return the descriptor of the lock of copies that are there, locked for reading."""
    path = root / f"{key}.lock"
    while True:
        lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(lock, fcntl.LOCK_SH)
            if not (root / key).is_dir():
                fcntl.flock(lock, fcntl.LOCK_EX)
                if _is_same(lock, path) and not (root / key).is_dir():
                    _fill(root, key, size, fill, lock)
                fcntl.flock(lock, fcntl.LOCK_SH)  # not at once: another may remove it in between
            if _is_same(lock, path) and (root / key).is_dir():
                os.utime(lock)
                return lock
        except BaseException:
            os.close(lock)
            raise
        os.close(lock)


def _fill(root: Path, key: str, size: int, fill: Callable[[Path], None], lock: int) -> None:
    new = root / f"{key}.new"
    shutil.rmtree(new, ignore_errors=True)
    _make_room(root, size, lock)
    try:
        new.mkdir()
        fill(new)
        new.rename(root / key)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        (root / f"{key}.lock").unlink()
        raise


def _make_room(root: Path, size: int, own: int) -> None:
    """Take the room for copies; remove those used longest ago if there is not enough."""
    bound = cache_bound()
    count = os.open(root / "total", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(count, fcntl.LOCK_EX)
        text = os.pread(count, 30, 0)
        total = int(text) if text.isdigit() else bound
        if total + size > bound:
            total = _shrink(root, int(_ROOM * bound) - size)
        os.ftruncate(own, size)
        os.ftruncate(count, 0)
        os.pwrite(count, str(total + size).encode(), 0)
    finally:
        os.close(count)


def _shrink(root: Path, most: int) -> int:
    """Remove the copies used longest ago until they take `most` bytes; return what they take."""
    known = []
    for path in root.glob("*.lock"):
        with suppress(FileNotFoundError):
            status = path.stat()
            known.append((status.st_mtime_ns, status.st_size, path))
    total = sum(size for _, size, _ in known)
    for _, size, path in sorted(known):
        if total <= most:
            break
        if _removed(path):
            total -= size
    return total


def _removed(path: Path) -> bool:
    """Remove copies by the path of their lock, unless they are in use."""
    try:
        lock = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for folder in (path.with_suffix(""), path.with_suffix(".new")):
            shutil.rmtree(folder, ignore_errors=True)
        path.unlink(missing_ok=True)
    except BlockingIOError:
        return False
    finally:
        os.close(lock)
    return True


def _is_same(file: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False
