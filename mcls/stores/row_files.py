"""Rows of numbers that other programs made: NumPy, CSV, Parquet and HDF5 files.

======================= ===========================================================================
a folder                ``.npy`` and ``.npz`` files with one array each; the name of a track is the
                        path below the folder without its suffix
``.npz``                an array per track under its name; or the arrays ``track_id`` and one other,
                        a row per track
``.csv``, ``.tsv``      a column with the name of the track, the others numbers; the lines of a
                        track are its rows in order
``.parquet``            the same; a column may also hold lists of numbers (needs pyarrow)
``.h5``, ``.hdf5``      a dataset per track, whose name is its path in the file
======================= ===========================================================================

An array has the size (rows, dimensions), or (dimensions,) for one row. Nothing is unpickled.
"""

import csv
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path

import h5py
import numpy as np

from mcls.disk.finite import first_not_finite
from mcls.errors import ConfigError, DataError, missing_extra

#: The column or array with the names of tracks, in the order in which they are looked for.
NAME_COLUMNS = ("track_id", "id", "ids", "path", "filename", "file")
ARRAY_SUFFIXES = (".npy", ".npz")
SUFFIXES = (*ARRAY_SUFFIXES, ".csv", ".tsv", ".parquet", ".h5", ".hdf5")


class RowFiles(ABC):
    """Rows by the name of their track.

    Attributes
    ----------
    names : list of str
        The names of the tracks.
    """

    names: list[str]

    @abstractmethod
    def array(self, name: str) -> np.ndarray:
        """Return the array of a track as it is in the file."""


def checked_rows(array: np.ndarray) -> np.ndarray:
    """Return an array as rows, ``(n_rows, n_dims)``, float32.

    Raises
    ------
    DataError
        If they are no numbers, or NaN, infinite or beyond float32, or there are none. The message
        is the reason.
    """
    if array.dtype.kind not in "fiu":
        raise DataError(f"its values are {array.dtype}; expected numbers")
    if array.ndim not in (1, 2):
        raise DataError(f"its size is {_size(array)}; expected (rows, dimensions)")
    rows = np.atleast_2d(array)
    if not rows.size:
        raise DataError(f"its size is {_size(array)}; there are no rows")
    with np.errstate(over="ignore"):
        rows = np.ascontiguousarray(rows, np.float32)
    if first_not_finite(rows) is not None:
        raise DataError("its values are NaN, infinite or beyond the range of float32")
    return rows


def read_array_file(path: Path) -> np.ndarray:
    """Read the only array of a ``.npy`` or ``.npz`` file.

    Raises
    ------
    DataError
        If it cannot be read or has several; the message is the reason.
    """
    with _spelt():
        found = np.load(path, mmap_mode="r", allow_pickle=False)
        if isinstance(found, np.ndarray):
            return found
        with found:
            if len(found.files) != 1:
                raise DataError(f"it holds {len(found.files)} arrays; expected one")
            return np.asarray(found[found.files[0]])


def open_row_files(path: Path) -> RowFiles:
    """Open a folder or a file of rows.

    Raises
    ------
    ConfigError
        If the suffix is of another kind of file.
    DataError
        If it cannot be read or has no rows.
    """
    if not path.exists():
        raise DataError(f"{path}: there is no such file or folder")
    kind = path.suffix.lower()
    if path.is_dir():
        found: RowFiles = _Folder(path)
    elif kind == ".npz":
        found = _Npz(path)
    elif kind in (".csv", ".tsv"):
        found = _Table(*_read_csv(path, "\t" if kind == ".tsv" else ","))
    elif kind == ".parquet":
        found = _Table(*_read_parquet(path))
    elif kind in (".h5", ".hdf5"):
        found = _Hdf5(path)
    else:
        raise ConfigError(
            f"{path}: rows are read from a folder of .npy files, or from a file "
            f"{', '.join(SUFFIXES[1:])}"
        )
    if not found.names:
        raise DataError(f"{path}: there are no rows in it")
    return found


class _Folder(RowFiles):
    def __init__(self, path: Path) -> None:
        below = [one for one in sorted(path.rglob("*")) if one.suffix.lower() in ARRAY_SUFFIXES]
        self._paths = {
            one.relative_to(path).with_suffix("").as_posix(): one for one in below if one.is_file()
        }
        self.names = list(self._paths)

    def array(self, name: str) -> np.ndarray:
        return read_array_file(self._paths[name])


class _Npz(RowFiles):
    def __init__(self, path: Path) -> None:
        with _spelt(path):
            self._file = np.load(path, allow_pickle=False)  # kept open: its list of arrays is long
            if isinstance(self._file, np.ndarray):
                raise DataError("it is one array and no archive; name it .npy, in a folder")
            self._rows = self._rows_of_names()
        self.names = list(self._rows or self._file.files)

    def _rows_of_names(self) -> dict[str, np.ndarray]:
        """Return the rows of one array by the names in another; nothing if there are no such."""
        named = [key for key in NAME_COLUMNS if key in self._file.files]
        if not named or len(self._file.files) != 2:
            return {}
        names = [str(one) for one in self._file[named[0]]]
        matrix = self._file[next(key for key in self._file.files if key != named[0])]
        if len(matrix) != len(names):
            raise DataError(f"{len(names)} names for {len(matrix)} rows")
        _refuse_repeated(names)
        return dict(zip(names, matrix, strict=True))

    def array(self, name: str) -> np.ndarray:
        with _spelt():
            return np.asarray(self._rows[name] if self._rows else self._file[name])


class _Table(RowFiles):
    def __init__(self, names: Sequence[str], matrix: np.ndarray) -> None:
        runs = [(name, len(list(run))) for name, run in groupby(names)]
        self.names = [name for name, _ in runs]
        _refuse_repeated(self.names, "are not together")
        ends = np.cumsum([n for _, n in runs])
        self._spans = {name: (end - n, end) for (name, n), end in zip(runs, ends, strict=True)}
        self._matrix = matrix

    def array(self, name: str) -> np.ndarray:
        start, stop = self._spans[name]
        return self._matrix[start:stop]


class _Hdf5(RowFiles):
    def __init__(self, path: Path) -> None:
        self._path = path
        self.names = []
        with _spelt(path), h5py.File(path, "r") as file:
            # links to other files and soft links are not followed
            file.visititems(lambda name, one: self._note(name, one))

    def _note(self, name: str, thing: h5py.Group | h5py.Dataset) -> None:
        if isinstance(thing, h5py.Dataset):
            self.names.append(name)

    def array(self, name: str) -> np.ndarray:
        with _spelt(), h5py.File(self._path, "r") as file:
            found = file[name]
            if found.dtype.kind not in "fiu":
                raise DataError(f"its values are {found.dtype}; expected numbers")
            return np.asarray(found[()])


def _read_csv(path: Path, delimiter: str) -> tuple[list[str], np.ndarray]:
    with _spelt(path), path.open(encoding="utf-8-sig", newline="") as file:
        lines = csv.reader(file, delimiter=delimiter)
        header = next(lines, [])
        at = next((header.index(key) for key in NAME_COLUMNS if key in header), 0)
        names, rows = [], []
        for number, cells in enumerate(lines, start=2):
            if len(cells) != len(header):
                raise DataError(f"line {number} has {len(cells)} cells, the first {len(header)}")
            names.append(cells.pop(at))
            try:
                rows.append(np.array(cells, np.float64))
            except ValueError as error:
                raise DataError(f"line {number}: {error}; expected numbers") from error
    return names, np.array(rows).reshape(len(rows), max(0, len(header) - 1))


def _read_parquet(path: Path) -> tuple[list[str], np.ndarray]:
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise missing_extra(str(path), "pyarrow", "parquet") from error
    with _spelt(path):
        table = parquet.read_table(path).to_pydict()
        at = next((key for key in NAME_COLUMNS if key in table), next(iter(table)))
        names = [str(one) for one in table.pop(at)]
        columns = [np.array(cells) for cells in table.values()]
        if any(column.dtype.kind not in "fiu" for column in columns):
            raise DataError("its columns are not all numbers, or lists of one length")
        wide = [column.reshape(len(names), -1) for column in columns]
        return names, np.concatenate(wide, axis=1)


def _refuse_repeated(names: Sequence[str], what: str = "are there twice") -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise DataError(f"the rows of {name!r} {what}")
        seen.add(name)


def _size(array: np.ndarray) -> str:
    return f"({', '.join(map(str, array.shape))})"


@contextmanager
def _spelt(path: Path | None = None) -> Iterator[None]:
    """Turn what goes wrong in reading into a `DataError`, with the path if there is one."""
    before = "" if path is None else f"{path}: "
    try:
        yield
    except DataError as error:
        raise DataError(f"{before}{error}") from error
    except (OSError, EOFError, ValueError, KeyError, RuntimeError, zipfile.BadZipFile) as error:
        raise DataError(f"{before}it cannot be read ({error})") from error
