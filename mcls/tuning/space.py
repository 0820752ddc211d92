"""The search space: for each value that is to be chosen, a range or a list of choices.

In the table ``[tune]`` of a recipe, or behind ``--space KEY=``::

    train.optimizer.lr = "1e-5..1e-2 log"     a number of a range, of which logarithms are uniform
    train.epochs = "10..40"                   a whole number, as both ends are
    train.param.dropout = "0..0.5 step 0.1"   a multiple of a step above the first
    learn-dict.size = [256, 512, 1024]        one of a list
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mcls.disk.recipe import Recipe, space_of
from mcls.errors import ConfigError, MclsError
from mcls.settings import canonical
from mcls.tuning.recipe_values import Place, check_value, find_place, value_in

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_RANGE = re.compile(rf"({_NUMBER})\s*\.\.\s*({_NUMBER})(?:\s+(log)|\s+step\s+({_NUMBER}))?")

#: Significant digits of a number that is drawn; best.toml has the very number that was tried.
_DIGITS = 4

Number = int | float


@dataclass(frozen=True)
class Parameter:
    """A value of a recipe that is to be chosen.

    Parameters
    ----------
    place : Place
        Where it is in the recipe.
    choices : tuple
        What is chosen from; empty for a range.
    low, high : number
        The ends of the range, which belong to it; whole numbers if both are written so.
    log : bool
        Whether the logarithm is drawn uniformly.
    step : number or None
        The distance of possible values from `low`.
    """

    place: Place
    choices: tuple[Any, ...] = ()
    low: Number = 0
    high: Number = 0
    log: bool = False
    step: Number | None = None

    @property
    def key(self) -> str:
        """Table, option and setting."""
        return self.place.key

    @property
    def whole(self) -> bool:
        """Whether it is a range of whole numbers."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    def value(self, drawn: Any) -> Any:
        """Return the value for a recipe of what was drawn, a number or the text of a choice."""
        if self.choices:
            return next(one for one in self.choices if _as_text(one) == drawn)
        return int(drawn) if self.whole else float(f"{drawn:.{_DIGITS}g}")

    def drawn(self, value: Any) -> Any:
        """Return what would have to be drawn for a value of a recipe; None if it cannot be."""
        if self.choices:
            if isinstance(value, list | tuple) and len(value) == 1:
                value = value[0] if value[0] in self.choices else value
            same = (one for one in self.choices if _is_same(one, value))
            return next((_as_text(one) for one in same), None)
        try:
            number = int(value) if self.whole else float(value)
        except (TypeError, ValueError):
            return None
        off = 0 if self.step is None else (number - self.low) / self.step % 1
        return number if self.low <= number <= self.high and min(off, 1 - off) < 1e-6 else None

    def decides(self) -> list[Any]:
        """Return what tells the parameter from others."""
        return [self.key, list(self.choices), self.low, self.high, self.log, self.step]

    def texts(self) -> list[str]:
        """Return the choices as text."""
        return [_as_text(one) for one in self.choices]


def read_space(recipe: Recipe, more: Sequence[str] = ()) -> list[Parameter]:
    """Return the search space of a recipe.

    Parameters
    ----------
    recipe : mapping
        A recipe; its table ``[tune]`` is read.
    more : sequence of str
        ``KEY=VALUES``, which replace those of the recipe.

    Raises
    ------
    ConfigError
        Names every line that is wrong, or says that there is nothing to search.
    """
    lines: dict[str, Any] = {**space_of(recipe)}
    bad, found = [], {}
    for text in more:
        key, equals, values = text.partition("=")
        if not equals or not values.strip():
            bad.append(f"--space {text!r}; expected KEY=VALUES, such as train.epochs=10..40")
        else:
            lines = {name: line for name, line in lines.items() if name != key.strip()}
            lines[key.strip()] = _typed(values.strip())
    for key, values in lines.items():
        try:
            parameter = _parameter(recipe, key, values)
        except MclsError as error:
            bad.append(f"{key} = {_as_text(values)}: {error}")
            continue
        if parameter.key in found:
            bad.append(f"{key} = {_as_text(values)}: {parameter.key} is there twice")
        found[parameter.key] = parameter
    if bad:
        raise ConfigError("[tune] " + "; ".join(bad))
    if not found:
        raise ConfigError(
            "there is nothing to tune; say what in the recipe, as [tune] train.param.C = "
            '"0.1..100 log", or with --space train.param.C=0.1..100'
        )
    return list(found.values())


def _parameter(recipe: Recipe, key: str, values: Any) -> Parameter:
    place = find_place(recipe, key)
    if isinstance(values, list):
        if len(values) < 2:
            raise ConfigError("expected two or more values")
        parameter = Parameter(place, tuple(values))
        texts = parameter.texts()
        if len(set(texts)) < len(texts):
            raise ConfigError("a value is there twice")
        tried = [*values]
    else:
        parameter = _range(place, values)
        tried = [parameter.low, parameter.high]
    for value in tried:
        check_value(recipe, place, value)
    value_in(recipe, place)
    return parameter


def _range(place: Place, text: Any) -> Parameter:
    match = _RANGE.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None:
        raise ConfigError('expected a list of values, or a range such as "1e-5..1e-2 log"')
    low, high = _number(match[1]), _number(match[2])
    if not (isinstance(low, int) and isinstance(high, int)):
        low, high = float(low), float(high)
    log, step = match[3] is not None, None if match[4] is None else _number(match[4])
    if not low < high:
        raise ConfigError(f"the range is empty, as {low} is not below {high}")
    if log and low <= 0:
        raise ConfigError(f"a range with log must begin above 0, not at {low}")
    if step is not None and not 0 < step <= high - low:
        raise ConfigError(f"the step is {step}; expected more than 0 and at most {high - low}")
    if isinstance(low, int) and isinstance(step, float):
        raise ConfigError(f"the step of whole numbers is {step}; expected a whole number")
    if step is not None and abs((high - low) / step - round((high - low) / step)) > 1e-9:
        raise ConfigError(f"steps of {step} from {low} do not end at {high}")
    return Parameter(place, (), low, high, log, step)


def _number(text: str) -> Number:
    return int(text) if re.fullmatch(r"[+-]?\d+", text) else float(text)


def _typed(text: str) -> Any:
    """Return the values of ``--space``: a range, or a list with or without brackets."""
    if _RANGE.fullmatch(text):
        return text
    if text.startswith("["):
        try:
            return tomllib.loads(f"values = {text}")["values"]
        except tomllib.TOMLDecodeError as error:
            raise ConfigError(f"--space: {text} is not a list of TOML ({error})") from error
    return [_number(one) if re.fullmatch(_NUMBER, one) else one for one in _pieces(text)]


def _pieces(text: str) -> list[str]:
    return [piece.strip() for piece in text.split(",")]


def _is_same(one: Any, other: Any) -> bool:
    """Whether two values are typed alike, or are the same number."""
    try:
        return float(one) == float(other)
    except (TypeError, ValueError):
        return _as_text(one) == _as_text(other)


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else canonical(value)


def values_of(parameters: Sequence[Parameter], drawn: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values for a recipe by their keys."""
    return {one.key: one.value(drawn[one.key]) for one in parameters if one.key in drawn}
