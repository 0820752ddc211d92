"""Settings of registered entries: parsing them from text, checking and hashing them.

A *spec* names an entry and its settings in one word, wherever a command accepts an entry::

    mfcc                          the entry with its defaults
    mfcc:n_mfcc=13,delta=2        with settings
    fine=mel:n_fft=512            under another name (features only)
    max@1s                        a pooler over windows of 1 s
    max@5s/2.5s:norm=l2           windows of 5 s every 2.5 s
"""

import ast
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from mcls.errors import ConfigError, suggest
from mcls.registry import Entry, Setting, defaults, find

_TRUE, _FALSE = {"true", "yes", "on", "1"}, {"false", "no", "off", "0"}


def spell_setting(value: Any) -> str:
    """Write the value of a setting as it is typed on the command line.

    Examples
    --------
    >>> spell_setting([64, 32]), spell_setting(True), spell_setting(None), spell_setting(0.5)
    ('64x32', 'true', 'none', '0.5')
    """
    if isinstance(value, list | tuple):
        return "x".join(map(str, value))
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


def parse_bytes(text: str) -> int:
    """Return a number of bytes that is written with a unit: kB, MB, GB or TB, powers of 1000.

    Raises
    ------
    ConfigError
        If it is no such number.

    Examples
    --------
    >>> parse_bytes("2GB"), parse_bytes("1.5 MB")
    (2000000000, 1500000)
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt])b", text.strip().lower())
    if found is None or float(found[1]) == 0:
        raise ConfigError(f"{text!r} is not a size; type a number and a unit, such as 500MB or 2GB")
    return int(float(found[1]) * 1000 ** (" kmgt".index(found[2])))


def parse_pairs(pairs: Iterable[str]) -> dict[str, str]:
    """Split ``key=value`` words.

    Raises
    ------
    ConfigError
        If a word has no ``=`` or a key comes twice.

    Examples
    --------
    >>> parse_pairs(["n_mfcc=13", "delta=2"])
    {'n_mfcc': '13', 'delta': '2'}
    """
    found: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise ConfigError(f"{pair!r} is not a setting; type key=value")
        key, value = key.strip(), value.strip()
        if key in found:
            raise ConfigError(
                f"setting {key!r} is given twice, as {found[key]} and as {value}; give it once"
            )
        found[key] = value
    return found


def split_spec(spec: str) -> tuple[str, dict[str, str]]:
    """Split ``name:key=value,key=value`` into the name and its raw settings.

    Commas inside parentheses or brackets do not separate settings.

    Examples
    --------
    >>> split_spec("mfcc:n_mfcc=13,delta=2")
    ('mfcc', {'n_mfcc': '13', 'delta': '2'})
    >>> split_spec("hard")
    ('hard', {})
    """
    name, _, rest = spec.partition(":")
    pairs = re.split(r",(?![^(\[]*[)\]])", rest) if rest else []
    return name, parse_pairs(pairs)


def resolve(entry: Entry, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return every setting of an entry: those given, checked and converted, over the defaults.

    Parameters
    ----------
    entry : Entry
        The entry.
    given : mapping of str to text or value
        Text (from a command line or a recipe) is converted to the type of the signature.

    Returns
    -------
    dict
        All settings, in the order of the signature.

    Raises
    ------
    ConfigError
        If settings are unknown or not of their type; the message names all, with suggestions.
    """
    full, bad = defaults(entry), []
    for key, value in given.items():
        if key not in entry.settings:
            bad.append(f"unknown setting {key!r}: {suggest(key, entry.settings)}")
            continue
        try:
            full[key] = convert(value, entry.settings[key])
        except ValueError as error:
            bad.append(str(error))
    if bad:
        raise ConfigError(f"{entry.name}: " + "; ".join(bad))
    return full


def function_of(family: str, spec: str) -> Callable[..., Any]:
    """Return the function that ``NAME:key=value,...`` names, with its settings.

    Raises
    ------
    ConfigError
        If the name or a setting is unknown or out of range.
    """
    name, given = split_spec(spec)
    entry = find(family, name)
    return partial(entry.load(), **resolve(entry, given))


def convert(value: Any, setting: Setting) -> Any:
    """Convert text or a value to a setting's type.

    Raises
    ------
    ValueError
        If the value is not of the type.

    Examples
    --------
    >>> convert("13", Setting("n_mfcc", "int", 20, ""))
    13
    >>> convert("none", Setting("fmax", "float | None", None, "")) is None
    True
    """
    kinds = _alternatives(ast.parse(setting.type, mode="eval").body)
    for kind in sorted(kinds, key=lambda kind: ast.unparse(kind) == "str"):  # anything is text
        try:
            return _convert(value, kind)
        except (ValueError, TypeError):
            continue
    raise ValueError(f"{setting.name}={value} is not {describe(setting.type)}")


def describe(annotation: str) -> str:
    """Describe a type in words: ``Literal['db', 'none']`` is ``one of db, none``."""
    words = {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "text"}
    said = []
    for kind in _alternatives(ast.parse(annotation, mode="eval").body):
        if isinstance(kind, ast.Subscript) and ast.unparse(kind.value) == "Literal":
            said.append("one of " + ", ".join(str(choice) for choice in _choices(kind)))
        elif isinstance(kind, ast.Constant) and kind.value is None:
            said.append("none")
        elif isinstance(kind, ast.Subscript):
            said.append("a list like 1x2x3")
        else:
            said.append(words[ast.unparse(kind)])
    return " or ".join(said)


def canonical(value: Any) -> str:
    """Return a value as JSON text that does not depend on the order of keys."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest(value: Any) -> str:
    """Return the first 16 hex digits of the SHA-256 of a JSON-like value."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()[:16]


def _alternatives(node: ast.expr) -> list[ast.expr]:
    if isinstance(node, ast.BinOp):
        return _alternatives(node.left) + _alternatives(node.right)
    return [node]


def _choices(kind: ast.Subscript) -> list[Any]:
    items = kind.slice.elts if isinstance(kind.slice, ast.Tuple) else [kind.slice]
    return [ast.literal_eval(item) for item in items]


def _convert(value: Any, kind: ast.expr) -> Any:
    if isinstance(kind, ast.Constant) and kind.value is None:
        if value is None or str(value).lower() == "none":
            return None
        raise ValueError
    if isinstance(kind, ast.Subscript):
        if ast.unparse(kind.value) == "Literal":
            for choice in _choices(kind):
                if str(choice) == str(value):
                    return choice
            raise ValueError
        assert isinstance(kind.slice, ast.Tuple), "tuples are written tuple[int, ...]"
        items = re.split(r"[x,]", value.strip("()[]")) if isinstance(value, str) else value
        return [_convert(item, kind.slice.elts[0]) for item in items]
    name = ast.unparse(kind)
    if name == "bool":
        if str(value).lower() in _TRUE | _FALSE:
            return str(value).lower() in _TRUE
        raise ValueError
    if isinstance(value, bool):
        raise ValueError
    if name == "int":
        if isinstance(value, float) and not value.is_integer():
            raise ValueError
        return int(value)
    if name == "float":
        return float(value)
    return str(value)
