"""Write HDF5 files that fit on the disk, and read HDF5 files that may come from strangers.

Data that a file does not hold itself, but links to, is refused and never followed. Files are
written with checksums, which are compared when they are opened; those of older versions have none.
"""

import errno
import os
import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py

from mcls.disk.checksums import Checksums, append_checksums, read_checksums
from mcls.disk.untrusted_hdf5 import check_attributes, check_content
from mcls.errors import DataError, FormatError

#: The exceptions that h5py raises if the structures of a file are corrupt.
CORRUPT = (OSError, RuntimeError, KeyError, ValueError, TypeError, OverflowError, MemoryError)

#: The attribute of a file with checksums, and what it says.
CHECKSUMS = "checksums"
_ABOUT_CHECKSUMS = "CRC-32 of every 64 KiB, at the end of the file"

#: What to say where something else was named.
_EXPECTED = {
    "features": "expected a store, a file that `mcls extract` or `mcls encode` makes",
    "dictionary": "expected a dictionary, a file that `mcls learn-dict` makes",
}


@contextmanager
def new_hdf5(path: Path, room: int, rows: Collection[str] = ()) -> Iterator[h5py.File]:
    """Create a file with checksums after its space on the disk has been allocated.

    The HDF5 library crashes if the disk becomes full while it writes. So the space is allocated
    first, and the part that was not needed is released at the end.

    Parameters
    ----------
    path : Path
        The file to create.
    room : int
        The largest size in bytes that the file may get.
    rows : collection of str
        The datasets that are checked when they are read, not when the file is opened.

    Raises
    ------
    OSError
        If the disk has no space left, or the file cannot be created.
    """
    _take_room(path, room)
    with h5py.File(path, "w") as file:
        _take_room(path, room)
        file.attrs[CHECKSUMS] = _ABOUT_CHECKSUMS
        yield file
        file.flush()
        size = file.id.get_filesize()
        places = [(file[name].id.get_offset(), file[name].nbytes) for name in rows]
    os.truncate(path, size)
    append_checksums(path, [(start, start + n) for start, n in places if n])


def _take_room(path: Path, n_bytes: int) -> None:
    """Allocate the space of a file, if the file system can do so."""
    with path.open("ab") as file:
        try:
            os.posix_fallocate(file.fileno(), 0, n_bytes)
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL, errno.ENOSYS):
                raise


def system_message(error: Exception) -> str:
    """Return the operating system's message, which HDF5 wraps in its own."""
    found = re.search(r"error message = '([^']+)'", str(error))
    return found[1] if found else getattr(error, "strerror", None) or str(error)


def open_hdf5(path: Path, kind: str, version: int) -> h5py.File:
    """Open a file for reading and check its kind and format.

    Parameters
    ----------
    path : Path
        The file.
    kind : str
        The expected attribute ``kind``: ``features``, ``dictionary`` or ``chain``.
    version : int
        The expected attribute ``format``.

    Raises
    ------
    DataError
        If there is no such file.
    FormatError
        If it is not HDF5, or of another kind or format.
    """
    if path.is_dir():
        raise DataError(f"{path} is a folder; {_EXPECTED.get(kind, 'expected a file')}")
    if not path.is_file():
        raise DataError(f"there is no file {path}")
    try:
        checksums = read_checksums(path)
        if checksums is not None:
            _check_structures(path, checksums)
        file = h5py.File(path, "r")
    except PermissionError as error:
        raise DataError(f"{path}: permission denied") from error
    except OSError as error:
        if not h5py.is_hdf5(path):
            expected = _EXPECTED.get(kind, "expected a file that mcls wrote")
            raise FormatError(f"{path} is not an HDF5 file; {expected}") from error
        raise FormatError(f"{path} is a corrupt HDF5 file ({error})") from error
    try:
        check_content(file)
        found, found_version = str(file.attrs.get("kind")), file.attrs.get("format")
        if checksums is None and CHECKSUMS in file.attrs:
            raise FormatError(
                f"{path} was damaged, or changed by another program: its checksums are missing. "
                f"If it was changed on purpose, delete its attribute {CHECKSUMS!r}"
            )
        if found == kind and int(found_version or 0) == version:
            return file
    except (FormatError, *CORRUPT) as error:
        file.close()
        if isinstance(error, FormatError):
            raise
        raise FormatError(f"{path} is corrupt ({error})") from error
    file.close()
    if found != kind:
        raise FormatError(f"{path} is of kind {found!r}; expected {kind!r}")
    raise FormatError(f"{path} has format {found_version}; this mcls reads format {version}")


def kind_of(path: Path) -> str | None:
    """Return the attribute ``kind`` of an HDF5 file; None if it is no HDF5 file or has none.

    Raises
    ------
    FormatError
        If it is corrupt.
    """
    if not (path.is_file() and h5py.is_hdf5(path)):
        return None
    try:
        with h5py.File(path, "r") as file:
            check_attributes(file)
            return str(file.attrs["kind"]) if "kind" in file.attrs else None
    except CORRUPT as error:
        raise FormatError(f"{path} is corrupt ({error})") from error


def _check_structures(path: Path, checksums: Checksums) -> None:
    """Compare the checksums of all of a file except its rows."""
    with path.open("rb") as file:
        for start, end in checksums.apart_from_rows():
            wrong = checksums.wrong_block(file.fileno(), start, end)
            if wrong is not None:
                raise FormatError(
                    f"{path} is damaged: bytes {wrong[0]} to {wrong[1]} do not match their checksum"
                )


def member(parent: h5py.Group, name: str, kind: type[h5py.HLObject]) -> Any:
    """Return a member of a group, if it is stored in this file itself.

    Raises
    ------
    FormatError
        If it is missing, of another kind, or a soft or external link.
    """
    links, key = parent.id.links, name.encode()
    item = None
    if links.exists(key) and links.get_info(key).type == h5py.h5l.TYPE_HARD:
        item = parent[name]
    if not isinstance(item, kind):
        path, where = parent.file.filename, f"{parent.name.rstrip('/')}/{name}"
        raise FormatError(f"{path}: {where} is missing, a link or not a {kind.__name__.lower()}")
    return item


def members(parent: h5py.Group) -> list[str]:
    """Return the names of the members of a group, without opening them."""
    return [name.decode() if isinstance(name, bytes) else name for name in parent.id]
