"""Where a URL becomes a local path: copies that are read, and outputs that are uploaded.

What a user names goes through `here` to be read and through `destination` to be written; audio, of
which there may be any amount, through `local_copy` at the moment when it is decoded. In messages,
and in what is written, `spelled` puts the URL in the place of the copy.
"""

import atexit
import hashlib
import secrets
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from mcls.errors import ConfigError
from mcls.remote.cache import cache_folder, copies
from mcls.remote.objects import (
    NoObjectError,
    RemoteError,
    RemoteFile,
    download,
    files_below,
    look,
    look_if_there,
)
from mcls.remote.urls import beside, name_of, plain, url_of

#: Files of mcls beside a manifest, store or table, which are read and written with it.
_COMPANIONS = ("{name}.audit.toml", "{stem}.splits.json", "{stem}.about.json")
#: The files at the top of a folder by which it is one that mcls wrote, not a folder of audio.
MARKS = ("run.toml", "cv.json", "study.db", "index.h5")

#: The copies that this process keeps.
_process = ExitStack()
atexit.register(_process.close)

#: The URL of every local path that stands for one in this process.
_urls: dict[str, str] = {}


def here(path: Path | str, held: ExitStack) -> Path:
    """Return the local path of what a user wants to read; a local one is returned as it is.

    An object is copied with the files of mcls beside it, a run with all its files. A folder of
    audio stays the URL that it is: see `local_copy`.

    Parameters
    ----------
    path : path
        A path or a URL.
    held : ExitStack
        Keeps the copy until it is closed.

    Raises
    ------
    DataError
        If there is nothing, or it cannot be reached.
    ConfigError
        If the URL holds a credential, or a package is missing.
    """
    url = url_of(path)
    if url is None:
        return plain(path)
    name, file = name_of(url), look(url)
    if file is None:
        below = files_below(url)
        if not any(mark in below or f"fold-test/{mark}" in below for mark in MARKS):
            stand_for(Path(url), url)
            return Path(url)
        inside = {f"{name}/{path}": one for path, one in below.items()}
    else:
        inside = {name: file, **companions(url)}
    local = held.enter_context(_copied(url, inside)) / name
    stand_for(local, url.rstrip("/"))
    return local


def kept(path: Path | str) -> Path:
    """Return what `here` does; a copy is kept until this process ends.

    For what is read as long as somebody holds it, such as the rows of a store.
    """
    return here(path, _process)


@contextmanager
def local_copy(path: Path | str) -> Iterator[Path]:
    """Yield the local path of one file, such as audio; of a URL it is a copy in the cache.

    Raises
    ------
    RemoteError
        If it cannot be read.
    """
    url = url_of(path)
    if url is None:
        yield plain(path)
        return
    file = look(url)
    if file is None:
        raise RemoteError(url, "it is a folder, not a file")
    with _copied(url, {name_of(url): file}) as folder:
        yield folder / name_of(url)


def is_file(path: Path) -> bool:
    """Return whether a local path or a URL is a file.

    Raises
    ------
    RemoteError
        If a URL cannot be reached.
    """
    url = url_of(path)
    return path.is_file() if url is None else look_if_there(url) is not None


def is_folder(path: Path) -> bool:
    """Return whether a local path or a URL is a folder; what is missing is none.

    Raises
    ------
    RemoteError
        If a URL cannot be reached.
    """
    url = url_of(path)
    if url is None:
        return path.is_dir()
    try:
        return look(url) is None
    except NoObjectError:
        return False


def size_of(path: Path) -> int | None:
    """Return the bytes of a local file or of one at a URL; None if its server does not say.

    Raises
    ------
    RemoteError
        If a URL cannot be reached.
    OSError
        If a local file cannot be.
    """
    url = url_of(path)
    file = None if url is None else look(url)
    return path.stat().st_size if url is None else None if file is None else file.size


def folder_of(path: Path) -> Path:
    """Return the folder of a local path, or of the URL for which it stands, as a path."""
    return Path(spelled(path)).parent


def companions(url: str) -> dict[str, RemoteFile]:
    """Return the files of mcls that lie beside an object, by their names."""
    name = name_of(url)
    names = [one.format(name=name, stem=Path(name).stem) for one in _COMPANIONS]
    found = {one: look_if_there(beside(url, one)) for one in names if one != name}
    return {name: file for name, file in found.items() if file is not None}


def stand_for(local: Path, url: str) -> None:
    """Let messages name a URL in the place of a local path."""
    _urls[str(local)] = url


def spelled(text: Path | str) -> str:
    """Return a text with the URL in the place of every local path that stands for one."""
    said = str(text)
    for local, url in _urls.items():
        said = said.replace(local, url)
    return url_of(said) or said


def refuse_to_write(path: Path) -> None:
    """Refuse to write to a URL, or beside what was copied from one.

    Raises
    ------
    ConfigError
        Such a file would be a local one that nobody looks for, or vanish with the cache.
    """
    if url_of(path) is not None:
        raise ConfigError(
            f"{url_of(path)}: mcls does not write this file to a URL; name a local one"
        )
    if path.is_relative_to(cache_folder() / "copies"):
        raise ConfigError(
            f"{spelled(path)}: mcls does not write beside what it reads from a URL; download it, "
            "run the command on the local file, and upload both"
        )


@contextmanager
def _copied(url: str, files: Mapping[str, RemoteFile]) -> Iterator[Path]:
    """Yield a folder with copies of files in the versions that they have now."""
    versions = [
        f"{name}\n{file.size}\n{file.version or secrets.token_hex()}"
        for name, file in files.items()
    ]
    key = hashlib.sha256("\n\n".join([url, *versions]).encode()).hexdigest()[:40]

    def fill(folder: Path) -> None:
        for name, file in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            download(file, folder / name)

    with copies(key, sum(file.size or 0 for file in files.values()), fill) as folder:
        yield folder
