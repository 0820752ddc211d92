"""Which paths are URLs, and URLs that hold no credentials.

A URL survives in a `Path` as ``s3:/bucket/key``, and `url_of` gives ``s3://bucket/key`` back, so
that audio stays a path until the moment when it is decoded. Whatever mcls writes may name a URL;
therefore one that holds a password or a signature is refused before anything is read.
"""

import re
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from mcls.errors import ConfigError

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/{1,2}(?=[^/])(.+)", re.DOTALL)
_FILE = re.compile(r"file:(?://)?(/.*)", re.DOTALL)
#: The query of a URL: what follows a ``?`` and looks like ``name=value``.
_QUERY = re.compile(r"\?([\w.~-]+=.*)$", re.DOTALL)
#: Names in a query that cannot hold a credential.
_HARMLESS = {"download", "dl", "raw", "versionId", "alt"}
#: Where a name before the host is the credential itself.
_WEB = ("http", "https", "ftp", "s3", "s3a", "gs", "gcs")


def url_of(path: Path | str) -> str | None:
    """Return the URL that a path is; None if it is a path on this machine.

    A local folder whose name ends in a colon is named by an absolute path, or by ``./``.

    Raises
    ------
    ConfigError
        If the URL holds a credential, or chains several file systems.

    Examples
    --------
    >>> url_of(Path("s3://bucket/rock/one.wav")), url_of("rock/one.wav"), url_of("file:///a.wav")
    ('s3://bucket/rock/one.wav', None, None)
    """
    text = str(path)
    found = _URL.fullmatch(text)
    if found is None or found[1].lower() == "file":
        return None
    url = f"{found[1].lower()}://{found[2]}"
    _refuse_credentials(url)
    return url


def plain(path: Path | str) -> Path:
    """Return a path as a `Path`; of ``file:///a.wav`` its local path.

    Examples
    --------
    >>> plain("file:///music/a%20b.wav"), plain("one.wav")
    (PosixPath('/music/a b.wav'), PosixPath('one.wav'))
    """
    found = _FILE.fullmatch(str(path))
    return Path(unquote(found[1])) if found else Path(path)


def below(folder: Path, path: str) -> Path:
    """Return the file that a relative path, an absolute path or a URL means in a folder.

    Parameters
    ----------
    folder : Path
        A local folder, which is made absolute, or a URL.
    path : str
        As in the cell of a manifest.

    Examples
    --------
    >>> below(Path("/music"), "a.wav"), below(Path("s3://bucket/music"), "a.wav")
    (PosixPath('/music/a.wav'), PosixPath('s3:/bucket/music/a.wav'))
    >>> below(Path("/music"), "s3://bucket/b.wav")
    PosixPath('s3:/bucket/b.wav')
    """
    if url_of(path) is not None or _FILE.fullmatch(path):
        return plain(path)
    return (folder if url_of(folder) else folder.absolute()) / path


def name_of(url: str) -> str:
    """Return the name of the file at a URL, without its query.

    Examples
    --------
    >>> name_of("https://host/rock/one.wav?download=1"), name_of("s3://bucket/runs/vq/")
    ('one.wav', 'vq')
    """
    return PurePosixPath(_QUERY.sub("", url.partition("://")[2])).name


def beside(url: str, name: str) -> str:
    """Return the URL of another file in the same folder.

    Examples
    --------
    >>> beside("s3://bucket/mel.h5", "mel.h5.audit.toml")
    's3://bucket/mel.h5.audit.toml'
    """
    return f"{_QUERY.sub('', url).rstrip('/').rpartition('/')[0]}/{name}"


def _refuse_credentials(url: str) -> None:
    """Refuse what must not be written into a file; the message does not show it."""
    scheme, _, rest = url.partition("://")
    first = rest.partition("/")[0]
    user, at, _ = first.rpartition("@")
    has_secret = bool(at) and (":" in user or scheme in _WEB)
    if ":" in first and "@" in rest and not first.rpartition(":")[2].isdecimal():
        user, _, _ = rest.rpartition("@")  # a secret key of AWS may have a /
        has_secret = True
    query = _QUERY.search(rest)
    names = {part.partition("=")[0] for part in query[1].split("&")} if query else set()
    if not has_secret and names <= _HARMLESS:
        if "::" in rest or "//" in rest:
            raise ConfigError(f"{url}: mcls does not read URLs with '::' or '//' inside")
        return
    shown = _QUERY.sub("", rest)[len(user) + 1 if has_secret else 0 :]
    raise ConfigError(
        f"the URL of {scheme}://{shown} holds a password, a signature or another query, which "
        "would be written into what is made of it; leave it out, and give credentials where the "
        f"library of {scheme}:// looks for them, such as the environment"
    )
