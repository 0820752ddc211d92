"""Which files a command may replace: only those that mcls wrote."""

import mmap
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from mcls.disk.audio_suffixes import AUDIO_SUFFIXES
from mcls.disk.hdf5 import kind_of
from mcls.errors import ConfigError, FormatError

#: Suffixes of stores and dictionaries; any other that is not in use elsewhere is accepted too.
HDF5 = (".h5", ".hdf5")

_USED = AUDIO_SUFFIXES.union(
    HDF5,
    (".csv", ".tsv", ".txt", ".md", ".json", ".toml", ".yaml", ".yml", ".py", ".zip"),
    (".png", ".jpg", ".jpeg", ".svg", ".pdf", ".onnx", ".pt", ".pt2", ".skops", ".safetensors"),
)


def check_suffix(path: Path, what: str, own: Collection[str] = HDF5) -> None:
    """Refuse a name with a suffix that files of another kind have.

    Raises
    ------
    ConfigError
        If the suffix is that of audio, a table, an image or the like, and not in `own`.

    Examples
    --------
    >>> check_suffix(Path("mel.h5"), "a store")
    >>> check_suffix(Path("song.mp3"), "a store")
    Traceback (most recent call last):
    mcls.errors.ConfigError: song.mp3: a store must not be called .mp3; use a name that ends in .h5
    """
    suffix = path.suffix.lower()
    if suffix in _USED and suffix not in own:
        name = next(iter(own))
        raise ConfigError(
            f"{path}: {what} must not be called {suffix}; use a name that ends in {name}"
        )


def check_replaced_hdf5(path: Path, kind: str, what: str) -> None:
    """Refuse to replace a file, unless it is an HDF5 file of this kind that mcls wrote.

    Raises
    ------
    ConfigError
        If something else is there.
    """
    if path.exists():
        with suppress(FormatError):
            if kind_of(path) == kind:
                return
        raise ConfigError(refusal(path, what))


def check_replaced(path: Path, mark: bytes, what: str) -> None:
    """Refuse to replace a file, unless it holds the mark of mcls.

    Raises
    ------
    ConfigError
        If something else is there.
    """
    if path.exists() and not holds(path, mark):
        raise ConfigError(refusal(path, what))


def refusal(path: Path, what: str) -> str:
    """Return what to say of a path that must not be replaced."""
    return f"{path} is not {what} that mcls wrote and is not replaced; choose another output"


def holds(path: Path, mark: bytes) -> bool:
    """Return whether a file contains some bytes."""
    if not path.is_file() or path.stat().st_size == 0:
        return False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return data.find(mark) >= 0
