"""Text, TOML and JSON files that may come from strangers: read without hanging or filling memory.

Only regular files are read: a pipe would wait for ever, and a device may have no end.
"""

import json
import re
import stat
import tomllib
from pathlib import Path
from typing import Any

from mcls.errors import DataError, FormatError
from mcls.remote.places import spelled

#: The largest TOML and JSON files, in bytes, and the longest JSON text in another file. What is
#: read takes up to 400 times the memory of TOML, and 25 times that of JSON.
_TOML, _JSON, _JSON_TEXT = 1 << 18, 1 << 24, 1 << 25

#: A dotted key of TOML with more than 16 parts: the memory that it takes grows with their square.
_PART = r"""(?:[\w-]+|"[^"\n]*"|'[^'\n]*')"""
_LONG_KEY = re.compile(rf"{_PART}(?:[ \t]*\.[ \t]*{_PART}){{16}}")


def read_regular(path: Path, at_most: int | None = None) -> bytes:
    """Return the bytes of a regular file.

    Parameters
    ----------
    path : Path
        The file.
    at_most : int or None
        The largest size in bytes that is read.

    Raises
    ------
    DataError
        If there is no such file, it is a folder, a pipe or a device, or cannot be read.
    FormatError
        If it is larger than `at_most`.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            what = "a folder" if stat.S_ISDIR(status.st_mode) else "a pipe or a device"
            raise DataError(f"{path} is {what}; expected a file")
        if at_most is not None and status.st_size > at_most:
            raise FormatError(f"{path} has {status.st_size} bytes; at most {at_most} are expected")
        return path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{path}: the file does not exist") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error


def read_text(path: Path, at_most: int | None = None) -> str:
    """Return the text of a UTF-8 file; parameters and errors as of `read_regular`.

    Raises
    ------
    FormatError
        If it is not UTF-8, too.
    """
    try:
        return read_regular(path, at_most).decode("utf-8")
    except UnicodeDecodeError as error:
        raise FormatError(f"{path} is not UTF-8 ({error})") from error


def read_toml(path: Path, at_most: int = _TOML) -> dict[str, Any]:
    """Read a TOML file; parameters as of `read_regular`.

    Raises
    ------
    DataError
        If it cannot be read.
    FormatError
        If it is not TOML, or too large or too deeply nested to be a file of mcls.
    """
    text = read_text(path, at_most)
    if found := _LONG_KEY.search(text):
        raise FormatError(f"{path}: the dotted name {found[0][:40]}... has more than 16 parts")
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise FormatError(f"{path} is not TOML that mcls reads: it is nested too deeply") from None
    except ValueError as error:  # not TOML, or a number of thousands of digits
        raise FormatError(f"{path} is not TOML ({error})") from error


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON file that holds an object.

    Raises
    ------
    DataError
        If it cannot be read.
    FormatError
        If it is not a JSON object, or too large or too deeply nested to be a file of mcls.
    """
    return parse_json(read_text(path, _JSON), str(path))


def parse_json(text: Any, where: str) -> dict[str, Any]:
    """Return the JSON object in a text.

    Parameters
    ----------
    text : str
        The text.
    where : str
        What holds the text, for messages.

    Raises
    ------
    FormatError
        If it is not text, not a JSON object, too long or nested too deeply.

    Examples
    --------
    >>> parse_json('{"n": 1}', "about.json")
    {'n': 1}
    >>> parse_json("[1]", "about.json")
    Traceback (most recent call last):
    mcls.errors.FormatError: about.json is not a JSON object
    """
    if isinstance(text, str | bytes) and len(text) > _JSON_TEXT:
        raise FormatError(f"{where} has {len(text)} characters; at most {_JSON_TEXT} are expected")
    try:
        value = json.loads(text)
    except RecursionError:
        raise FormatError(f"{where} is not JSON that mcls reads: it is nested too deeply") from None
    except (ValueError, TypeError) as error:
        raise FormatError(f"{where} is not JSON ({error})") from error
    if not isinstance(value, dict):
        raise FormatError(f"{where} is not a JSON object")
    return value


def toml_value(value: Any) -> str:
    r"""Return a value as TOML.

    Examples
    --------
    >>> toml_value(["max@1s", "mean"]), toml_value(True), toml_value(0.1), toml_value('a"b')
    ('["max@1s", "mean"]', 'true', '0.1', '"a\\"b"')
    """
    if isinstance(value, list | tuple):
        return "[" + ", ".join(toml_value(item) for item in value) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    # JSON's escapes are a subset of TOML's; DEL is the one character JSON leaves and TOML bars.
    return json.dumps(spelled(value), ensure_ascii=False).replace("\x7f", "\\u007f")
