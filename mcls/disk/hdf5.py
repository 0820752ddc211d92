"""HDF5 files of strangers: what is not stored in the very file is refused, never followed."""

from pathlib import Path
from typing import Any

import h5py

from mcls.errors import DataError, FormatError

#: What h5py raises where a file's own structures are wrong.
DAMAGE = (OSError, RuntimeError, KeyError, ValueError, TypeError, OverflowError, MemoryError)


def open_hdf5(path: Path, kind: str, version: int) -> h5py.File:
    """Open a file for reading and check what it says it is.

    Parameters
    ----------
    path : Path
        The file.
    kind : str
        What its attribute ``kind`` must be: ``features``, ``dictionary``, ``chain``.
    version : int
        What its attribute ``format`` must be.

    Raises
    ------
    DataError
        If there is no such file.
    FormatError
        If it is not HDF5, or of another kind or format.
    """
    if not path.is_file():
        raise DataError(f"there is no file {path}")
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise FormatError(f"{path} is not an HDF5 file, or is damaged ({error})") from error
    try:
        found, found_version = str(file.attrs.get("kind")), file.attrs.get("format")
        if found == kind and int(found_version or 0) == version:
            return file
    except DAMAGE as error:
        file.close()
        raise FormatError(f"{path} is damaged ({error})") from error
    file.close()
    if found != kind:
        raise FormatError(f"{path} is of kind {found!r}; expected {kind!r}")
    raise FormatError(f"{path} has format {found_version}; this mcls reads format {version}")


def member(parent: h5py.Group, name: str, kind: type[h5py.HLObject]) -> Any:
    """Return a member of a group that is stored in this very file.

    Raises
    ------
    FormatError
        If it is missing, of another kind, a soft or external link, virtual, kept in another file,
        or declares more data than the file has bytes.
    """
    path, where = parent.file.filename, f"{parent.name.rstrip('/')}/{name}"
    links, key = parent.id.links, name.encode()
    item = None
    if links.exists(key) and links.get_info(key).type == h5py.h5l.TYPE_HARD:
        item = parent[name]
    if not isinstance(item, kind):
        raise FormatError(f"{path}: {where} is missing, a link or not a {kind.__name__.lower()}")
    if isinstance(item, h5py.Dataset):
        if item.external or item.is_virtual:
            raise FormatError(f"{path}: {where} keeps its data in another file")
        size = item.size * item.dtype.itemsize if item.size else 0
        if size > Path(path).stat().st_size and item.chunks is None:
            raise FormatError(f"{path}: {where} declares {size} bytes; the file is shorter")
        if item.chunks is not None and size > 64 * Path(path).stat().st_size:
            raise FormatError(f"{path}: {where} declares {size} bytes, which is beyond belief")
    return item


def members(parent: h5py.Group) -> list[str]:
    """Return the names in a group, without opening any."""
    return [name.decode() if isinstance(name, bytes) else name for name in parent.id]
