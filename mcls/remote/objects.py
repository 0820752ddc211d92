"""Objects on file systems of fsspec: what is there, in which version, download, upload.

Credentials are those that the libraries of fsspec find themselves: the environment, ``~/.aws`` and
the like. Messages never quote a library, as its text may hold an address with a password.
"""

import errno
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from mcls.errors import ConfigError, DataError, missing_extra

T = TypeVar("T")

#: Seconds to wait before another try, in turn; libraries such as s3fs also try again themselves.
_WAITS = (0.2, 1.0)
#: What tells versions of an object apart, as far as a file system says it.
_VERSION = ("ETag", "etag", "VersionId", "generation", "md5", "md5Hash", "Content-MD5", "Digest")
_TIMES = (
    "LastModified",
    "Last-Modified",
    "last_modified",
    "mtime",
    "modified",
    "updated",
    "created",
)
#: Where a finished upload appears at once; elsewhere a temporary name is renamed.
_WHOLE = ("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oci", "oss", "memory")
_EXTRAS = {
    "s3": ("s3fs", "s3"),
    "s3a": ("s3fs", "s3"),
    "http": ("aiohttp", "remote"),
    "https": ("aiohttp", "remote"),
}


class RemoteError(DataError):
    """An object that cannot be read or written; `reason` says why, without the URL."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(f"{url}: {reason}")
        self.reason = reason


class NoObjectError(RemoteError):
    """There is nothing at a URL."""


@dataclass(frozen=True)
class RemoteFile:
    """An object as it is now.

    Attributes
    ----------
    url : str
    size : int or None
        In bytes; None if the server does not say.
    version : str
        Another one if the object was replaced; ``""`` if the server says nothing of it.
    """

    url: str
    size: int | None
    version: str


def look(url: str) -> RemoteFile | None:
    """Return the object at a URL; None if there is a folder.

    Raises
    ------
    NoObjectError
        If there is neither.
    RemoteError
        If it cannot be reached, or is not to be read by this user.
    ConfigError
        If a package is missing, or there is no such kind of URL.
    """
    fs, path = _file_system(url)

    def ask() -> dict[str, Any]:
        fs.invalidate_cache()
        return dict(fs.info(path))

    info = _tried(url, ask)
    return None if info.get("type") == "directory" else _described(url, info)


def look_if_there(url: str) -> RemoteFile | None:
    """Return the object at a URL; None if there is none."""
    try:
        return look(url)
    except NoObjectError:
        return None


def files_below(url: str) -> dict[str, RemoteFile]:
    """Return the objects below a folder, at any depth, by their paths relative to it, sorted.

    Raises
    ------
    RemoteError
        If the folder cannot be listed; as of `look`.
    """
    fs, path = _file_system(url)
    root = path.rstrip("/") + "/"

    def ask() -> dict[str, dict[str, Any]]:
        fs.invalidate_cache()
        return dict(fs.find(path, detail=True))

    found = {}
    for place, info in sorted(_tried(url, ask).items()):
        relative = place.removeprefix(root)
        if {"..", ".", ""} & {*relative.rstrip("/").split("/")}:
            raise RemoteError(url, f"the object {place!r} cannot have a name on this machine")
        if place.startswith(root) and not relative.endswith("/"):
            found[relative] = _described(f"{url.rstrip('/')}/{relative}", info)
    return found


def download(file: RemoteFile, to: Path) -> None:
    """Write an object to a local file.

    Raises
    ------
    RemoteError
        If it cannot be read, or has another size than it had before.
    """
    fs, path = _file_system(file.url)

    def get() -> None:
        fs.get_file(path, str(to))
        size = to.stat().st_size
        if file.size is not None and size != file.size:
            raise ConnectionError(f"{size} bytes in the place of {file.size}")

    _tried(file.url, get)


def upload(from_: Path, url: str) -> None:
    """Write a local file to a URL; it appears whole or not at all.

    Raises
    ------
    RemoteError
        If it cannot be written.
    """
    fs, path = _file_system(url)
    scheme = url.partition("://")[0]

    def put() -> None:
        if scheme in _WHOLE:
            fs.put_file(str(from_), path)
            return
        parent, _, name = path.rpartition("/")
        new = f"{parent}/.{name}.new"
        fs.makedirs(parent, exist_ok=True)
        fs.put_file(str(from_), new)
        fs.mv(new, path)

    _tried(url, put)


def remove(url: str) -> None:
    """Remove an object; it may be gone already."""
    fs, path = _file_system(url)
    try:
        _tried(url, lambda: fs.rm_file(path))
    except NoObjectError:
        return


def refuse_read_only(url: str) -> None:
    """Refuse a URL to which nothing can be written.

    Raises
    ------
    ConfigError
        If its file system has no upload.
    """
    scheme = url.partition("://")[0]
    if scheme in ("http", "https", "github", "hf"):
        raise ConfigError(f"{url}: mcls reads {scheme}:// but cannot write to it")


def _file_system(url: str) -> tuple[Any, str]:
    """Return the file system of a URL and the path in it; in a forked process a new one."""
    scheme = url.partition("://")[0]
    try:
        import fsspec
    except ImportError:
        raise missing_extra(f"{scheme}://", "fsspec", "remote") from None
    try:
        fs, path = fsspec.core.url_to_fs(url)
    except ImportError as error:
        if scheme in _EXTRAS:
            raise missing_extra(f"{scheme}://", *_EXTRAS[scheme]) from error
        needed = fsspec.registry.known_implementations[scheme].get("err", "another package")
        raise ConfigError(f"{url}: {needed}") from error
    except ValueError as error:
        raise ConfigError(
            f"{url}: there is no kind of URL {scheme}://; a local folder is named by ./{scheme}:/"
        ) from error
    return fs, str(path)


def _described(url: str, info: dict[str, Any]) -> RemoteFile:
    said = [f"{key}={info[key]}" for key in _VERSION if info.get(key)]
    said = said or [f"{key}={info[key]}" for key in _TIMES if info.get(key)]
    size = info.get("size")
    text = "\n".join([*said, str(size)])
    version = hashlib.sha256(text.encode()).hexdigest()[:24] if said else ""
    return RemoteFile(url, None if size is None else int(size), version)


def _tried(url: str, action: Callable[[], T]) -> T:
    """Do something with an object, again if the network may be the reason that it failed."""
    for wait in (*_WAITS, None):
        try:
            return action()
        except Exception as error:  # libraries of many authors, without a common base class
            kind, reason = _reason(error)
            if kind is not None or wait is None:
                raise (kind or RemoteError)(url, reason) from error
        time.sleep(wait)
    raise AssertionError


def _reason(error: BaseException) -> tuple[type[RemoteError] | None, str]:
    """Return what an error of a library means; None: it may pass."""
    causes = [error]
    while (cause := causes[-1].__cause__ or causes[-1].__context__) and cause not in causes:
        causes.append(cause)
    names = [kind.__name__ for one in causes for kind in type(one).__mro__]
    status = next((one.status for one in causes if hasattr(one, "status")), None)
    if status in (401, 403) or "PermissionError" in names:
        return RemoteError, "permission denied; are the credentials right?"
    if {"NoCredentialsError", "PartialCredentialsError", "ProfileNotFound"} & {*names}:
        return RemoteError, (
            "no credentials were found; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or "
            "~/.aws, or FSSPEC_S3_ANON=true for a public bucket"
        )
    if {"ClientConnectionError", "EndpointConnectionError", "ConnectTimeoutError"} & {*names}:
        return None, "the server cannot be reached"
    if status is not None and status >= 500:
        return None, f"the server answers with the error {status}"
    if "FileNotFoundError" in names:
        return NoObjectError, "there is no such object"
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return RemoteError, "there is no space left for it; set MCLS_CACHE to another folder"
    return None, f"it cannot be read or written ({type(error).__name__})"
