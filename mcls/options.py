"""Options that are declared once, as fields of frozen dataclasses.

A field says everything about an option: its type, default, range and one sentence of help::

    @dataclass(frozen=True)
    class Training:
        epochs: int = option(50, "Maximum number of epochs.", min=1)

The command line, recipes, run.toml, the Python functions (`takes_options`) and the tables of the
documentation are made from these fields.
"""

import inspect
import math
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cache, wraps
from pathlib import Path
from typing import Any, TypeVar

from mcls.errors import ConfigError, suggest
from mcls.registry import Setting
from mcls.settings import convert, spell_setting

T = TypeVar("T")
Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class Option:
    """An option of commands, recipes and functions.

    Parameters
    ----------
    name : str
        The keyword of Python functions.
    type : str
        As it is written in a signature.
    default : value
    help : str
        One sentence.
    word : str
        How the command line and recipes spell it, without dashes in front.
    section : str
        The heading under which ``--help`` shows it.
    min, max : float or None
        The range of a number.
    min_open, max_open : bool
        Whether the ends are outside the range.
    registry : tuple of str
        The families of the registry of which the value names an entry.
    metavar : str
        What stands for the value in ``--help``.
    path : {'', 'read', 'audio', 'written'}
        What the value names, if it is a path: files of mcls to read, a folder of audio, or what is
        written.
    none : str
        The word with which the command line and recipes say None.
    in_key : bool
        Whether the value belongs to the key of what is made. Other options change where or how
        fast it is made, or name files whose content is in the key.
    """

    name: str
    type: str
    default: Any
    help: str
    word: str = ""
    section: str = ""
    min: float | None = None
    max: float | None = None
    min_open: bool = False
    max_open: bool = False
    registry: tuple[str, ...] = ()
    metavar: str = ""
    path: str = ""
    none: str = ""
    in_key: bool = True

    @property
    def several(self) -> bool:
        """Whether the option may be given more than once."""
        return self.type.startswith("tuple[")

    def convert(self, value: Any) -> Any:
        """Return a value in the type of the option.

        Raises
        ------
        ValueError
            If it cannot be converted or is out of range.
        """
        if self.several:
            some = () if value is None else value
            if isinstance(some, Mapping):
                some = [f"{key}={spell_setting(one)}" for key, one in some.items()]
            return tuple(map(str, (some,) if isinstance(some, str | Path) else some))
        if isinstance(value, str | Path) and self.type.split(" | ")[0] == "str":
            return str(value)
        if value is None and "None" not in self.type:
            raise ValueError(f"{self.name} is missing a value")
        value = None if value == (self.none or None) else value
        found = convert(value, Setting(self.name, self.type, self.default, ""))
        if isinstance(found, int | float) and not isinstance(found, bool):
            self._check_range(found)
        return found

    def _check_range(self, value: float) -> None:
        low = self.min is None or value > self.min or (value == self.min and not self.min_open)
        high = self.max is None or value < self.max or (value == self.max and not self.max_open)
        if not (low and high and math.isfinite(value)):
            raise ValueError(f"{self.name}={value}; expected {self.range() or 'a finite number'}")

    def range(self) -> str:
        """Say the range in words; empty without one.

        Examples
        --------
        >>> Option("overlap", "float", 0.0, "", min=0, max=1, max_open=True).range()
        '0 or more and below 1'
        """
        said = []
        if self.min is not None:
            said.append(f"above {self.min}" if self.min_open else f"{self.min} or more")
        if self.max is not None:
            said.append(f"below {self.max}" if self.max_open else f"{self.max} or less")
        return " and ".join(said)


def option(default: Any, help: str, **facts: Any) -> Any:
    """Return a dataclass field that declares an `Option`; `facts` are its other parameters."""
    return field(default=default, metadata={"help": help, **facts})


def options_of(cls: type) -> tuple[Option, ...]:
    """Return the options that a dataclass declares."""
    return _options_of(cls)


@cache
def _options_of(cls: Hashable) -> tuple[Option, ...]:
    found = []
    for one in fields(cls):  # type: ignore[arg-type]
        facts = {"word": one.name.replace("_", "-"), **one.metadata}
        written = inspect.formatannotation(one.type).replace("typing.", "")
        found.append(Option(one.name, written, one.default, **facts))
    return tuple(found)


def build(cls: type[T], given: Mapping[str, Any]) -> T:
    """Return a dataclass of options, with its defaults for those that are not given.

    Raises
    ------
    ConfigError
        Names every option that is unknown, of another type or out of range.
    """
    known = {one.name: one for one in options_of(cls)}
    values, bad = {}, []
    for name, value in given.items():
        if name not in known:
            bad.append(f"there is no option {name!r}; {suggest(name, known)}")
            continue
        try:
            values[name] = known[name].convert(value)
        except ValueError as error:
            bad.append(str(error))
    if bad:
        raise ConfigError("; ".join(bad))
    return cls(**values)


def as_settings(options: Any, *, key_only: bool = False) -> dict[str, Any]:
    """Return the options of a dataclass by the keys of a recipe, in JSON's types.

    Parameters
    ----------
    options : dataclass of options
    key_only : bool
        Leave out the options that are not in the key of what is made.
    """
    found = {}
    for one in options_of(type(options)):
        if one.in_key or not key_only:
            value = getattr(options, one.name)
            found[one.word.replace("-", "_")] = list(value) if one.several else value
    return found


def takes_options(function: Function) -> Function:
    """Let a function take the options of its dataclass parameters as keywords.

    A parameter whose type is a dataclass of options is replaced by the options in the signature.
    A caller inside mcls may give the dataclass itself.

    Examples
    --------
    >>> @dataclass(frozen=True)
    ... class Size:
    ...     width: int = option(3, "Width of the box.", min=1)
    >>> @takes_options
    ... def area(*, size: Size, height: int = 1):
    ...     return size.width * height
    >>> area(width="4", height=2), area(size=Size(5))
    (8, 5)
    >>> inspect.signature(area)
    <Signature (*, height: int = 1, width: int = 3)>
    """
    signature = inspect.signature(function)
    groups = {p.name: p.annotation for p in signature.parameters.values() if _is_group(p)}

    @wraps(function)
    def with_options(*args: Any, **keywords: Any) -> Any:
        made, bad = {}, []
        for name, cls in groups.items():
            if isinstance(keywords.get(name), cls):
                made[name] = keywords.pop(name)
                continue
            known = [one.name for one in options_of(cls)]
            try:
                made[name] = build(
                    cls, {key: keywords.pop(key) for key in known if key in keywords}
                )
            except ConfigError as error:
                bad.append(str(error))
        shown = with_options.__signature__.parameters  # type: ignore[attr-defined]
        for key in keywords:
            if key not in shown:
                bad.append(f"{function.__name__} has no option {key!r}; {suggest(key, shown)}")
        if bad:
            raise ConfigError("; ".join(bad))
        return function(*args, **keywords, **made)

    others = [p for p in signature.parameters.values() if p.name not in groups]
    options = [
        inspect.Parameter(
            one.name, inspect.Parameter.KEYWORD_ONLY, default=one.default, annotation=one.type
        )
        for cls in groups.values()
        for one in fields(cls)
    ]
    with_options.__signature__ = signature.replace(parameters=[*others, *options])  # type: ignore[attr-defined]
    return with_options  # type: ignore[return-value]


def _is_group(parameter: inspect.Parameter) -> bool:
    """Whether a parameter is a dataclass of options."""
    kind = parameter.annotation
    return is_dataclass(kind) and all("help" in one.metadata for one in fields(kind))
