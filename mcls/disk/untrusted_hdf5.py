"""Check an HDF5 file that may come from a stranger before anything in it is read.

mcls writes contiguous datasets of numbers and of UTF-8 text, and attributes that are text or a few
numbers. Nothing else is read: types that mcls never writes can crash the HDF5 library, and chunks,
filters and shared data let a small file fill the memory. As every value that mcls writes takes its
own bytes, all values together may not be larger than the file.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from h5py import h5a, h5d, h5g, h5o, h5s, h5t

from mcls.errors import FormatError

#: How a file refers to a text: its length in bytes, the address of a heap, its index there.
_REFERENCE = np.dtype([("length", "<u4"), ("heap", "<u8"), ("index", "<u4")])

_NUMBERS = (h5t.INTEGER, h5t.FLOAT, h5t.ENUM)

#: Texts whose lengths are read at once.
_PIECE = 1 << 16


def check_content(file: h5py.File) -> None:
    """Refuse what mcls never writes, and values that are larger together than the file.

    Links to other places are left to whoever follows links.

    Raises
    ------
    FormatError
        Names the dataset or the attribute.
    """
    path = Path(file.filename)
    left = size = path.stat().st_size
    for name, thing in _objects(file):
        where = f"{path}: {name}"
        if isinstance(thing, h5py.Dataset):
            left -= _dataset_bytes(thing.id, path, where, size)
        left -= check_attributes(thing)
        if left < 0:
            raise FormatError(
                f"{where}: the values up to here declare more than the {size} bytes of the file"
            )


def _objects(file: h5py.File) -> Iterator[tuple[str, h5py.Group | h5py.Dataset]]:
    """Yield every group and dataset of a file, with its path."""
    stack: list[tuple[str, Any]] = [("", file)]
    while stack:
        name, thing = stack.pop()
        yield name or "/", thing
        if isinstance(thing, h5py.Dataset):
            continue
        links = thing.id.links
        for key in thing.id:
            if links.get_info(key).type != h5py.h5l.TYPE_HARD:
                continue
            inside = h5o.open(thing.id, key)
            where = f"{name}/{key.decode(errors='replace')}"
            if isinstance(inside, h5g.GroupID | h5d.DatasetID):
                if h5o.get_info(inside).rc > 1:
                    raise FormatError(f"{file.filename}: {where} is in the file under two names")
                kind = h5py.Group if isinstance(inside, h5g.GroupID) else h5py.Dataset
                stack.append((where, kind(inside)))


def _dataset_bytes(dataset: h5d.DatasetID, path: Path, where: str, most: int) -> int:
    """Return the bytes of the values of a dataset."""
    made = dataset.get_create_plist()
    layout = made.get_layout()
    if layout == h5d.VIRTUAL or made.get_external_count():
        raise FormatError(f"{where} keeps its data in another file")
    if layout != h5d.CONTIGUOUS:
        raise FormatError(f"{where} is stored in chunks or compressed, which mcls never does")
    kind = dataset.get_type()
    text = isinstance(kind, h5t.TypeStringID) and kind.is_variable_str()
    if not text and kind.get_class() not in _NUMBERS:
        raise FormatError(f"{where} holds neither numbers nor text that mcls writes")
    count = dataset.get_space().get_simple_extent_npoints()
    size = count * kind.get_size()
    if size > most:
        raise FormatError(f"{where} declares {size} bytes, but the file is shorter")
    start = dataset.get_offset()
    if size and (start is None or start + size > most):
        raise FormatError(f"{where} declares {size} bytes that are not in the file")
    return size + (_text_bytes(path, start, count) if text and count else 0)


def _text_bytes(path: Path, start: int, count: int) -> int:
    """Return the bytes of the texts of a dataset, from its references."""
    total = 0
    with path.open("rb") as file:
        file.seek(start)
        for done in range(0, count, _PIECE):
            found = np.fromfile(file, _REFERENCE, min(_PIECE, count - done))
            total += int(found["length"].sum(dtype=np.int64))
    return total


def check_attributes(owner: h5py.HLObject) -> int:
    """Refuse attributes of other types than mcls writes; return the bytes of their values.

    Raises
    ------
    FormatError
        Names the attribute.
    """
    total = 0
    for i in range(h5a.get_num_attrs(owner.id)):
        attribute = h5a.open(owner.id, index=i)
        name = attribute.name.decode(errors="replace")
        where = f"{owner.file.filename}: {owner.name}: attribute {name} is corrupt"
        kind, shape = attribute.get_type(), attribute.get_space().get_simple_extent_type()
        text = isinstance(kind, h5t.TypeStringID) and kind.is_variable_str()
        if shape != h5s.SCALAR and (text or shape != h5s.SIMPLE or len(attribute.shape) > 1):
            raise FormatError(f"{where} (it is no single value)")
        if not text and kind.get_class() not in _NUMBERS:
            raise FormatError(f"{where} (it is neither a number nor text)")
        count = math.prod(attribute.shape)
        total += len(owner.attrs[name].encode()) if text else count * kind.get_size()
    return total
