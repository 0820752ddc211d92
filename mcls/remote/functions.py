"""Functions of Python that take URLs, as the commands do."""

import inspect
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import is_dataclass, replace
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

from mcls.remote.outputs import destination
from mcls.remote.places import here
from mcls.remote.urls import url_of

WithPaths = TypeVar("WithPaths", bound=Callable[..., Any])


def takes_urls(
    *, reads: Sequence[str], writes: Sequence[str] = ()
) -> Callable[[WithPaths], WithPaths]:
    """Let a function take URLs where it takes paths; it sees local ones.

    Parameters
    ----------
    reads : sequence of str
        The parameters that name what is read: a path each, or a sequence of paths.
    writes : sequence of str
        The parameters that name outputs.
    """

    def decorate(function: WithPaths) -> WithPaths:
        names = list(inspect.signature(function).parameters)

        @wraps(function)
        def with_local_paths(*args: Any, **keywords: Any) -> Any:
            given = {**dict(zip(names, args, strict=False)), **keywords}
            with ExitStack() as held:
                for name in {*reads} & {*given}:
                    given[name] = _read(given[name], held)
                made = {}
                for name in {*writes} & {*given}:
                    if _is_url(given[name]):
                        made[given[name]] = held.enter_context(destination(given[name]))
                        given[name] = made[given[name]]
                first = [given.pop(name) for name in names[: len(args)]]
                return _with_urls(function(*first, *args[len(names) :], **given), made)

        return with_local_paths  # type: ignore[return-value]

    return decorate


def _is_url(value: Any) -> bool:
    return isinstance(value, str | Path) and url_of(value) is not None


def _read(value: Any, held: ExitStack) -> Any:
    if isinstance(value, list | tuple):
        return type(value)(_read(one, held) for one in value)
    return here(value, held) if _is_url(value) else value


def _with_urls(result: Any, made: dict[Any, Path]) -> Any:
    """Return a result whose path is the URL that was given; the local file is gone."""
    for url, local in made.items():
        if is_dataclass(result) and getattr(result, "path", None) == local:
            return replace(result, path=Path(url))  # type: ignore[type-var]
    return result
